/* set_files.c - one file into the folder of a set that is being built: linked or copied, hashed,
 * fsynced. */
#include "update/set_priv.h"

#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"
#include "update/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool
set_canceled(const struct building *x)
{
	return x->b->cancel != NULL && atomic_load(x->b->cancel);
}

enum err
set_hash_file(const char *path, uint64_t size, uint8_t out[SET_SHA], const atomic_bool *cancel,
    struct fault *f)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint8_t *buf = malloc(SET_CHUNK);
	uint64_t seen = 0;
	struct hash h;
	ssize_t n = 1;
	enum err e = buf == NULL ? ERR_NOMEM : OK;

	if (fd < 0) {
		free(buf);
		return fault_sys(f, errno, "cannot open %s", path);
	}
	hash_init(&h, HASH_SHA256);
	while (e == OK && n != 0) {
		n = read(fd, buf, SET_CHUNK);
		if (n < 0 && errno != EINTR)
			e = fault_sys(f, errno, "cannot read %s", path);
		if (n <= 0)
			continue;
		hash_update(&h, buf, (size_t)n);
		seen += (uint64_t)n;
		if (seen > size)
			break;
		if (cancel != NULL && atomic_load(cancel))
			e = ERR_CANCELED;
	}
	hash_final(&h, out);
	(void)close(fd);
	free(buf);
	if (e == OK && seen != size)
		e = fault_set(f, ERR_VERIFY, "%s has not the signed length", path);
	return e;
}

/* ---- one file into the new folder ---- */

/* Makes the folders above root/name and writes the whole path to out. */
enum err
set_place(const struct building *x, const char *name, char out[SET_PATH], struct fault *f)
{
	char *slash;
	enum err e = file_join(out, SET_PATH, x->root, name);

	if (e != OK)
		return fault_set(f, e, "the name %s is too long", name);
	slash = strrchr(out, '/');
	*slash = '\0';
	e = file_make_dirs(out, 0755, NULL);
	*slash = '/';
	if (e == ERR_NOSPACE || e == OK)
		return e;
	return fault_set(f, ERR_INVAL, "the folder of %s cannot be made: %s", name, err_text(e));
}

enum err
set_bad_place(const char *name, int sys, struct fault *f)
{
	if (sys == EEXIST || sys == EISDIR || sys == ENOTDIR)
		return fault_set(
		    f, ERR_INVAL, "the name %s comes twice, or is a file and a folder", name);
	return fault_sys(f, sys, "cannot make %s", name);
}

static enum err
copy_bytes(const struct building *x, int in, int out)
{
	ssize_t n;
	enum err e = OK;

	while (e == OK && (n = read(in, x->buf, SET_CHUNK)) != 0) {
		if (set_canceled(x))
			return ERR_CANCELED;
		if (n > 0)
			e = file_write_all(out, x->buf, (size_t)n);
		else if (errno != EINTR)
			e = err_from_errno(errno);
	}
	return e == OK ? file_sync(out) : e;
}

static enum err
copy_file(const struct building *x, const char *from, const char *to, struct fault *f)
{
	int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), out;
	enum err e;

	if (in < 0)
		return fault_sys(f, errno, "cannot open %s", from);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (out < 0) {
		e = set_bad_place(to, errno, f);
		(void)close(in);
		return e;
	}
	e = copy_bytes(x, in, out);
	if (e == OK && fchmod(out, 0644) != 0)
		e = err_from_errno(errno);
	if (close(out) != 0 && e == OK)
		e = err_from_errno(errno);
	(void)close(in);
	return e == OK ? OK : fault_set(f, e, "cannot copy %s: %s", from, err_text(e));
}

/* Hard link, or copy where the file system will not link. The linked file is fsynced as well: it
 * may come from somebody who did not. */
enum err
set_link_or_copy(const struct building *x, const char *from, const char *to, struct fault *f)
{
	int fd;
	enum err e;

	if (link(from, to) != 0) {
		if (errno == EXDEV || errno == EPERM || errno == EMLINK || errno == EOPNOTSUPP)
			return copy_file(x, from, to, f);
		return set_bad_place(to, errno, f);
	}
	fd = open(to, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return fault_sys(f, errno, "cannot open %s", to);
	e = fchmod(fd, 0644) == 0 ? file_sync(fd) : err_from_errno(errno);
	(void)close(fd);
	return e == OK ? OK : fault_set(f, e, "cannot link %s: %s", to, err_text(e));
}

/* True when a kept set has this content, read again and right; `path` is where. */
bool
set_kept_source(const struct building *x, const uint8_t sha256[SET_SHA], uint64_t size,
    char path[SET_PATH])
{
	const struct known_file *k = set_known_find(&x->known, sha256, size);
	uint8_t sum[SET_SHA];

	return k != NULL && set_known_path(x->b->feed_dir, k, path, SET_PATH) == OK &&
	    set_hash_file(path, size, sum, x->b->cancel, NULL) == OK &&
	    memcmp(sum, sha256, SET_SHA) == 0;
}

/* The verified file behind a target, in a kept set or where the caller says. */
enum err
set_target_source(const struct building *x, const struct set_file *t, char path[SET_PATH],
    bool *kept, struct fault *f)
{
	uint8_t sum[SET_SHA];
	enum err e;

	*kept = set_kept_source(x, t->sha256, t->size, path);
	if (*kept)
		return OK;
	if (t->source == NULL)
		return fault_set(f, ERR_NOTFOUND, "no kept set holds %s whole", t->path);
	e = set_hash_file(t->source, t->size, sum, x->b->cancel, f);
	if (e == OK && memcmp(sum, t->sha256, SET_SHA) != 0)
		e = fault_set(f, ERR_VERIFY, "%s has not the signed hash", t->source);
	if (e == OK)
		e = text_copy(path, SET_PATH, t->source, strlen(t->source));
	return e;
}

enum err
set_add_member(struct building *x, const char *path, uint64_t size, const uint8_t sha256[SET_SHA],
    bool linked, struct fault *f)
{
	if (x->b->members == LIMIT_SET_FILES)
		return fault_set(f, ERR_TOOBIG, "a set holds at most %d files", LIMIT_SET_FILES);
	x->b->members++;
	x->b->bytes += size;
	x->b->linked += linked;
	return set_manifest_add(&x->manifest, SET_FILE, path, size, sha256);
}

enum err
set_put_target(struct building *x, const struct set_file *t, struct fault *f)
{
	char from[SET_PATH], to[SET_PATH];
	bool kept;
	enum err e = set_target_source(x, t, from, &kept, f);

	if (e == OK)
		e = set_place(x, t->path, to, f);
	if (e == OK)
		e = set_link_or_copy(x, from, to, f);
	return e != OK ? e : set_add_member(x, t->path, t->size, t->sha256, kept, f);
}

