/* web_static.c - the built files of the browser part, below the folder web=. A path without a dot
 * that names no file is a place inside the single page: index.html. */
#include "base/limits.h"
#include "base/text.h"
#include "os/beneath.h"
#include "web.h"
#include "web_cookie.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIMIT_NAME 256
#define ETAG_TEXT 48

static const struct {
	const char *ending, *type;
} types[] = {
	{ ".html", "text/html; charset=utf-8" },
	{ ".js", "text/javascript; charset=utf-8" },
	{ ".css", "text/css; charset=utf-8" },
	{ ".json", "application/json" },
	{ ".webmanifest", "application/manifest+json" },
	{ ".svg", "image/svg+xml" },
	{ ".png", "image/png" },
	{ ".ico", "image/x-icon" },
	{ ".woff2", "font/woff2" },
	{ ".txt", "text/plain; charset=utf-8" },
	{ ".map", "application/json" },
};

struct open_job {
	uv_work_t work;
	struct http_req *req; /* NULL: the client went away */
	char root[STATE_PATH], name[LIMIT_NAME], known[ETAG_TEXT], etag[ETAG_TEXT];
	bool br, gzip;
	const char *coding;
	int fd;
	uint64_t size;
	bool same; /* the client has this very file */
	enum err err;
};

static const char *
type_of(const char *name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (text_ends(name, types[i].ending))
			return types[i].type;
	return NULL;
}

/* Opens name + ending when it is a regular file. */
static enum err
try_open(struct open_job *j, int root, const char *ending)
{
	char name[LIMIT_NAME + 8];
	struct stat st;
	enum err e;

	(void)snprintf(name, sizeof(name), "%s%s", j->name, ending);
	e = beneath_open(root, name, O_RDONLY | O_NONBLOCK, 0, &j->fd);
	if (e != OK) {
		j->fd = -1;
		return ERR_NOTFOUND;
	}
	if (fstat(j->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		(void)close(j->fd);
		j->fd = -1;
		return ERR_NOTFOUND;
	}
	j->size = (uint64_t)st.st_size;
	(void)snprintf(j->etag, sizeof(j->etag), "\"%llx-%llx%s\"",
	    (unsigned long long)st.st_mtim.tv_sec * 1000000000ull +
		(unsigned long long)st.st_mtim.tv_nsec,
	    (unsigned long long)st.st_size, ending);
	j->same = strcmp(j->etag, j->known) == 0;
	return OK;
}

static enum err
open_best(struct open_job *j, int root)
{
	j->coding = "br";
	if (j->br && try_open(j, root, ".br") == OK)
		return OK;
	j->coding = "gzip";
	if (j->gzip && try_open(j, root, ".gz") == OK)
		return OK;
	j->coding = NULL;
	return try_open(j, root, "");
}

static void
open_run(uv_work_t *work)
{
	struct open_job *j = work->data;
	int root = open(j->root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0) {
		j->err = ERR_STATE;
		return;
	}
	j->err = open_best(j, root);
	if (j->err == ERR_NOTFOUND && strchr(j->name, '.') == NULL) {
		memcpy(j->name, "index.html", sizeof("index.html"));
		j->err = open_best(j, root);
	}
	(void)close(root);
}

static void
reply(struct open_job *j)
{
	struct http_req *req = j->req;

	http_set(req, "ETag", j->etag);
	http_set(req, "Vary", "Accept-Encoding");
	http_set(req, "Cache-Control",
	    text_starts(j->name, "assets/") ? "public, max-age=31536000, immutable" : "no-cache");
	if (j->same) {
		http_reply(req, 304, NULL, NULL, 0);
		return;
	}
	if (j->coding != NULL)
		http_set(req, "Content-Encoding", j->coding);
	http_reply_file(req, 200, type_of(j->name), j->fd, 0, j->size);
	j->fd = -1;
}

static void
open_done(uv_work_t *work, int status)
{
	struct open_job *j = work->data;

	if (j->req != NULL) {
		http_on_cancel(j->req, NULL, NULL);
		if (status != 0 || j->err == ERR_NOMEM)
			http_problem(j->req, 503, "busy", "memory ran out");
		else if (j->err == ERR_STATE)
			http_problem(j->req, 503, "no-files",
			    "the folder of the web console's files (web=) is not there");
		else if (j->err != OK)
			http_problem(j->req, 404, "not-found", "there is no such file");
		else
			reply(j);
	}
	if (j->fd >= 0)
		(void)close(j->fd);
	free(j);
}

static void
open_cancel(struct http_req *req, void *ctx)
{
	struct open_job *j = ctx;

	(void)req;
	j->req = NULL;
}

static enum err
fill(struct open_job *j, struct http_req *req, const char *root)
{
	const char *name = http_param(req, 0), *known = http_field(req, "if-none-match");
	const char *codings = http_field(req, "accept-encoding");
	enum err e;

	if (name[0] == '\0')
		name = "index.html";
	if (!text_is_target_path(name, strlen(name)) ||
	    (strchr(name, '.') != NULL && type_of(name) == NULL))
		return ERR_NOTFOUND;
	if (known != NULL && text_copy(j->known, sizeof(j->known), known, strlen(known)) != OK)
		j->known[0] = '\0';
	j->br = accepts_coding(codings, "br");
	j->gzip = accepts_coding(codings, "gzip");
	e = text_copy(j->root, sizeof(j->root), root, strlen(root));
	return e == OK ? text_copy(j->name, sizeof(j->name), name, strlen(name)) : e;
}

void
web_file(struct http_req *req, void *ctx)
{
	struct console *c = ctx;
	struct open_job *j = calloc(1, sizeof(*j));

	if (j == NULL) {
		http_problem(req, 503, "busy", "memory ran out");
		return;
	}
	j->work.data = j;
	j->fd = -1;
	if (fill(j, req, c->o->web) != OK) {
		free(j);
		http_problem(req, 404, "not-found", "there is no such file");
		return;
	}
	j->req = req;
	http_on_cancel(req, open_cancel, j);
	if (uv_queue_work(c->loop, &j->work, open_run, open_done) != 0) {
		j->err = ERR_NOMEM;
		open_done(&j->work, 0);
	}
}
