/* backoff.c - see backoff.h. */
#include "backoff.h"

#define FIRST_MS 500u
#define QUIET_MS 600000u
#define FENCE_ROW 5
#define FENCE_MS 1800000u

uint64_t
backoff_next(struct backoff *b, uint64_t now, uint64_t ran_ms, uint32_t seed)
{
	uint64_t pause;

	if (ran_ms >= QUIET_MS)
		b->row = 0;
	b->row++;
	b->last = now;
	if (b->row >= FENCE_ROW)
		return BACKOFF_FENCED;
	pause = (uint64_t)FIRST_MS << (b->row - 1);
	return pause + seed % (pause / 4 + 1);
}

uint64_t
backoff_fence_ms(void)
{
	return FENCE_MS;
}

void
backoff_clear(struct backoff *b)
{
	b->row = 0;
	b->last = 0;
}
