/* plan.h - how a target is had at the least cost, by the rules of DESIGN section 7. Pure. */
#ifndef ATALAIA_FETCH_PLAN_H
#define ATALAIA_FETCH_PLAN_H

#include "catalog.h"
#include "config.h"

#include "base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is content with this hash on this disk already? */
typedef bool (*plan_held)(void *ctx, const uint8_t sha256[SHA_LEN]);

enum plan_how {
	PLAN_HELD,  /* nothing to do */
	PLAN_CHAIN, /* apply `chain` to the content `base` */
	PLAN_FULL,  /* the compressed copy, or the target itself */
	PLAN_WAIT,  /* deltas are required and there is no chain from anything held */
};

struct plan {
	enum plan_how how;
	uint8_t base[SHA_LEN];
	const struct entry *chain[LIMIT_DELTA_CHAIN]; /* first applied first */
	size_t chain_count;
	uint64_t chain_bytes; /* of the deltas that are not held */
	uint64_t full_bytes;  /* of the compressed copy when there is one, else of the target */
	const char *why;      /* one sentence for the log */
};

/* `had_set`: there is an older version here, so that deltas can be asked for at all. */
void plan_target(struct plan *p, const struct catalog *c, const struct entry *target,
    enum fetch_delta mode, bool had_set, plan_held held, void *ctx);

#endif
