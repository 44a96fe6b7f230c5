/* delta_make.c - two files in, one delta out. For the publisher: holds both files in memory, tries
 * a few ways to cut the records and keeps the smallest. */
#include "update/delta_priv.h"

#include "base/limits.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define HEAD_MAX (DELTA_MAGIC_LEN + 5 * DELTA_VARINT_MAX)
#define FEW_BYTES (256u << 10) /* inserts below this are tried in every way */
#define SOME_BYTES (4u << 20)  /* and below this in two */
#define FLUSH_FROM 4096	       /* a block of its own pays for packed hexadecimal from here on */

/* How a delta is cut: copies shorter than `shortest` become inserts. */
struct way {
	uint64_t shortest, context;
};

struct bytes {
	uint8_t *p;
	size_t n, cap;
};

static enum err
bytes_room(struct bytes *b, size_t more)
{
	size_t cap = b->cap == 0 ? 4096 : b->cap;
	uint8_t *p;

	if (more <= b->cap - b->n)
		return OK;
	while (cap < b->n + more)
		cap *= 2;
	p = realloc(b->p, cap);
	if (p == NULL)
		return ERR_NOMEM;
	b->p = p;
	b->cap = cap;
	return OK;
}

static enum err
bytes_add(struct bytes *b, const void *p, size_t n)
{
	enum err e = bytes_room(b, n);

	if (e != OK)
		return e;
	if (n > 0)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	return OK;
}

static enum err
bytes_number(struct bytes *b, uint64_t v)
{
	uint8_t tmp[DELTA_VARINT_MAX];

	return bytes_add(b, tmp, delta_varint_put(tmp, v));
}

/* ---- compression ---- */

static int
level_for(int wanted, uint64_t inserted)
{
	if (wanted > 0)
		return wanted;
	if (inserted <= 16u << 20)
		return 19;
	return inserted <= 64u << 20 ? 12 : 6; /* else hours for a first binary of gigabytes */
}

/* A window no larger than needed: the applier allocates what the frame asks for. */
static int
window_for(uint64_t content)
{
	int log = 10;

	while (log < LIMIT_DELTA_WINDOW_LOG && (1ull << log) < content)
		log++;
	return log;
}

static enum err
frame_open(ZSTD_CCtx *z, int level, uint64_t content, const struct bytes *prefix)
{
	size_t size = prefix != NULL ? prefix->n : 0;

	if (ZSTD_isError(ZSTD_CCtx_reset(z, ZSTD_reset_session_and_parameters)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, level)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, window_for(content + size))) ||
	    (size > 0 && ZSTD_isError(ZSTD_CCtx_refPrefix(z, prefix->p, size))))
		return ERR_NOMEM;
	return OK;
}

static enum err
frame_put(ZSTD_CCtx *z, struct bytes *out, const void *p, size_t n, ZSTD_EndDirective how)
{
	ZSTD_inBuffer in = { p, n, 0 };
	size_t left;

	do {
		ZSTD_outBuffer ob;
		enum err e = bytes_room(out, 65536);

		if (e != OK)
			return e;
		ob = (ZSTD_outBuffer){ out->p + out->n, out->cap - out->n, 0 };
		left = ZSTD_compressStream2(z, &ob, &in, how);
		if (ZSTD_isError(left))
			return ERR_NOMEM;
		out->n += ob.pos;
	} while (in.pos < in.size || (how != ZSTD_e_continue && left > 0));
	return OK;
}

/* ---- records ---- */

/* Control for the matches that the way keeps; *literals gets the inserted bytes. */
static enum err
write_records(const struct delta_matches *m, uint64_t shortest, struct delta_text new,
    struct bytes columns[3], struct bytes *literals, uint64_t *count)
{
	uint64_t at = 0, cursor = 0;
	size_t i;
	enum err e = OK;

	*count = 0;
	for (i = 0; e == OK && i <= m->count; i++) {
		bool last = i == m->count;
		const struct delta_match *x = &m->list[i];
		uint64_t to = last ? new.n : x->at;
		int64_t skip;

		if (last ? at == new.n : x->len < shortest)
			continue;
		e = bytes_number(&columns[0], to - at);
		if (e == OK)
			e = bytes_number(&columns[1], last ? 0 : x->len);
		if (e == OK)
			e = bytes_add(literals, new.p + at, (size_t)(to - at));
		++*count;
		if (last || e != OK)
			break;
		skip = (int64_t)x->from - (int64_t)cursor;
		e = bytes_number(
		    &columns[2], skip < 0 ? ~((uint64_t)skip << 1) : (uint64_t)skip << 1);
		cursor = x->from + x->len;
		at = x->at + x->len;
	}
	return e;
}

