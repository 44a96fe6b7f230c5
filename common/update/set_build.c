/* set_build.c - builds sets/<version> beside the others; nothing is visible before it is whole.
 * Order: files fsynced, folders fsynced, <version>.meta renamed, <version> renamed. */
#include "update/set_priv.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "os/file.h"
#include "update/hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum err
set_sync_folders(const char *path, unsigned depth, struct fault *f)
{
	char below[SET_PATH];
	struct dirent *d;
	DIR *dir;
	enum err e = OK;

	if (depth > SET_DEPTH || (dir = opendir(path)) == NULL)
		return fault_set(f, ERR_IO, "cannot list %s", path);
	while (e == OK && (d = file_next(dir, &e, f)) != NULL) {
		if (d->d_name[0] == '.' && (d->d_name[1] == '\0' || strcmp(d->d_name, "..") == 0))
			continue;
		if (d->d_type == DT_DIR) {
			e = file_join(below, sizeof below, path, d->d_name);
			if (e == OK)
				e = set_sync_folders(below, depth + 1, f);
		}
	}
	(void)closedir(dir);
	return e != OK ? e : file_sync_dir(path, f);
}

/* The part of the manifest that says what was asked for. */
static enum err
add_request(const struct set_build *b, struct set_manifest *m, struct fault *f)
{
	size_t i;
	enum err e = OK;

	for (i = 0; e == OK && i < b->count; i++) {
		const struct set_file *t = &b->files[i];

		if (!text_is_target_path(t->path, strlen(t->path)))
			return fault_set(f, ERR_INVAL,
			    "a target name is not allowed in a set: only A-Z a-z "
			    "0-9 . _ - and / between parts");
		if (t->size > LIMIT_TARGET_BYTES)
			return fault_set(f, ERR_TOOBIG, "the target %s is too large", t->path);
		e = set_manifest_add(
		    m, t->pack ? SET_PACK : SET_TARGET, t->path, t->size, t->sha256);
	}
	return e;
}

enum kept { KEPT_SAME, KEPT_OTHER, KEPT_UNREADABLE };

/* What the kept set of this version was built from, as its manifest says. */
static enum kept
compare_kept(struct set_build *b, struct set_manifest *request)
{
	struct set_manifest have = { 0 };
	uint8_t identity[SET_SHA];
	struct buf text;
	enum kept kept = KEPT_UNREADABLE;
	bool same;
	size_t i, n = 0;

	buf_init(&text, LIMIT_MANIFEST);
	if (set_manifest_text(request, &text, NULL) == OK &&
	    set_manifest_load(b->feed_dir, b->version, &have, identity, NULL) == OK) {
		while (n < have.count && have.list[n].kind != SET_FILE)
			n++;
		same = n == request->count;
		for (i = 0; same && i < n; i++)
			same = have.list[i].kind == request->list[i].kind &&
			       have.list[i].size == request->list[i].size &&
			       strcmp(have.list[i].path, request->list[i].path) == 0 &&
			       memcmp(have.list[i].sha256, request->list[i].sha256, SET_SHA) == 0;
		for (i = n; same && i < have.count; i++) {
			b->bytes += have.list[i].size;
			b->members++;
		}
		memcpy(b->manifest_sha256, identity, SET_SHA);
		kept = same ? KEPT_SAME : KEPT_OTHER;
	}
	set_manifest_free(&have);
	buf_free(&text);
	return kept;
}

/* *done: the set is there already. Else clears the way for building it; a damaged one stays until
 * it is mended. */
static enum err
clear_way(struct building *x, struct set_manifest *request, bool *done, struct fault *f)
{
	char path[SET_PATH];
	uint64_t current;
	enum err e = set_path(path, sizeof path, x->b->feed_dir, x->b->version, "");

	*done = false;
	if (e == OK && file_exists(path)) {
		enum kept kept = compare_kept(x->b, request);

		if (kept == KEPT_SAME && set_check(x->b->feed_dir, x->b->version, NULL) == OK) {
			*done = true;
			return OK;
		}
		x->b->bytes = x->b->members = 0;
		x->mend = kept != KEPT_OTHER;
		if (x->mend)
			return OK;
		if (set_current(x->b->feed_dir, &current, NULL) == OK && current == x->b->version)
			return fault_set(f, ERR_EXISTS, "another set of version %llu is active",
			    (unsigned long long)current);
	}
	return e != OK ? e : set_remove(x->b->feed_dir, x->b->version, f);
}

