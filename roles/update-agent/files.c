#include "files.h"

#include "listing.h"

#include "base/clock.h"
#include "base/inject.h"
#include "base/limits.h"
#include "os/beneath.h"
#include "os/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A FIFO or device in the tree must not hold a worker: O_NONBLOCK; what is no plain file is not
 * served. */
#define OPEN_FLAGS (O_RDONLY | O_NONBLOCK | O_NOFOLLOW)

struct files {
	int root;
	bool dropbox;
};

enum err
files_open_root(struct files **out, const char *root, bool dropbox, struct fault *f)
{
	struct files *fs;

	*out = NULL;
	fs = calloc(1, sizeof(*fs));
	if (fs == NULL)
		return fault_set(f, ERR_NOMEM, "out of memory");
	fs->dropbox = dropbox;
	fs->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fs->root < 0) {
		free(fs);
		return fault_sys(f, errno, "the folder %.200s cannot be opened", root);
	}
	*out = fs;
	return OK;
}

void
files_close(struct files *fs)
{
	if (fs == NULL)
		return;
	(void)close(fs->root);
	free(fs);
}

int
files_root_fd(const struct files *fs)
{
	return fs->root;
}

/* Absence, refusal and links look the same from outside. */
static enum err
outside_view(enum err e)
{
	switch (e) {
	case OK:
	case ERR_NOMEM:
	case ERR_AGAIN:
		return e;
	default:
		return ERR_NOTFOUND;
	}
}

static const char *
beneath_name(const struct files_job *job)
{
	return job->path[0] != '\0' ? job->path : ".";
}

/* Fills the answer from an open descriptor and keeps it or closes it. */
static enum err
look(struct files_job *job, int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))) {
		(void)close(fd);
		return ERR_NOTFOUND;
	}
	job->is_folder = S_ISDIR(st.st_mode);
	job->size = (uint64_t)st.st_size;
	job->mtime = st.st_mtim.tv_sec;
	job->mtime_ns = st.st_mtim.tv_nsec;
	job->inode = (uint64_t)st.st_ino;
	if (job->op == FILES_OPEN && !job->is_folder && !descriptors_tight(fd)) {
		job->fd = fd;
		return OK;
	}
	(void)close(fd);
	if (job->op != FILES_OPEN)
		return OK;
	return job->is_folder ? ERR_NOTFOUND : ERR_NOMEM;
}

static enum err
dropbox_line(struct files_job *job, const struct listing_form *form)
{
	struct listing_entry e = {
		.name = FTP_DROPBOX, .is_folder = true, .is_dropbox = true, .mtime = form->now
	};

	return listing_line(&job->text, form, &e);
}

static enum err
list_one(struct files_job *job, const struct listing_form *form, int fd)
{
	struct listing_entry e = { .name = path_base(job->path) };
	enum err r = look(job, fd);

	if (r != OK || form->form == LISTING_FACTS) /* RFC 3659: MLSD is for folders */
		return r != OK ? r : ERR_NOTFOUND;
	e.size = job->size;
	e.mtime = job->mtime;
	return listing_line(&job->text, form, &e);
}

static enum err
list(struct files_job *job)
{
	struct listing_form form = { .form = job->listing,
		.facts = job->facts,
		.prefix = job->prefix,
		.now = clock_wall_ms() / 1000 };
	bool at_root = job->path[0] == '\0';
	struct stat st;
	enum err e;
	int fd;

	if (path_is_dropbox(job->path))
		return OK;
	e = beneath_open(job->files->root, beneath_name(job), OPEN_FLAGS, 0, &fd);
	if (e != OK)
		return outside_view(e);
	if (fstat(fd, &st) != 0 || !S_ISDIR(st.st_mode))
		return list_one(job, &form, fd);
	job->is_folder = true;
	e = listing_folder(&job->text, &form, fd, at_root ? FTP_DROPBOX : NULL);
	if (e == OK && at_root && job->files->dropbox)
		e = dropbox_line(job, &form);
	return e;
}

static void
run(uv_work_t *work)
{
	struct files_job *job = work->data;
	int fd;

	if (job->op == FILES_LIST) {
		job->e = list(job);
		return;
	}
	job->e =
	    outside_view(beneath_open(job->files->root, beneath_name(job), OPEN_FLAGS, 0, &fd));
	if (job->e == OK)
		job->e = look(job, fd);
}

static void
finished(uv_work_t *work, int status)
{
	struct files_job *job = work->data;

	if (status != 0)
		job->e = ERR_CANCELED;
	job->done(job);
}

/* The kernel answers only when no disk is needed; ERR_AGAIN sends the question to a worker. */
static bool
answered_from_memory(struct files_job *job)
{
	enum err e;
	int fd;

	if (job->op == FILES_LIST || inject("files.cold"))
		return false;
	e = outside_view(beneath_open_cached(job->files->root, beneath_name(job), OPEN_FLAGS, &fd));
	if (e == ERR_AGAIN)
		return false;
	job->e = e == OK ? look(job, fd) : e;
	return true;
}

bool
files_ask(struct files *fs, uv_loop_t *loop, struct files_job *job, const char *path)
{
	job->files = fs;
	job->fd = -1;
	job->e = OK;
	job->work.data = job;
	buf_init(
	    &job->text, job->listing == LISTING_STAT ? LIMIT_FTP_REPLY / 2 : LIMIT_FTP_LISTING);
	job->path = strdup(path);
	if (job->path == NULL) {
		job->e = ERR_NOMEM;
		return true;
	}
	if (answered_from_memory(job))
		return true;
	if (uv_queue_work(loop, &job->work, run, finished) != 0) {
		job->e = ERR_NOMEM;
		return true;
	}
	return false;
}

void
files_job_clear(struct files_job *job)
{
	free(job->path);
	free(job->prefix);
	job->path = job->prefix = NULL;
	buf_free(&job->text);
}
