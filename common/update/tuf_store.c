#include "update/tuf_store.h"

#include "base/clock.h"
#include "os/file.h"
#include "update/tuf_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIME_FILE "verified-time"

/* "NAME.json.tmp-XXXXXXXX": what file_replace_at leaves when it is killed. */
static bool
is_leftover(const char *name)
{
	const char *tail = strstr(name, ".tmp-");

	return tail != NULL && strlen(tail) == strlen(".tmp-") + 8;
}

static void
sweep(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *d;
	DIR *dir;

	if (fd < 0)
		return;
	dir = fdopendir(fd);
	if (dir == NULL) {
		(void)close(fd);
		return;
	}
	while ((d = readdir(dir)) != NULL)
		if (is_leftover(d->d_name))
			(void)unlinkat(dirfd, d->d_name, 0);
	(void)closedir(dir);
}

enum err
tuf_store_open(struct tuf_store *s, const char *dir, struct fault *f)
{
	char path[PATH_MAX];
	enum err e;

	*s = (struct tuf_store){ .dirfd = -1, .lock = -1 };
	e = file_make_dirs(dir, 0755, f);
	if (e == OK)
		e = file_join(path, sizeof(path), dir, ".lock");
	if (e == OK)
		e = file_lock(path, &s->lock, f);
	if (e != OK)
		return e;
	s->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	s->dir = strdup(dir);
	if (s->dirfd < 0 || s->dir == NULL) {
		e = s->dir == NULL ? ERR_NOMEM : fault_sys(f, errno, "cannot open folder %s", dir);
		tuf_store_close(s);
		return e;
	}
	sweep(s->dirfd);
	return OK;
}

void
tuf_store_close(struct tuf_store *s)
{
	if (s->dirfd >= 0)
		(void)close(s->dirfd);
	if (s->lock >= 0)
		(void)close(s->lock);
	free(s->dir);
	*s = (struct tuf_store){ .dirfd = -1, .lock = -1 };
}

static enum err
name_of(const char *role, struct buf *name, struct fault *f)
{
	enum err e;

	buf_init(name, NAME_MAX - 16); /* room for the temporary name's tail */
	e = tuf_path_encode(role, name);
	if (e == OK)
		e = buf_puts(name, ".json");
	if (e != OK) {
		buf_free(name);
		return fault_set(f, e, "role name %.60s cannot be a file name", role);
	}
	return OK;
}

enum err
tuf_store_read(const struct tuf_store *s, const char *role, struct buf *out, struct fault *f)
{
	struct buf name;
	enum err e = name_of(role, &name, f);

	if (e != OK)
		return e;
	e = file_read_at(s->dirfd, buf_text(&name), out, f);
	buf_free(&name);
	return e;
}

static enum err
replace(const struct tuf_store *s, const char *name, const void *p, size_t n, struct fault *f)
{
	enum err e = file_replace_at(s->dirfd, name, p, n, 0644, f);

	if (e == OK && file_sync(s->dirfd) != OK)
		e = fault_set(f, ERR_IO, "cannot sync folder %s", s->dir);
	return e;
}

enum err
tuf_store_write(const struct tuf_store *s, const char *role, const void *p, size_t n,
    struct fault *f)
{
	struct buf name;
	enum err e = name_of(role, &name, f);

	if (e != OK)
		return e;
	e = replace(s, buf_text(&name), p, n, f);
	buf_free(&name);
	return e;
}

enum err
tuf_store_remove(const struct tuf_store *s, const char *role, struct fault *f)
{
	struct buf name;
	enum err e = name_of(role, &name, f);

	if (e != OK)
		return e;
	if (unlinkat(s->dirfd, buf_text(&name), 0) != 0 && errno != ENOENT)
		e = fault_sys(f, errno, "cannot remove %s/%s", s->dir, buf_text(&name));
	else if (file_sync(s->dirfd) != OK)
		e = fault_set(f, ERR_IO, "cannot sync folder %s", s->dir);
	buf_free(&name);
	return e;
}

int64_t
tuf_store_read_time(const struct tuf_store *s)
{
	struct buf b;
	int64_t ms = 0;

	buf_init(&b, CLOCK_TEXT);
	if (file_read_at(s->dirfd, TIME_FILE, &b, NULL) != OK
	    || clock_parse(buf_text(&b), b.len, &ms) != OK)
		ms = 0;
	buf_free(&b);
	return ms;
}

enum err
tuf_store_write_time(const struct tuf_store *s, int64_t ms, struct fault *f)
{
	char text[CLOCK_TEXT];

	clock_format(text, ms);
	return replace(s, TIME_FILE, text, strlen(text), f);
}
