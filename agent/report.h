/* report.h - the agent's own events, one function for each kind; the fields are listed in
 * DESIGN.md. Nothing here fails: an event that cannot be made for lack of memory is logged. */
#ifndef ATALAIA_AGENT_REPORT_H
#define ATALAIA_AGENT_REPORT_H

#include "agent.h"
#include "net/httpd.h"

#include <stdint.h>

struct fetch_result;

void report_started(struct agent *a);
void report_policy(struct agent *a, const char *type, const char *file, const char *why);
void report_role(struct agent *a, bool on, const char *mode, const char *why);
void report_child(struct agent *a, const char *program, const char *why);
/* An upload in the drop box that the receiver will never take; it was set aside. */
void report_dropbox_refused(struct agent *a, const char *file, const char *why);
/* A child runs less confined than it should; what is there, in its own words. */
void report_confinement(struct agent *a, const char *program, const char *what);
/* Somebody who may not order here came to 2222; n of them since the last report. */
void report_console_refused(struct agent *a, const struct http_refusal *x, uint64_t n);
void report_skew(struct agent *a, int64_t wall, int64_t floor);

/* One event for each file that a source offered and the rules refused. *told, 0 at first, remembers
 * what was told: the same files at the next try are no news, until a good run without any. */
void report_refused_files(
    struct agent *a, const char *feed, const struct fetch_result *r, uint64_t *told);
void report_set_rejected(struct agent *a, const char *feed, uint64_t version, const char *sha256,
    const char *rule, const char *why);
void report_applied(
    struct agent *a, const char *feed, const struct fetch_result *r, uint64_t activate_ms);
/* The served mirror holds a new version of the feed. */
void report_mirrored(struct agent *a, const char *feed, const struct fetch_result *r);
void report_reverted(
    struct agent *a, const char *feed, uint64_t from, uint64_t to, const char *why);
void report_stale(struct agent *a, const char *feed, const char *why, const char *expires);
void report_waiting(struct agent *a, const char *feed, const char *why);

#endif
