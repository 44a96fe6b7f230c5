#include "os/file.h"

#include "base/inject.h"
#include "os/rand.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PIECE 65536
#define TREE_DEPTH 64 /* folders of ours are a few levels deep */

/* What a buffer grows by: a key of a kilobyte must not hold 64 of them for the life of a daemon. */
static size_t
size_hint(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || st.st_size <= 0 || st.st_size >= PIECE)
		return PIECE;
	return (size_t)st.st_size + 1;
}

static enum err
read_fd(int fd, struct buf *out)
{
	size_t piece = size_hint(fd);

	for (;;) {
		size_t room = out->max - out->len;
		size_t have = out->cap > out->len ? out->cap - out->len - 1 : 0;
		enum err e = have > 0 ? OK : buf_reserve(out, room < piece ? room : piece);
		char spare;
		ssize_t k;

		if (e != OK)
			return e;
		if (room == 0) { /* full: one byte more means too big */
			k = read(fd, &spare, 1);
			if (k == 0)
				return OK;
			if (k > 0)
				return ERR_TOOBIG;
		} else {
			have = out->cap - out->len - 1;
			k = read(fd, out->data + out->len, room < have ? room : have);
		}
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_from_errno(errno) == ERR_IO ? ERR_IO : ERR_DENIED;
		out->len += (size_t)k;
		out->data[out->len] = '\0';
		if (k == 0)
			return OK;
	}
}

enum err
file_read_at(int dirfd, const char *name, struct buf *out, struct fault *f)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	enum err e;

	if (fd < 0)
		return fault_sys(f, errno, "cannot open %s", name);
	e = read_fd(fd, out);
	(void)close(fd);
	if (e == ERR_TOOBIG)
		return fault_set(f, e, "%s is larger than %zu bytes", name, out->max);
	return e == OK ? OK : fault_set(f, e, "cannot read %s: %s", name, err_text(e));
}

enum err
file_read(const char *path, struct buf *out, struct fault *f)
{
	return file_read_at(AT_FDCWD, path, out, f);
}

enum err
file_write_all(int fd, const void *p, size_t n)
{
	const char *at = p;

	while (n > 0) {
		ssize_t k = inject("file.write") ? (errno = ENOSPC, -1) : write(fd, at, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_from_errno(errno);
		at += k;
		n -= (size_t)k;
	}
	return OK;
}

enum err
file_sync(int fd)
{
	int k;

	do
		k = inject("file.fsync") ? (errno = EIO, -1) : fsync(fd);
	while (k != 0 && errno == EINTR);
	return k == 0 ? OK : err_from_errno(errno);
}

enum err
file_sync_dir(const char *path, struct fault *f)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err e;

	if (fd < 0)
		return fault_sys(f, errno, "cannot open folder %s", path);
	e = file_sync(fd);
	(void)close(fd);
	return e == OK ? OK : fault_set(f, e, "cannot sync folder %s: %s", path, err_text(e));
}

/* Writes the content to the new file tmp. */
static enum err
write_new(int dirfd, const char *tmp, const void *p, size_t n, unsigned mode, struct fault *f)
{
	int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	enum err e;

	if (fd < 0)
		return fault_sys(f, errno, "cannot make %s", tmp);
	e = file_write_all(fd, p, n);
	if (e == OK)
		e = file_sync(fd);
	if (close(fd) != 0 && e == OK)
		e = err_from_errno(errno);
	return e == OK ? OK : fault_set(f, e, "cannot write %s: %s", tmp, err_text(e));
}

enum err
file_replace_at(
    int dirfd, const char *name, const void *p, size_t n, unsigned mode, struct fault *f)
{
	char tmp[PATH_MAX];
	uint32_t tag;
	enum err e;
	int k;

	if (inject("file.careless")) { /* a kill tears it: what the torture must see */
		(void)unlinkat(dirfd, name, 0);
		return write_new(dirfd, name, p, n, mode, f);
	}
	rand_bytes(&tag, sizeof tag);
	k = snprintf(tmp, sizeof tmp, "%s.tmp-%08x", name, tag);
	if (k < 0 || (size_t)k >= sizeof tmp)
		return fault_set(f, ERR_TOOBIG, "the name %.60s... is too long", name);
	e = write_new(dirfd, tmp, p, n, mode, f);
	if (e == OK && renameat(dirfd, tmp, dirfd, name) != 0)
		e = fault_sys(f, errno, "cannot rename %s to %s", tmp, name);
	if (e != OK)
		(void)unlinkat(dirfd, tmp, 0);
	return e;
}

/* The folder part of path into dir; "." when there is none. */
static enum err
folder_of(char *dir, size_t size, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - path);

	if (slash == path)
		n = 1;
	if (n >= size || size < 2)
		return ERR_TOOBIG;
	memcpy(dir, n > 0 ? path : ".", n > 0 ? n : 1);
	dir[n > 0 ? n : 1] = '\0';
	return OK;
}

