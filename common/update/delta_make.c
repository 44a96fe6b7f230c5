/* delta_make.c - two files in, one delta out. For the publisher: holds both files in memory. */
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

#define RECORD_MAX (3 * DELTA_VARINT_MAX)

/* Where compressed bytes go. */
struct packer {
	ZSTD_CCtx *zstd;
	int fd;
	uint64_t written;
	uint8_t out[128 << 10];
};

static enum err
pack_bytes(struct packer *k, const void *p, size_t n, ZSTD_EndDirective how)
{
	ZSTD_inBuffer in = { p, n, 0 };
	size_t left;

	do {
		ZSTD_outBuffer out = { k->out, sizeof k->out, 0 };
		enum err e;

		left = ZSTD_compressStream2(k->zstd, &out, &in, how);
		if (ZSTD_isError(left))
			return ERR_NOMEM;
		e = file_write_all(k->fd, k->out, out.pos);
		if (e != OK)
			return e;
		k->written += out.pos;
	} while (in.pos < in.size || (how == ZSTD_e_end && left > 0));
	return OK;
}

static int
level_for(int wanted, uint64_t inserted)
{
	if (wanted > 0)
		return wanted;
	if (inserted <= 16u << 20)
		return 19;
	return inserted <= 64u << 20 ? 12 : 6; /* else hours for a first binary of gigabytes */
}

/* A window no larger than the content: the applier allocates what the frame asks for. */
static int
window_for(uint64_t content)
{
	int log = 10;

	while (log < LIMIT_DELTA_WINDOW_LOG && (1ull << log) < content)
		log++;
	return log;
}

static enum err
packer_open(struct packer *k, const char *path, int level, uint64_t content, struct fault *f)
{
	k->zstd = ZSTD_createCCtx();
	k->written = 0;
	k->fd = -1;
	if (k->zstd == NULL ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(k->zstd, ZSTD_c_compressionLevel, level)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(k->zstd, ZSTD_c_windowLog, window_for(content))))
		return ERR_NOMEM;
	k->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	return k->fd < 0 ? fault_sys(f, errno, "cannot make %s", path) : OK;
}

/* ---- records out of matches ---- */

struct writer {
	struct packer *packer;
	const uint8_t *new;
	const struct delta_match *matches; /* of the block that is being collected */
	uint8_t control[LIMIT_DELTA_CONTROL];
	size_t control_len;
	uint64_t cursor;                   /* old file */
	uint64_t at;                       /* new file: records before this are in control */
	uint64_t block_at;                 /* new file: where the block begins */
};

/* One record: the bytes up to match->at, then the match (len 0: none). */
static size_t
record_put(struct writer *w, uint8_t *dst, const struct delta_match *m)
{
	size_t n = delta_varint_put(dst, m->at - w->at);
	int64_t skip = (int64_t)m->from - (int64_t)w->cursor;

	n += delta_varint_put(dst + n, m->len);
	if (m->len > 0) {
		n += delta_varint_put(dst + n, ((uint64_t)skip << 1) ^ (uint64_t)(skip >> 63));
		w->cursor = m->from + m->len;
	}
	w->at = m->at + m->len;
	return n;
}

/* Writes size, control and the literals of matches[first..last). `tail` ends the new bytes. */
static enum err
block_write(struct writer *w, const struct delta_match *m, size_t count)
{
	uint8_t size[DELTA_VARINT_MAX];
	uint64_t at = w->block_at;
	size_t i;
	enum err e;

	if (w->control_len == 0)
		return OK;
	e = pack_bytes(w->packer, size, delta_varint_put(size, w->control_len), ZSTD_e_continue);
	if (e == OK)
		e = pack_bytes(w->packer, w->control, w->control_len, ZSTD_e_continue);
	for (i = 0; e == OK && i < count; i++) {
		e = pack_bytes(w->packer, w->new + at, m[i].at - at, ZSTD_e_continue);
		at = m[i].at + m[i].len;
	}
	w->control_len = 0;
	w->block_at = at;
	return e;
}

static enum err
records_write(struct packer *k, const struct delta_matches *m, struct delta_text old,
    struct delta_text new)
{
	uint8_t head[DELTA_MAGIC_LEN + 2 * DELTA_VARINT_MAX];
	struct writer *w = calloc(1, sizeof *w);
	size_t i, first = 0, n = DELTA_MAGIC_LEN;
	enum err e;

	if (w == NULL)
		return ERR_NOMEM;
	w->packer = k;
	w->new = new.p;
	memcpy(head, DELTA_MAGIC, DELTA_MAGIC_LEN);
	n += delta_varint_put(head + n, old.n);
	n += delta_varint_put(head + n, new.n);
	e = pack_bytes(k, head, n, ZSTD_e_continue);
	for (i = 0; e == OK && i < m->count; i++) {
		if (sizeof w->control - w->control_len < RECORD_MAX) {
			e = block_write(w, m->list + first, i - first);
			first = i;
		}
		w->control_len += record_put(w, w->control + w->control_len, &m->list[i]);
	}
	if (e == OK)
		e = block_write(w, m->list + first, m->count - first);
	if (e == OK)
		e = pack_bytes(k, "", 1, ZSTD_e_end); /* size 0: the end */
	free(w);
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
	if (e == OK && (out->count == 0 ? new.n > 0 :
	    out->list[out->count - 1].at + out->list[out->count - 1].len < new.n)) {
		/* a last record without a copy carries the rest */
		e = delta_matches_add(out, new.n, UINT64_MAX, 0);
	}
	free(lines.list);
	return e;
}

static enum err
write_delta(struct delta_make *m, const struct delta_matches *found, struct delta_text old,
    struct delta_text new, struct fault *f)
{
	struct packer *k = malloc(sizeof *k);
	enum err e;
	size_t i;

	if (k == NULL)
		return ERR_NOMEM;
	m->copied = 0;
	for (i = 0; i < found->count; i++)
		m->copied += found->list[i].len;
	m->inserted = new.n - m->copied;
	m->records = found->count;
	e = packer_open(k, m->out_path, level_for(m->level, m->inserted),
	    m->inserted + m->records * 8, f);
	if (e == OK)
		e = records_write(k, found, old, new);
	if (e == OK)
		e = file_sync(k->fd);
	if (k->fd >= 0) {
		if (close(k->fd) != 0 && e == OK)
			e = err_from_errno(errno);
		if (e != OK)
			(void)unlink(m->out_path);
	}
	ZSTD_freeCCtx(k->zstd);
	m->delta_len = k->written;
	free(k);
	return e;
}

enum err
delta_make(struct delta_make *m, struct fault *f)
{
	struct delta_text old = { 0 }, new = { 0 };
	struct delta_matches found = { 0 };
	enum err e = load(m->old_path, &old, f);

	if (e == OK)
		e = load(m->new_path, &new, f);
	if (e == OK)
		e = find_matches(&found, old, new);
	if (e == OK) {
		m->old_len = old.n;
		m->new_len = new.n;
		e = write_delta(m, &found, old, new, f);
	}
	free(found.list);
	free((void *)old.p);
	free((void *)new.p);
	return e == OK ? OK : fault_set(f, e, "cannot make the delta of %s: %s", m->new_path,
	    err_text(e));
}
