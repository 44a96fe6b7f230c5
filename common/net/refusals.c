/* refusals.c - see refusals.h. */
#include "net/refusals.h"

#include <stdio.h>
#include <string.h>

static bool
is_over(const struct refusals_slot *s, uint64_t now_ms)
{
	return now_ms - s->told_ms >= REFUSALS_PAUSE_MS;
}

static bool
is_of(const struct refusals_slot *s, const char *code, const char *peer)
{
	return s->used && strncmp(s->code, code, sizeof s->code - 1) == 0 &&
	       strncmp(s->peer, peer, sizeof s->peer - 1) == 0;
}

/* The slot of this source, a free one, or the last; what a slot had not told yet is not lost. */
static struct refusals_slot *
find(struct refusals *x, const char *code, const char *peer, uint64_t now_ms)
{
	struct refusals_slot *rest = &x->slot[REFUSALS_SLOTS], *spare = rest;

	for (size_t i = 0; i < REFUSALS_SLOTS; i++) {
		struct refusals_slot *s = &x->slot[i];

		if (is_of(s, code, peer))
			return s;
		if (spare == rest && (!s->used || is_over(s, now_ms)))
			spare = s;
	}
	if (spare == rest)
		return rest;
	rest->waiting += spare->waiting;
	*spare = (struct refusals_slot){ 0 };
	(void)snprintf(spare->code, sizeof spare->code, "%s", code);
	(void)snprintf(spare->peer, sizeof spare->peer, "%s", peer);
	return spare;
}

bool
refusals_tell(
    struct refusals *x, const char *code, const char *peer, uint64_t now_ms, uint64_t *count)
{
	struct refusals_slot *s = find(x, code, peer, now_ms);

	s->waiting++;
	if (s->used && !is_over(s, now_ms))
		return false;
	s->used = true;
	s->told_ms = now_ms;
	*count = s->waiting;
	s->waiting = 0;
	return true;
}
