/* agent_api.h - what agents may ask on 2225. */
#ifndef CONSOLE_AGENT_API_H
#define CONSOLE_AGENT_API_H

#include "console.h"

extern const struct http_route agent_routes[];
extern const size_t agent_route_count;

/* Before every route: a revoked agent is refused, whatever it asks. ctx is the console. */
bool agent_gate(struct http_req *req, void *ctx);

void on_enroll(struct http_req *req, void *ctx);     /* enrol.c */
void on_renew(struct http_req *req, void *ctx);	     /* enrol.c */
void on_events(struct http_req *req, void *ctx);     /* ingest.c */
void on_pull(struct http_req *req, void *ctx);	     /* pull.c */
void on_task_state(struct http_req *req, void *ctx); /* pull.c */
void on_upload(struct http_req *req, void *ctx);     /* upload.c */
void on_dropped(struct http_req *req, void *ctx);    /* dropped.c */
void on_probe(struct http_req *req, void *ctx);	     /* probe.c */
void on_feed_file(struct http_req *req, void *ctx);  /* feed_files.c */

#endif
