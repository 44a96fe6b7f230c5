/* set_mend.c - a kept set was damaged: what was built anew moves into its folder file by file. Each
 * rename puts a right file where a wrong, a torn or none was, so a reader at any instant finds at
 * most what was wrong before; a death in between leaves less damage, which the next run finds. Two
 * folders that change places in one step would do as well, but not on every file system. */
#include "update/set_priv.h"

#include "base/log.h"
#include "base/text.h"
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Something else stands where a folder must be: it goes. */
static enum err
make_parents(const char *folder, const char *name, struct fault *f)
{
	char path[SET_PATH];
	const char *slash = name;
	struct stat st;
	enum err e = OK;

	while (e == OK && (slash = strchr(slash, '/')) != NULL) {
		int n = snprintf(path, sizeof path, "%s/%.*s", folder, (int)(slash - name), name);

		if (n < 0 || (size_t)n >= sizeof path)
			return ERR_TOOBIG;
		if (lstat(path, &st) == 0 && !S_ISDIR(st.st_mode) && unlink(path) != 0)
			e = fault_sys(f, errno, "cannot remove %s", path);
		if (e == OK && mkdir(path, 0755) != 0 && errno != EEXIST)
			e = fault_sys(f, errno, "cannot make %s", path);
		slash++;
	}
	return e;
}

static enum err
move_in(const char *from, const char *folder, const char *name, struct fault *f)
{
	char a[SET_PATH], b[SET_PATH] = "";
	enum err e = file_join(a, sizeof a, from, name);

	if (e == OK)
		e = file_join(b, sizeof b, folder, name);
	if (e == OK)
		e = make_parents(folder, name, f);
	if (e == OK && rename(a, b) != 0) {
		if (errno == EISDIR)
			e = file_remove_tree(AT_FDCWD, b, f);
		if (e == OK && rename(a, b) != 0)
			e = fault_sys(f, errno, "cannot rename %s", a);
	}
	return e;
}

/* What the manifest does not name. `at` is the path within the set, "" for its folder. */
static enum err
drop_extras(const struct set_manifest *m, const char *folder, const char *at, struct fault *f)
{
	char path[SET_PATH], inner[SET_PATH];
	DIR *dir = opendir(folder);
	struct dirent *d;
	struct stat st;
	enum err e = OK;

	if (dir == NULL)
		return fault_sys(f, errno, "cannot list %s", folder);
	while (e == OK && (d = file_next(dir, &e, f)) != NULL) {
		int n = snprintf(
		    inner, sizeof inner, "%s%s%s", at, at[0] == '\0' ? "" : "/", d->d_name);

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		e = n < 0 || (size_t)n >= sizeof inner
			? ERR_TOOBIG
			: file_join(path, sizeof path, folder, d->d_name);
		if (e != OK || lstat(path, &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode)) {
			e = drop_extras(m, path, inner, f);
			(void)rmdir(path); /* stays when it holds something */
		} else if (!set_manifest_has(m, SET_FILE, inner) && unlink(path) != 0) {
			e = fault_sys(f, errno, "cannot remove %s", path);
		}
	}
	(void)closedir(dir);
	return e;
}

static enum err
mend_files(struct building *x, struct fault *f)
{
	const struct set_manifest *m = &x->manifest;
	char folder[SET_PATH];
	enum err e = set_path(folder, sizeof folder, x->b->feed_dir, x->b->version, "");

	for (size_t i = 0; e == OK && i < m->count; i++)
		if (m->list[i].kind == SET_FILE)
			e = move_in(x->root, folder, m->list[i].path, f);
	if (e == OK)
		e = drop_extras(m, folder, "", f);
	return e != OK ? e : set_sync_folders(folder, 0, f);
}

/* Packs before the manifest that names them. */
static enum err
mend_meta(struct building *x, struct fault *f)
{
	const struct set_manifest *m = &x->manifest;
	char meta[SET_PATH], hex[2 * SET_SHA + 1];
	enum err e = set_path(meta, sizeof meta, x->b->feed_dir, x->b->version, ".meta");

	if (e == OK)
		e = file_make_dirs(meta, 0755, f);
	for (size_t i = 0; e == OK && i < m->count; i++) {
		text_hex(hex, m->list[i].sha256, SET_SHA);
		if (m->list[i].kind == SET_PACK)
			e = move_in(x->meta, meta, hex, f);
	}
	if (e == OK)
		e = move_in(x->meta, meta, "manifest", f);
	return e != OK ? e : file_sync_dir(meta, f);
}

enum err
set_mend(struct building *x, struct fault *f)
{
	enum err e = mend_files(x, f);

	if (e == OK)
		e = mend_meta(x, f);
	if (e == OK)
		log_warn("set.mended", "dir=%s version=%llu", log_q(x->b->feed_dir),
		    (unsigned long long)x->b->version);
	return e;
}
