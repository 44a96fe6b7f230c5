#include "os/rand.h"

#include "base/clock.h"
#include "base/uuid.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void
rand_bytes(void *p, size_t n)
{
	unsigned char *at = p;

	while (n > 0) {
		ssize_t k = getrandom(at, n, 0);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			abort(); /* keys and ids without randomness must not exist */
		at += k;
		n -= (size_t)k;
	}
}

uint32_t
rand_below(uint32_t bound)
{
	uint32_t limit = UINT32_MAX - UINT32_MAX % bound, v;

	do
		rand_bytes(&v, sizeof v);
	while (v >= limit);
	return v % bound;
}

void
rand_uuid_v7(char out[37])
{
	uint8_t random10[10];

	rand_bytes(random10, sizeof random10);
	uuid_v7(out, clock_wall_ms(), random10);
}
