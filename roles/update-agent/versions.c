#include "versions.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "net/httpd.h"
#include "os/mem.h"

#include <stdlib.h>
#include <string.h>

#define ANSWERS_A_TURN 256 /* then the other connections get their turn */
#define CROWD 256 /* connections whose memory is worth giving back */

struct waiter {
	struct waiter *prev, *next;
	struct versions *v;
	struct feed *feed;
	struct http_req *req;
	uint64_t have, deadline_ms;
};

struct versions {
	uv_loop_t *loop;
	const struct options *o;
	struct httpd *httpd;
	struct feeds *feeds;
	struct spread spread;
	uint64_t (*bytes_out)(void *ctx);
	void *bytes_ctx;
	uint64_t told, bytes_mark; /* since the last publication */
	struct waiter *waiters;	   /* all, any order */
	uv_timer_t tick, poll;
	uint32_t crowd; /* most connections since memory was given back */
	uv_idle_t answering;
	unsigned open; /* handles and parts not closed yet */
	bool closing;
	struct versions_stats stats;
	void (*closed)(void *ctx);
	void *ctx;
};

static void
unlink_waiter(struct waiter *w)
{
	struct versions *v = w->v;

	if (w->next != NULL)
		w->next->prev = w->prev;
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		v->waiters = w->next;
	v->stats.waiters--;
	free(w);
}

static void
canceled(struct http_req *r, void *ctx)
{
	unlink_waiter(ctx);
}

/* A client that is behind is told, and when it should come for the files. */
static void
answer(struct versions *v, struct http_req *r, const struct feed *f, bool behind)
{
	if (behind) {
		uint32_t after = spread_take(&v->spread, uv_now(v->loop));

		v->told++;
		v->stats.answered_new++;
		if (v->spread.budget > 0)
			http_setf(r, "Retry-After", "%u", after);
	}
	http_set(r, "ETag", f->etag);
	http_set(r, "Cache-Control", "no-cache");
	http_reply(r, 200, "application/json", f->body.data, f->body.len);
}

static void
wait_for(struct versions *v, struct http_req *r, struct feed *f, uint64_t have, uint64_t seconds)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		http_problem(r, 503, "busy", "No memory for another waiter.");
		return;
	}
	w->v = v;
	w->feed = f;
	w->req = r;
	w->have = have;
	w->deadline_ms = uv_now(v->loop) + seconds * 1000;
	w->next = v->waiters;
	if (w->next != NULL)
		w->next->prev = w;
	v->waiters = w;
	v->stats.waiters++;
	http_on_cancel(r, canceled, w);
}

static bool
same_etag(const struct http_req *r, const struct feed *f)
{
	const char *given = http_field(r, "if-none-match");

	return given != NULL && strcmp(given, f->etag) == 0;
}

static void
on_timestamp(struct http_req *r, void *ctx)
{
	struct versions *v = ctx;
	struct feed *f = feeds_find(v->feeds, http_param(r, 0));
	bool asks = http_query(r, "have") != NULL;
	uint64_t have, wait;

	v->stats.requests++;
	if (http_query_u64(r, "have", JSON_MAX_INT, 0, &have) != OK ||
	    http_query_u64(r, "wait", UINT32_MAX, 0, &wait) != OK) {
		http_problem(r, 400, "bad-query", "have and wait are whole numbers.");
		return;
	}
	if (f == NULL)
		http_problem(r, 404, "no-such-feed", "This mirror has no such feed.");
	else if (asks && have < f->version)
		answer(v, r, f, true);
	else if (asks && wait > 0)
		wait_for(v, r, f, have, wait > LIMIT_WAIT_SECONDS ? LIMIT_WAIT_SECONDS : wait);
	else if (asks)
		http_reply(r, 204, NULL, NULL, 0);
	else if (same_etag(r, f))
		http_reply(r, 304, NULL, NULL, 0);
	else
		answer(v, r, f, false);
}

static enum err
add_feed(cJSON *list, const struct feed *f)
{
	cJSON *item = cJSON_CreateObject();
	enum err e = item != NULL ? json_add_string(item, "name", f->name) : ERR_NOMEM;

	if (e == OK)
		e = json_add_u64(item, "version", f->version);
	if (e == OK)
		return json_append(list, item);
	cJSON_Delete(item);
	return e;
}

static void
on_feeds(struct http_req *r, void *ctx)
{
	struct versions *v = ctx;
	cJSON *tree = cJSON_CreateObject(), *list = NULL;
	enum err e = tree != NULL ? json_add_array(tree, "feeds", &list) : ERR_NOMEM;
	const struct feed *f;

	v->stats.requests++;
	for (f = feeds_first(v->feeds); f != NULL && e == OK; f = f->next) {
		if (f->present)
			e = add_feed(list, f);
	}
	if (e == OK)
		http_reply_json(r, 200, tree);
	else
		http_problem(r, 503, "busy", "Out of memory.");
	cJSON_Delete(tree);
}

static const struct http_route routes[] = {
	{ "GET", "/v1/feeds", 0, 0, on_feeds },
	{ "GET", "/v1/{}/timestamp", 0, 0, on_timestamp },
};

