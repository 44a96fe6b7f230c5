/* delta_read.c - the pure decoder: compressed bytes in, checked records out. */
#include "update/delta_priv.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum state { AT_HEADER, AT_SIZE, AT_CONTROL, AT_LITERALS, AT_END };

struct delta_reader {
	struct delta_sink sink;
	void *arg;
	ZSTD_DCtx *zstd;
	enum state state;
	bool frame_done;
	uint64_t old_len, new_len; /* expected, then as in the header */
	uint64_t done;             /* bytes of the new file so far */
	uint64_t cursor;           /* in the old file */
	uint64_t insert;           /* literals of the current record still to come */
	uint64_t copy, from;       /* what follows them */
	uint8_t head[DELTA_MAGIC_LEN + 2 * DELTA_VARINT_MAX];
	size_t head_len;
	size_t control_len, control_have, control_at;
	uint8_t control[LIMIT_DELTA_CONTROL];
	uint8_t out[128 << 10];
};

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

enum err
delta_reader_new(struct delta_reader **out, uint64_t old_len, uint64_t new_len,
    const struct delta_sink *sink, void *arg)
{
	struct delta_reader *r = malloc(sizeof *r);

	*out = NULL;
	if (r == NULL)
		return ERR_NOMEM;
	memset(r, 0, offsetof(struct delta_reader, control));
	r->sink = *sink;
	r->arg = arg;
	r->old_len = old_len;
	r->new_len = new_len;
	r->zstd = ZSTD_createDCtx();
	if (r->zstd == NULL || ZSTD_isError(ZSTD_DCtx_setParameter(r->zstd, ZSTD_d_windowLogMax,
	    LIMIT_DELTA_WINDOW_LOG))) {
		delta_reader_free(r);
		return ERR_NOMEM;
	}
	*out = r;
	return OK;
}

