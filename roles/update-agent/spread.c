#include "versions.h"

#define SPREAD_MAX_S                                                                               \
	3600 /* the client caps it too; a wave longer than an hour needs a larger budget */
#define EXPECTED_MIN 4096
#define EXPECTED_MAX (1ull << 30)
#define LEARN_CLIENTS 4 /* fewer say nothing */

uint32_t
spread_take(struct spread *s, uint64_t now_ms)
{
	double now = (double)now_ms, wait;

	if (s->budget == 0)
		return 0;
	if (s->next_ms < now)
		s->next_ms = now;
	wait = (s->next_ms - now) / 1000.0;
	s->next_ms += (double)s->expected * 1000.0 / (double)s->budget;
	return wait > SPREAD_MAX_S ? SPREAD_MAX_S : (uint32_t)wait;
}

void
spread_learn(struct spread *s, uint64_t bytes, uint64_t clients)
{
	uint64_t each;

	if (clients < LEARN_CLIENTS || bytes == 0)
		return;
	each = bytes / clients;
	if (each < EXPECTED_MIN)
		each = EXPECTED_MIN;
	s->expected = each > EXPECTED_MAX ? EXPECTED_MAX : each;
}
