/* policies.h - the authority and the policy in force. Good documents are kept in <state>/policy, so
 * that a start needs no network and a bad document leaves the old one in force. Loop's thread;
 * files are read in a worker. */
#ifndef ATALAIA_AGENT_POLICIES_H
#define ATALAIA_AGENT_POLICIES_H

#include "agent.h"
#include "base/err.h"
#include "proto/authority.h"
#include "proto/policy.h"

struct policies;

/* Blocking: loads what is kept. Damaged files are reported and left out. */
MUST_CHECK enum err policies_new(struct policies **out, struct agent *a, struct fault *f);
void policies_free(struct policies *p); /* NULL is fine */

/* Reads authority.json, default.json and group/<own>.json from the current set of the policies
 * feed, keeps and applies what is good. done (may be NULL) gets OK, or the first refusal with its
 * sentence. Applied parts: policies_watch. */
void policies_apply(struct policies *p, const char *set,
    void (*done)(void *ctx, enum err e, const char *why), void *ctx);

const struct authority *policies_authority(const struct policies *p); /* NULL: none verified */
const struct policy *policies_effective(const struct policies *p);    /* NULL: built-in defaults */

/* Event quotas and classes of the policy in force, to the spool. */
void policies_to_events(struct agent *a);
/* Options of the engine: those of agent.conf where the policy says nothing. */
void policies_to_engine(struct agent *a);

/* changed is called after a new authority or policy came into force. One watcher. */
void policies_watch(struct policies *p, void (*changed)(void *ctx), void *ctx);

#endif
