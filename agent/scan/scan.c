/* scan.c - what both ways of scanning share: the walk, the messages, the counters. */
#include "scan.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "proto/childctl.h"
#include "update/hash.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRESS_MS 300u
#define REST_MS 1000u
#define REST_SLICE_US 5000u
#define TOLD_MAX 1000u		/* unreadable files named one by one; the rest are counted */
#define HASH_MAX (256ull << 20) /* a larger detected file is not hashed: the scan goes on */

/* A path is bytes; JSON is text. What is no UTF-8 is shown escaped and sent exactly beside it. */
static enum err
add_path(cJSON *m, const char *path)
{
	size_t n = strlen(path);
	struct buf b;
	enum err e = OK;

	if (text_utf8_valid((const uint8_t *)path, n))
		return json_add_string(m, "path", path);
	buf_init(&b, 4 * (size_t)LIMIT_SCAN_PATH + 4);
	for (size_t i = 0; i < n && e == OK; i++) {
		unsigned char c = (unsigned char)path[i];

		e = c >= 0x20 && c < 0x7f && c != '\\' ? buf_append(&b, &c, 1)
						       : buf_printf(&b, "\\x%02x", c);
	}
	if (e == OK)
		e = json_add_string(m, "path", buf_text(&b));
	buf_reset(&b);
	if (e == OK)
		e = text_b64(&b, (const uint8_t *)path, n);
	if (e == OK)
		e = json_add_string(m, "path_b64", buf_text(&b));
	buf_free(&b);
	return e;
}

static void
put(struct scan *s, cJSON *m, enum err e)
{
	if (e != OK) {
		cJSON_Delete(m);
		return;
	}
	outbox_put(s->out, m);
}

static void
tell_unreadable(struct scan *s, const char *path, const char *error)
{
	cJSON *m;
	enum err e;

	s->unreadable++;
	if (s->told++ >= TOLD_MAX)
		return;
	m = childctl_new("unreadable");
	e = m == NULL ? ERR_NOMEM : add_path(m, path);
	if (e == OK)
		e = json_add_string(m, "error", error);
	put(s, m, e);
}

static void
unread(void *ctx, const char *path, const char *error)
{
	tell_unreadable(ctx, path, error);
}

static void
tell_progress(struct scan *s, const char *path)
{
	uint64_t now = clock_mono_ms();
	cJSON *m;
	enum err e;

	if (now - s->progress_ms < PROGRESS_MS)
		return;
	s->progress_ms = now;
	m = childctl_new("progress");
	e = m == NULL ? ERR_NOMEM : json_add_u64(m, "files", s->files);
	if (e == OK)
		e = json_add_u64(m, "bytes", s->bytes);
	if (e == OK)
		e = json_add_u64(m, "found", s->found);
	if (e == OK)
		e = json_add_u64(m, "unreadable", s->unreadable);
	if (e == OK)
		e = add_path(m, path);
	if (e == OK)
		outbox_offer(s->out, m);
	else
		cJSON_Delete(m);
}

static void
release(struct walk_file *f)
{
	if (f->fd >= 0)
		(void)close(f->fd);
	free(f->path);
	*f = (struct walk_file){ .fd = -1 };
}

/* As long as the last file took. */
static void
rest(struct scan *s)
{
	uint64_t now = clock_mono_ms(), took = s->taken_ms == 0 ? 0 : now - s->taken_ms,
		 until = now + (took < REST_MS ? took : REST_MS);

	while (clock_mono_ms() < until && !atomic_load(&s->stop))
		(void)usleep(REST_SLICE_US);
}

bool
scan_next(struct scan *s, struct walk_file *f)
{
	enum err e;

	*f = (struct walk_file){ .fd = -1 };
	if (s->c->gentle)
		rest(s);
	if (atomic_load(&s->stop)) {
		s->err = ERR_CANCELED;
		return false;
	}
	if (s->files >= s->c->max_files)
		return false;
	e = walk_next(s->walk, f);
	s->taken_ms = clock_mono_ms();
	if (e == OK)
		return true;
	if (e != ERR_NOTFOUND)
		s->err = fault_set(&s->fault, e, "the scan cannot go on: %s", err_text(e));
	return false;
}

