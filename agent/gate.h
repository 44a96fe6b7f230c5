/* gate.h - what the engine says about a set before and after it becomes active. The one place that
 * joins the update path to engine.h. Loop's thread. */
#ifndef ATALAIA_AGENT_GATE_H
#define ATALAIA_AGENT_GATE_H

#include "agent.h"

#include <stdint.h>

enum verdict {
	VERDICT_GOOD,
	VERDICT_BAD,   /* the set's fault: refuse it by hash */
	VERDICT_LATER, /* not the set's fault (engine down, no memory): keep it, try again */
};

typedef void (*gate_cb)(void *ctx, enum verdict v, const char *rule, const char *why);

/* Loads the staged set for test. cb exactly once, never from inside the call. */
void gate_test(
    struct agent *a, const char *feed, uint64_t version, const char *set, gate_cb cb, void *ctx);
/* Makes the engine take the active set and proves that it works with it. */
void gate_probe(
    struct agent *a, const char *feed, uint64_t version, const char *set, gate_cb cb, void *ctx);

#endif
