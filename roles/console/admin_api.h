/* admin_api.h - port 2226: JSON over HTTP on loopback for the administrator's programs, with a
 * bearer token. httpd refuses an Origin header and a Host that is not loopback (local_only). GET
 * /v1/status GET  /v1/agents?group=            POST /v1/agents/{word}/revoke GET  /v1/tokens POST
 * /v1/tokens {"uses","life","group","roots":{feed:base64}} POST /v1/tokens/{id}/revoke GET
 * /v1/tasks?limit=             POST /v1/tasks {"target","type","args","life","draft"} or
 *                                     {"envelope":{..}}
 *   GET  /v1/tasks/{id}?wait=&rev=    POST /v1/tasks/{id}/cancel
 *   GET  /v1/events?after=&limit=&class=&type=&agent=&last=&wait=
 *   POST /v1/events/import (a bundle's last line and one batch)
 *   POST /v1/events/import/end?conflict= (the last line alone)
 *   GET  /v1/policies/{name}          PUT /v1/policies/{name}    DELETE /v1/policies/{name}
 *   GET  /v1/authority                PUT /v1/authority (stages)
 *   POST /v1/backup {"path"}
 *   GET  /v1/authority/staged         POST /v1/authority/signatures (a signed copy) */
#ifndef CONSOLE_ADMIN_API_H
#define CONSOLE_ADMIN_API_H

#include "console.h"

extern const struct http_route admin_routes[];
extern const size_t admin_route_count;

void admin_status(struct http_req *req, void *ctx);
void admin_metrics(struct http_req *req, void *ctx);
/* Bearer token of every request; answers 401 without it. ctx is the console. */
bool admin_gate(struct http_req *req, void *ctx);

void admin_agents(struct http_req *req, void *ctx); /* admin_agents.c */
void admin_agent_revoke(struct http_req *req, void *ctx);
void admin_tokens(struct http_req *req, void *ctx); /* admin_tokens.c */
void admin_token_new(struct http_req *req, void *ctx);
void admin_token_revoke(struct http_req *req, void *ctx);
void admin_tasks(struct http_req *req, void *ctx); /* admin_tasks.c */
void admin_task_show(struct http_req *req, void *ctx);
void admin_task_cancel(struct http_req *req, void *ctx);
void admin_task_send(struct http_req *req, void *ctx); /* admin_send.c */
void admin_events(struct http_req *req, void *ctx);    /* admin_events.c */
struct call;
/* class, type, agent, q, since, until, after, before of the query into the call. */
void admin_events_filters(struct call *call, struct http_req *req);
void admin_import(struct http_req *req, void *ctx); /* admin_import.c */
void admin_import_end(struct http_req *req, void *ctx);
void admin_policy_get(struct http_req *req, void *ctx); /* admin_policy.c */
void admin_policy_put(struct http_req *req, void *ctx);
void admin_policy_delete(struct http_req *req, void *ctx);
void admin_authority_get(struct http_req *req, void *ctx);
void admin_authority_put(struct http_req *req, void *ctx);
void admin_authority_staged(struct http_req *req, void *ctx);
void admin_authority_sign(struct http_req *req, void *ctx);
void admin_backup(struct http_req *req, void *ctx); /* admin_backup.c */

#endif
