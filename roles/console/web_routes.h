/* web_routes.h - the handlers of web_table.c, by file, and what they share. */
#ifndef CONSOLE_WEB_ROUTES_H
#define CONSOLE_WEB_ROUTES_H

#include "base/json.h"
#include "call.h"
#include "web.h"

/* The document SESSION of API.md as the answer; word may be NULL (then no csrf). */
MUST_CHECK enum err web_session_json(
    struct call *call, const struct session *x, const char *word, bool totp);
/* Parses call->body as an object; refuses the call with 400 and returns ERR_DENIED when it is none.
 * The caller frees *out. */
MUST_CHECK enum err web_body(struct call *call, cJSON **out);
/* Wrong input becomes 400, ERR_NOTFOUND 404; everything else is ours. */
enum err web_settle(struct call *call, enum err e, const struct fault *f);
/* {"name": list} as the answer; takes list, also on failure. */
MUST_CHECK enum err web_answer_list(struct call *call, const char *name, cJSON *list);

struct fleet_row;
struct fleet_newest;
/* ,"findings":[...] of finding.h: first broken link first. */
MUST_CHECK enum err web_findings(
    struct buf *out, struct db *db, const struct fleet_row *r, const struct fleet_newest *newest);

#define HANDLER(name) void name(struct http_req *req, void *ctx)
HANDLER(web_login);   /* web_login.c */
HANDLER(web_session); /* web_me.c */
HANDLER(web_logout);
HANDLER(web_me_password);
HANDLER(web_me_sessions);
HANDLER(web_me_session_revoke);
HANDLER(web_totp_start); /* web_totp.c */
HANDLER(web_totp_confirm);
HANDLER(web_totp_remove);
HANDLER(web_users); /* web_users.c */
HANDLER(web_user_new);
HANDLER(web_user_change);
HANDLER(web_user_unlock);
HANDLER(web_user_logout);
HANDLER(web_user_delete);
HANDLER(web_computers); /* web_computers.c */
HANDLER(web_computer);
HANDLER(web_computer_clear);
HANDLER(web_groups);
HANDLER(web_overview);	    /* web_overview.c */
HANDLER(web_cascade);	    /* web_cascade.c */
HANDLER(web_cascade_check); /* web_promote.c */
HANDLER(web_policy_schema); /* web_policy.c */
HANDLER(web_policy_list);
HANDLER(web_policy_effective);
HANDLER(web_policy_check);
HANDLER(web_feeds);    /* web_feeds.c */
HANDLER(web_settings); /* web_settings.c */
HANDLER(web_ports);    /* web_ports.c */
HANDLER(web_ports_check);
HANDLER(web_task_preview); /* web_tasks.c */
HANDLER(web_task_types);
HANDLER(web_task_bytes); /* admin_sign.c */
HANDLER(web_task_sign);
HANDLER(web_keys); /* web_keys.c */
HANDLER(web_key_new);
HANDLER(web_key_remove);
HANDLER(web_events_export); /* web_events.c */
HANDLER(web_live);	    /* web_live.c */
HANDLER(web_audit);	    /* web_audit.c */
HANDLER(web_audit_verify);

#endif
