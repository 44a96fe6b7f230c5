#include "feeds.h"

#include "ftp_path.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "os/beneath.h"
#include "os/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FEEDS_MAX 64 /* folders of one root that are looked at; real ones have two or three */

/* What a worker saw of one feed. body is read only when the file is another one than before. */
struct sight {
	char name[256];
	uint64_t inode, size, version;
	int64_t mtime, mtime_ns;
	bool fresh;
	bool broken; /* there, but not readable as a timestamp: what was known stays */
	struct buf body;
};

struct feeds {
	uv_loop_t *loop;
	int root;
	struct feed *first;
	void (*changed)(void *ctx, struct feed *);
	void *ctx;
	uv_work_t work;
	bool running, again, closing;
	void (*closed)(void *ctx);
	void *closed_ctx;
	size_t n;
	struct sight *sights; /* FEEDS_MAX, the worker's while running */
	size_t known_n;
	struct sight *known; /* FEEDS_MAX, for comparison in the worker */
	bool failed;
};

void
feed_etag(char out[FEED_ETAG], uint64_t inode, uint64_t size, int64_t mtime, int64_t mtime_ns)
{
	(void)snprintf(out, FEED_ETAG, "\"%llx-%llx-%llx.%llx\"", (unsigned long long)inode,
	    (unsigned long long)size, (unsigned long long)mtime, (unsigned long long)mtime_ns);
}

enum err
feeds_new(struct feeds **out, uv_loop_t *loop, int root_fd, void (*changed)(void *, struct feed *),
    void *ctx)
{
	struct feeds *fs = calloc(1, sizeof(*fs));

	*out = fs;
	if (fs == NULL)
		return ERR_NOMEM;
	fs->loop = loop;
	fs->root = root_fd;
	fs->changed = changed;
	fs->ctx = ctx;
	fs->sights = calloc(FEEDS_MAX, sizeof(*fs->sights));
	fs->known = calloc(FEEDS_MAX, sizeof(*fs->known));
	if (fs->sights != NULL && fs->known != NULL)
		return OK;
	free(fs->sights);
	free(fs->known);
	free(fs);
	*out = NULL;
	return ERR_NOMEM;
}

/* --- in the worker --- */

static bool
is_known(const struct feeds *fs, const struct sight *s)
{
	size_t i;

	for (i = 0; i < fs->known_n; i++) {
		const struct sight *k = &fs->known[i];

		if (strcmp(k->name, s->name) == 0)
			return k->inode == s->inode && k->size == s->size && k->mtime == s->mtime &&
			       k->mtime_ns == s->mtime_ns;
	}
	return false;
}

static enum err
read_version(struct sight *s)
{
	cJSON *tree = NULL, *inner;
	enum err e = json_parse(&tree, buf_text(&s->body), s->body.len, JSON_SIGNED, NULL);

	if (e == OK)
		e = json_get_object(tree, "signed", &inner, NULL);
	if (e == OK)
		e = json_get_u64(inner, "version", JSON_MAX_INT, &s->version, NULL);
	cJSON_Delete(tree);
	return e;
}

static enum err
read_body(int fd, struct sight *s)
{
	ssize_t n;
	enum err e = buf_reserve(&s->body, LIMIT_TUF_TIMESTAMP);

	if (e != OK || s->size > LIMIT_TUF_TIMESTAMP)
		return e != OK ? e : ERR_TOOBIG;
	while ((n = read(fd, s->body.data + s->body.len, s->size - s->body.len)) > 0)
		s->body.len += (size_t)n;
	if (n < 0 || s->body.len != s->size)
		return ERR_IO;
	s->body.data[s->body.len] = '\0';
	return OK;
}

static enum err
look_at(struct feeds *fs, const char *name, struct sight *s)
{
	char path[300];
	struct stat st;
	enum err e;
	int fd;

	*s = (struct sight){ .broken = true };
	buf_init(&s->body, LIMIT_TUF_TIMESTAMP + 1);
	(void)snprintf(s->name, sizeof(s->name), "%s", name);
	(void)snprintf(path, sizeof(path), "%s/metadata/timestamp.json", name);
	e = beneath_open(fs->root, path, O_RDONLY | O_NONBLOCK, 0, &fd);
	if (e != OK)
		return e;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		(void)close(fd);
		return ERR_NOTFOUND;
	}
	s->inode = (uint64_t)st.st_ino;
	s->size = (uint64_t)st.st_size;
	s->mtime = st.st_mtim.tv_sec;
	s->mtime_ns = st.st_mtim.tv_nsec;
	s->fresh = !is_known(fs, s);
	e = s->fresh ? read_body(fd, s) : OK;
	(void)close(fd);
	if (e == OK && s->fresh)
		e = read_version(s);
	s->broken = e != OK;
	if (e != OK)
		log_warn("feeds.unreadable", "feed=%s error=%s", log_q(name), err_word(e));
	return e;
}