static enum err
write_control(const struct delta_matches *m, struct way *w, struct delta_text old,
    struct delta_text new, struct bytes *control, struct bytes *literals)
{
	struct bytes columns[3] = { { 0 } };
	uint64_t count, flags;
	size_t i;
	enum err e;

	control->n = literals->n = 0;
	e = write_records(m, w->shortest, new, columns, literals, &count);
	flags = delta_hex_count(literals->p, literals->n) > literals->n / 8 ? DELTA_HEX : 0;
	if (e == OK)
		e = bytes_add(control, DELTA_MAGIC, DELTA_MAGIC_LEN);
	if (e == OK)
		e = bytes_number(control, flags);
	if (e == OK)
		e = bytes_number(control, old.n);
	if (e == OK)
		e = bytes_number(control, new.n);
	if (e == OK)
		e = bytes_number(control, w->context);
	if (e == OK)
		e = bytes_number(control, count);
	for (i = 0; i < 3; i++) {
		if (e == OK)
			e = bytes_add(control, columns[i].p, columns[i].n);
		free(columns[i].p);
	}
	if (e == OK && (count > LIMIT_DELTA_PIECES || control->n > LIMIT_DELTA_CONTROL))
		e = ERR_TOOBIG; /* fewer and longer records are needed */
	return e;
}

/* ---- frames ---- */

static enum err
read_old(void *arg, uint64_t from, uint8_t *p, size_t n)
{
	memcpy(p, ((const struct delta_text *)arg)->p + from, n);
	return OK;
}

static enum err
put_packed(ZSTD_CCtx *z, struct bytes *out, const struct bytes *literals)
{
	uint8_t *hex = malloc(LIMIT_DELTA_CHUNK), *text = malloc(LIMIT_DELTA_CHUNK);
	uint8_t head[2 * DELTA_VARINT_MAX];
	size_t at = 0, used, hex_len, text_len, n;
	enum err e = hex != NULL && text != NULL ? OK : ERR_NOMEM;

	while (e == OK && at < literals->n) {
		delta_hex_chunk(
		    literals->p + at, literals->n - at, &used, hex, &hex_len, text, &text_len);
		n = delta_varint_put(head, hex_len);
		n += delta_varint_put(head + n, text_len);
		e = frame_put(z, out, head, n, ZSTD_e_continue);
		if (e == OK)
			e = frame_put(z, out, hex, hex_len,
			    hex_len >= FLUSH_FROM ? ZSTD_e_flush : ZSTD_e_continue);
		if (e == OK)
			e = frame_put(z, out, text, text_len,
			    hex_len >= FLUSH_FROM ? ZSTD_e_flush : ZSTD_e_continue);
		at += used;
	}
	free(hex);
	free(text);
	return e == OK ? frame_put(z, out, NULL, 0, ZSTD_e_end) : e;
}

static enum err
compress(ZSTD_CCtx *z, int level, const struct bytes *control, const struct bytes *literals,
    struct delta_text old, struct delta_text new, struct bytes *out)
{
	struct delta_plan plan;
	struct bytes prefix = { 0 };
	enum err e = delta_plan_open(&plan, control->p, control->n, old.n, new.n, NULL);

	out->n = 0;
	if (e == OK)
		e = frame_open(z, 19, control->n, NULL);
	if (e == OK)
		e = frame_put(z, out, control->p, control->n, ZSTD_e_end);
	if (e != OK || literals->n == 0)
		return e;
	e = bytes_room(&prefix, LIMIT_DELTA_PREFIX);
	if (e == OK)
		e = delta_plan_prefix(plan, prefix.p, &prefix.n, read_old, &old);
	if (e == OK)
		e = frame_open(
		    z, level_for(level, literals->n), literals->n + literals->n / 8, &prefix);
	if (e == OK)
		e = (plan.flags & DELTA_HEX) != 0
			? put_packed(z, out, literals)
			: frame_put(z, out, literals->p, literals->n, ZSTD_e_end);
	free(prefix.p);
	return e;
}

/* ---- the smallest of a few ways ---- */

static size_t
choose_ways(uint64_t inserted, struct way out[8])
{
	static const struct way few[] = { { 32, 0 }, { 32, 256 }, { 64, 256 }, { 64, 1024 },
		{ 100, 256 }, { 100, 1024 } };
	static const struct way some[] = { { 64, 0 }, { 64, 256 } };
	static const struct way many[] = { { 64, 0 } };
	const struct way *from = inserted <= FEW_BYTES ? few : inserted <= SOME_BYTES ? some : many;
	size_t n = inserted <= FEW_BYTES ? 6 : inserted <= SOME_BYTES ? 2 : 1;

	memcpy(out, from, n * sizeof *out);
	return n;
}

