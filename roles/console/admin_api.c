#include "admin_api.h"

#include "base/limits.h"
#include "base/log.h"
#include "net/pki.h"
#include "proto/authority.h"
#include "proto/policy.h"
#include "push.h"

#include <string.h>

#define LIMIT_ADMIN_JSON 1500000 /* a token request may carry a root.json */
#define LIMIT_ROLE_DOCUMENT 2000000

const struct http_route admin_routes[] = {
	{ "GET", "/v1/status", 0, 0, admin_status },
	{ "GET", "/v1/agents", 0, 0, admin_agents },
	{ "POST", "/v1/agents/{}/revoke", 0, LIMIT_ADMIN_JSON, admin_agent_revoke },
	{ "GET", "/v1/tokens", 0, 0, admin_tokens },
	{ "POST", "/v1/tokens", 0, LIMIT_ADMIN_JSON, admin_token_new },
	{ "POST", "/v1/tokens/{}/revoke", 0, LIMIT_ADMIN_JSON, admin_token_revoke },
	{ "GET", "/v1/tasks", 0, 0, admin_tasks },
	{ "POST", "/v1/tasks", 0, LIMIT_ADMIN_JSON, admin_task_send },
	{ "GET", "/v1/tasks/{}", 0, 0, admin_task_show },
	{ "POST", "/v1/tasks/{}/cancel", 0, LIMIT_ADMIN_JSON, admin_task_cancel },
	{ "GET", "/v1/events", 0, 0, admin_events },
	{ "GET", "/v1/policies/*", 0, 0, admin_policy_get },
	{ "PUT", "/v1/policies/*", 0, LIMIT_POLICY_BYTES, admin_policy_put },
	{ "DELETE", "/v1/policies/*", 0, 0, admin_policy_delete },
	{ "GET", "/v1/authority", 0, 0, admin_authority_get },
	{ "PUT", "/v1/authority", 0, LIMIT_AUTHORITY_BYTES, admin_authority_put },
	{ "GET", "/v1/authority/staged", 0, 0, admin_authority_staged },
	{ "POST", "/v1/authority/signatures", 0, LIMIT_ROLE_DOCUMENT, admin_authority_sign },
	{ "POST", "/v1/backup", 0, LIMIT_ADMIN_JSON, admin_backup },
};
const size_t admin_route_count = sizeof(admin_routes) / sizeof(admin_routes[0]);

bool
admin_gate(struct http_req *req, void *ctx)
{
	static const char scheme[] = "Bearer ";
	struct console *c = ctx;
	const char *field = http_field(req, "authorization");
	size_t n = strlen(c->admin_token);

	if (field != NULL && strncmp(field, scheme, sizeof(scheme) - 1) == 0) {
		field += sizeof(scheme) - 1;
		if (strlen(field) == n && pki_equal(field, c->admin_token, n)) {
			http_set_data(req, c); /* for web_who */
			return true;
		}
	}
	log_warn("refused", "what=admin code=unauthorized path=%s", log_q(http_path(req)));
	http_set(req, "WWW-Authenticate", "Bearer");
	http_problem(
	    req, 401, "unauthorized", "send the token of %s/" FILE_ADMIN_TOKEN, c->o->state);
	return false;
}

static enum err
fill_status(struct console *c, cJSON *o)
{
	struct httpd_stats s = httpd_stats(c->agents);
	enum err e = json_add_string(o, "org", c->o->org);

	if (e == OK)
		e = json_add_string(o, "console", c->o->name);
	if (e == OK)
		e = json_add_string(o, "version", ATALAIA_VERSION);
	if (e == OK)
		e = json_add_u64(o, "connections", s.connections);
	if (e == OK)
		e = json_add_u64(o, "requests", s.requests);
	if (e == OK)
		e = json_add_u64(o, "handshakes_failed", s.handshakes_failed);
	if (e == OK)
		e = json_add_u64(o, "waiters", waiters_count(c->waiters));
	if (e == OK)
		e = json_add_u64(o, "pushes", push_pending(c->push));
	if (e == OK)
		e = json_add_u64(o, "jobs", c->db_work.queued);
	if (e == OK)
		e = json_add_u64(o, "revoked", revoked_count(c->revoked));
	return e;
}

void
admin_status(struct http_req *req, void *ctx)
{
	cJSON *o = cJSON_CreateObject();

	if (o == NULL || fill_status(ctx, o) != OK)
		http_problem(req, 503, "busy", "memory ran out");
	else
		http_reply_json(req, 200, o);
	cJSON_Delete(o);
}
