/* set_keep.c - which sets there are, which is active, and how they go. */
#include "update/set_priv.h"

#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
compare_versions(const void *pa, const void *pb)
{
	uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;

	return a < b ? -1 : a > b;
}

static bool
has_manifest(const char *feed_dir, uint64_t version)
{
	char path[SET_PATH];

	return set_path(path, sizeof path, feed_dir, version, ".meta/manifest") == OK &&
	       file_exists(path);
}

/* Calls each for every name in <feed>/sets. An absent folder has none. */
static enum err
each_name(
    const char *feed_dir, enum err (*each)(void *arg, const char *name), void *arg, struct fault *f)
{
	char path[SET_PATH];
	struct dirent *d;
	DIR *dir;
	enum err e = file_join(path, sizeof path, feed_dir, "sets");

	if (e != OK)
		return e;
	dir = opendir(path);
	if (dir == NULL)
		return errno == ENOENT ? OK : fault_sys(f, errno, "cannot list %s", path);
	while (e == OK && (d = readdir(dir)) != NULL)
		e = each(arg, d->d_name);
	(void)closedir(dir);
	return e;
}

struct listing {
	const char *feed_dir;
	uint64_t *versions;
	size_t count, cap;
};

static enum err
list_one(void *arg, const char *name)
{
	struct listing *l = arg;
	uint64_t v;

	if (text_u64(name, strlen(name), UINT64_MAX / 2, &v) != OK || !has_manifest(l->feed_dir, v))
		return OK;
	if (l->count == l->cap) {
		size_t cap = l->cap == 0 ? 16 : l->cap * 2;
		void *p = realloc(l->versions, cap * sizeof *l->versions);

		if (p == NULL)
			return ERR_NOMEM;
		l->versions = p;
		l->cap = cap;
	}
	l->versions[l->count++] = v;
	return OK;
}

static enum err
list_all(const char *feed_dir, struct listing *l, struct fault *f)
{
	enum err e;

	memset(l, 0, sizeof *l);
	l->feed_dir = feed_dir;
	e = each_name(feed_dir, list_one, l, f);
	if (e == OK && l->count > 0)
		qsort(l->versions, l->count, sizeof *l->versions, compare_versions);
	return e;
}

enum err
set_list(const char *feed_dir, uint64_t *versions, size_t max, size_t *count, struct fault *f)
{
	struct listing l;
	enum err e = list_all(feed_dir, &l, f);
	size_t n = l.count < max ? l.count : max;

	*count = e == OK ? l.count : 0;
	if (e == OK && n > 0) /* the newest when there are more than fit */
		memcpy(versions, l.versions + (l.count - n), n * sizeof *versions);
	free(l.versions);
	return e;
}

enum err
set_current(const char *feed_dir, uint64_t *version, struct fault *f)
{
	char path[SET_PATH], target[64];
	ssize_t n;

	if (file_join(path, sizeof path, feed_dir, "current") != OK)
		return ERR_TOOBIG;
	n = readlink(path, target, sizeof target);
	if (n < 0)
		return errno == ENOENT || errno == EINVAL
			   ? ERR_NOTFOUND
			   : fault_sys(f, errno, "cannot read the link %s", path);
	if (n <= 5 || (size_t)n >= sizeof target || memcmp(target, "sets/", 5) != 0 ||
	    text_u64(target + 5, (size_t)n - 5, UINT64_MAX / 2, version) != OK ||
	    !has_manifest(feed_dir, *version))
		return ERR_NOTFOUND;
	return OK;
}

enum err
set_activate(const char *feed_dir, uint64_t version, struct fault *f)
{
	char path[SET_PATH], tmp[SET_PATH], target[64];
	enum err e = set_path(path, sizeof path, feed_dir, version, "");

	if (e != OK || !file_exists(path) || !has_manifest(feed_dir, version))
		return fault_set(f, e != OK ? e : ERR_NOTFOUND,
		    "there is no set of version %" PRIu64 " in %s", version, feed_dir);
	e = file_join(path, sizeof path, feed_dir, "current");
	if (e == OK)
		e = file_join(tmp, sizeof tmp, feed_dir, "current.tmp");
	if (e != OK)
		return e;
	(void)snprintf(target, sizeof target, "sets/%" PRIu64, version);
	(void)unlink(tmp);
	if (symlink(target, tmp) != 0)
		return fault_sys(f, errno, "cannot make %s", tmp);
	if (rename(tmp, path) != 0) {
		e = fault_sys(f, errno, "cannot rename %s", tmp);
		(void)unlink(tmp);
		return e;
	}
	return file_sync_dir(feed_dir, f);
}

enum err
set_identity(const char *feed_dir, uint64_t version, uint8_t out[SET_SHA], struct fault *f)
{
	return set_manifest_load(feed_dir, version, NULL, out, f);
}

/* ---- checking ---- */