/* Publication: everybody who waits is answered, some each turn of the loop. */
static void
on_answering(uv_idle_t *h)
{
	struct versions *v = h->data;
	struct waiter *w, *next;
	unsigned n = 0;

	for (w = v->waiters; w != NULL && n < ANSWERS_A_TURN; w = next) {
		struct http_req *r = w->req;
		struct feed *f = w->feed;

		next = w->next;
		if (w->have >= f->version)
			continue;
		unlink_waiter(w);
		answer(v, r, f, true);
		n++;
	}
	if (w == NULL)
		(void)uv_idle_stop(h);
}

static void
on_changed(void *ctx, struct feed *f)
{
	struct versions *v = ctx;
	uint64_t bytes = v->bytes_out != NULL ? v->bytes_out(v->bytes_ctx) : 0;

	spread_learn(&v->spread, bytes - v->bytes_mark, v->told);
	v->bytes_mark = bytes;
	v->told = 0;
	if (v->waiters != NULL && !v->closing)
		(void)uv_idle_start(&v->answering, on_answering);
}

/* A crowd that has left must not go on costing memory. */
static void
give_back(struct versions *v)
{
	uint32_t now = httpd_stats(v->httpd).connections;

	if (now > v->crowd)
		v->crowd = now;
	if (v->crowd < CROWD || now > v->crowd / 4)
		return;
	v->crowd = now;
	mem_give_back();
}

static void
on_tick(uv_timer_t *t)
{
	struct versions *v = t->data;
	uint64_t now = uv_now(v->loop);
	struct waiter *w, *next;

	for (w = v->waiters; w != NULL; w = next) {
		struct http_req *r = w->req;

		next = w->next;
		if (now < w->deadline_ms)
			continue;
		unlink_waiter(w);
		v->stats.timeouts++;
		http_reply(r, 204, NULL, NULL, 0);
	}
	give_back(v);
}

static void
on_poll(uv_timer_t *t)
{
	struct versions *v = t->data;

	feeds_refresh(v->feeds);
}

static enum err
make_httpd(struct versions *v, struct fault *f)
{
	struct httpd_options ho = {
		.name = "version",
		.routes = routes,
		.n_routes = sizeof(routes) / sizeof(routes[0]),
		.ctx = v,
		.max_connections = v->o->max_waiters,
		.max_per_address = v->o->waiters_per_address,
		.wide = &v->o->nat_addresses,
		.max_per_wide = v->o->waiters_per_nat,
	};

	return httpd_new(&v->httpd, v->loop, &ho, f);
}

enum err
versions_new(struct versions **out, uv_loop_t *loop, const struct options *o, int root_fd,
    uint64_t (*bytes_out)(void *ctx), void *ctx, struct fault *f)
{
	struct versions *v = calloc(1, sizeof(*v));
	enum err e;

	*out = NULL;
	if (v == NULL)
		return fault_set(f, ERR_NOMEM, "out of memory");
	v->loop = loop;
	v->o = o;
	v->bytes_out = bytes_out;
	v->bytes_ctx = ctx;
	v->spread =
	    (struct spread){ .budget = o->outgoing_budget, .expected = o->expected_download };
	e = feeds_new(&v->feeds, loop, root_fd, on_changed, v);
	if (e == OK)
		e = make_httpd(v, f);
	if (e != OK) {
		if (v->feeds != NULL)
			feeds_close(v->feeds, NULL, NULL);
		free(v);
		return e;
	}
	(void)uv_timer_init(loop, &v->tick);
	(void)uv_timer_init(loop, &v->poll);
	(void)uv_idle_init(loop, &v->answering);
	v->tick.data = v->poll.data = v->answering.data = v;
	(void)uv_timer_start(&v->tick, on_tick, 250, 250);
	v->open = 5;
	*out = v;
	return OK;
}

enum err
versions_listen(
    struct versions *v, const char *host, uint16_t port, uint16_t *real, struct fault *f)
{
	return httpd_listen(v->httpd, host, port, real, f);
}

void
versions_refresh(struct versions *v)
{
	feeds_refresh(v->feeds);
}

void
versions_poll(struct versions *v, uint64_t ms)
{
	(void)uv_timer_start(&v->poll, on_poll, 0, ms);
}

struct versions_stats
versions_stats(const struct versions *v)
{
	struct versions_stats s = v->stats;

	s.connections = httpd_stats(v->httpd).connections;
	return s;
}

static void
part_closed(void *ctx)
{
	struct versions *v = ctx;
	void (*closed)(void *) = v->closed;
	void *closed_ctx = v->ctx;

	if (--v->open > 0)
		return;
	free(v);
	if (closed != NULL)
		closed(closed_ctx);
}

static void
handle_closed(uv_handle_t *h)
{
	part_closed(h->data);
}

/* The feeds go last: requests point at them until the server is gone. */
static void
httpd_closed(void *ctx)
{
	struct versions *v = ctx;

	feeds_close(v->feeds, part_closed, v);
	part_closed(v);
}

void
versions_close(struct versions *v, void (*closed)(void *ctx), void *ctx)
{
	v->closing = true;
	v->closed = closed;
	v->ctx = ctx;
	uv_close((uv_handle_t *)&v->tick, handle_closed);
	uv_close((uv_handle_t *)&v->poll, handle_closed);
	uv_close((uv_handle_t *)&v->answering, handle_closed);
	httpd_close(v->httpd, 0, httpd_closed, v);
}
