#include "walk.h"

#include "base/buf.h"
#include "base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

struct level {
	DIR *dir;
	size_t path_len; /* of this folder in `path` */
};

struct walk {
	const struct scan_config *c;
	void (*unread)(void *ctx, const char *path, const char *error);
	void *ctx;
	size_t next_path;
	dev_t dev; /* of the path that is walked */
	struct level level[LIMIT_SCAN_DEPTH];
	size_t depth;
	struct buf path;
};

/* Never entered whatever is asked: files there are windows into the kernel. */
static const char *const never[] = { "/proc", "/sys", "/dev" };

static bool
below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	while (n > 1 && folder[n - 1] == '/')
		n--;
	if (n == 1 && folder[0] == '/')
		return true;
	return strncmp(path, folder, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

bool
walk_excluded(const struct scan_config *c, const char *path)
{
	for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
		if (below(path, never[i]))
			return true;
	for (size_t i = 0; i < c->n_exclude; i++) {
		const char *item = c->exclude[i];

		if (strpbrk(item, "*?[") != NULL ? fnmatch(item, path, 0) == 0 : below(path, item))
			return true;
	}
	return false;
}

enum err
walk_open(struct walk **out, const struct scan_config *c,
    void (*unread)(void *ctx, const char *path, const char *error), void *ctx)
{
	struct walk *w = calloc(1, sizeof *w);

	*out = w;
	if (w == NULL)
		return ERR_NOMEM;
	w->c = c;
	w->unread = unread;
	w->ctx = ctx;
	buf_init(&w->path, LIMIT_SCAN_PATH);
	return OK;
}

void
walk_close(struct walk *w)
{
	if (w == NULL)
		return;
	while (w->depth > 0)
		(void)closedir(w->level[--w->depth].dir);
	buf_free(&w->path);
	free(w);
}

static const char *
why(int sys)
{
	switch (sys) {
	case EACCES:
	case EPERM:
		return "denied";
	case ENOENT:
		return "vanished";
	case ELOOP:
		return "link";
	case EMFILE:
	case ENFILE:
		return "too many open files";
	default:
		return "unreadable";
	}
}

static void
cut_path(struct walk *w, size_t n)
{
	w->path.len = n;
	if (w->path.data != NULL)
		w->path.data[n] = '\0';
}

static enum err
enter(struct walk *w, int fd)
{
	DIR *dir = w->depth < w->c->max_depth ? fdopendir(fd) : NULL;

	if (dir == NULL) {
		w->unread(w->ctx, buf_text(&w->path),
		    w->depth < w->c->max_depth ? "unreadable" : "too deep");
		(void)close(fd);
		return OK;
	}
	w->level[w->depth++] = (struct level){ dir, w->path.len };
	return OK;
}

/* ERR_AGAIN: nothing to scan here; go on. */
static enum err
take_file(struct walk *w, int fd, const struct stat *st, struct walk_file *out)
{
	if ((uint64_t)st->st_size > w->c->max_file) {
		w->unread(w->ctx, buf_text(&w->path), "larger than the limit");
		(void)close(fd);
		return ERR_AGAIN;
	}
	out->path = strdup(buf_text(&w->path));
	if (out->path == NULL) {
		(void)close(fd);
		return ERR_NOMEM;
	}
	out->fd = fd;
	out->size = (uint64_t)st->st_size;
	out->dev = (uint64_t)st->st_dev;
	out->ino = (uint64_t)st->st_ino;
	out->mtime = (int64_t)st->st_mtime;
	return OK;
}

/* The name was looked at before it was opened, because opening a device has effects; it is looked
 * at again because it may have been exchanged in between. */
static enum err
visit(struct walk *w, int dirfd, const char *name, bool top, struct walk_file *out)
{
	struct stat st;
	int fd;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno != ENOENT || top)
			w->unread(w->ctx, buf_text(&w->path), why(errno));
		return ERR_AGAIN;
	}
	if (top && S_ISLNK(st.st_mode))
		w->unread(w->ctx, buf_text(&w->path), "link");
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return ERR_AGAIN;
	fd = openat(dirfd, name, OPEN_FLAGS);
	if (fd < 0) {
		if (errno != ENOENT || top)
			w->unread(w->ctx, buf_text(&w->path), why(errno));
		return ERR_AGAIN;
	}
	if (fstat(fd, &st) != 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))) {
		(void)close(fd);
		return ERR_AGAIN;
	}
	if (top)
		w->dev = st.st_dev;
	if (st.st_dev != w->dev && !w->c->cross_mounts) {
		(void)close(fd);
		return ERR_AGAIN;
	}
	if (S_ISREG(st.st_mode))
		return take_file(w, fd, &st, out);
	return enter(w, fd) == OK ? ERR_AGAIN : ERR_NOMEM;
}

static enum err
next_in_folder(struct walk *w, struct walk_file *out)
{
	struct level *l = &w->level[w->depth - 1];
	const struct dirent *entry = readdir(l->dir);
	enum err e;

	if (entry == NULL) {
		(void)closedir(l->dir);
		w->depth--;
		return ERR_AGAIN;
	}
	if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
		return ERR_AGAIN;
	cut_path(w, l->path_len);
	e = buf_printf(&w->path, "%s%s", l->path_len == 1 ? "" : "/", entry->d_name);
	if (e == ERR_TOOBIG)
		w->unread(w->ctx, buf_text(&w->path), "path too long");
	if (e != OK)
		return e == ERR_TOOBIG ? ERR_AGAIN : e;
	if (walk_excluded(w->c, buf_text(&w->path)))
		return ERR_AGAIN;
	return visit(w, dirfd(l->dir), entry->d_name, false, out);
}

static enum err
next_path(struct walk *w, struct walk_file *out)
{
	const char *path;
	size_t n;
	enum err e;

	if (w->next_path == w->c->n_paths)
		return ERR_NOTFOUND;
	path = w->c->paths[w->next_path++];
	n = strlen(path);
	while (n > 1 && path[n - 1] == '/')
		n--;
	cut_path(w, 0);
	e = buf_append(&w->path, path, n);
	if (e != OK)
		return e == ERR_TOOBIG ? ERR_AGAIN : e;
	if (walk_excluded(w->c, buf_text(&w->path))) { /* asked for by name: not in silence */
		w->unread(w->ctx, buf_text(&w->path), "excluded");
		return ERR_AGAIN;
	}
	return visit(w, AT_FDCWD, buf_text(&w->path), true, out);
}

enum err
walk_next(struct walk *w, struct walk_file *out)
{
	enum err e;

	do
		e = w->depth > 0 ? next_in_folder(w, out) : next_path(w, out);
	while (e == ERR_AGAIN);
	return e;
}
