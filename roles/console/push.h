/* push.h - hands envelopes to agents' task ports (2222, mutual TLS: the peer must be that very
 * agent). The same task stays in the queue for the agent's own pull; the agent runs it once. A
 * waiting pull is woken when the push has failed or has taken longer than PUSH_HEAD_START_MS. Loop
 * thread only. */
#ifndef CONSOLE_PUSH_H
#define CONSOLE_PUSH_H

#include "console.h"
#include "store.h"

#define PUSH_HEAD_START_MS 700
#define PUSH_MAX 20000 /* pushes that wait or run; past it agents get their tasks by pull alone */

MUST_CHECK enum err push_new(struct push **out, struct console *c);
/* No callback runs after this; the client must be closed first. */
void push_free(struct push *p);
/* body: the envelope, or NULL to cancel the task. Everything is copied. */
void push_send(struct push *p, const struct agent_row *a, const char *task, const char *body);
void push_tick(struct push *p, uint64_t now_ms);
size_t push_pending(const struct push *p);

#endif
