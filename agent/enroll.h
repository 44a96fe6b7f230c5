/* enroll.h - `atalaia-agent enroll`: from a token to an identity. Resumable: the key and the
 * request are kept until the answer is stored, so that asking again within ten minutes costs no
 * token. */
#ifndef ATALAIA_AGENT_ENROLL_H
#define ATALAIA_AGENT_ENROLL_H

#include "config.h"

#define ENROLL_EXIT_OK 0
#define ENROLL_EXIT_REFUSED 1 /* the console or a check said no */
#define ENROLL_EXIT_CONFIG 2
#define ENROLL_EXIT_LATER 75 /* not reachable or busy: try again */

/* Runs its own loop; prints one sentence on stderr or stdout. again: replace an identity. */
int enroll_run(const struct agent_conf *conf, const char *token, bool again);

#endif
