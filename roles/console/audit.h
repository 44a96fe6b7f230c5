/* audit.h - every refusal and every order becomes an event of the console itself: who, what, why.
 * Worker thread, inside the transaction of the call. Refusals are limited per second, so that a
 * flood of them cannot fill the database; the count of those left out stands in the next one. */
#ifndef CONSOLE_AUDIT_H
#define CONSOLE_AUDIT_H

#include "call.h"

/* The call was refused (call_refuse): records code and sentence. Returns OK or what the database
 * said; what = "enroll", "renew", "events", "tasks", "admin". */
MUST_CHECK enum err audit_refusal(struct call *call, struct db *db, const char *what);
/* Loop: httpd's option `refused` of 2225 and 2226. What httpd and the gates turn away, and what no
 * handler audits, becomes an event as well: of each kind and source one a minute, with the count.
 */
void audit_turned_away(struct console *c, const char *what, const struct http_refusal *x);
/* Something was done: type is "org.atalaia.console.<done>"; data is taken. */
MUST_CHECK enum err audit_done(struct console *c, struct db *db, const char *done, cJSON *data);

#endif