void
delta_reader_free(struct delta_reader *r)
{
	if (r == NULL)
		return;
	ZSTD_freeDCtx(r->zstd);
	free(r);
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

/* Takes bytes until the header is whole. *used of n are consumed. */
static enum err
take_header(struct delta_reader *r, const uint8_t *p, size_t n, size_t *used, struct fault *f)
{
	size_t room = sizeof r->head - r->head_len, take = n < room ? n : room;
	size_t before = r->head_len;
	uint64_t old_len, new_len;
	int a, b;
	enum err e;

	memcpy(r->head + r->head_len, p, take);
	r->head_len += take;
	*used = take;
	if (memcmp(r->head, DELTA_MAGIC, r->head_len < DELTA_MAGIC_LEN ? r->head_len :
	    DELTA_MAGIC_LEN) != 0)
		return fault_set(f, ERR_PARSE, "this is no delta of format ATD1");
	if (r->head_len <= DELTA_MAGIC_LEN)
		return OK;
	a = delta_varint_get(r->head + DELTA_MAGIC_LEN, r->head_len - DELTA_MAGIC_LEN, &old_len);
	b = a <= 0 ? a : delta_varint_get(r->head + DELTA_MAGIC_LEN + a,
	    r->head_len - DELTA_MAGIC_LEN - (size_t)a, &new_len);
	if (a < 0 || b < 0)
		return fault_set(f, ERR_PARSE, "a length in the delta's header is malformed");
	if (a == 0 || b == 0)
		return OK;
	e = check_length("an old file", r->old_len, old_len, f);
	if (e == OK)
		e = check_length("a new file", r->new_len, new_len, f);
	if (e != OK)
		return e;
	*used = DELTA_MAGIC_LEN + (size_t)a + (size_t)b - before;
	r->old_len = old_len;
	r->new_len = new_len;
	r->head_len = 0; /* reused for the size of blocks */
	r->state = AT_SIZE;
	return r->sink.header != NULL ? r->sink.header(r->arg, old_len, new_len) : OK;
}

static enum err
take_size(struct delta_reader *r, uint8_t byte, struct fault *f)
{
	uint64_t size;
	int n;

	r->head[r->head_len++] = byte;
	n = delta_varint_get(r->head, r->head_len, &size);
	if (n == 0)
		return OK;
	r->head_len = 0;
	if (n < 0 || size > LIMIT_DELTA_CONTROL)
		return fault_set(f, ERR_PARSE, "the size of a block is malformed or too large");
	if (size == 0 && r->done != r->new_len)
		return fault_set(f, ERR_PARSE, "the delta ends after %llu of %llu bytes",
		    (unsigned long long)r->done, (unsigned long long)r->new_len);
	r->control_len = (size_t)size;
	r->control_have = r->control_at = 0;
	r->state = size == 0 ? AT_END : AT_CONTROL;
	return OK;
}

static bool
next_number(struct delta_reader *r, uint64_t *out)
{
	int n = delta_varint_get(r->control + r->control_at, r->control_len - r->control_at, out);

	if (n <= 0)
		return false;
	r->control_at += (size_t)n;
	return true;
}

/* Reads one record out of control and checks it against both files. */
static enum err
next_record(struct delta_reader *r, struct fault *f)
{
	uint64_t skip = 0, left = r->new_len - r->done, from;

	if (!next_number(r, &r->insert) || !next_number(r, &r->copy) ||
	    (r->copy > 0 && !next_number(r, &skip)))
		return fault_set(f, ERR_PARSE, "a record is malformed or cut");
	if (r->insert == 0 && r->copy == 0)
		return fault_set(f, ERR_PARSE, "a record is empty");
	if (r->insert > left || r->copy > left - r->insert)
		return fault_set(f, ERR_VERIFY, "a record passes the end of the new file");
	if (r->copy == 0)
		return OK;
	from = (skip & 1) != 0 ? r->cursor - (skip >> 1) - 1 : r->cursor + (skip >> 1);
	if (from > r->old_len || r->copy > r->old_len - from)
		return fault_set(f, ERR_VERIFY, "a record leaves the old file");
	r->from = from;
	r->cursor = from + r->copy;
	return OK;
}

/* Emits what can be emitted; consumes literals from p. */
static enum err
run_records(struct delta_reader *r, const uint8_t *p, size_t n, size_t *used, struct fault *f)
{
	enum err e;

	*used = 0;
	for (;;) {
		if (r->insert > 0) {
			size_t left = n - *used, take = r->insert < left ? (size_t)r->insert : left;

			if (take == 0)
				return OK;
			e = r->sink.insert(r->arg, p + *used, take);
			if (e != OK)
				return e;
			*used += take;
			r->insert -= take;
			r->done += take;
			continue;
		}
		if (r->copy > 0) {
			e = r->sink.copy(r->arg, r->from, r->copy);
			if (e != OK)
				return e;
			r->done += r->copy;
			r->copy = 0;
		}
		if (r->control_at == r->control_len) {
			r->state = AT_SIZE;
			return OK;
		}
		e = next_record(r, f);
		if (e != OK)
			return e;
	}
}

static enum err
take_control(struct delta_reader *r, const uint8_t *p, size_t n, size_t *used)
{
	size_t need = r->control_len - r->control_have;

	*used = n < need ? n : need;
	memcpy(r->control + r->control_have, p, *used);
	r->control_have += *used;
	if (r->control_have == r->control_len)
		r->state = AT_LITERALS;
	return OK;
}

static enum err
take_plain(struct delta_reader *r, const uint8_t *p, size_t n, struct fault *f)
{
	enum err e = OK;
	size_t used;

	/* AT_LITERALS also runs without input: a block of copies has no literals. */
	while (e == OK && (n > 0 || r->state == AT_LITERALS)) {
		used = 0;
		switch (r->state) {
		case AT_HEADER:
			e = take_header(r, p, n, &used, f);
			break;
		case AT_SIZE:
			used = 1;
			e = take_size(r, *p, f);
			break;
		case AT_CONTROL:
			e = take_control(r, p, n, &used);
			break;
		case AT_LITERALS:
			e = run_records(r, p, n, &used, f);
			if (e == OK && r->state == AT_LITERALS && used == n)
				return OK;
			break;
		case AT_END:
			return fault_set(f, ERR_PARSE, "bytes follow the end of the delta");
		}
		p += used;
		n -= used;
	}
	return e;
}

enum err
delta_reader_feed(struct delta_reader *r, const void *p, size_t n, struct fault *f)
{
	ZSTD_inBuffer in = { p, n, 0 };

	while (in.pos < in.size) {
		ZSTD_outBuffer out = { r->out, sizeof r->out, 0 };
		size_t z;
		enum err e;

		do {
			if (r->frame_done)
				return fault_set(f, ERR_PARSE, "bytes follow the zstd frame");
			out.pos = 0;
			z = ZSTD_decompressStream(r->zstd, &out, &in);
			if (ZSTD_isError(z))
				return fault_set(f, ERR_PARSE, "the zstd frame is damaged or its "
				    "window too large: %s", ZSTD_getErrorName(z));
			e = take_plain(r, r->out, out.pos, f);
			if (e != OK)
				return fault_set(f, e, "%s", err_text(e));
			r->frame_done = z == 0;
		} while (out.pos == sizeof r->out && !r->frame_done);
	}
	return OK;
}

enum err
delta_reader_end(struct delta_reader *r, struct fault *f)
{
	if (!r->frame_done || r->state != AT_END)
		return fault_set(f, ERR_PARSE, "the delta is cut");
	return OK;
}
