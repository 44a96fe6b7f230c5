/* delta_plan.c - the control of a delta: which bytes come from where. Pure. */
#include "update/delta_priv.h"

#include "base/limits.h"

#include <string.h>

int
delta_varint_get(const uint8_t *p, size_t n, uint64_t *out)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < n && i < DELTA_VARINT_MAX; i++) {
		v |= (uint64_t)(p[i] & 0x7f) << (7 * i);
		if ((p[i] & 0x80) == 0) {
			if (i > 0 && p[i] == 0)
				return -1; /* longer than needed */
			*out = v;
			return (int)i + 1;
		}
	}
	return i == DELTA_VARINT_MAX ? -1 : 0;
}

size_t
delta_varint_put(uint8_t *dst, uint64_t value)
{
	size_t n = 0;

	while (value > 0x7f) {
		dst[n++] = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	dst[n++] = (uint8_t)value;
	return n;
}

static bool
take(const uint8_t **p, const uint8_t *end, uint64_t *out)
{
	int n = delta_varint_get(*p, (size_t)(end - *p), out);

	if (n <= 0)
		return false;
	*p += n;
	return true;
}

/* Moves p over `count` varints. */
static bool
pass(const uint8_t **p, const uint8_t *end, uint64_t count)
{
	uint64_t v;

	while (count-- > 0)
		if (!take(p, end, &v))
			return false;
	return true;
}

static enum err
check_length(const char *which, uint64_t expected, uint64_t got, struct fault *f)
{
	if (expected == DELTA_ANY ? got > LIMIT_TARGET_BYTES : got != expected)
		return fault_set(f, ERR_VERIFY, "the delta is for %s of %llu bytes%s", which,
		    (unsigned long long)got, expected == DELTA_ANY ? ", past the limit" :
		    ", another length than expected");
	return OK;
}

bool
delta_plan_next(struct delta_plan *p, struct delta_record *r)
{
	uint64_t skip = 0;

	if (p->next == p->count)
		return false;
	if (!take(&p->inserts, p->end, &r->insert) || !take(&p->copies, p->end, &r->copy) ||
	    (r->copy > 0 && !take(&p->skips, p->end, &skip)))
		return false;
	r->cursor = p->cursor;
	r->from = (skip & 1) != 0 ? p->cursor - (skip >> 1) - 1 : p->cursor + (skip >> 1);
	if (r->copy > 0)
		p->cursor = r->from + r->copy;
	p->next++;
	return true;
}

/* Every record against both lengths. The cursor is within old_len before each step, so that a
 * wrapped sum is seen as out of range. */
static enum err
check_records(struct delta_plan p, uint64_t *literals, struct fault *f)
{
	uint64_t done = 0;
	struct delta_record r;

	*literals = 0;
	while (p.next < p.count) {
		if (!delta_plan_next(&p, &r))
			return fault_set(
			    f, ERR_PARSE, "the control of the delta is cut or malformed");
		if (r.insert == 0 && r.copy == 0)
			return fault_set(f, ERR_PARSE, "a record of the delta is empty");
		if (r.insert > p.new_len - done || r.copy > p.new_len - done - r.insert)
			return fault_set(f, ERR_VERIFY, "a record passes the end of the new file");
		if (r.copy > 0 && (r.from > p.old_len || r.copy > p.old_len - r.from))
			return fault_set(f, ERR_VERIFY, "a record leaves the old file");
		done += r.insert + r.copy;
		*literals += r.insert;
	}
	if (done != p.new_len)
		return fault_set(f, ERR_VERIFY, "the delta makes %llu of %llu bytes",
		    (unsigned long long)done, (unsigned long long)p.new_len);
	return p.skips == p.end ? OK :
	    fault_set(f, ERR_PARSE, "bytes follow the control of the delta");
}

enum err
delta_plan_open(struct delta_plan *p, const uint8_t *control, size_t n, uint64_t old_len,
    uint64_t new_len, struct fault *f)
{
	const uint8_t *q;
	enum err e;

	memset(p, 0, sizeof *p);
	if (n < DELTA_MAGIC_LEN || memcmp(control, DELTA_MAGIC, DELTA_MAGIC_LEN) != 0)
		return fault_set(f, ERR_PARSE, "this is no delta of format ATD1");
	p->end = control + n;
	q = control + DELTA_MAGIC_LEN;
	if (!take(&q, p->end, &p->flags) || !take(&q, p->end, &p->old_len) ||
	    !take(&q, p->end, &p->new_len) || !take(&q, p->end, &p->context) ||
	    !take(&q, p->end, &p->count))
		return fault_set(f, ERR_PARSE, "the head of the delta is malformed");
	e = check_length("an old file", old_len, p->old_len, f);
	if (e == OK)
		e = check_length("a new file", new_len, p->new_len, f);
	if (e != OK)
		return e;
	if ((p->flags & ~(uint64_t)DELTA_HEX) != 0 || p->context > DELTA_CONTEXT_MAX ||
	    p->count > LIMIT_DELTA_PIECES)
		return fault_set(
		    f, ERR_PARSE, "the head of the delta asks for what no version has");
	p->inserts = q;
	if (!pass(&q, p->end, p->count))
		return fault_set(f, ERR_PARSE, "the control of the delta is cut or malformed");
	p->copies = q;
	if (!pass(&q, p->end, p->count))
		return fault_set(f, ERR_PARSE, "the control of the delta is cut or malformed");
	p->skips = q;
	return check_records(*p, &p->literals, f);
}

enum err
delta_plan_prefix(struct delta_plan p, uint8_t *out, size_t *len,
    enum err (*read)(void *arg, uint64_t from, uint8_t *p, size_t n), void *arg)
{
	uint64_t last = 0;
	struct delta_record r;

	*len = 0;
	while (*len < LIMIT_DELTA_PREFIX && delta_plan_next(&p, &r)) {
		uint64_t lo = r.cursor > p.context ? r.cursor - p.context : 0, hi = r.cursor, n;
		enum err e;

		if (r.insert == 0)
			continue;
		if (r.copy > 0 && r.from > r.cursor)
			hi += r.from - r.cursor < DELTA_SKIP_SEEN ? r.from - r.cursor
								  : DELTA_SKIP_SEEN;
		if (lo < last && last <= hi)
			lo = last;
		last = hi;
		n = hi - lo < LIMIT_DELTA_PREFIX - *len ? hi - lo : LIMIT_DELTA_PREFIX - *len;
		e = n > 0 ? read(arg, lo, out + *len, (size_t)n) : OK;
		if (e != OK)
			return e;
		*len += (size_t)n;
	}
	return OK;
}
