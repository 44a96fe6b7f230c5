/* delta_apply.c - rebuilds a file: old file and deltas in, one new file out, hashed on the way. */
#include "update/delta_priv.h"

#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"
#include "update/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (128u << 10) /* read and write unit: few system calls, little memory */
#define DIRECT (16u << 10)
#define POOL_READ 4096 /* pieces of a chain's pool are lines from all over it */
#define PATH_SIZE 4096

/* ---- reading: positions in a file, mostly ascending ---- */

struct source {
	int fd;
	uint64_t start; /* position of buf[0] */
	size_t have, chunk;
	uint8_t *buf;
};

static enum err
source_open(struct source *s, int fd, size_t chunk)
{
	s->fd = fd;
	s->chunk = chunk;
	s->start = 0;
	s->have = 0;
	s->buf = malloc(chunk);
	return s->buf != NULL ? OK : ERR_NOMEM;
}

/* *p borrows up to *len bytes at `at`; *len becomes how many. */
static enum err
source_get(struct source *s, uint64_t at, const uint8_t **p, size_t *len)
{
	if (at < s->start || at >= s->start + s->have) {
		ssize_t n;

		do
			n = pread(s->fd, s->buf, s->chunk, (off_t)at);
		while (n < 0 && errno == EINTR);
		if (n <= 0)
			return n < 0 ? err_from_errno(errno) : ERR_VERIFY; /* shorter than it was */
		s->start = at;
		s->have = (size_t)n;
	}
	*p = s->buf + (at - s->start);
	if (*len > s->have - (size_t)(at - s->start))
		*len = s->have - (size_t)(at - s->start);
	return OK;
}

/* ---- writing ---- */

struct writer {
	int fd;
	bool hashing;
	struct hash hash;
	uint8_t *buf;
	size_t fill;
	uint64_t written;
	const atomic_bool *cancel;
};

static enum err
writer_flush(struct writer *w)
{
	enum err e;

	if (w->cancel != NULL && atomic_load(w->cancel))
		return ERR_CANCELED;
	if (w->hashing)
		hash_update(&w->hash, w->buf, w->fill);
	e = file_write_all(w->fd, w->buf, w->fill);
	w->written += w->fill;
	w->fill = 0;
	return e;
}

static enum err
writer_put(struct writer *w, const uint8_t *p, size_t n)
{
	while (n > 0) {
		size_t room = CHUNK - w->fill, take = n < room ? n : room;
		enum err e;

		memcpy(w->buf + w->fill, p, take);
		w->fill += take;
		p += take;
		n -= take;
		if (w->fill == CHUNK && (e = writer_flush(w)) != OK)
			return e;
	}
	return OK;
}

/* A long copy is read straight into the output buffer; short ones share a read. */
static enum err
writer_copy(struct writer *w, struct source *s, uint64_t at, uint64_t len)
{
	while (len > 0) {
		size_t room = CHUNK - w->fill, n = len < room ? (size_t)len : room;
		const uint8_t *p = NULL;
		enum err e;

		if (n >= DIRECT) {
			e = delta_pread(s->fd, w->buf + w->fill, n, at);
			w->fill += n;
			if (e == OK && w->fill == CHUNK)
				e = writer_flush(w);
		} else {
			e = source_get(s, at, &p, &n);
			if (e == OK)
				e = writer_put(w, p, n);
		}
		if (e != OK)
			return e;
		at += n;
		len -= n;
	}
	return OK;
}

/* ---- one pass: old file -> one new file ---- */

struct pass {
	struct delta_apply *a;
	struct source old, pool;
	struct writer w;
	char path[PATH_SIZE];
};

static enum err
pass_open(struct pass *ps, struct delta_apply *a, const char *old_path, const char *new_path,
    struct fault *f)
{
	int fd;
	enum err e;

