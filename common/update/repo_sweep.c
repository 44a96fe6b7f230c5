/* repo_sweep.c - old versions leave the public folder: metadata and targets that no kept version
 * names. Kept are the newest three versions and whatever was current within the last 48 hours, so
 * that a slow download of an older version can end (DESIGN section 5). Roots stay for ever. */
#include "update/repo_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEEP_VERSIONS 3
#define KEEP_MS (48 * 3600000ll)

struct numbered {
	uint64_t version;
	int64_t written_ms;
};

struct sweeping {
	struct repo *r;
	struct fault *f;
	char **names; /* stored names that stay, sorted: <folder>/<sha256>.<name> */
	size_t count, cap;
};

static int
by_version(const void *pa, const void *pb)
{
	const struct numbered *a = pa, *b = pb;

	return a->version < b->version ? -1 : a->version > b->version;
}

/* "<N>.<role>.json" -> N; 0 when the name is another. */
static uint64_t
version_in(const char *name, const char *role)
{
	const char *dot = strchr(name, '.');
	char tail[80];
	uint64_t v;

	(void)snprintf(tail, sizeof tail, ".%s.json", role);
	if (dot == NULL || strcmp(dot, tail) != 0 ||
	    text_u64(name, (size_t)(dot - name), JSON_MAX_INT, &v) != OK)
		return 0;
	return v;
}

/* All versions of a role on disk, ascending. */
static enum err
list_versions(struct sweeping *s, const char *role, struct numbered **out, size_t *count)
{
	DIR *dir = opendir(s->r->meta);
	struct dirent *d;
	enum err e = OK;

	*out = NULL;
	*count = 0;
	if (dir == NULL)
		return fault_sys(s->f, errno, "cannot list %s", s->r->meta);
	while (e == OK && (d = readdir(dir)) != NULL) {
		uint64_t v = version_in(d->d_name, role);
		struct stat st;
		void *p;

		if (v == 0 || fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		p = realloc(*out, (*count + 1) * sizeof **out);
		if (p == NULL) {
			e = ERR_NOMEM;
			break;
		}
		*out = p;
		(*out)[(*count)++] = (struct numbered){ v, (int64_t)st.st_mtime * 1000 };
	}
	(void)closedir(dir);
	if (*count > 0)
		qsort(*out, *count, sizeof **out, by_version);
	return e;
}

/* A version was current until its successor was written. */
static bool
stays(const struct numbered *l, size_t count, size_t i)
{
	return i + KEEP_VERSIONS >= count || clock_wall_ms() - l[i + 1].written_ms < KEEP_MS;
}

static enum err
remember(struct sweeping *s, const char *path)
{
	if (s->count == s->cap) {
		size_t cap = s->cap == 0 ? 256 : s->cap * 2;
		void *p = realloc(s->names, cap * sizeof *s->names);

		if (p == NULL)
			return ERR_NOMEM;
		s->names = p;
		s->cap = cap;
	}
	s->names[s->count] = strdup(path);
	return s->names[s->count++] != NULL ? OK : ERR_NOMEM;
}

/* Every file that a kept document of targets names. */
static enum err
remember_targets(struct sweeping *s, const char *role, uint64_t version)
{
	struct repo_entries l = { 0 };
	struct signed_doc d = { 0 };
	char path[REPO_PATH];
	size_t i;
	enum err e = repo_meta_path(s->r, path, version, role, s->f);

	if (e == OK)
		e = repo_load_doc(&d, path, LIMIT_TUF_TARGETS, s->f);
	if (e == OK)
		e = repo_entries_read(&l, d.body, s->f);
	for (i = 0; e == OK && i < l.count; i++) {
		e = repo_target_path(s->r, path, l.list[i].path, l.list[i].sha256, s->f);
		if (e == OK)
			e = remember(s, path);
	}
	repo_entries_free(&l);
	signed_free(&d);
	return e;
}

/* Old documents of a role go; what the others name is remembered. */
static enum err
sweep_role(struct sweeping *s, const char *role, bool targets)
{
	struct numbered *l;
	size_t n, i;
	char path[REPO_PATH];
	enum err e = list_versions(s, role, &l, &n);

	for (i = 0; e == OK && i < n; i++) {
		if (stays(l, n, i)) {
			e = targets ? remember_targets(s, role, l[i].version) : OK;
			continue;
		}
		e = repo_meta_path(s->r, path, l[i].version, role, s->f);
		if (e == OK && unlink(path) != 0 && errno != ENOENT)
			e = fault_sys(s->f, errno, "cannot remove %s", path);
	}
	free(l);
	return e;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum err
sweep_files(struct sweeping *s, const char *folder, unsigned depth)
{
	char path[REPO_PATH], *key = path;
	DIR *dir = depth < 64 ? opendir(folder) : NULL;
	struct dirent *d;
	struct stat st;
	enum err e = OK;

	if (dir == NULL)
		return fault_set(s->f, ERR_IO, "cannot list %s", folder);
	while (e == OK && (d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		e = repo_join(path, folder, d->d_name, s->f);
		if (e != OK || lstat(path, &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode))
			e = sweep_files(s, path, depth + 1);
		else if (bsearch(&key, s->names, s->count, sizeof *s->names, by_text) == NULL &&
		    clock_wall_ms() - (int64_t)st.st_mtime * 1000 >= KEEP_MS)
			(void)unlink(path);
	}
	(void)closedir(dir);
	return e;
}

enum err
repo_sweep(struct repo *r, struct fault *f)
{
	struct sweeping s = { .r = r, .f = f };
	const cJSON *one;
	size_t i;
	enum err e = sweep_role(&s, "targets", true);

	cJSON_ArrayForEach(one, json_get(json_get(r->targets.body, "delegations"), "roles")) {
		const cJSON *name = json_get(one, "name");

		if (e == OK && cJSON_IsString(name))
			e = sweep_role(&s, name->valuestring, true);
	}
	if (e == OK)
		e = sweep_role(&s, "snapshot", false);
	if (e == OK && s.count > 0) {
		qsort(s.names, s.count, sizeof *s.names, by_text);
		e = sweep_files(&s, r->targets_dir, 0);
	}
	for (i = 0; i < s.count; i++)
		free(s.names[i]);
	free(s.names);
	return e;
}
