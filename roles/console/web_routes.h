/* web_routes.h - the handlers of web_table.c, by file, and what they share. */
#ifndef CONSOLE_WEB_ROUTES_H
#define CONSOLE_WEB_ROUTES_H

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
HANDLER(web_audit); /* web_audit.c */
HANDLER(web_audit_verify);

#endif
