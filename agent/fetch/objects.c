/* objects.c - see objects.h */
#include "objects.h"

#include "base/log.h"
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

#define READ_BYTES 262144

static enum err
sub(const struct objects *o, const char *name, char out[OBJECT_PATH])
{
	return file_join(out, OBJECT_PATH, o->work, name);
}

static enum err
make_folders(const struct objects *o, struct fault *f)
{
	static const char *const names[] = { "objects", "parts", "build" };
	char path[OBJECT_PATH];
	enum err e = OK;

	for (size_t i = 0; e == OK && i < 3; i++) {
		e = sub(o, names[i], path);
		if (e == OK)
			e = file_make_dirs(path, 0750, f);
	}
	return e;
}

static enum err
empty_build(const struct objects *o, struct fault *f)
{
	int dir = open(o->work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err e;

	if (dir < 0)
		return fault_sys(f, errno, "cannot open %s", o->work);
	e = file_remove_tree(dir, "build", f);
	(void)close(dir);
	return e;
}

/* Temporary names of file_replace that a killed run left beside our own files. */
static enum err
sweep_temporary(const struct objects *o, struct fault *f)
{
	DIR *d = opendir(o->work);
	struct dirent *e;

	if (d == NULL)
		return fault_sys(f, errno, "cannot open %s", o->work);
	while ((e = readdir(d)) != NULL)
		if (strstr(e->d_name, ".tmp-") != NULL && unlinkat(dirfd(d), e->d_name, 0) != 0)
			log_warn("fetch.sweep", "file=%s removed=no", log_q(e->d_name));
	(void)closedir(d);
	return OK;
}

enum err
objects_open(struct objects *o, const char *work, struct fault *f)
{
	char path[OBJECT_PATH];
	enum err e = text_copy(o->work, sizeof o->work, work, strlen(work));

	o->lock = -1;
	if (e == OK)
		e = file_make_dirs(work, 0750, f);
	if (e == OK)
		e = sub(o, "lock", path);
	if (e == OK)
		e = file_lock(path, &o->lock, f);
	if (e == OK)
		e = empty_build(o, f);
	if (e == OK)
		e = sweep_temporary(o, f);
	if (e == OK)
		e = make_folders(o, f);
	if (e != OK)
		objects_close(o);
	return e;
}

void
objects_close(struct objects *o)
{
	if (o->lock >= 0)
		(void)close(o->lock);
	o->lock = -1;
}

void
objects_path(
    const struct objects *o, const char *kind, const uint8_t sha256[SHA_LEN], char out[OBJECT_PATH])
{
	char hex[2 * SHA_LEN + 1];

	text_hex(hex, sha256, SHA_LEN);
	(void)snprintf(out, OBJECT_PATH, "%s/%s/%s", o->work, kind, hex);
}

bool
objects_have(const struct objects *o, const uint8_t sha256[SHA_LEN])
{
	char path[OBJECT_PATH];

	objects_path(o, "objects", sha256, path);
	return file_exists(path);
}

static enum err
read_through(int fd, struct tuf_check *c, const atomic_bool *cancel)
{
	uint8_t *p = malloc(READ_BYTES);
	enum err e = p != NULL ? OK : ERR_NOMEM;

	while (e == OK) {
		ssize_t n = read(fd, p, READ_BYTES);

		if (n == 0)
			break;
		if (n < 0)
			e = errno == EINTR ? OK : ERR_IO;
		else if (cancel != NULL && atomic_load(cancel))
			e = ERR_CANCELED;
		else
			e = tuf_check_update(c, p, (size_t)n);
	}
	free(p);
	return e;
}

enum err
objects_check(
    const char *path, const struct entry *e, const atomic_bool *cancel, struct tuf_failure *why)
{
	struct tuf_target t = { .path = e->path, .length = e->length, .has_sha256 = true };
	struct tuf_check c;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum err r;

	memset(why, 0, sizeof *why);
	if (fd < 0)
		return err_from_errno(errno);
	memcpy(t.sha256, e->sha256, SHA_LEN);
	tuf_check_init(&c, &t);
	r = read_through(fd, &c, cancel);
	(void)close(fd);
	if (r == OK)
		r = tuf_check_final(&c, why, NULL);
	if (r == ERR_TOOBIG) {
		why->code = r = ERR_VERIFY;
		why->rule = TUF_RULE_LENGTH;
		(void)snprintf(
		    why->expected, sizeof why->expected, "%llu", (unsigned long long)e->length);
		(void)snprintf(why->got, sizeof why->got, "more");
	}
	(void)snprintf(why->file, sizeof why->file, "%s", e->path);
	return r;
}

enum err
objects_take(
    const struct objects *o, const char *path, const uint8_t sha256[SHA_LEN], struct fault *f)
{
	char to[OBJECT_PATH];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum err e;

	if (fd < 0)
		return fault_sys(f, errno, "cannot open %s", path);
	e = file_sync(fd);
	(void)close(fd);
	if (e != OK)
		return fault_set(f, e, "cannot bring %s to the disk", path);
	objects_path(o, "objects", sha256, to);
	/* The name need not survive a power cut: what is made of objects is synced where it is
	 * made. */
	return rename(path, to) == 0 ? OK : fault_sys(f, errno, "cannot rename %s", path);
}

enum err
objects_part(
    const struct objects *o, const struct entry *e, int *fd, uint64_t *have, struct fault *f)
{
	char path[OBJECT_PATH];
	struct stat st;

	objects_path(o, "parts", e->sha256, path);
	*have = 0;
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (*fd < 0)
		return fault_sys(f, errno, "cannot open %s", path);
	if (fstat(*fd, &st) == 0 && (uint64_t)st.st_size <= e->length)
		*have = (uint64_t)st.st_size;
	return OK;
}

static bool
named(const struct catalog *keep, const char *name)
{
	char hex[2 * SHA_LEN + 1];

	for (size_t i = 0; keep != NULL && i < keep->count; i++) {
		text_hex(hex, keep->entries[i].sha256, SHA_LEN);
		if (strcmp(hex, name) == 0)
			return true;
	}
	return false;
}

static enum err
sweep_folder(const struct objects *o, const char *kind, const struct catalog *keep, struct fault *f)
{
	char path[OBJECT_PATH];
	struct dirent *d;
	DIR *dir;
	enum err e = sub(o, kind, path);

	if (e != OK)
		return e;
	dir = opendir(path);
	if (dir == NULL)
		return fault_sys(f, errno, "cannot open %s", path);
	while (e == OK && (d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
		    named(keep, d->d_name))
			continue;
		e = file_remove_tree(dirfd(dir), d->d_name, f);
	}
	(void)closedir(dir);
	return e;
}

enum err
objects_sweep(const struct objects *o, const struct catalog *keep, struct fault *f)
{
	enum err e = sweep_folder(o, "objects", keep, f);

	return e == OK ? sweep_folder(o, "parts", keep, f) : e;
}