static enum err
count_files(const char *path, unsigned depth, size_t *count)
{
	char below[SET_PATH];
	struct dirent *d;
	DIR *dir = depth > SET_DEPTH ? NULL : opendir(path);
	enum err e = OK;

	if (dir == NULL)
		return ERR_IO;
	while (e == OK && (d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		e = file_join(below, sizeof below, path, d->d_name);
		if (e == OK && d->d_type == DT_DIR)
			e = count_files(below, depth + 1, count);
		else
			(*count)++;
	}
	(void)closedir(dir);
	return e;
}

static enum err
check_entry(const char *folder, const char *name, const struct set_entry *x, struct fault *f)
{
	char path[SET_PATH];
	uint8_t sum[SET_SHA];
	enum err e = file_join(path, sizeof path, folder, name);

	if (e == OK)
		e = set_hash_file(path, x->size, sum, NULL, f);
	if (e == OK && memcmp(sum, x->sha256, SET_SHA) != 0)
		e = ERR_VERIFY;
	if (e == ERR_NOTFOUND)
		e = ERR_VERIFY;
	return e == OK ? OK : fault_set(f, e, "%s is not what the manifest says", path);
}

enum err
set_check(const char *feed_dir, uint64_t version, struct fault *f)
{
	char folder[SET_PATH], meta[SET_PATH], hex[2 * SET_SHA + 1];
	struct set_manifest m = { 0 };
	size_t i, files = 0, found = 0;
	enum err e = set_path(folder, sizeof folder, feed_dir, version, "");

	if (e == OK)
		e = set_path(meta, sizeof meta, feed_dir, version, ".meta");
	if (e == OK)
		e = set_manifest_load(feed_dir, version, &m, NULL, f);
	for (i = 0; e == OK && i < m.count; i++) {
		text_hex(hex, m.list[i].sha256, SET_SHA);
		if (m.list[i].kind == SET_PACK)
			e = check_entry(meta, hex, &m.list[i], f);
		if (m.list[i].kind != SET_FILE)
			continue;
		files++;
		e = check_entry(folder, m.list[i].path, &m.list[i], f);
	}
	if (e == OK)
		e = count_files(folder, 0, &found);
	if (e == OK && found != files)
		e = fault_set(f, ERR_VERIFY, "%s holds files that are not in its manifest", folder);
	set_manifest_free(&m);
	return e;
}

/* ---- removing ---- */

/* First the folder under another name, then its bytes, then the manifest: a whole-looking set is
 * whole. */
enum err
set_remove(const char *feed_dir, uint64_t version, struct fault *f)
{
	char path[SET_PATH], gone[SET_PATH];
	uint64_t current = 0;
	enum err e = set_path(path, sizeof path, feed_dir, version, "");

	if (set_current(feed_dir, &current, NULL) == OK && current == version)
		return fault_set(f, ERR_STATE, "set %" PRIu64 " is active and stays", version);
	if (e == OK)
		e = set_path(gone, sizeof gone, feed_dir, version, ".rm");
	if (e == OK)
		e = file_remove_tree(AT_FDCWD, gone, f);
	if (e == OK && rename(path, gone) != 0 && errno != ENOENT)
		e = fault_sys(f, errno, "cannot rename %s", path);
	if (e == OK)
		e = file_remove_tree(AT_FDCWD, gone, f);
	if (e == OK)
		e = set_path(path, sizeof path, feed_dir, version, ".meta");
	return e != OK ? e : file_remove_tree(AT_FDCWD, path, f);
}

enum err
set_prune(const char *feed_dir, unsigned keep, const uint64_t *protect, size_t n, struct fault *f)
{
	struct listing l;
	uint64_t current = 0;
	bool active = set_current(feed_dir, &current, NULL) == OK;
	enum err e = list_all(feed_dir, &l, f);
	size_t i, j, left = l.count;

	if (keep < 2)
		keep = 2;
	for (i = 0; e == OK && i < l.count && left > keep; i++) {
		/* the newest may be staged just now and wait for its gate */
		bool stays = (active && l.versions[i] == current) || i + 1 == l.count;

		for (j = 0; j < n; j++)
			stays = stays || protect[j] == l.versions[i];
		if (stays)
			continue;
		e = set_remove(feed_dir, l.versions[i], f);
		left--;
	}
	free(l.versions);
	return e;
}

struct cleaning {
	const char *feed_dir;
	struct fault *f;
};

static enum err
clean_one(void *arg, const char *name)
{
	struct cleaning *c = arg;
	char path[SET_PATH];
	const char *dot = strchr(name, '.');
	uint64_t v;
	enum err e;

	if (dot == NULL || text_u64(name, (size_t)(dot - name), UINT64_MAX / 2, &v) != OK)
		return OK;
	e = set_path(path, sizeof path, c->feed_dir, v, "");
	if (e == OK && strcmp(dot, ".meta") == 0 && file_exists(path))
		return OK;
	if (e == OK)
		e = set_path(path, sizeof path, c->feed_dir, v, dot);
	return e != OK ? e : file_remove_tree(AT_FDCWD, path, c->f);
}

enum err
set_clean(const char *feed_dir, struct fault *f)
{
	struct cleaning c = { feed_dir, f };
	char tmp[SET_PATH];
	enum err e = file_join(tmp, sizeof tmp, feed_dir, "current.tmp");

	/* Who may not write beside `current` (atalaia-fetch) leaves this one to set_activate. */
	if (e == OK && unlink(tmp) != 0 && errno != ENOENT && errno != EACCES)
		e = fault_sys(f, errno, "cannot remove %s", tmp);
	return e != OK ? e : each_name(feed_dir, clean_one, &c, f);
}
