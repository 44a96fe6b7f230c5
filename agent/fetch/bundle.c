/* bundle.c - a bundle from a stick becomes the folder that the job then asks as its one source.
 * What is in it is believed no more than what a mirror sends: here only its form is checked. */
#include "job.h"

#include "base/log.h"
#include "os/file.h"
#include "update/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK (128u << 10)

struct unpacking {
	struct job *j;
	char metadata[OBJECT_PATH], targets[OBJECT_PATH];
	int fd;
	enum err disk; /* why our own disk ended it */
};

static enum err
on_begin(void *arg, const struct bundle_member *m)
{
	struct unpacking *u = arg;
	char path[OBJECT_PATH + BUNDLE_FILE + 1];
	enum err e = file_join(path, sizeof path, m->target ? u->targets : u->metadata, m->file);

	if (atomic_load(&u->j->cancel))
		return ERR_CANCELED;
	if (e != OK)
		return e;
	u->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (u->fd < 0)
		u->disk = err_from_errno(errno);
	return u->fd < 0 ? u->disk : OK;
}

static enum err
on_data(void *arg, const uint8_t *p, size_t n)
{
	struct unpacking *u = arg;

	u->disk = file_write_all(u->fd, p, n);
	return u->disk;
}

static enum err
on_end(void *arg, const struct bundle_member *m)
{
	struct unpacking *u = arg;

	(void)m;
	if (close(u->fd) != 0)
		u->disk = err_from_errno(errno);
	u->fd = -1;
	return u->disk;
}

static enum err
read_bundle(struct unpacking *u, int in, struct fault *f)
{
	static const struct bundle_sink sink = { on_begin, on_data, on_end };
	struct bundle_reader *r = NULL;
	uint8_t *buf = malloc(CHUNK);
	ssize_t n = 0;
	enum err e = buf == NULL ? ERR_NOMEM : bundle_reader_new(&r, u->j->config->feed, &sink, u);

	while (e == OK && (n = read(in, buf, CHUNK)) != 0) {
		if (n > 0)
			e = bundle_reader_feed(r, buf, (size_t)n, f);
		else if (errno != EINTR)
			e = ERR_IO;
	}
	if (e == OK)
		e = bundle_reader_end(r, f);
	if (u->fd >= 0)
		(void)close(u->fd);
	bundle_reader_free(r);
	free(buf);
	return e;
}

static enum err
make_folders(struct unpacking *u, char top[OBJECT_PATH], struct fault *f)
{
	enum err e = file_join(top, OBJECT_PATH, u->j->config->work, "bundle");

	if (e == OK) /* of a run that was killed */
		e = file_remove_tree(AT_FDCWD, top, f);
	if (e == OK)
		e = file_join(u->metadata, sizeof u->metadata, top, "metadata");
	if (e == OK)
		e = file_join(u->targets, sizeof u->targets, top, "targets");
	if (e == OK)
		e = file_make_dirs(u->metadata, 0750, f);
	return e == OK ? file_make_dirs(u->targets, 0750, f) : e;
}

enum err
job_unpack(struct job *j, struct fault *f)
{
	struct unpacking u = { .j = j, .fd = -1, .disk = OK };
	char top[OBJECT_PATH];
	uint64_t size = 0;
	int in = open(j->config->bundle, O_RDONLY | O_CLOEXEC);
	enum err e;

	if (in < 0)
		return fault_sys(f, errno, "cannot open the bundle %s", j->config->bundle);
	e = file_size(j->config->bundle, &size);
	if (e == OK)
		e = job_space(j, size, f);
	if (e == OK)
		e = make_folders(&u, top, f);
	if (e == OK)
		e = read_bundle(&u, in, f);
	(void)close(in);
	log_info("fetch.bundle", "file=%s bytes=%llu result=%s", log_q(j->config->bundle),
	    (unsigned long long)size, err_word(e));
	if (e != OK && e != ERR_CANCELED && u.disk == OK && (e == ERR_PARSE || e == ERR_VERIFY))
		job_refuse(j, 0, "", "form", e, fault_text(f));
	if (e != OK && f->text[0] == '\0')
		return fault_set(f, e, "cannot unpack the bundle: %s", err_text(e));
	return e;
}

void
job_unpacked_remove(struct job *j)
{
	char top[OBJECT_PATH];

	if (file_join(top, sizeof top, j->config->work, "bundle") == OK &&
	    file_remove_tree(AT_FDCWD, top, NULL) != OK)
		log_warn("fetch.bundle", "removed=no path=%s", log_q(top));
}