static void
look(uv_work_t *w)
{
	struct feeds *fs = w->data;
	int fd = openat(fs->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *de;

	fs->n = 0;
	fs->failed = d == NULL;
	if (d == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	while (fs->n < FEEDS_MAX && (de = readdir(d)) != NULL) {
		size_t len = strlen(de->d_name);

		if (!text_is_file_name(de->d_name, len) || path_is_dropbox(de->d_name))
			continue;
		if (look_at(fs, de->d_name, &fs->sights[fs->n]) != ERR_NOTFOUND)
			fs->n++;
	}
	(void)closedir(d);
}

/* --- in the loop --- */

static struct feed *
find_any(struct feeds *fs, const char *name)
{
	struct feed *f;

	for (f = fs->first; f != NULL; f = f->next) {
		if (strcmp(f->name, name) == 0)
			return f;
	}
	return NULL;
}

struct feed *
feeds_find(struct feeds *fs, const char *name)
{
	struct feed *f = find_any(fs, name);

	return f != NULL && f->present ? f : NULL;
}

struct feed *
feeds_first(struct feeds *fs)
{
	return fs->first;
}

static void
apply(struct feeds *fs, struct sight *s)
{
	struct feed *f = find_any(fs, s->name);

	if (f == NULL && s->broken)
		return;
	if (f == NULL) {
		f = calloc(1, sizeof(*f));
		if (f == NULL)
			return;
		(void)snprintf(f->name, sizeof(f->name), "%s", s->name);
		f->next = fs->first;
		fs->first = f;
	}
	f->present = true;
	if (!s->fresh || s->broken)
		return;
	buf_free(&f->body);
	f->body = s->body;
	buf_init(&s->body, 0);
	f->version = s->version;
	f->inode = s->inode;
	f->size = s->size;
	f->mtime = s->mtime;
	f->mtime_ns = s->mtime_ns;
	feed_etag(f->etag, f->inode, f->size, f->mtime, f->mtime_ns);
	log_info(
	    "feeds.published", "feed=%s version=%llu", f->name, (unsigned long long)f->version);
	fs->changed(fs->ctx, f);
}

static void
free_all(struct feeds *fs)
{
	struct feed *f;

	while ((f = fs->first) != NULL) {
		fs->first = f->next;
		buf_free(&f->body);
		free(f);
	}
	free(fs->sights);
	free(fs->known);
	if (fs->closed != NULL)
		fs->closed(fs->closed_ctx);
	free(fs);
}

static void
looked(uv_work_t *w, int status)
{
	struct feeds *fs = w->data;
	struct feed *f;
	size_t i;

	fs->running = false;
	if (!fs->failed && !fs->closing && status == 0) {
		for (f = fs->first; f != NULL; f = f->next)
			f->present = false;
		for (i = 0; i < fs->n; i++)
			apply(fs, &fs->sights[i]);
	}
	for (i = 0; i < fs->n; i++)
		buf_free(&fs->sights[i].body);
	if (fs->closing)
		free_all(fs);
	else if (fs->again)
		feeds_refresh(fs);
}

void
feeds_refresh(struct feeds *fs)
{
	struct feed *f;

	fs->again = fs->running;
	if (fs->running || fs->closing)
		return;
	fs->known_n = 0;
	for (f = fs->first; f != NULL && fs->known_n < FEEDS_MAX; f = f->next) {
		struct sight *k = &fs->known[fs->known_n++];

		memcpy(k->name, f->name, sizeof(k->name));
		k->inode = f->inode;
		k->size = f->size;
		k->mtime = f->mtime;
		k->mtime_ns = f->mtime_ns;
	}
	fs->running = true;
	fs->work.data = fs;
	(void)uv_queue_work(fs->loop, &fs->work, look, looked);
}

void
feeds_close(struct feeds *fs, void (*done)(void *ctx), void *ctx)
{
	fs->closing = true;
	fs->closed = done;
	fs->closed_ctx = ctx;
	if (!fs->running)
		free_all(fs);
}
