/* repo_targets.c - the list of targets, and the changes that wait for publication. */
#include "update/repo_priv.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"
#include "update/pack.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH 32 /* folders within folders that repo_put_folder follows */

bool
repo_is_helper(const char *path)
{
	return text_starts(path, "delta/") || text_starts(path, "full/");
}

void
repo_entries_free(struct repo_entries *l)
{
	size_t i;

	for (i = 0; i < l->count; i++) {
		free(l->list[i].path);
		cJSON_Delete(l->list[i].custom);
	}
	free(l->list);
	memset(l, 0, sizeof *l);
}

/* Index of path, or where it would stand. */
static size_t
position(const struct repo_entries *l, const char *path, bool *found)
{
	size_t lo = 0, hi = l->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(l->list[mid].path, path) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*found = lo < l->count && strcmp(l->list[lo].path, path) == 0;
	return lo;
}

struct repo_entry *
repo_entry_find(const struct repo_entries *l, const char *path)
{
	bool found;
	size_t i = position(l, path, &found);

	return found ? &l->list[i] : NULL;
}

static enum err
insert_at(struct repo_entries *l, size_t i, const char *path)
{
	char *copy = strdup(path);

	if (copy != NULL && l->count == l->cap) {
		size_t cap = l->cap == 0 ? 32 : l->cap * 2;
		void *p = realloc(l->list, cap * sizeof *l->list);

		if (p == NULL) {
			free(copy);
			return ERR_NOMEM;
		}
		l->list = p;
		l->cap = cap;
	}
	if (copy == NULL)
		return ERR_NOMEM;
	memmove(l->list + i + 1, l->list + i, (l->count - i) * sizeof *l->list);
	memset(&l->list[i], 0, sizeof l->list[i]);
	l->list[i].path = copy;
	l->count++;
	return OK;
}

enum err
repo_entry_put(
    struct repo_entries *l, const char *path, uint64_t length, const char *sha256, cJSON *custom)
{
	bool found;
	size_t i = position(l, path, &found);
	enum err e = found ? OK : insert_at(l, i, path);

	if (e != OK) {
		cJSON_Delete(custom);
		return e;
	}
	cJSON_Delete(l->list[i].custom);
	l->list[i].custom = custom;
	l->list[i].length = length;
	return text_copy(l->list[i].sha256, sizeof l->list[i].sha256, sha256, strlen(sha256));
}

void
repo_entry_drop(struct repo_entries *l, const char *path)
{
	bool found;
	size_t i = position(l, path, &found);

	if (!found)
		return;
	free(l->list[i].path);
	cJSON_Delete(l->list[i].custom);
	memmove(l->list + i, l->list + i + 1, (l->count - i - 1) * sizeof *l->list);
	l->count--;
}

enum err
repo_entries_read(struct repo_entries *l, const cJSON *targets_body, struct fault *f)
{
	const cJSON *one, *all = json_get(targets_body, "targets");
	enum err e = OK;

	cJSON_ArrayForEach(one, all)
	{
		const cJSON *custom = json_get(one, "custom");
		const char *sha256 = NULL;
		uint64_t length = 0;

		e = json_get_u64(one, "length", JSON_MAX_INT, &length, f);
		if (e == OK)
			e = json_get_string(json_get(one, "hashes"), "sha256", &sha256, f);
		if (e == OK)
			e = repo_entry_put(l, one->string, length, sha256,
			    custom != NULL ? cJSON_Duplicate(custom, 1) : NULL);
		if (e != OK)
			return e;
	}
	return OK;
}

enum err
repo_entries_json(const struct repo_entries *l, cJSON **out)
{
	size_t i;
	enum err e;

	*out = cJSON_CreateObject();
	e = *out != NULL ? OK : ERR_NOMEM;
	for (i = 0; e == OK && i < l->count; i++) {
		cJSON *one, *hashes;

		e = json_add_object(*out, l->list[i].path, &one);
		if (e == OK)
			e = json_add_u64(one, "length", l->list[i].length);
		if (e == OK)
			e = json_add_object(one, "hashes", &hashes);
		if (e == OK)
			e = json_add_string(hashes, "sha256", l->list[i].sha256);
		if (e == OK && l->list[i].custom != NULL &&
		    !cJSON_AddItemToObject(one, "custom", cJSON_Duplicate(l->list[i].custom, 1)))
			e = ERR_NOMEM;
	}
	return e;
}

/* ---- pending changes ---- */

void
repo_pending_clear(struct repo *r)
{
	size_t i;

	for (i = 0; i < r->pending_count; i++) {
		free(r->pending[i].name);
		free(r->pending[i].path);
		buf_free(&r->pending[i].bytes);
	}
	for (i = 0; i < r->removed_count; i++)
		free(r->removed[i]);
	free(r->pending);
	free(r->removed);
	r->pending = NULL;
	r->removed = NULL;
	r->pending_count = r->pending_cap = r->removed_count = 0;
	r->whole = false;
}

