/* upload.c - see upload.h. */
#include "upload.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "net/httpc.h"
#include "os/rand.h"
#include "proto/upload.h"
#include "task_pull.h"
#include "update/hash_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRIES_MAX 20u
#define FIRST_PAUSE_MS 500u
#define MAX_PAUSE_MS 60000u
#define PIECE_MIN 4096 /* of a slow line: below it a request costs more than it carries */

enum step { HASH, READ };

/* No more of the file is in memory than the piece that is under way. */
struct upload {
	struct agent *agent;
	char route[256], path[4300], sha[HASH_SHA256_TEXT];
	int fd;
	uint64_t total, at; /* total: as long as the file was when it was hashed */
	bool stale;	    /* it is not the file any more that was hashed */
	uint8_t *piece;	    /* UPLOAD_PIECE */
	size_t n;	    /* bytes of the last piece */
	enum step step;
	unsigned fails, tries;
	struct httpc_call *call;
	uv_work_t work;
	uv_timer_t timer;
	enum err err;
	char why[240];
	bool busy, canceled, ending;
	uint64_t rate_limit;
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	void (*done)(void *ctx, enum err e, const char *why);
	void *ctx;
};

static void next(struct upload *u);

static void
timer_closed(uv_handle_t *h)
{
	struct upload *u = h->data;

	u->done(u->ctx, u->err, u->why);
	if (u->fd >= 0)
		(void)close(u->fd);
	free(u->piece);
	free(u);
}

static void
end(struct upload *u, enum err e, const char *why)
{
	if (u->ending)
		return;
	u->ending = true;
	u->err = e;
	(void)snprintf(u->why, sizeof u->why, "%s", why);
	uv_close((uv_handle_t *)&u->timer, timer_closed);
}

static void
on_timer(uv_timer_t *t)
{
	next(t->data);
}

static void
again(struct upload *u, const char *why)
{
	uint64_t pause = FIRST_PAUSE_MS;

	if (++u->fails >= u->tries) {
		end(u, ERR_UNREACHABLE, why);
		return;
	}
	for (unsigned i = 1; i < u->fails && pause < MAX_PAUSE_MS; i++)
		pause *= 2;
	pause += rand_below((uint32_t)pause);
	(void)uv_timer_start(&u->timer, on_timer, pause, 0);
}

static bool
read_have(const struct httpc_response *r, uint64_t max, uint64_t *have)
{
	cJSON *t;
	bool ok = json_parse(&t, (const char *)r->body, r->len, JSON_EVENT, NULL) == OK &&
		  json_get_u64(t, "have", max, have, NULL) == OK;

	if (r->len > 0)
		cJSON_Delete(t);
	return ok;
}

/* A piece at most as large as a second of the rate, then the pause that it costs. */
static size_t
piece_size(const struct upload *u)
{
	uint64_t n = u->total - u->at, max = UPLOAD_PIECE;

	if (u->rate_limit != 0 && u->rate_limit < max)
		max = u->rate_limit < PIECE_MIN ? PIECE_MIN : u->rate_limit;
	return (size_t)(n < max ? n : max);
}

static void
next_piece(struct upload *u)
{
	if (u->rate_limit == 0)
		next(u);
	else
		(void)uv_timer_start(&u->timer, on_timer, u->n * 1000 / u->rate_limit, 0);
}

static void
piece_done(void *ctx, const struct httpc_response *r)
{
	struct upload *u = ctx;
	uint64_t have;

	u->call = NULL;
	if (r->err != OK) {
		again(u, fault_text(&r->fault));
	} else if (r->status == 201) {
		end(u, OK, "");
	} else if ((r->status == 200 || r->status == 409) && read_have(r, u->total, &have)) {
		if (have > u->at || r->status == 200)
			u->fails = 0;
		u->at = have;
		if (u->progress != NULL)
			u->progress(u->ctx, have, u->total);
		if (r->status == 409)
			again(u, "the console has another part of the file");
		else
			next_piece(u);
	} else if (r->status == 404 || r->status == 405 || r->status == 501) {
		end(u, ERR_NOTFOUND, "this console takes no uploads");
	} else if (r->status == 422) {
		u->stale = true;
		again(u, "the console received other bytes than were sent");
	} else if (r->status / 100 == 4 && r->status != 429) {
		end(u, ERR_DENIED, "the console refused the upload");
	} else {
		again(u, "the console cannot take it now");
	}
}

