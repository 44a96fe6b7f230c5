/* repo_helpers.c - targets that only help a download: delta/ and full/. Never content of a set. */
#include "update/repo_priv.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"
#include "update/delta.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#define FULL_MIN 4096 /* smaller targets gain nothing that a second request would not cost */

static void
tell(const struct repo_publish *how, const char *what, const char *name, uint64_t done,
    uint64_t total)
{
	if (how != NULL && how->progress != NULL)
		how->progress(how->arg, what, name, done, total);
}

/* delta/<name>.<16 digits of sha>.d, full/<name>.<16 digits of sha>.zst */
static enum err
helper_name(char *out, size_t size, const char *folder, const char *name, const char *sha256,
    const char *tail)
{
	const char *slash = strrchr(name, '/');
	int n = snprintf(out, size, "%s/%s.%.16s.%s", folder, name, sha256, tail);

	/* the stored name has 65 bytes more in front of its last part */
	if (strlen(slash != NULL ? slash : name) + 65 + 22 > 255)
		return ERR_TOOBIG;
	return n > 0 && (size_t)n < size ? OK : ERR_TOOBIG;
}

/* The {"atalaia":{...}} object of an entry, made when it is absent. */
static enum err
ours(struct repo_entry *x, cJSON **out)
{
	if (x->custom == NULL && (x->custom = cJSON_CreateObject()) == NULL)
		return ERR_NOMEM;
	*out = json_get(x->custom, "atalaia");
	return *out != NULL ? OK : json_add_object(x->custom, "atalaia", out);
}

static enum err
put_helper(struct repo *r, struct repo_entries *l, const char *name, const char *tmp,
    cJSON *custom, uint64_t *bytes, struct fault *f)
{
	uint64_t length;
	char sha256[65];
	enum err e = repo_store(r, name, tmp, &length, sha256, f);

	(void)unlink(tmp);
	if (e != OK) {
		cJSON_Delete(custom);
		return e;
	}
	*bytes += length;
	return repo_entry_put(l, name, length, sha256, custom);
}

static enum err
delta_custom(cJSON **out, const char *from, const char *to)
{
	cJSON *inner;
	enum err e;

	*out = cJSON_CreateObject();
	e = *out != NULL ? json_add_object(*out, "atalaia", &inner) : ERR_NOMEM;
	if (e == OK)
		e = json_add_string(inner, "from", from);
	if (e == OK)
		e = json_add_string(inner, "to", to);
	return e;
}

static enum err
name_delta(struct repo_entries *l, const char *name, const char *from, const char *path)
{
	struct repo_entry *x = repo_entry_find(l, name);
	cJSON *inner, *d = NULL;
	enum err e = x != NULL ? ours(x, &inner) : ERR_NOTFOUND;

	if (e == OK)
		e = json_add_object(inner, "delta", &d);
	if (e == OK)
		e = json_add_string(d, "from", from);
	return e == OK ? json_add_string(d, "path", path) : e;
}

enum err
repo_make_delta(struct repo *r, struct repo_entries *l, const char *name, const char *old_sha256,
    const struct repo_publish *how, struct repo_report *report, struct fault *f)
{
	char old_path[REPO_PATH], new_path[REPO_PATH], tmp[REPO_PATH], path[REPO_PATH];
	struct delta_make m = { .old_path = old_path, .new_path = new_path, .out_path = tmp };
	const struct repo_entry *x = repo_entry_find(l, name);
	cJSON *custom = NULL;
	enum err e;

	if (x == NULL || helper_name(path, sizeof path, "delta", name, x->sha256, "d") != OK)
		return OK; /* no room in the name: clients take the target itself */
	e = repo_target_path(r, old_path, name, old_sha256, f);
	if (e == OK)
		e = repo_target_path(r, new_path, name, x->sha256, f);
	if (e == OK)
		e = repo_join(tmp, r->dir, "staged/delta.tmp", f);
	if (e != OK || !file_exists(old_path))
		return e; /* the predecessor is gone: nothing to start from */
	tell(how, "delta", name, 0, x->length);
	e = delta_make(&m, f);
	tell(how, "delta", name, x->length, x->length);
	if (e != OK)
		return e;
	if (m.delta_len >= m.new_len - m.new_len / 8) {
		(void)unlink(tmp);
		return OK; /* it saves nothing */
	}
	e = delta_custom(&custom, old_sha256, x->sha256);
	if (e != OK) {
		cJSON_Delete(custom);
		return e;
	}
	e = put_helper(r, l, path, tmp, custom, &report->delta_bytes, f);
	if (e == OK)
		e = name_delta(l, name, old_sha256, path);
	if (e == OK)
		report->deltas++;
	return e;
}

/* ---- full copies ---- */

/* A full copy is the longest step of a publication: how far it is is told. */
struct compressing {
	const struct repo_publish *how;
	const char *name;
	uint64_t done, total;
};

