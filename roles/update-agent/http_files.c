#include "http_files.h"

#include "feeds.h"
#include "http_cond.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct http_files {
	const struct options *o;
	struct files *files;
	struct httpd *httpd;
	unsigned jobs; /* questions to the disk under way */
	bool httpd_closed;
	void (*closed)(void *ctx);
	void *ctx;
};

struct request {
	struct files_job job;
	struct http_files *h;
	struct http_req *req; /* NULL: the client went away meanwhile */
};

static const char *
type_of(const char *path)
{
	const char *dot = strrchr(path_base(path), '.');

	return dot != NULL && strcmp(dot, ".json") == 0 ? "application/json"
							: "application/octet-stream";
}

static void
send_file(struct http_req *r, struct files_job *j)
{
	struct http_conditions c = { http_field(r, "if-none-match"),
		http_field(r, "if-modified-since"), http_field(r, "if-range"),
		http_field(r, "range") };
	char etag[FEED_ETAG], date[HTTP_DATE_TEXT];
	uint64_t first = 0, length = 0;
	enum http_answer a;

	feed_etag(etag, j->inode, j->size, j->mtime, j->mtime_ns);
	http_date(date, j->mtime);
	a = http_decide(&c, etag, j->mtime, j->size, &first, &length);
	http_set(r, "ETag", etag);
	http_set(r, "Last-Modified", date);
	http_set(r, "Accept-Ranges", "bytes");
	if (a == HTTP_ANSWER_PART)
		http_setf(r, "Content-Range", "bytes %llu-%llu/%llu", (unsigned long long)first,
		    (unsigned long long)(first + length - 1), (unsigned long long)j->size);
	if (a == HTTP_ANSWER_FULL || a == HTTP_ANSWER_PART) {
		http_reply_file(
		    r, a == HTTP_ANSWER_PART ? 206 : 200, type_of(j->path), j->fd, first, length);
		return;
	}
	(void)close(j->fd);
	if (a == HTTP_ANSWER_NOT_MODIFIED) {
		http_reply(r, 304, NULL, NULL, 0);
		return;
	}
	http_setf(r, "Content-Range", "bytes */%llu", (unsigned long long)j->size);
	http_problem(r, 416, "bad-range", "The file ends before that range.");
}

static void
answer(struct http_req *r, struct files_job *j)
{
	if (j->e == OK)
		send_file(r, j);
	else if (j->e == ERR_NOTFOUND)
		http_problem(r, 404, "not-found", "No such file.");
	else
		http_problem(r, 503, "busy", "Too busy, try later.");
}

static void
check_closed(struct http_files *h)
{
	void (*closed)(void *) = h->closed;
	void *ctx = h->ctx;

	if (!h->httpd_closed || h->jobs > 0)
		return;
	free(h);
	if (closed != NULL)
		closed(ctx);
}

static void
job_done(struct files_job *job)
{
	struct request *q = (struct request *)job;
	struct http_files *h = q->h;

	h->jobs--;
	if (q->req != NULL)
		answer(q->req, job);
	else if (job->fd >= 0)
		(void)close(job->fd);
	files_job_clear(job);
	free(q);
	check_closed(h);
}

static void
canceled(struct http_req *r, void *ctx)
{
	struct request *q = ctx;

	q->req = NULL;
}

static void
on_get(struct http_req *r, void *ctx)
{
	struct http_files *h = ctx;
	const char *asked = http_path(r);
	char path[FTP_PATH_MAX];
	struct request *q;

	if (path_resolve(path, "", asked, strlen(asked)) != OK || path_is_dropbox(path)) {
		http_problem(r, 404, "not-found", "No such file.");
		return;
	}
	q = calloc(1, sizeof(*q));
	if (q == NULL) {
		http_problem(r, 503, "busy", "Out of memory.");
		return;
	}
	q->h = h;
	q->req = r;
	q->job.op = FILES_OPEN;
	q->job.done = job_done;
	h->jobs++;
	if (files_ask(h->files, http_loop(r), &q->job, path))
		job_done(&q->job);
	else
		http_on_cancel(r, canceled, q);
}

static const struct http_route routes[] = {
	{ "GET", "/*", 0, 0, on_get },
};

enum err
http_files_new(struct http_files **out, uv_loop_t *loop, const struct options *o,
    struct files *files, struct fault *f)
{
	struct http_files *h = calloc(1, sizeof(*h));
	struct httpd_options ho = {
		.name = "http",
		.routes = routes,
		.n_routes = 1,
		.ctx = h,
		.max_connections = o->max_sessions,
		.max_per_address = o->max_sessions_per_address,
		.wide = &o->nat_addresses,
		.max_per_wide = o->max_sessions_per_nat,
	};
	enum err e;

	*out = NULL;
	if (h == NULL)
		return fault_set(f, ERR_NOMEM, "out of memory");
	h->o = o;
	h->files = files;
	e = httpd_new(&h->httpd, loop, &ho, f);
	if (e != OK) {
		free(h);
		return e;
	}
	*out = h;
	return OK;
}

enum err
http_files_listen(
    struct http_files *h, const char *host, uint16_t port, uint16_t *real, struct fault *f)
{
	return httpd_listen(h->httpd, host, port, real, f);
}

struct httpd_stats
http_files_stats(const struct http_files *h)
{
	return httpd_stats(h->httpd);
}

static void
httpd_closed(void *ctx)
{
	struct http_files *h = ctx;

	h->httpd_closed = true;
	check_closed(h);
}

void
http_files_close(struct http_files *h, uint64_t drain_ms, void (*closed)(void *ctx), void *ctx)
{
	h->closed = closed;
	h->ctx = ctx;
	httpd_close(h->httpd, drain_ms, httpd_closed, h);
}