enum err
file_replace(const char *path, const void *p, size_t n, unsigned mode, struct fault *f)
{
	char dir[PATH_MAX];
	enum err e = folder_of(dir, sizeof dir, path);

	if (e == OK)
		e = file_replace_at(AT_FDCWD, path, p, n, mode, f);
	if (e == OK)
		e = file_sync_dir(dir, f);
	return e;
}

enum err
file_make_dirs(const char *path, unsigned mode, struct fault *f)
{
	char part[PATH_MAX];
	size_t n = strlen(path), i;

	if (n == 0 || n >= sizeof part)
		return fault_set(f, ERR_TOOBIG, "the path %.60s... is too long or empty", path);
	for (i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, mode) != 0 && errno != EEXIST &&
		    (errno != EROFS || path[i] == '\0'))
			return fault_sys(f, errno, "cannot make folder %s", part);
	}
	return OK;
}

static enum err remove_at(int dirfd, const char *name, int depth, struct fault *f);

static enum err
empty_folder(int fd, int depth, struct fault *f)
{
	DIR *d = fdopendir(fd);
	struct dirent *entry;
	enum err e = OK;

	if (d == NULL) {
		(void)close(fd);
		return fault_sys(f, errno, "cannot list a folder");
	}
	while (e == OK && (entry = readdir(d)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			e = remove_at(dirfd(d), entry->d_name, depth + 1, f);
	(void)closedir(d);
	return e;
}

static enum err
remove_at(int dirfd, const char *name, int depth, struct fault *f)
{
	enum err e;
	int fd;

	if (depth > TREE_DEPTH)
		return fault_set(
		    f, ERR_TOOBIG, "%s: folders nested deeper than %d", name, TREE_DEPTH);
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return OK;
	if (errno != EISDIR && errno != EPERM)
		return fault_sys(f, errno, "cannot remove %s", name);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fault_sys(f, errno, "cannot open %s", name);
	e = empty_folder(fd, depth, f);
	if (e == OK && unlinkat(dirfd, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
		e = fault_sys(f, errno, "cannot remove folder %s", name);
	return e;
}

enum err
file_remove_tree(int dirfd, const char *name, struct fault *f)
{
	return remove_at(dirfd, name, 0, f);
}

enum err
file_unnamed(const char *dir, int *fd, struct fault *f)
{
	char path[PATH_MAX];
	enum err e = file_join(path, sizeof path, dir, ".unnamed-XXXXXX");

	*fd = -1;
	if (e != OK)
		return e;
	*fd = mkostemp(path, O_CLOEXEC);
	if (*fd < 0)
		return fault_sys(f, errno, "cannot make a file in %s", dir);
	(void)unlink(path);
	return OK;
}

struct dirent *
file_next(DIR *dir, enum err *e, struct fault *f)
{
	struct dirent *d;

	errno = 0;
	d = readdir(dir);
	if (d == NULL && errno != 0)
		*e = fault_sys(f, errno, "cannot list a folder");
	return d;
}

bool
file_exists(const char *path)
{
	if (access(path, F_OK) == 0)
		return true;
	/* A disk that cannot say is no absence: what is gone is made anew or swept away. */
	return errno != ENOENT && errno != ENOTDIR && errno != EACCES && errno != ELOOP &&
	       errno != ENAMETOOLONG;
}

enum err
file_size(const char *path, uint64_t *out)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return err_from_errno(errno);
	*out = (uint64_t)st.st_size;
	return OK;
}

enum err
file_join(char *dst, size_t size, const char *dir, const char *name)
{
	int k = snprintf(dst, size, "%s/%s", dir, name);

	return k >= 0 && (size_t)k < size ? OK : ERR_TOOBIG;
}

enum err
file_lock(const char *path, int *fd, struct fault *f)
{
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0)
		return fault_sys(f, errno, "cannot open lock %s", path);
	if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
		return OK;
	(void)close(*fd);
	*fd = -1;
	if (errno == EWOULDBLOCK)
		return fault_set(
		    f, ERR_BUSY, "%s is held by another process; stop that one first", path);
	return fault_sys(f, errno, "cannot lock %s", path);
}

enum err
file_disk(const char *path, uint64_t *free_bytes, uint64_t *total_bytes, struct fault *f)
{
	struct statvfs s;

	if (statvfs(path, &s) != 0)
		return fault_sys(f, errno, "cannot ask for the free space of %s", path);
	*free_bytes = (uint64_t)s.f_bavail * s.f_frsize;
	*total_bytes = (uint64_t)s.f_blocks * s.f_frsize;
	return OK;
}
