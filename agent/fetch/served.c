/* served.c - see served.h */
#include "served.h"

#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 16 /* components of a target's name */

static enum err
add_file(struct served *s, const char *folder, const char *name, uint64_t size)
{
	struct served_file *f;
	size_t n;

	if (strlen(name) < 66 || name[64] != '.')
		return OK;
	if (s->count == 0 || (s->count & (s->count - 1)) == 0) {
		f = realloc(s->files, (s->count == 0 ? 1 : 2 * s->count) * sizeof *f);
		if (f == NULL)
			return ERR_NOMEM;
		s->files = f;
	}
	f = &s->files[s->count];
	if (text_unhex(f->sha256, SHA_LEN, name, 64, &n) != OK)
		return OK;
	f->size = size;
	f->unusable = false;
	f->path = malloc(strlen(folder) + strlen(name) + 2);
	if (f->path == NULL)
		return ERR_NOMEM;
	(void)snprintf(f->path, strlen(folder) + strlen(name) + 2, "%s/%s", folder, name);
	s->count++;
	return OK;
}

static enum err
walk(struct served *s, const char *folder, unsigned depth, struct fault *f)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	enum err r = OK;

	if (d == NULL)
		return fault_sys(f, errno, "cannot open %s", folder);
	while (r == OK && (e = file_next(d, &r, f)) != NULL) {
		char path[OBJECT_PATH];
		struct stat st;

		if (e->d_name[0] == '.' ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		if (S_ISREG(st.st_mode))
			r = add_file(s, folder, e->d_name, (uint64_t)st.st_size);
		else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX &&
		    file_join(path, sizeof path, folder, e->d_name) == OK)
			r = walk(s, path, depth + 1, f);
	}
	(void)closedir(d);
	return r;
}

static int
by_sha(const void *a, const void *b)
{
	const struct served_file *x = a, *y = b;

	return memcmp(x->sha256, y->sha256, SHA_LEN);
}

/* Makes the folder and brings the new names to the disk. */
static enum err
make_folder(const char *path, struct fault *f)
{
	char parent[OBJECT_PATH];
	char *slash;
	enum err e;

	if (file_exists(path))
		return OK;
	e = text_copy(parent, sizeof parent, path, strlen(path));
	slash = strrchr(parent, '/');
	if (e != OK || slash == NULL || slash == parent)
		return fault_set(f, ERR_INVAL, "cannot make %s", path);
	*slash = '\0';
	e = make_folder(parent, f);
	if (e == OK && mkdir(path, 0755) != 0 && errno != EEXIST)
		e = fault_sys(f, errno, "cannot make %s", path);
	if (e == OK && chmod(path, 0755) != 0) /* whatever the umask: it is served to anybody */
		e = fault_sys(f, errno, "cannot open %s to readers", path);
	return e == OK ? file_sync_dir(parent, f) : e;
}

enum err
served_open(struct served *s, const char *root, const char *feed, struct fault *f)
{
	int a = snprintf(s->metadata, sizeof s->metadata, "%s/%s/metadata", root, feed);
	int b = snprintf(s->targets, sizeof s->targets, "%s/%s/targets", root, feed);
	enum err e;

	s->files = NULL;
	s->count = 0;
	if (a >= (int)sizeof s->metadata || b >= (int)sizeof s->targets)
		return fault_set(f, ERR_TOOBIG, "the root's path is too long");
	e = make_folder(s->metadata, f);
	if (e == OK)
		e = make_folder(s->targets, f);
	if (e == OK)
		e = walk(s, s->targets, 0, f);
	if (e == OK && s->count != 0)
		qsort(s->files, s->count, sizeof *s->files, by_sha);
	return e;
}

void
served_close(struct served *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->files[i].path);
	free(s->files);
	s->files = NULL;
	s->count = 0;
}

const struct served_file *
served_find(const struct served *s, const uint8_t sha256[SHA_LEN])
{
	struct served_file key = { .size = 0 }, *found;

	if (s->count == 0)
		return NULL;
	memcpy(key.sha256, sha256, SHA_LEN);
	found = bsearch(&key, s->files, s->count, sizeof *s->files, by_sha);
	return found != NULL && !found->unusable ? found : NULL;
}

void
served_forget(struct served *s, const uint8_t sha256[SHA_LEN])
{
	for (size_t i = 0; i < s->count; i++)
		if (memcmp(s->files[i].sha256, sha256, SHA_LEN) == 0)
			s->files[i].unusable = true;
}

static enum err
entry_path(const struct served *s, const struct entry *e, char out[OBJECT_PATH])
{
	return file_join(out, OBJECT_PATH, s->targets, e->file);
}

bool
served_has(const struct served *s, const struct entry *e)
{
	char path[OBJECT_PATH];
	uint64_t size;

	return entry_path(s, e, path) == OK && file_size(path, &size) == OK && size == e->length;
}

enum err
served_put(const struct served *s, const struct objects *o, const struct entry *e, const char *from,
    struct fault *f)
{
	char to[OBJECT_PATH], tmp[OBJECT_PATH], folder[OBJECT_PATH];
	enum err r = entry_path(s, e, to);

	if (r == OK)
		r = text_copy(folder, sizeof folder, to, (size_t)(strrchr(to, '/') - to));
	if (r == OK)
		r = make_folder(folder, f);
	if (r != OK)
		return r;
	/* A second name first, then rename: also right when a damaged file has the name now. */
	objects_path(o, "build", e->sha256, tmp);
	(void)unlink(tmp);
	if (link(from, tmp) != 0)
		return fault_sys(f, errno, "cannot link %s", from);
	if (chmod(tmp, 0644) != 0 || rename(tmp, to) != 0)
		return fault_sys(f, errno,
		    "cannot move %s into the served folder; work and root must be on one file "
		    "system",
		    e->path);
	return OK;
}

enum err
served_sync(const struct served *s, const struct entry *const *list, size_t n, struct fault *f)
{
	char path[OBJECT_PATH], last[OBJECT_PATH] = "";
	enum err e = OK;

	for (size_t i = 0; e == OK && i < n; i++) {
		e = entry_path(s, list[i], path);
		if (e != OK)
			break;
		*strrchr(path, '/') = '\0';
		if (strcmp(path, last) != 0)
			e = file_sync_dir(path, f);
		memcpy(last, path, sizeof last);
	}
	return e;
}

static bool
same_bytes(const char *path, const void *p, size_t n)
{
	struct buf b;
	bool same;

	buf_init(&b, n + 1);
	same =
	    file_read(path, &b, NULL) == OK && b.len == n && (n == 0 || memcmp(b.data, p, n) == 0);
	buf_free(&b);
	return same;
}

enum err
served_put_document(const struct served *s, const struct objects *o, const char *file,
    const void *p, size_t n, bool *changed, struct fault *f)
{
	char to[OBJECT_PATH], tmp[OBJECT_PATH];
	enum err e = file_join(to, sizeof to, s->metadata, file);

	if (e != OK || same_bytes(to, p, n))
		return e;
	if (snprintf(tmp, sizeof tmp, "%s/build/document", o->work) >= (int)sizeof tmp)
		return ERR_TOOBIG;
	e = file_replace(tmp, p, n, 0644, f);
	if (e == OK && chmod(tmp, 0644) != 0)
		e = fault_sys(f, errno, "cannot open %s to readers", tmp);
	if (e == OK && rename(tmp, to) != 0)
		e = fault_sys(f, errno,
		    "cannot move %s into the served folder; work and root must be on one file "
		    "system",
		    file);
	*changed = *changed || e == OK;
	return e;
}
