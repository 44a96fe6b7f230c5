/* schedule.c - see schedule.h. */
#include "schedule.h"

uint64_t
schedule_next(const struct schedule_in *in)
{
	uint64_t jitter = in->jitter_ms == 0 ? 0 : in->seed % (in->jitter_ms + 1);
	uint64_t wait = in->interval_ms + jitter;

	if (in->failed && in->retry_at != 0)
		wait = in->retry_at > in->now ? in->retry_at - in->now : 1;
	if (in->failed && wait > in->interval_ms + jitter)
		wait = in->interval_ms + jitter;
	return wait == 0 ? 1 : wait;
}

uint64_t
schedule_spread(uint64_t retry_after_ms, uint64_t cap_ms, uint32_t seed)
{
	if (retry_after_ms > cap_ms)
		retry_after_ms = cap_ms;
	return retry_after_ms + seed % (retry_after_ms / 4 + 1);
}
