/* carry.h - events and receipts for a stick, and the console's acknowledgements from one: for a
 * site that no line reaches. An export takes nothing from the spool; only the acknowledgement of
 * that very export does, and never more than it held. Loop's thread; files in a worker. */
#ifndef ATALAIA_AGENT_CARRY_H
#define ATALAIA_AGENT_CARRY_H

#include "config.h"

#include "net/httpd.h"
#include "proto/event_bundle.h"

#define CARRY_EXPORT_PATH "/v1/events/export"
#define CARRY_ACKS_PATH "/v1/events/acks"
#define CARRY_KEPT 64 /* exports that are remembered; older ones are not acknowledged any more */

/* Routes of 2227 for root and the agent's own user; ctx is the struct events.
 * POST export: 200 with the bundle and the fields Atalaia-Bundle, -Events and -More.
 * POST acks: one line of an acknowledgement; 200 {"outcome":"taken"|"conflict"|"old","upto":{..}},
 * 404 not-ours or unknown-bundle, 403 when it proves nothing. */
void carry_export(struct http_req *r, void *ctx);
void carry_acks(struct http_req *r, void *ctx);

/* <state>/exports.json. Blocking. The folder is the agent's: a damaged file is as none. */
MUST_CHECK enum err carry_remember(
    const char *state, const struct event_bundle_mark *mark, struct fault *f);
/* ERR_NOTFOUND: no export of that name is remembered. */
MUST_CHECK enum err carry_recall(
    const char *state, const char *name, struct event_bundle_mark *out, struct fault *f);

/* The verbs: they ask the running agent on its socket. Exit status 0, 1 failed, 2 usage. */
int carry_export_main(const struct agent_conf *conf, const char *file);
int carry_acks_main(const struct agent_conf *conf, const char *file);

#endif