	memset(ps, 0, sizeof *ps);
	ps->a = a;
	ps->old.fd = ps->pool.fd = ps->w.fd = -1;
	ps->w.cancel = a->cancel;
	if (text_copy(ps->path, sizeof ps->path, new_path, strlen(new_path)) != OK)
		return fault_set(f, ERR_TOOBIG, "the path %s is too long", new_path);
	fd = open(old_path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fault_sys(f, errno, "cannot open %s", old_path);
	e = source_open(&ps->old, fd, CHUNK);
	ps->w.buf = malloc(CHUNK);
	if (e != OK || ps->w.buf == NULL)
		return ERR_NOMEM;
	ps->w.fd = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (ps->w.fd < 0)
		return fault_sys(f, errno, "cannot make %s", new_path);
	hash_init(&ps->w.hash, HASH_SHA256);
	a->copied = a->inserted = 0;
	a->passes++;
	return OK;
}

/* Ends a pass; `last` also proves the result. On any error the new file goes. */
static enum err
pass_close(struct pass *ps, enum err e, bool last, struct fault *f)
{
	uint8_t sum[HASH_SHA256_LEN];

	if (e == OK)
		e = writer_flush(&ps->w);
	if (e == OK && last) {
		hash_final(&ps->w.hash, sum);
		if (ps->w.written != ps->a->new_len ||
		    memcmp(sum, ps->a->new_sha256, sizeof sum) != 0)
			e = fault_set(f, ERR_VERIFY,
			    "the rebuilt file is not the signed one: the "
			    "old file or a delta is not what it should be");
		else
			e = file_sync(ps->w.fd);
	}
	if (ps->old.fd >= 0)
		(void)close(ps->old.fd);
	if (ps->w.fd >= 0 && close(ps->w.fd) != 0 && e == OK)
		e = err_from_errno(errno);
	free(ps->old.buf);
	free(ps->pool.buf);
	free(ps->w.buf);
	if (e == OK)
		return OK;
	if (ps->w.fd >= 0)
		(void)unlink(ps->path);
	return fault_set(f, e, "cannot rebuild %s: %s", ps->path, err_text(e));
}

static enum err
on_read_old(void *arg, uint64_t from, uint8_t *p, size_t n)
{
	return delta_pread(((struct pass *)arg)->old.fd, p, n, from);
}

static enum err
on_copy(void *arg, uint64_t from, uint64_t len)
{
	struct pass *ps = arg;

	ps->a->copied += len;
	return writer_copy(&ps->w, &ps->old, from, len);
}

static enum err
on_insert(void *arg, const uint8_t *p, size_t n)
{
	struct pass *ps = arg;

	ps->a->inserted += n;
	return writer_put(&ps->w, p, n);
}

enum err
delta_read_file(const char *path, uint64_t old_len, uint64_t new_len, const struct delta_sink *sink,
    void *arg, const atomic_bool *cancel, struct fault *f)
{
	struct delta_reader *r = NULL;
	uint8_t *buf = malloc(CHUNK);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;
	enum err e;

	if (fd < 0)
		e = fault_sys(f, errno, "cannot open %s", path);
	else if (buf == NULL)
		e = ERR_NOMEM;
	else
		e = delta_reader_new(&r, old_len, new_len, sink, arg);
	while (e == OK && (n = read(fd, buf, CHUNK)) != 0) {
		if (n < 0)
			e = errno == EINTR ? OK : fault_sys(f, errno, "cannot read %s", path);
		else if (cancel != NULL && atomic_load(cancel))
			e = ERR_CANCELED;
		else
			e = delta_reader_feed(r, buf, (size_t)n, f);
	}
	if (e == OK)
		e = delta_reader_end(r, f);
	if (e != OK && f != NULL)
		fault_prefix(f, "%s", path);
	delta_reader_free(r);
	free(buf);
	if (fd >= 0)
		(void)close(fd);
	return e;
}

/* One delta, straight from its file. */
static enum err
stream_pass(struct delta_apply *a, const char *old_path, uint64_t old_len, const char *delta,
    const char *new_path, bool last, struct fault *f)
{
	static const struct delta_sink sink = { NULL, on_read_old, on_copy, on_insert };
	struct pass ps;
	enum err e = pass_open(&ps, a, old_path, new_path, f);

	ps.w.hashing = last;
	if (e == OK)
		e = delta_read_file(
		    delta, old_len, last ? a->new_len : DELTA_ANY, &sink, &ps, a->cancel, f);
	return pass_close(&ps, e, last, f);
}

/* Several deltas, composed. */
static enum err
chain_pass(struct delta_apply *a, const char *old_path, const struct delta_chain *c,
    struct delta_pool *pool, const char *new_path, bool last, struct fault *f)
{
	struct pass ps;
	enum err e = pass_open(&ps, a, old_path, new_path, f);
	size_t i;

