/* plan.c - see plan.h */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

/* One step of the search, from the target back towards something held. */
struct step {
	const struct entry *delta; /* NULL: the target itself */
	size_t next;               /* the step that this delta leads to */
	size_t depth;
};

struct search {
	const struct catalog *catalog;
	struct step *steps;
	size_t count;
};

static const uint8_t *
hash_at(const struct search *s, size_t i, const struct entry *target)
{
	return s->steps[i].delta == NULL ? target->sha256 : s->steps[i].delta->from;
}

/* Content that comes back (A, B, A again) makes circles: each hash is visited once. */
static bool
seen(const struct search *s, const uint8_t *sha, const struct entry *target)
{
	for (size_t i = 0; i < s->count; i++)
		if (memcmp(hash_at(s, i, target), sha, SHA_LEN) == 0)
			return true;
	return false;
}

static void
take_chain(struct plan *p, const struct search *s, size_t i, plan_held held, void *ctx)
{
	memcpy(p->base, s->steps[i].delta->from, SHA_LEN);
	for (; s->steps[i].delta != NULL; i = s->steps[i].next) {
		p->chain[p->chain_count++] = s->steps[i].delta;
		if (!held(ctx, s->steps[i].delta->sha256))
			p->chain_bytes += s->steps[i].delta->length;
	}
}

/* Breadth first, so the shortest chain: each delta costs a pass or memory, and bytes of older ones
 * are in the newer state already. */
static void
find_chain(struct plan *p, struct search *s, const struct entry *target, plan_held held, void *ctx)
{
	s->steps[0] = (struct step){ NULL, 0, 0 };
	s->count = 1;
	for (size_t i = 0; i < s->count; i++) {
		if (i != 0 && held(ctx, s->steps[i].delta->from)) {
			take_chain(p, s, i, held, ctx);
			return;
		}
		if (s->steps[i].depth == LIMIT_DELTA_CHAIN)
			continue;
		for (size_t k = 0; k < s->catalog->count; k++) {
			const struct entry *d = &s->catalog->entries[k];

			if (!d->delta_known || memcmp(d->to, hash_at(s, i, target), SHA_LEN) != 0 ||
			    seen(s, d->from, target))
				continue;
			s->steps[s->count++] = (struct step){ d, i, s->steps[i].depth + 1 };
		}
	}
}

/* Some delta leads to this content: it has a predecessor, so `require` may ask for it. */
static bool
has_delta(const struct catalog *c, const struct entry *target)
{
	for (size_t k = 0; k < c->count; k++)
		if (c->entries[k].delta_known &&
		    memcmp(c->entries[k].to, target->sha256, SHA_LEN) == 0)
			return true;
	return false;
}

static void
decide(struct plan *p, const struct catalog *c, const struct entry *target, enum fetch_delta mode,
    bool had_set)
{
	p->how = PLAN_FULL;
	if (mode == DELTA_REQUIRE && had_set) {
		if (p->chain_count != 0) {
			p->how = PLAN_CHAIN;
			p->why = "deltas are required";
		} else if (has_delta(c, target)) {
			p->how = PLAN_WAIT;
			p->why = "deltas are required and none leads from what is here";
		} else {
			p->why = "new content without a predecessor";
		}
	} else if (p->chain_count == 0) {
		p->why = mode == DELTA_OFF ? "deltas are off" : "no delta leads from what is here";
	} else if (p->chain_bytes > p->full_bytes / 2) {
		p->why = "the deltas are more than half of the full copy";
	} else {
		p->how = PLAN_CHAIN;
		p->why = "deltas cost less";
	}
}

void
plan_target(struct plan *p, const struct catalog *c, const struct entry *target,
    enum fetch_delta mode, bool had_set, plan_held held, void *ctx)
{
	struct search s = { .catalog = c };

	memset(p, 0, sizeof *p);
	p->full_bytes = target->full != NULL && target->full->length < target->length
	    ? target->full->length
	    : target->length;
	if (held(ctx, target->sha256)) {
		p->how = PLAN_HELD;
		p->why = "unchanged";
		return;
	}
	if (mode != DELTA_OFF)
		s.steps = calloc(c->count + 1, sizeof *s.steps); /* none: no deltas, still right */
	if (s.steps != NULL)
		find_chain(p, &s, target, held, ctx);
	free(s.steps);
	decide(p, c, target, mode, had_set);
}