struct drafting {
	struct bytes control, literals, best, draft;
	uint64_t inserted;
};

static enum err
try_way(struct drafting *d, ZSTD_CCtx *z, struct way w, const struct delta_make *m,
    const struct delta_matches *found, struct delta_text old, struct delta_text new)
{
	struct bytes swap;
	enum err e;

	while ((e = write_control(found, &w, old, new, &d->control, &d->literals)) == ERR_TOOBIG)
		w.shortest *= 2;
	if (e == OK)
		e = compress(z, m->level, &d->control, &d->literals, old, new, &d->draft);
	if (e == OK && (d->best.n == 0 || d->draft.n < d->best.n)) {
		swap = d->best;
		d->best = d->draft;
		d->draft = swap;
		d->inserted = d->literals.n;
	}
	return e;
}

static enum err
make_smallest(struct delta_make *m, const struct delta_matches *found, struct delta_text old,
    struct delta_text new, struct bytes *out)
{
	struct drafting d = { 0 };
	struct way ways[8];
	ZSTD_CCtx *z = ZSTD_createCCtx();
	uint64_t copied = 0;
	size_t i, n;
	enum err e = z != NULL ? OK : ERR_NOMEM;

	for (i = 0; i < found->count; i++)
		copied += found->list[i].len;
	n = choose_ways(new.n - copied, ways);
	for (i = 0; e == OK && i < n; i++)
		e = try_way(&d, z, ways[i], m, found, old, new);
	m->inserted = d.inserted;
	m->copied = new.n - d.inserted;
	ZSTD_freeCCtx(z);
	free(d.control.p);
	free(d.literals.p);
	free(d.draft.p);
	*out = d.best;
	return e;
}

/* ---- files ---- */

static enum err
load(const char *path, struct delta_text *t, struct fault *f)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *p = NULL;
	struct stat st;
	size_t have = 0;
	enum err e = OK;

	if (fd < 0)
		return fault_sys(f, errno, "cannot open %s", path);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size > LIMIT_TARGET_BYTES)
		e = fault_set(f, ERR_TOOBIG, "%s is no regular file of at most 4 GiB", path);
	else if ((p = malloc((size_t)st.st_size + 1)) == NULL)
		e = ERR_NOMEM;
	while (e == OK && have < (size_t)st.st_size) {
		ssize_t n = read(fd, p + have, (size_t)st.st_size - have);

		if (n > 0)
			have += (size_t)n;
		else if (n == 0 || errno != EINTR)
			e = fault_set(f, ERR_IO, "cannot read all of %s", path);
	}
	(void)close(fd);
	if (e != OK) {
		free(p);
		p = NULL;
	}
	t->p = p;
	t->n = have;
	return e;
}

static enum err
find_matches(struct delta_matches *out, struct delta_text old, struct delta_text new)
{
	struct delta_matches lines = { 0 };
	enum err e = delta_match_lines(&lines, old, new);

	if (e == OK)
		e = delta_match_blocks(out, &lines, old, new);
	free(lines.list);
	return e;
}

static enum err
save(const char *path, const struct bytes *b, struct fault *f)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	enum err e;

	if (fd < 0)
		return fault_sys(f, errno, "cannot make %s", path);
	e = file_write_all(fd, b->p, b->n);
	if (e == OK)
		e = file_sync(fd);
	if (close(fd) != 0 && e == OK)
		e = err_from_errno(errno);
	if (e != OK)
		(void)unlink(path);
	return e;
}

enum err
delta_make(struct delta_make *m, struct fault *f)
{
	struct delta_text old = { 0 }, new = { 0 };
	struct delta_matches found = { 0 };
	struct bytes out = { 0 };
	enum err e = load(m->old_path, &old, f);

	if (e == OK)
		e = load(m->new_path, &new, f);
	if (e == OK)
		e = find_matches(&found, old, new);
	m->old_len = old.n;
	m->new_len = new.n;
	if (e == OK)
		e = make_smallest(m, &found, old, new, &out);
	m->delta_len = out.n;
	if (e == OK)
		e = save(m->out_path, &out, f);
	free(out.p);
	free(found.list);
	free((void *)old.p);
	free((void *)new.p);
	return e == OK
		   ? OK
		   : fault_set(f, e, "cannot make the delta of %s: %s", m->new_path, err_text(e));
}