static enum err
compress_fd(int in, int out, struct compressing *c)
{
	size_t in_size = ZSTD_CStreamInSize(), out_size = ZSTD_CStreamOutSize(), left = 0;
	uint8_t *a = malloc(in_size), *b = malloc(out_size);
	ZSTD_CCtx *z = ZSTD_createCCtx();
	ssize_t n = 1;
	enum err e = a != NULL && b != NULL && z != NULL ? OK : ERR_NOMEM;

	if (e == OK && (ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel,
			     c->how->full_level)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, LIMIT_DELTA_WINDOW_LOG))))
		e = ERR_INVAL;
	while (e == OK && n > 0) {
		ZSTD_inBuffer ib;

		n = read(in, a, in_size);
		if (n < 0) {
			e = err_from_errno(errno);
			break;
		}
		ib = (ZSTD_inBuffer) { a, (size_t)n, 0 };
		do {
			ZSTD_outBuffer ob = { b, out_size, 0 };

			left =
			    ZSTD_compressStream2(z, &ob, &ib, n > 0 ? ZSTD_e_continue : ZSTD_e_end);
			e = ZSTD_isError(left) ? ERR_NOMEM : file_write_all(out, b, ob.pos);
		} while (e == OK && (ib.pos < ib.size || (n == 0 && left > 0)));
		c->done += (uint64_t)n;
		if (c->done < c->total)
			tell(c->how, "full", c->name, c->done, c->total);
	}
	ZSTD_freeCCtx(z);
	free(a);
	free(b);
	return e;
}

static enum err
compress_file(const char *from, const char *to, struct compressing *c, struct fault *f)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	enum err e;

	if (in < 0)
		return fault_sys(f, errno, "cannot open %s", from);
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (out < 0) {
		e = fault_sys(f, errno, "cannot make %s", to);
		(void)close(in);
		return e;
	}
	e = compress_fd(in, out, c);
	if (close(out) != 0 && e == OK)
		e = err_from_errno(errno);
	(void)close(in);
	return e == OK ? OK : fault_set(f, e, "cannot compress %s: %s", from, err_text(e));
}

enum err
repo_make_full(struct repo *r, struct repo_entries *l, const char *name,
    const struct repo_publish *how, struct repo_report *report, struct fault *f)
{
	struct compressing c = { how, name, 0, 0 };
	char from[REPO_PATH], tmp[REPO_PATH], path[REPO_PATH];
	struct repo_entry *x = repo_entry_find(l, name);
	uint64_t size = 0;
	cJSON *inner;
	enum err e;

	if (x == NULL || how->full_level <= 0 || x->length < FULL_MIN ||
	    helper_name(path, sizeof path, "full", name, x->sha256, "zst") != OK)
		return OK;
	e = repo_target_path(r, from, name, x->sha256, f);
	if (e == OK)
		e = repo_join(tmp, r->dir, "staged/full.tmp", f);
	c.total = x->length;
	tell(how, "full", name, 0, x->length);
	if (e == OK)
		e = compress_file(from, tmp, &c, f);
	if (e == OK)
		e = file_size(tmp, &size);
	tell(how, "full", name, x->length, x->length);
	if (e != OK || size >= x->length - x->length / 10) {
		(void)unlink(tmp);
		return e; /* compressed already, as .cvd files are */
	}
	e = ours(x, &inner);
	if (e == OK)
		e = json_add_string(inner, "full", path);
	return e == OK ? put_helper(r, l, path, tmp, NULL, &report->full_bytes, f) : e;
}

/* ---- which helpers stay ---- */

static const char *
custom_text(const struct repo_entry *x, const char *name)
{
	const cJSON *v = json_get(json_get(x->custom, "atalaia"), name);

	return cJSON_IsString(v) ? v->valuestring : NULL;
}

/* Marks the deltas on the way back from sha256, newest first. */
static void
mark_chain(const struct repo_entries *l, const char *sha256, uint32_t keep, bool *stays)
{
	const char *want = sha256;
	size_t i;

	while (keep-- > 0) {
		for (i = 0; i < l->count; i++) {
			const char *to = custom_text(&l->list[i], "to");

			if (!stays[i] && text_starts(l->list[i].path, "delta/") && to != NULL &&
			    strcmp(to, want) == 0)
				break;
		}
		if (i == l->count)
			return;
		stays[i] = true;
		want = custom_text(&l->list[i], "from");
		if (want == NULL)
			return;
	}
}

enum err
repo_drop_helpers(struct repo *r, struct repo_entries *l, struct fault *f)
{
	bool *stays = calloc(l->count + 1, sizeof *stays);
	size_t i, j, n = l->count;

	if (stays == NULL)
		return fault_set(f, ERR_NOMEM, "memory ran out");
	for (i = 0; i < l->count; i++) {
		const char *full = custom_text(&l->list[i], "full");

		if (repo_is_helper(l->list[i].path))
			continue;
		stays[i] = true;
		mark_chain(l, l->list[i].sha256, r->keep_deltas, stays);
		for (j = 0; full != NULL && j < l->count; j++)
			stays[j] = stays[j] || strcmp(l->list[j].path, full) == 0;
	}
	for (i = n; i-- > 0;)
		if (!stays[i])
			repo_entry_drop(l, l->list[i].path);
	free(stays);
	return OK;
}