static enum err
pending_slot(struct repo *r, const char *name, struct repo_pending **out, struct fault *f)
{
	struct repo_pending *p;

	if (!text_is_target_path(name, strlen(name)) || repo_is_helper(name)) {
		(void)fault_set(f, ERR_INVAL,
		    "the target name %s is not allowed: A-Z a-z 0-9 . _ - in "
		    "parts joined by /, and delta/ and full/ are made by publish",
		    name);
		return ERR_INVAL;
	}
	if (r->pending_count == r->pending_cap) {
		size_t cap = r->pending_cap == 0 ? 32 : r->pending_cap * 2;
		void *list = realloc(r->pending, cap * sizeof *r->pending);

		if (list == NULL)
			return ERR_NOMEM;
		r->pending = list;
		r->pending_cap = cap;
	}
	p = &r->pending[r->pending_count];
	memset(p, 0, sizeof *p);
	buf_init(&p->bytes, LIMIT_TUF_TARGETS);
	p->name = strdup(name);
	if (p->name == NULL)
		return ERR_NOMEM;
	r->pending_count++;
	*out = p;
	return OK;
}

enum err
repo_put_file(struct repo *r, const char *name, const char *path, struct fault *f)
{
	struct repo_pending *p = NULL;
	enum err e = pending_slot(r, name, &p, f);

	if (e == OK && (p->path = strdup(path)) == NULL)
		e = ERR_NOMEM;
	return e;
}

enum err
repo_put(struct repo *r, const char *name, const void *bytes, size_t n, struct fault *f)
{
	struct repo_pending *p = NULL;
	enum err e = pending_slot(r, name, &p, f);

	return e == OK ? buf_append(&p->bytes, bytes, n) : e;
}

enum err
repo_remove(struct repo *r, const char *name, struct fault *f)
{
	char **list;

	if (repo_is_helper(name) || repo_entry_find(&r->entries, name) == NULL)
		return fault_set(f, ERR_NOTFOUND, "there is no target %s", name);
	list = realloc(r->removed, (r->removed_count + 1) * sizeof *list);
	if (list == NULL)
		return ERR_NOMEM;
	r->removed = list;
	list[r->removed_count] = strdup(name);
	if (list[r->removed_count] == NULL)
		return ERR_NOMEM;
	r->removed_count++;
	return OK;
}

/* ---- whole sets ---- */

/* The pending files become one pack; it takes their place. */
static enum err
pack_pending(struct repo *r, struct fault *f)
{
	struct pack_member *list = calloc(r->pending_count, sizeof *list);
	struct repo_pending *p = NULL;
	char path[REPO_PATH], name[80];
	size_t i;
	enum err e = list != NULL ? repo_join(path, r->dir, "staged/folder.pack", f) : ERR_NOMEM;

	for (i = 0; e == OK && i < r->pending_count; i++) {
		if (r->pending[i].path == NULL)
			e = fault_set(f, ERR_INVAL, "only files can be packed");
		list[i] = (struct pack_member){ r->pending[i].name, r->pending[i].path };
	}
	if (e == OK)
		e = pack_write(path, list, r->pending_count, f);
	free(list);
	if (e != OK)
		return e;
	repo_pending_clear(r);
	(void)snprintf(name, sizeof name, "%s.pack", r->feed);
	e = pending_slot(r, name, &p, f);
	if (e != OK)
		return e;
	p->pack = true;
	p->path = strdup(path);
	return p->path != NULL ? OK : ERR_NOMEM;
}

enum err
repo_put_whole(struct repo *r, struct fault *f)
{
	enum err e = OK;

	if (r->pending_count == 0)
		return fault_set(f, ERR_INVAL, "there is no file: an empty set is not published");
	if (r->pending_count > LIMIT_SET_FILES)
		return fault_set(f, ERR_TOOBIG, "a set holds at most %d files", LIMIT_SET_FILES);
	if (r->pending_count > REPO_PACK_ABOVE)
		e = pack_pending(r, f);
	r->whole = e == OK;
	return e;
}

/* `skip`: bytes of the first folder's path and its slash. */
static enum err
walk(struct repo *r, const char *folder, size_t skip, unsigned depth, struct fault *f)
{
	char path[REPO_PATH];
	struct dirent *d;
	struct stat st;
	DIR *dir = opendir(folder);
	enum err e = OK;

	if (dir == NULL)
		return fault_sys(f, errno, "cannot list %s", folder);
	while (e == OK && (d = file_next(dir, &e, f)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		e = repo_join(path, folder, d->d_name, f);
		if (e == OK && lstat(path, &st) != 0)
			e = fault_sys(f, errno, "cannot look at %s", path);
		if (e != OK)
			break;
		if (S_ISREG(st.st_mode))
			e = repo_put_file(r, path + skip, path, f);
		else if (S_ISDIR(st.st_mode) && depth < DEPTH)
			e = walk(r, path, skip, depth + 1, f);
		else
			e = fault_set(f, ERR_INVAL,
			    "%s is neither a regular file nor a folder: remove it from "
			    "what is published",
			    path);
	}
	(void)closedir(dir);
	return e;
}

enum err
repo_put_folder(struct repo *r, const char *folder, struct fault *f)
{
	char clean[REPO_PATH];
	size_t n = strlen(folder);
	enum err e;

	while (n > 1 && folder[n - 1] == '/')
		n--;
	e = text_copy(clean, sizeof clean, folder, n);
	repo_pending_clear(r);
	if (e == OK)
		e = walk(r, clean, n + 1, 0, f);
	return e == OK ? repo_put_whole(r, f) : e;
}
