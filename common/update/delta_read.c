/* delta_read.c - the pure decoder: compressed bytes in, checked records out. */
#include "update/delta_priv.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum state { AT_CONTROL, AT_LITERALS, AT_END };

struct delta_reader {
	struct delta_sink sink;
	void *arg;
	ZSTD_DCtx *zstd;
	enum state state;
	uint64_t old_len, new_len; /* expected */
	uint8_t *control;          /* content of the control frame */
	size_t control_len, control_cap;
	uint8_t *prefix;
	struct delta_unhex *unhex; /* NULL when the literals are plain */
	struct delta_plan plan;
	struct delta_record now;   /* insert and copy: what is still to come of it */
	uint64_t literals;         /* still to come */
	uint8_t out[128 << 10];
};

enum err
delta_reader_new(struct delta_reader **out, uint64_t old_len, uint64_t new_len,
    const struct delta_sink *sink, void *arg)
{
	struct delta_reader *r = malloc(sizeof *r);

	*out = NULL;
	if (r == NULL)
		return ERR_NOMEM;
	memset(r, 0, offsetof(struct delta_reader, out));
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
	delta_unhex_free(r->unhex);
	free(r->control);
	free(r->prefix);
	free(r);
}

static enum err
keep_control(struct delta_reader *r, size_t n, struct fault *f)
{
	if (n > LIMIT_DELTA_CONTROL - r->control_len)
		return fault_set(f, ERR_PARSE, "the control of the delta is larger than %u bytes",
		    LIMIT_DELTA_CONTROL);
	if (n > r->control_cap - r->control_len) {
		size_t cap = r->control_cap == 0 ? 4096 : r->control_cap;
		uint8_t *p;

		while (cap < r->control_len + n)
			cap *= 2;
		p = realloc(r->control, cap);
		if (p == NULL)
			return ERR_NOMEM;
		r->control = p;
		r->control_cap = cap;
	}
	if (n > 0)
		memcpy(r->control + r->control_len, r->out, n);
	r->control_len += n;
	return OK;
}

/* Emits records as far as the literals at hand allow; all of p is used unless something is wrong.
 */
static enum err
run_records(struct delta_reader *r, const uint8_t *p, size_t n)
{
	enum err e = OK;

	for (;;) {
		if (r->now.insert > 0) {
			size_t take = r->now.insert < n ? (size_t)r->now.insert : n;

			if (take == 0)
				return OK;
			e = r->sink.insert(r->arg, p, take);
			p += take;
			n -= take;
			r->now.insert -= take;
			r->literals -= take;
		} else if (r->now.copy > 0) {
			e = r->sink.copy(r->arg, r->now.from, r->now.copy);
			r->now.copy = 0;
		} else if (!delta_plan_next(&r->plan, &r->now)) {
			memset(&r->now, 0, sizeof r->now);
			return n == 0 ? OK : ERR_PARSE; /* more literals than records */
		}
		if (e != OK)
			return e;
	}
}

static enum err
on_unhexed(void *arg, const uint8_t *p, size_t n)
{
	return run_records(arg, p, n);
}

/* Prefix and unpacking for the literals frame. */
static enum err
prepare_literals(struct delta_reader *r)
{
	size_t len = 0;
	enum err e;

	r->prefix = malloc(LIMIT_DELTA_PREFIX);
	if (r->prefix == NULL)
		return ERR_NOMEM;
	e = delta_plan_prefix(r->plan, r->prefix, &len, r->sink.read_old, r->arg);
	if (e == OK && (r->plan.flags & DELTA_HEX) != 0)
		e = delta_unhex_new(&r->unhex, on_unhexed, r);
	if (e == OK && (ZSTD_isError(ZSTD_DCtx_reset(r->zstd, ZSTD_reset_session_only)) ||
	    (len > 0 && ZSTD_isError(ZSTD_DCtx_refPrefix(r->zstd, r->prefix, len)))))
		e = ERR_NOMEM;
	return e;
}

static enum err
end_of_control(struct delta_reader *r, struct fault *f)
{
	enum err e =
	    delta_plan_open(&r->plan, r->control, r->control_len, r->old_len, r->new_len, f);

	if (e == OK && r->sink.header != NULL)
		e = r->sink.header(r->arg, r->plan.old_len, r->plan.new_len);
	r->literals = r->plan.literals;
	r->state = r->literals > 0 ? AT_LITERALS : AT_END;
	if (e == OK && r->literals > 0)
		e = prepare_literals(r);
	return e == OK ? run_records(r, NULL, 0) : e;
}

static enum err
take_plain(struct delta_reader *r, size_t n, bool end, struct fault *f)
{
	enum err e;

	if (r->state == AT_CONTROL) {
		e = keep_control(r, n, f);
		return e == OK && end ? end_of_control(r, f) : e;
	}
	e = r->unhex != NULL ? delta_unhex_feed(r->unhex, r->out, n) : run_records(r, r->out, n);
	if (e == OK && end &&
	    (r->literals > 0 || (r->unhex != NULL && !delta_unhex_done(r->unhex))))
		e = ERR_PARSE;
	if (e == ERR_PARSE)
		return fault_set(f, e, "the literals of the delta do not fit its records");
	if (e == OK && end)
		r->state = AT_END;
	return e;
}

enum err
delta_reader_feed(struct delta_reader *r, const void *p, size_t n, struct fault *f)
{
	ZSTD_inBuffer in = { p, n, 0 };
	bool more = n > 0;

	while (more) {
		ZSTD_outBuffer out = { r->out, sizeof r->out, 0 };
		size_t z;
		enum err e;

		if (r->state == AT_END)
			return fault_set(f, ERR_PARSE, "bytes follow the end of the delta");
		z = ZSTD_decompressStream(r->zstd, &out, &in);
		if (ZSTD_isError(z))
			return fault_set(f, ERR_PARSE, "a zstd frame is damaged or its window too "
			    "large: %s", ZSTD_getErrorName(z));
		e = take_plain(r, out.pos, z == 0, f);
		if (e != OK)
			return fault_set(f, e, "%s", err_text(e));
		/* a full buffer may mean that there is more without further input */
		more = in.pos < in.size || (out.pos == sizeof r->out && z != 0);
	}
	return OK;
}

enum err
delta_reader_end(struct delta_reader *r, struct fault *f)
{
	return r->state == AT_END ? OK : fault_set(f, ERR_PARSE, "the delta is cut");
}
