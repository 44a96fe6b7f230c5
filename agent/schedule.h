/* schedule.h - when a feed is checked next. Pure: times come in, a delay goes out.
 * Windows are proto/policy's. */
#ifndef ATALAIA_AGENT_SCHEDULE_H
#define ATALAIA_AGENT_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct schedule_in {
	uint64_t interval_ms, jitter_ms;
	uint64_t retry_at; /* monotonic ms of the earliest useful try, 0 = none known */
	uint64_t now;	   /* monotonic ms */
	uint32_t seed;
	bool failed; /* the last try failed: try at retry_at, not after the interval */
};
/* Milliseconds from now, at least 1. */
uint64_t schedule_next(const struct schedule_in *in);
/* How long this client waits after a long-poll's answer: the mirror's Retry-After, which already
 * spreads its clients, capped, plus up to a quarter by the seed. */
uint64_t schedule_spread(uint64_t retry_after_ms, uint64_t cap_ms, uint32_t seed);

#endif
