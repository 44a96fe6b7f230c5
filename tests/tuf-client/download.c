#include "download.h"

#include "os/file.h"
#include "update/tuf_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

/* Hidden, so that whoever lists the folder sees finished files only. */
#define PART_NAME ".tuf-client.part"

struct sink {
	struct tuf_check check;
	int fd;
};

static enum err
take(void *ctx, const void *p, size_t n)
{
	struct sink *k = ctx;
	enum err e = tuf_check_update(&k->check, p, n);

	return e == OK ? file_write_all(k->fd, p, n) : e;
}

static enum err
check_existing(const char *path, const struct tuf_target *target)
{
	struct tuf_check c;
	char block[65536];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	enum err e = OK;

	if (fd < 0)
		return err_from_errno(errno);
	tuf_check_init(&c, target);
	while (e == OK && (n = read(fd, block, sizeof(block))) != 0)
		e = n < 0 ? ERR_IO : tuf_check_update(&c, block, (size_t)n);
	(void)close(fd);
	return e == OK ? tuf_check_final(&c, NULL, NULL) : e;
}

static enum err
fetch_to(const char *part, struct web *w, const char *base_url, const char *name,
    const struct tuf_target *target, struct fault *f)
{
	struct sink k;
	enum err e;

	k.fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (k.fd < 0)
		return fault_sys(f, errno, "cannot make %s", part);
	tuf_check_init(&k.check, target);
	e = web_get(w, base_url, name, take, &k, f);
	if (e == OK)
		e = tuf_check_final(&k.check, NULL, f);
	if (e == OK && file_sync(k.fd) != OK)
		e = fault_set(f, ERR_IO, "cannot sync %s", part);
	(void)close(k.fd);
	return e;
}

enum err
download_target(struct tuf *t, struct web *w, const char *base_url, const char *dir,
    const struct tuf_target *target, struct fault *f)
{
	char path[PATH_MAX], part[PATH_MAX];
	struct buf local, file, url;
	enum err e;

	buf_init(&local, NAME_MAX);
	buf_init(&file, 8192);
	buf_init(&url, 3 * 8192);
	e = tuf_path_encode(target->path, &local);
	if (e == OK)
		e = file_join(path, sizeof(path), dir, buf_text(&local));
	if (e == OK)
		e = file_join(part, sizeof(part), dir, PART_NAME);
	if (e == OK)
		e = tuf_target_file(t, target, &file);
	if (e == OK)
		e = tuf_path_encode_url(buf_text(&file), &url);
	if (e != OK)
		(void)fault_set(f, e, "target path %.60s cannot be a file name", target->path);
	if (e == OK && check_existing(path, target) != OK) {
		e = fetch_to(part, w, base_url, buf_text(&url), target, f);
		if (e == OK && rename(part, path) != 0)
			e = fault_sys(f, errno, "cannot rename to %s", path);
		if (e != OK)
			(void)unlink(part);
	}
	buf_free(&local);
	buf_free(&file);
	buf_free(&url);
	return e;
}
