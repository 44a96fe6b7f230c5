/* renew.h - a new certificate at two thirds of the old one's life, for the same key. An expired one
 * is renewed as long as the console grants it. Loop's thread. */
#ifndef ATALAIA_AGENT_RENEW_H
#define ATALAIA_AGENT_RENEW_H

#include "agent.h"
#include "base/err.h"

struct renewal;

MUST_CHECK enum err renewal_new(struct renewal **out, struct agent *a);
void renewal_start(struct renewal *r);
void renewal_close(struct renewal *r, void (*closed)(void *ctx), void *ctx);
/* When to renew: two thirds of the life, or now. Pure; wall ms. */
int64_t renewal_due(int64_t not_before, int64_t not_after);

#endif
