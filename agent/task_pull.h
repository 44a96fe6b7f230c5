/* task_pull.h - the agent's side of tasks on 2225: a long-poll that brings envelopes to a PC behind
 * NAT, and the report of every task's state, whichever way it came. Loop's thread. */
#ifndef ATALAIA_AGENT_TASK_PULL_H
#define ATALAIA_AGENT_TASK_PULL_H

#include "agent.h"
#include "base/err.h"

struct task_pull;

MUST_CHECK enum err task_pull_new(struct task_pull **out, struct agent *a);
void task_pull_start(struct task_pull *p);
void task_pull_close(struct task_pull *p, void (*closed)(void *ctx), void *ctx);
/* An authority came into force. Without one no task can be taken, so none is asked for: an offer
 * that is refused comes again only after a while, one that was never made comes at once. */
void task_pull_authority(struct task_pull *p);
/* For status: when the console was last heard, and why it cannot be reached ("" = it can). */
int64_t task_pull_heard(const struct task_pull *p);
const char *task_pull_error(const struct task_pull *p);

/* https://host:port + path of this agent's console. */
MUST_CHECK enum err console_url(const struct agent *a, char *dst, size_t size, const char *path);

#endif