	ps.w.hashing = last;
	if (e == OK)
		e = source_open(&ps.pool, pool->fd, POOL_READ);
	if (e == OK)
		e = delta_pool_flush(pool);
	for (i = 0; e == OK && i < c->count; i++) {
		uint64_t end = i + 1 < c->count ? c->pieces[i + 1].at : c->new_len;
		uint64_t len = end - c->pieces[i].at;
		bool pooled = (c->pieces[i].from & DELTA_POOL) != 0;

		*(pooled ? &a->inserted : &a->copied) += len;
		e = writer_copy(
		    &ps.w, pooled ? &ps.pool : &ps.old, c->pieces[i].from & ~DELTA_POOL, len);
	}
	return pass_close(&ps, e, last, f);
}

/* Applies as many deltas as fit into one composed chain, at least one. *used says how many. */
static enum err
apply_some(struct delta_apply *a, const char *old_path, size_t first, const char *new_path,
    size_t *used, struct fault *f)
{
	struct delta_chain chain = { 0 };
	struct delta_pool pool = { 0 };
	uint64_t old_len;
	int old_fd = -1;
	enum err e;
	size_t i = first;

	*used = 1;
	e = file_size(old_path, &old_len);
	if (e != OK)
		return fault_set(f, e, "cannot open %s", old_path);
	if (first + 1 == a->delta_count)
		return stream_pass(a, old_path, old_len, a->deltas[first], new_path, true, f);
	e = delta_pool_open(&pool, a->work_path != NULL ? a->work_path : a->out_path, f);
	if (e == OK && (old_fd = open(old_path, O_RDONLY | O_CLOEXEC)) < 0)
		e = fault_sys(f, errno, "cannot open %s", old_path);
	for (; e == OK && i < a->delta_count; i++) {
		struct fault why = { 0 };

		e = delta_chain_add(&chain, &pool, old_fd, a->deltas[i], old_len,
		    i + 1 == a->delta_count ? a->new_len : DELTA_ANY, a->cancel, &why);
		if (e == ERR_TOOBIG)
			break;
		if (e != OK)
			e = fault_set(f, e, "%s", fault_text(&why));
	}
	if (e == OK || e == ERR_TOOBIG) {
		*used = i > first ? i - first : 1;
		if (i > first)
			e = chain_pass(
			    a, old_path, &chain, &pool, new_path, i == a->delta_count, f);
		else
			e = stream_pass(a, old_path, old_len, a->deltas[first], new_path, false, f);
	}
	if (old_fd >= 0)
		(void)close(old_fd);
	delta_chain_free(&chain);
	delta_pool_close(&pool);
	return e;
}

static enum err
step_path(char to[PATH_SIZE], const struct delta_apply *a, unsigned which)
{
	int n = snprintf(
	    to, PATH_SIZE, "%s.step%u", a->work_path != NULL ? a->work_path : a->out_path, which);

	return n < 0 || n >= PATH_SIZE ? ERR_TOOBIG : OK;
}

enum err
delta_apply(struct delta_apply *a, struct fault *f)
{
	char step[2][PATH_SIZE];
	const char *from = a->old_path;
	size_t done = 0, used;
	enum err e = OK;

	a->passes = 0;
	if (a->delta_count == 0 || a->delta_count > LIMIT_DELTA_CHAIN)
		return fault_set(f, ERR_INVAL, "a chain has 1 to %d deltas", LIMIT_DELTA_CHAIN);
	for (unsigned i = 0; i < 2; i++) /* of a run that was killed */
		if (step_path(step[i], a, i) == OK)
			(void)unlink(step[i]);
	while (e == OK && done < a->delta_count) {
		char *to = step[a->passes & 1];

		if (step_path(to, a, a->passes & 1) != OK)
			return fault_set(f, ERR_TOOBIG, "the path %s is too long", a->out_path);
		e = apply_some(a, from, done, to, &used, f);
		if (from != a->old_path)
			(void)unlink(from);
		from = to;
		done += used;
	}
	if (e == OK && rename(from, a->out_path) != 0) {
		e = fault_sys(f, errno, "cannot rename %s", from);
		(void)unlink(from);
	}
	return e;
}
