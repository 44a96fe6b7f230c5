/* delta_lines.c - finds long runs of equal lines. Lines are compared by a 64-bit hash first and by
 * their bytes before anything is believed. Greedy: at each new line the longest run among a few
 * candidates wins; linear in practice, and bounded by the caps below in the worst case. */
#include "update/delta_priv.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 24              /* candidates looked at for one line */
#define NEAR 64               /* lines behind the cursor that are tried without the table */
#define ENOUGH (1u << 20)     /* a run of this many bytes is taken without looking further */
#define FAR_MIN 24            /* a shorter run elsewhere costs more than its bytes */
#define NEAR_MIN 8

#define NONE UINT32_MAX

struct lines {
	struct delta_text text;
	uint64_t *hash;
	uint64_t *start; /* count + 1 entries */
	uint32_t count;
};

struct matcher {
	struct lines old, new;
	uint32_t *head, *next; /* old lines by hash, ascending */
	unsigned shift;
};

static uint64_t
mix(uint64_t a)
{
	a ^= a >> 32;
	a *= 0x9e3779b97f4a7c15ull;
	a ^= a >> 29;
	return a;
}

static uint64_t
hash_line(const uint8_t *p, size_t n)
{
	uint64_t h = 0x243f6a8885a308d3ull ^ n, v;

	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&v, p, 8);
		h = (h ^ v) * 0x9fb21c651e98df25ull;
		h ^= h >> 35;
	}
	v = 0;
	memcpy(&v, p, n);
	return mix((h ^ v) * 0x9fb21c651e98df25ull);
}

static size_t
line_end(struct delta_text t, size_t at)
{
	const uint8_t *nl = memchr(t.p + at, '\n', t.n - at);

	return nl != NULL ? (size_t)(nl - t.p) + 1 : t.n;
}

static enum err
lines_cut(struct lines *l, struct delta_text t)
{
	size_t at, count = 0, i = 0;

	for (at = 0; at < t.n; at = line_end(t, at))
		count++;
	if (count >= NONE)
		return ERR_TOOBIG;
	l->text = t;
	l->count = (uint32_t)count;
	l->hash = malloc((count + 1) * sizeof *l->hash);
	l->start = malloc((count + 1) * sizeof *l->start);
	if (l->hash == NULL || l->start == NULL)
		return ERR_NOMEM;
	for (at = 0; at < t.n; i++) {
		size_t end = line_end(t, at);

		l->start[i] = at;
		l->hash[i] = hash_line(t.p + at, end - at);
		at = end;
	}
	l->start[i] = t.n;
	return OK;
}

/* Table of old lines: filled from the back, so that chains ascend. */
static enum err
index_old(struct matcher *m)
{
	unsigned bits = 10;
	uint32_t i;

	while (bits < 31 && (1u << bits) < m->old.count)
		bits++;
	m->shift = 64 - bits;
	m->head = malloc(sizeof *m->head << bits);
	m->next = malloc((m->old.count + 1ull) * sizeof *m->next);
	if (m->head == NULL || m->next == NULL)
		return ERR_NOMEM;
	memset(m->head, 0xff, sizeof *m->head << bits);
	for (i = m->old.count; i-- > 0;) {
		uint32_t *slot = &m->head[(m->old.hash[i] * 0x9e3779b97f4a7c15ull) >> m->shift];

		m->next[i] = *slot;
		*slot = i;
	}
	return OK;
}

static bool
same_line(const struct matcher *m, uint32_t o, uint32_t n)
{
	size_t len;

	if (m->old.hash[o] != m->new.hash[n])
		return false;
	len = m->new.start[n + 1] - m->new.start[n];
	return m->old.start[o + 1] - m->old.start[o] == len &&
	    memcmp(m->old.text.p + m->old.start[o], m->new.text.p + m->new.start[n], len) == 0;
}

/* Lines that are equal from (o, n) on. */
static uint32_t
run(const struct matcher *m, uint32_t o, uint32_t n)
{
	uint32_t k = 0;

	while (o + k < m->old.count && n + k < m->new.count && same_line(m, o + k, n + k))
		k++;
	return k;
}

struct best {
	uint32_t at, lines;
	uint64_t bytes;
};

static void
consider(const struct matcher *m, uint32_t o, uint32_t n, uint64_t min, struct best *b)
{
	uint32_t k = run(m, o, n);
	uint64_t bytes = m->new.start[n + k] - m->new.start[n];

	if (k > 0 && bytes >= min && bytes > b->bytes) {
		b->at = o;
		b->lines = k;
		b->bytes = bytes;
	}
}

/* The best run for new line n when the last copy ended at old line `cursor`. */
static struct best
find(const struct matcher *m, uint32_t cursor, uint32_t n)
{
	struct best b = { 0, 0, 0 };
	uint32_t o, tries = 0;

	for (o = cursor; o < m->old.count && o - cursor < NEAR && b.bytes < ENOUGH; o++)
		if (m->old.hash[o] == m->new.hash[n])
			consider(m, o, n, NEAR_MIN, &b);
	o = m->head[(m->new.hash[n] * 0x9e3779b97f4a7c15ull) >> m->shift];
	for (; o != NONE && tries < TRIES && b.bytes < ENOUGH; o = m->next[o]) {
		if (m->old.hash[o] != m->new.hash[n])
			continue;
		tries++;
		consider(m, o, n, FAR_MIN, &b);
	}
	return b;
}

enum err
delta_matches_add(struct delta_matches *m, uint64_t at, uint64_t from, uint64_t len)
{
	struct delta_match *last = m->count > 0 ? &m->list[m->count - 1] : NULL;

	if (last != NULL && last->at + last->len == at && last->from + last->len == from) {
		last->len += len;
		return OK;
	}
	if (m->list == NULL || m->count == m->cap) {
		size_t cap = m->cap == 0 ? 256 : m->cap * 2;
		void *p = realloc(m->list, cap * sizeof *m->list);

		if (p == NULL)
			return ERR_NOMEM;
		m->list = p;
		m->cap = cap;
	}
	m->list[m->count++] = (struct delta_match) { at, from, len };
	return OK;
}

static enum err
walk(const struct matcher *m, struct delta_matches *out)
{
	uint32_t n = 0, cursor = 0;
	enum err e = OK;

	while (e == OK && n < m->new.count) {
		struct best b = find(m, cursor, n);

		if (b.lines == 0) {
			n++;
			continue;
		}
		e = delta_matches_add(out, m->new.start[n], m->old.start[b.at], b.bytes);
		n += b.lines;
		cursor = b.at + b.lines;
	}
	return e;
}

enum err
delta_match_lines(struct delta_matches *out, struct delta_text old, struct delta_text new)
{
	struct matcher m = { 0 };
	enum err e = lines_cut(&m.old, old);

	if (e == OK)
		e = lines_cut(&m.new, new);
	if (e == OK)
		e = index_old(&m);
	if (e == OK)
		e = walk(&m, out);
	free(m.old.hash);
	free(m.old.start);
	free(m.new.hash);
	free(m.new.start);
	free(m.head);
	free(m.next);
	return e;
}