static void
count(struct scan *s, const struct walk_file *f)
{
	s->files++;
	s->bytes += f->size;
	tell_progress(s, f->path);
}

void
scan_clean(struct scan *s, struct walk_file *f)
{
	count(s, f);
	release(f);
}

static bool
hash_file(struct scan *s, const struct walk_file *f, char hex[HASH_SHA256_TEXT])
{
	uint8_t chunk[65536], sum[HASH_SHA256_LEN];
	struct hash h;
	off_t at = 0;
	ssize_t n;

	if (f->size > HASH_MAX)
		return false;
	hash_init(&h, HASH_SHA256);
	while ((n = pread(f->fd, chunk, sizeof chunk, at)) > 0 && !atomic_load(&s->stop)) {
		hash_update(&h, chunk, (size_t)n);
		at += n;
	}
	hash_final(&h, sum);
	text_hex(hex, sum, sizeof sum);
	return n == 0;
}

void
scan_found(struct scan *s, struct walk_file *f, const char *signature)
{
	char hex[HASH_SHA256_TEXT];
	cJSON *m = childctl_new("detection");
	enum err e = m == NULL ? ERR_NOMEM : add_path(m, f->path);

	if (e == OK)
		e = json_add_string(m, "signature", signature);
	if (e == OK)
		e = json_add_u64(m, "size", f->size);
	if (e == OK && hash_file(s, f, hex))
		e = json_add_string(m, "sha256", hex);
	if (e == OK && f->dev <= JSON_MAX_INT && f->ino <= JSON_MAX_INT) {
		e = json_add_u64(m, "dev", f->dev);
		if (e == OK)
			e = json_add_u64(m, "ino", f->ino);
	}
	if (e == OK && f->mtime > 0)
		e = json_add_u64(m, "mtime", (uint64_t)f->mtime);
	if (e != OK) /* a finding must not be lost in silence */
		s->err = fault_set(&s->fault, e, "a detection cannot be reported: %s", err_text(e));
	s->found++;
	put(s, m, e);
	count(s, f);
	release(f);
}

void
scan_failed(struct scan *s, struct walk_file *f, const char *error)
{
	tell_unreadable(s, f->path, error);
	release(f);
}

void
scan_init(struct scan *s, const struct scan_config *c, struct outbox *out)
{
	memset(s, 0, sizeof *s);
	s->c = c;
	s->out = out;
	s->began = clock_mono_ms();
}

void
scan_run(struct scan *s)
{
	enum err e = walk_open(&s->walk, s->c, unread, s);

	if (e != OK)
		s->err = fault_set(&s->fault, e, "the scan cannot begin: %s", err_text(e));
	else if (s->c->command)
		scan_by_command(s);
	else if (s->c->method == SCAN_CONT || s->c->method == SCAN_MULTI)
		scan_by_tree(s);
	else
		scan_by_clamd(s);
	walk_close(s->walk);
	if (atomic_load(&s->stop))
		s->err = ERR_CANCELED;
}

void
scan_cancel(struct scan *s)
{
	atomic_store(&s->stop, true);
}

cJSON *
scan_result(const struct scan *s)
{
	cJSON *m = childctl_new("result");
	enum err e = m == NULL ? ERR_NOMEM
			       : json_add_string(m, "outcome",
				     s->err == OK	      ? "done"
				     : s->err == ERR_CANCELED ? "canceled"
							      : "failed");

	if (e == OK)
		e = json_add_u64(m, "files", s->files);
	if (e == OK)
		e = json_add_u64(m, "bytes", s->bytes);
	if (e == OK)
		e = json_add_u64(m, "found", s->found);
	if (e == OK)
		e = json_add_u64(m, "unreadable", s->unreadable);
	if (e == OK)
		e = json_add_u64(m, "ms", clock_mono_ms() - s->began);
	if (e == OK && s->err != OK && s->err != ERR_CANCELED)
		e = json_add_string(m, "error", fault_text(&s->fault));
	if (e == OK)
		return m;
	cJSON_Delete(m);
	return NULL;
}
