/* delta_blocks.c - fills the gaps that lines left: equal byte strings anywhere, found by a rolling
 * hash over aligned blocks of the old file. What makes deltas of binary files, and of lines that
 * changed a little. */
#include "update/delta_priv.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 32u
#define BASE 0x9e3779b97f4a7c15ull /* multiplier of the rolling polynomial */
#define SHORTEST 32u               /* shorter matches cost more than the bytes they save */
#define NONE UINT32_MAX

struct blocks {
	struct delta_text old;
	uint32_t *table; /* block number by hash; the last one written wins */
	unsigned shift;
	uint64_t top;    /* BASE^(BLOCK-1) */
};

static uint64_t
block_hash(const uint8_t *p)
{
	uint64_t h = 0;
	unsigned i;

	for (i = 0; i < BLOCK; i++)
		h = h * BASE + p[i] + 1;
	return h;
}

static uint32_t *
slot(const struct blocks *b, uint64_t hash)
{
	return &b->table[((hash ^ (hash >> 31)) * 0xd6e8feb86659fd93ull) >> b->shift];
}

static enum err
index_blocks(struct blocks *b)
{
	size_t count = b->old.n / BLOCK, i;
	unsigned bits = 10, k;

	if (count >= NONE)
		return ERR_TOOBIG;
	while (bits < 31 && (1ull << bits) < 2 * count)
		bits++;
	b->shift = 64 - bits;
	b->table = malloc(sizeof *b->table << bits);
	if (b->table == NULL)
		return ERR_NOMEM;
	memset(b->table, 0xff, sizeof *b->table << bits);
	for (i = count; i-- > 0;) /* from the back: the first of equal blocks stays */
		*slot(b, block_hash(b->old.p + i * BLOCK)) = (uint32_t)i;
	b->top = 1;
	for (k = 1; k < BLOCK; k++)
		b->top *= BASE;
	return OK;
}

/* Grows a match around (o, n) inside the gap [lo, hi) of the new file. */
static struct delta_match
grow(const struct blocks *b, const uint8_t *new, size_t lo, size_t hi, size_t o, size_t n)
{
	size_t back = 0, len = 0;

	while (n - back > lo && o - back > 0 && b->old.p[o - back - 1] == new[n - back - 1])
		back++;
	while (n + len < hi && o + len < b->old.n && b->old.p[o + len] == new[n + len])
		len++;
	return (struct delta_match) { n - back, o - back, len + back };
}

/* How far the bytes behind the match before a gap go on being equal. */
static size_t
equal_ahead(const struct blocks *b, const uint8_t *new, size_t lo, size_t hi, uint64_t from)
{
	size_t k = 0;

	while (lo + k < hi && from + k < b->old.n && b->old.p[from + k] == new[lo + k])
		k++;
	return k;
}

/* And the bytes in front of the match behind it. */
static size_t
equal_back(const struct blocks *b, const uint8_t *new, size_t lo, size_t hi, uint64_t from)
{
	size_t k = 0;

	while (hi - k > lo && from > k && b->old.p[from - k - 1] == new[hi - k - 1])
		k++;
	return k;
}

static enum err
scan_gap(const struct blocks *b, const uint8_t *new, size_t lo, size_t hi,
    struct delta_matches *out)
{
	size_t n = lo;
	uint64_t h = 0;
	bool fresh = true;
	enum err e;

	while (hi - n >= BLOCK) {
		uint32_t k;

		if (fresh)
			h = block_hash(new + n);
		fresh = false;
		k = *slot(b, h);
		if (k != NONE && memcmp(b->old.p + (size_t)k * BLOCK, new + n, BLOCK) == 0) {
			struct delta_match m = grow(b, new, lo, hi, (size_t)k * BLOCK, n);

			e = delta_matches_add(out, m.at, m.from, m.len);
			if (e != OK)
				return e;
			n = lo = m.at + m.len;
			fresh = true;
			continue;
		}
		if (hi - n > BLOCK)
			h = (h - (new[n] + 1ull) * b->top) * BASE + new[n + BLOCK] + 1;
		n++;
	}
	return OK;
}

/* One gap [lo, hi) behind a match that ended at `from` of the old file and in front of `next`
 * (NULL: the end). What continues a neighbour costs no record. */
static enum err
fill_gap(const struct blocks *b, const uint8_t *new, size_t lo, size_t hi, uint64_t from,
    const struct delta_match *next, struct delta_matches *out)
{
	size_t ahead, back;
	enum err e = OK;

	if (hi - lo < SHORTEST)
		return OK;
	ahead = equal_ahead(b, new, lo, hi, from);
	if (ahead >= SHORTEST) {
		e = delta_matches_add(out, lo, from, ahead);
		lo += ahead;
	}
	back = next != NULL ? equal_back(b, new, lo, hi, next->from) : 0;
	if (back < SHORTEST)
		back = 0;
	if (e == OK)
		e = scan_gap(b, new, lo, hi - back, out);
	if (e == OK && back > 0)
		e = delta_matches_add(out, hi - back, next->from - back, back);
	return e;
}

enum err
delta_match_blocks(struct delta_matches *out, const struct delta_matches *lines,
    struct delta_text old, struct delta_text new)
{
	struct blocks b = { .old = old };
	enum err e = index_blocks(&b);
	size_t i, lo = 0;
	uint64_t from = 0;

	for (i = 0; e == OK && i <= lines->count; i++) {
		const struct delta_match *next = i < lines->count ? &lines->list[i] : NULL;

		e = fill_gap(&b, new.p, lo, next != NULL ? next->at : new.n, from, next, out);
		if (e == OK && next != NULL) {
			e = delta_matches_add(out, next->at, next->from, next->len);
			lo = next->at + next->len;
			from = next->from + next->len;
		}
	}
	free(b.table);
	return e;
}
