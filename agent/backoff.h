/* backoff.h - how soon a child that ended badly is started again. Pure. */
#ifndef ATALAIA_AGENT_BACKOFF_H
#define ATALAIA_AGENT_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_FENCED UINT64_MAX

struct backoff {
	unsigned row;  /* bad ends without a quiet time between them */
	uint64_t last; /* monotonic ms of the latest */
};

/* The child ended badly after running for `ran_ms`. Returns the pause before the next start, or
 * BACKOFF_FENCED at the fifth bad end in a row: then only a person or a task starts it again, after
 * the fence time (backoff_fence_ms). A run of ten minutes clears the row. */
uint64_t backoff_next(struct backoff *b, uint64_t now, uint64_t ran_ms, uint32_t seed);
uint64_t backoff_fence_ms(void);
void backoff_clear(struct backoff *b);

#endif
