/* upload.c - see upload.h. */
#include "upload.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "net/httpc.h"
#include "net/pki.h"
#include "os/file.h"
#include "os/rand.h"
#include "proto/upload.h"
#include "task_pull.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRIES_MAX 20u
#define FIRST_PAUSE_MS 500u
#define MAX_PAUSE_MS 60000u
#define PIECE_MIN 4096 /* of a slow line: below it a request costs more than it carries */

struct upload {
	struct agent *agent;
	char route[256], path[4300], sha[65];
	struct buf whole; /* the file as it was when the upload began */
	uint64_t at;
	unsigned fails, tries;
	struct httpc_call *call;
	uv_work_t work;
	uv_timer_t timer;
	enum err err;
	char why[240];
	bool busy, canceled, ending;
	uint64_t rate_limit, sent; /* sent: bytes of the last piece */
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	void (*done)(void *ctx, enum err e, const char *why);
	void *ctx;
};

static void send_piece(struct upload *u);

static void
timer_closed(uv_handle_t *h)
{
	struct upload *u = h->data;

	u->done(u->ctx, u->err, u->why);
	buf_free(&u->whole);
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
	send_piece(t->data);
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
	size_t n = u->whole.len - (size_t)u->at, max = UPLOAD_PIECE;

	if (u->rate_limit != 0 && u->rate_limit < max)
		max = u->rate_limit < PIECE_MIN ? PIECE_MIN : (size_t)u->rate_limit;
	return n < max ? n : max;
}

static void
next_piece(struct upload *u)
{
	if (u->rate_limit == 0)
		send_piece(u);
	else
		(void)uv_timer_start(&u->timer, on_timer, u->sent * 1000 / u->rate_limit, 0);
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
	} else if ((r->status == 200 || r->status == 409) && read_have(r, u->whole.len, &have)) {
		if (have > u->at || r->status == 200)
			u->fails = 0;
		u->at = have;
		if (u->progress != NULL)
			u->progress(u->ctx, have, u->whole.len);
		if (r->status == 409)
			again(u, "the console has another part of the file");
		else
			next_piece(u);
	} else if (r->status == 404 || r->status == 405 || r->status == 501) {
		end(u, ERR_NOTFOUND, "this console takes no uploads");
	} else if (r->status == 422) {
		u->at = 0;
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
	(void)snprintf(path, sizeof path, "%s?offset=%llu&total=%zu&sha256=%s", u->route,
	    (unsigned long long)u->at, u->whole.len, u->sha);
	e = console_url(u->agent, url, sizeof url, path);
	q.method = "PUT";
	q.url = url;
	q.headers = headers;
	q.body = u->whole.data + u->at;
	q.body_len = u->sent = piece_size(u);
	q.done = piece_done;
	q.ctx = u;
	if (e == OK)
		e = httpc_start(u->agent->console, &q, &u->call, &f);
	if (e != OK)
		again(u, fault_text(&f));
}

static void
read_work(uv_work_t *w)
{
	struct upload *u = w->data;
	uint8_t sum[PKI_SHA256];
	struct fault f = { 0 };

	u->err = file_read(u->path, &u->whole, &f);
	if (u->err != OK) {
		(void)snprintf(u->why, sizeof u->why, "%s", fault_text(&f));
		return;
	}
	pki_sha256(sum, u->whole.data, u->whole.len);
	text_hex(u->sha, sum, sizeof sum);
}

static void
read_done(uv_work_t *w, int status)
{
	struct upload *u = w->data;
	char why[240];

	u->busy = false;
	(void)snprintf(why, sizeof why, "%s", u->why);
	if (u->canceled)
		end(u, ERR_CANCELED, "stopped on request");
	else if (u->err != OK)
		end(u, u->err == ERR_NOTFOUND ? ERR_STATE : u->err, why);
	else
		send_piece(u);
}

enum err
upload_start(struct upload **out, struct agent *a, const struct upload_order *o)
{
	struct upload *u = calloc(1, sizeof *u);

	if (u == NULL)
		return ERR_NOMEM;
	u->agent = a;
	u->rate_limit = o->rate_limit;
	u->tries = o->tries != 0 ? o->tries : TRIES_MAX;
	u->progress = o->progress;
	u->done = o->done;
	u->ctx = o->ctx;
	u->work.data = u->timer.data = u;
	u->busy = true;
	buf_init(&u->whole, LIMIT_UPLOAD_BYTES);
	(void)snprintf(u->route, sizeof u->route, "%s", o->route);
	(void)snprintf(u->path, sizeof u->path, "%s", o->path);
	(void)uv_timer_init(&a->loop, &u->timer);
	(void)uv_queue_work(&a->loop, &u->work, read_work, read_done);
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