static void
send_piece(struct upload *u)
{
	static const char *const headers[] = { "Content-Type: application/octet-stream", NULL };
	struct httpc_request q = { 0 };
	char path[512], url[1024];
	struct fault f = { 0 };
	enum err e;

	if (u->agent->console == NULL) {
		again(u, "this PC is not enrolled");
		return;
	}
	(void)snprintf(path, sizeof path, "%s?offset=%llu&total=%llu&sha256=%s", u->route,
	    (unsigned long long)u->at, (unsigned long long)u->total, u->sha);
	e = console_url(u->agent, url, sizeof url, path);
	q.method = "PUT";
	q.url = url;
	q.headers = headers;
	q.body = u->piece;
	q.body_len = u->n;
	q.done = piece_done;
	q.ctx = u;
	if (e == OK)
		e = httpc_start(u->agent->console, &q, &u->call, &f);
	if (e != OK)
		again(u, fault_text(&f));
}

/* --- worker --- */

static void
fail_work(struct upload *u, enum err e, const char *what)
{
	u->err = e;
	(void)snprintf(u->why, sizeof u->why, "%.180s %s", u->path, what);
}

/* A file that grows meanwhile, as a log does, is sent as long as it was. */
static void
hash_work(struct upload *u)
{
	if (u->fd >= 0)
		(void)close(u->fd);
	u->at = 0;
	u->stale = false;
	u->err = OK;
	u->fd = open(u->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (u->fd < 0)
		fail_work(u, err_from_errno(errno), "cannot be opened");
	else if (hash_file(u->fd, 0, LIMIT_UPLOAD_BYTES + 1, u->sha, &u->total) != OK)
		fail_work(u, ERR_IO, "cannot be read");
	else if (u->total > LIMIT_UPLOAD_BYTES)
		fail_work(u, ERR_TOOBIG, "is too large for an upload");
}

static void
read_work(struct upload *u)
{
	size_t have = 0;
	ssize_t n = 1;

	u->n = piece_size(u);
	while (have < u->n && n > 0) {
		n = pread(u->fd, u->piece + have, u->n - have, (off_t)(u->at + have));
		if (n > 0)
			have += (size_t)n;
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	u->err = n < 0 ? ERR_IO : OK;
	u->stale = n == 0; /* somebody cut it */
}

static void
run(uv_work_t *w)
{
	struct upload *u = w->data;

	if (u->step == HASH)
		hash_work(u);
	else
		read_work(u);
}

/* --- loop --- */

static void
worked(uv_work_t *w, int status)
{
	struct upload *u = w->data;
	char why[240];

	u->busy = false;
	(void)snprintf(why, sizeof why, "%s", u->why);
	if (u->canceled)
		end(u, ERR_CANCELED, "stopped on request");
	else if (u->step == HASH && u->err != OK)
		end(u, u->err == ERR_NOTFOUND ? ERR_STATE : u->err, why);
	else if (u->step == HASH)
		next(u);
	else if (u->err != OK || u->stale)
		again(u, u->stale ? "the file became shorter" : "the file cannot be read");
	else
		send_piece(u);
}

/* Every try begins here. */
static void
next(struct upload *u)
{
	u->step = u->stale ? HASH : READ;
	u->busy = true;
	(void)uv_queue_work(&u->agent->loop, &u->work, run, worked);
}

enum err
upload_start(struct upload **out, struct agent *a, const struct upload_order *o)
{
	struct upload *u = calloc(1, sizeof *u);

	if (u == NULL || (u->piece = malloc(UPLOAD_PIECE)) == NULL) {
		free(u);
		return ERR_NOMEM;
	}
	u->agent = a;
	u->fd = -1;
	u->stale = true;
	u->rate_limit = o->rate_limit;
	u->tries = o->tries != 0 ? o->tries : TRIES_MAX;
	u->progress = o->progress;
	u->done = o->done;
	u->ctx = o->ctx;
	u->work.data = u->timer.data = u;
	(void)snprintf(u->route, sizeof u->route, "%s", o->route);
	(void)snprintf(u->path, sizeof u->path, "%s", o->path);
	(void)uv_timer_init(&a->loop, &u->timer);
	next(u);
	*out = u;
	return OK;
}

void
upload_cancel(struct upload *u)
{
	u->canceled = true;
	if (u->call != NULL)
		httpc_cancel(u->call);
	u->call = NULL;
	if (!u->busy)
		end(u, ERR_CANCELED, "stopped on request");
}
