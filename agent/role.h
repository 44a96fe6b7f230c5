/* role.h - the update-agent role of this PC: the `serve` child, one mirror job for each feed, and
 * what tasks and agent.conf want of them. Wanted state is kept in <state>/role.json, applied live.
 * Loop's thread. */
#ifndef ATALAIA_AGENT_ROLE_H
#define ATALAIA_AGENT_ROLE_H

#include "agent.h"
#include "base/err.h"
#include "base/fault.h"
#include "sources.h"

struct role;

/* Blocking: reads role.json, which goes before agent.conf once a task has written it. */
MUST_CHECK enum err role_new(struct role **out, struct agent *a, struct fault *f);
void role_start(struct role *r);
void role_close(struct role *r, void (*closed)(void *ctx), void *ctx);

/* settings: object of option to text, as in the section [update-agent]; NULL keeps what is there.
 * done: OK when it serves (or has stopped), else why. Checked by name first: ERR_INVAL with f, and
 * done is not called. The wish is durable before anything changes. */
MUST_CHECK enum err role_set(struct role *r, bool on, const cJSON *settings,
    void (*done)(void *ctx, enum err e, const char *why), void *ctx, struct fault *f);

bool role_on(const struct role *r);	 /* wanted */
bool role_serving(const struct role *r); /* the child said ready */
bool role_is_origin(const struct role *r);
/* This PC's own mirror as a source; false while it does not serve. */
bool role_own_source(const struct role *r, struct source *out);
/* Mirrors that role settings name as upstream; 0 = the sources of enrolment. */
size_t role_upstreams(const struct role *r, struct source *out, size_t max);
void role_policy_changed(struct role *r);
/* Looks upstream now: every feed, or one. How many jobs were started or running. */
size_t role_sync_now(struct role *r, const char *feed);
size_t role_cancel(struct role *r, const char *feed);
/* For status and metrics; NULL on no memory. */
cJSON *role_json(struct role *r);

#endif
