/* verbs.h - one function for each verb of `atalaia`; each returns the exit status. */
#ifndef ATALAIA_OPERATOR_VERBS_H
#define ATALAIA_OPERATOR_VERBS_H

#include "client.h"

#include <stdbool.h>

#define EXIT_GOOD 0
#define EXIT_TROUBLE 1 /* it works, and found something wrong; or the agent refused */
#define EXIT_USAGE 2
#define EXIT_SILENT 3  /* the agent does not answer */
#define EXIT_PARTIAL 4 /* a feed is up to date, but a source was refused or failed on the way */

struct call {
	struct client *client;
	const char *feed; /* --feed, or NULL */
	bool json, wait, explain, fix_hints;
};

int verb_status(const struct call *c);
int verb_feeds(const struct call *c);
int verb_sets(const struct call *c);
int verb_tasks(const struct call *c);
int verb_events(const struct call *c);
int verb_policy(const struct call *c);
int verb_update(const struct call *c);
int verb_why_old(const struct call *c);
int verb_doctor(const struct call *c);

/* Asks and prints what went wrong; 0 and *out, or an exit status. */
int ask(const struct call *c, const char *method, const char *path, cJSON **out);

#endif