static enum err
make_folders(struct building *x, struct fault *f)
{
	enum err e = set_path(x->root, SET_PATH, x->b->feed_dir, x->b->version, ".tmp");

	if (e == OK)
		e = set_path(x->meta, SET_PATH, x->b->feed_dir, x->b->version, ".meta.tmp");
	if (e == OK)
		e = file_remove_tree(AT_FDCWD, x->root, f);
	if (e == OK)
		e = file_remove_tree(AT_FDCWD, x->meta, f);
	if (e == OK)
		e = file_make_dirs(x->root, 0755, f);
	if (e == OK)
		e = file_make_dirs(x->meta, 0755, f);
	return e;
}

static enum err
write_manifest(struct building *x, struct fault *f)
{
	char path[SET_PATH];
	struct buf text;
	enum err e;

	buf_init(&text, LIMIT_MANIFEST);
	e = set_manifest_text(&x->manifest, &text, f);
	if (e == OK)
		e = file_join(path, sizeof path, x->meta, "manifest");
	if (e == OK)
		e = file_replace(
		    path, text.data != NULL ? text.data : (const void *)"", text.len, 0644, f);
	if (e == OK)
		hash_once(HASH_SHA256, text.data, text.len, x->b->manifest_sha256);
	buf_free(&text);
	return e;
}

/* <version>.meta first: a folder <version> never stands without its manifest. */
static enum err
publish(struct building *x, struct fault *f)
{
	char to[SET_PATH], sets[SET_PATH];
	enum err e = file_join(sets, sizeof sets, x->b->feed_dir, "sets");

	if (e == OK)
		e = set_path(to, sizeof to, x->b->feed_dir, x->b->version, ".meta");
	if (e == OK && rename(x->meta, to) != 0)
		return fault_sys(f, errno, "cannot rename %s", x->meta);
	if (e == OK)
		e = file_sync_dir(sets, f);
	if (e == OK)
		e = set_path(to, sizeof to, x->b->feed_dir, x->b->version, "");
	if (e == OK && rename(x->root, to) != 0)
		return fault_sys(f, errno, "cannot rename %s", x->root);
	if (e == OK)
		e = file_sync_dir(sets, f);
	return e != OK ? e : file_sync_dir(x->b->feed_dir, f); /* `sets` itself may be new */
}

static enum err
fill(struct building *x, struct fault *f)
{
	size_t i;
	enum err e = OK;

	for (i = 0; e == OK && i < x->b->count; i++) {
		if (set_canceled(x))
			e = ERR_CANCELED;
		else if (x->b->files[i].pack)
			e = set_put_pack(x, &x->b->files[i], f);
		else
			e = set_put_target(x, &x->b->files[i], f);
	}
	return e;
}

static enum err
build_new(struct building *x, struct fault *f)
{
	enum err e = make_folders(x, f);

	if (e == OK)
		e = set_known_load(x->b->feed_dir, &x->known, f);
	if (e == OK)
		e = fill(x, f);
	if (e == OK)
		e = write_manifest(x, f);
	if (e == OK)
		e = set_sync_folders(x->root, 0, f);
	if (e == OK)
		e = set_sync_folders(x->meta, 0, f);
	if (e == OK)
		e = x->mend ? set_mend(x, f) : publish(x, f);
	if ((e != OK || x->mend) && (file_remove_tree(AT_FDCWD, x->root, NULL) != OK ||
					file_remove_tree(AT_FDCWD, x->meta, NULL) != OK))
		log_warn("set.leftover", "path=%s", log_q(x->root)); /* set_clean takes it later */
	return e;
}

enum err
set_build(struct set_build *b, struct fault *f)
{
	struct building *x = calloc(1, sizeof *x);
	bool done = false;
	enum err e = x != NULL && (x->buf = malloc(SET_CHUNK)) != NULL ? OK : ERR_NOMEM;

	b->bytes = 0;
	b->members = b->linked = 0;
	if (e == OK) {
		x->b = b;
		e = add_request(b, &x->manifest, f);
	}
	if (e == OK)
		e = clear_way(x, &x->manifest, &done, f);
	if (e == OK && !done)
		e = build_new(x, f);
	if (x != NULL) {
		set_manifest_free(&x->manifest);
		set_known_free(&x->known);
		free(x->buf);
		free(x);
	}
	return e == OK ? OK
		       : fault_set(f, e, "cannot build set %llu: %s",
			     (unsigned long long)b->version, err_text(e));
}
