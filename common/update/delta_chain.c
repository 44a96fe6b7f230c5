/* delta_chain.c - v0 -> v1 and v1 -> v2 become v0 -> v2 without v1. Memory: 16 bytes per record;
 * the inserted bytes of all deltas lie in one temporary file, the pool. */
#include "update/delta_priv.h"

#include "base/limits.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POOL_BUF (64u << 10)

enum err
delta_pool_open(struct delta_pool *p, const char *prefix, struct fault *f)
{
	char path[4096];
	int n = snprintf(path, sizeof path, "%s.pool", prefix);

	memset(p, 0, sizeof *p);
	p->fd = -1;
	if (n < 0 || (size_t)n >= sizeof path)
		return fault_set(f, ERR_TOOBIG, "the path %s is too long", prefix);
	p->buf = malloc(POOL_BUF);
	if (p->buf == NULL)
		return ERR_NOMEM;
	(void)unlink(path);
	p->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (p->fd < 0) {
		free(p->buf);
		p->buf = NULL;
		return fault_sys(f, errno, "cannot make %s", path);
	}
	(void)unlink(path); /* gone with the last descriptor, whatever happens */
	return OK;
}

enum err
delta_pool_flush(struct delta_pool *p)
{
	enum err e = file_write_all(p->fd, p->buf, p->fill);

	p->fill = 0;
	return e;
}

void
delta_pool_close(struct delta_pool *p)
{
	if (p->buf == NULL)
		return;
	free(p->buf);
	(void)close(p->fd);
	p->buf = NULL;
}

static enum err
pool_add(struct delta_pool *p, const uint8_t *data, size_t n)
{
	enum err e;

	while (n > 0) {
		size_t room = POOL_BUF - p->fill, take = n < room ? n : room;

		memcpy(p->buf + p->fill, data, take);
		p->fill += take;
		p->len += take;
		data += take;
		n -= take;
		if (p->fill == POOL_BUF && (e = delta_pool_flush(p)) != OK)
			return e;
	}
	return OK;
}

void
delta_chain_free(struct delta_chain *chain)
{
	free(chain->pieces);
	memset(chain, 0, sizeof *chain);
}

static uint64_t
piece_len(const struct delta_chain *c, size_t i)
{
	return (i + 1 < c->count ? c->pieces[i + 1].at : c->new_len) - c->pieces[i].at;
}

/* Appends [from, from + len) of a source, joining it to the last piece where it continues that. */
static enum err
chain_push(struct delta_chain *c, uint64_t from, uint64_t len)
{
	if (len == 0)
		return OK;
	if (c->count > 0) {
		const struct delta_piece *last = &c->pieces[c->count - 1];

		if (last->from + (c->new_len - last->at) == from) {
			c->new_len += len;
			return OK;
		}
	}
	if (c->count == LIMIT_DELTA_PIECES)
		return ERR_TOOBIG;
	if (c->count == c->cap) {
		size_t cap = c->cap == 0 ? 1024 : c->cap * 2;
		void *p = realloc(c->pieces, cap * sizeof *c->pieces);

		if (p == NULL)
			return ERR_NOMEM;
		c->pieces = p;
		c->cap = cap;
	}
	c->pieces[c->count].at = c->new_len;
	c->pieces[c->count].from = from;
	c->count++;
	c->new_len += len;
	return OK;
}

struct composing {
	const struct delta_chain *before; /* NULL: records speak of the old file itself */
	struct delta_chain *after;
	struct delta_pool *pool;
	int old_fd;
};

static enum err
on_insert(void *arg, const uint8_t *p, size_t n)
{
	struct composing *c = arg;
	enum err e = chain_push(c->after, c->pool->len | DELTA_POOL, n);

	return e != OK ? e : pool_add(c->pool, p, n);
}

/* Index of the piece that holds position `at`. */
static size_t
find_piece(const struct delta_chain *c, uint64_t at)
{
	size_t lo = 0, hi = c->count;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->pieces[mid].at <= at)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

static enum err
on_copy(void *arg, uint64_t from, uint64_t len)
{
	struct composing *c = arg;
	enum err e = OK;
	size_t i;

	if (c->before == NULL)
		return chain_push(c->after, from, len);
	for (i = find_piece(c->before, from); e == OK && len > 0; i++) {
		uint64_t inside = from - c->before->pieces[i].at;
		uint64_t left = piece_len(c->before, i) - inside;
		uint64_t take = len < left ? len : left;

		e = chain_push(c->after, c->before->pieces[i].from + inside, take);
		from += take;
		len -= take;
	}
	return e;
}

enum err
delta_pread(int fd, uint8_t *p, size_t n, uint64_t at)
{
	while (n > 0) {
		ssize_t got = pread(fd, p, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? err_from_errno(errno) : ERR_VERIFY;
		p += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return OK;
}

/* Context of v1 is looked up in v0 and in the pool. */
static enum err
on_read_old(void *arg, uint64_t from, uint8_t *p, size_t n)
{
	struct composing *c = arg;
	enum err e = OK;
	size_t i;

	if (c->before == NULL)
		return delta_pread(c->old_fd, p, n, from);
	if (c->pool->fill > 0)
		e = delta_pool_flush(c->pool);
	for (i = find_piece(c->before, from); e == OK && n > 0; i++) {
		const struct delta_piece *x = &c->before->pieces[i];
		uint64_t inside = from - x->at, left = piece_len(c->before, i) - inside;
		size_t take = n < left ? n : (size_t)left;

		e = delta_pread((x->from & DELTA_POOL) != 0 ? c->pool->fd : c->old_fd, p, take,
		    (x->from & ~DELTA_POOL) + inside);
		p += take;
		from += take;
		n -= take;
	}
	return e;
}

enum err
delta_chain_add(struct delta_chain *chain, struct delta_pool *pool, int old_fd, const char *path,
    uint64_t old_len, uint64_t new_len, const atomic_bool *cancel, struct fault *f)
{
	static const struct delta_sink sink = { NULL, on_read_old, on_copy, on_insert };
	struct delta_chain after = { 0 };
	bool first = chain->count == 0 && chain->new_len == 0 && chain->old_len == 0;
	struct composing c = { first ? NULL : chain, &after, pool, old_fd };
	enum err e = delta_read_file(path, first ? old_len : chain->new_len, new_len, &sink, &c,
	    cancel, f);

	if (e != OK) {
		delta_chain_free(&after);
		return e;
	}
	after.old_len = first ? old_len : chain->old_len;
	free(chain->pieces);
	*chain = after;
	return OK;
}
