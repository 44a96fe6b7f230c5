#include "web_live.h"

#include "base/clock.h"
#include "base/text.h"
#include "web_ring.h"
#include "web_routes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS_MAX 512
#define STREAMS_PER_SESSION 8
#define PIECE 65536 /* in one write */
#define PING_MS 15000
#define CHECK_MS 1000 /* is the session alive? */
#define QUERY_MS 1000 /* when nothing was woken */
#define REST_MS 60000 /* nobody listens: the ring is dropped */

struct stream {
	struct stream *next, **link;
	struct live *l;
	struct http_req *req;
	struct ring_place place;
	bool hungry, greeted;
	const char *end; /* "session", "stopping" */
	uint64_t resume; /* event number the browser has seen; UINT64_MAX: none */
	uint64_t said_ms;
	struct who who;
};

struct live {
	struct web *w;
	struct ring ring;
	struct stream *streams;
	size_t n;
	bool running, querying, dirty, stopped;
	uint64_t next_query, next_check, rest_ms;
	struct live_feed feed;
};

/* ---- one stream ---- */

static enum err
put_hello(struct stream *st, struct buf *out)
{
	struct live *l = st->l;
	bool resumed = st->resume != UINT64_MAX;
	enum err e;

	if (resumed)
		ring_resume(&l->ring, &st->place, st->resume);
	else
		ring_join(&l->ring, &st->place);
	st->greeted = true;
	e = buf_printf(out,
	    "retry: 2000\nevent: hello\ndata: {\"n\":%" PRIu64 ",\"resumed\":%s}\n\n",
	    l->feed.last_n, resumed ? "true" : "false");
	return e;
}

static enum err
put_end(struct stream *st, struct buf *out)
{
	return buf_printf(out, "event: end\ndata: {\"why\":\"%s\"}\n\n", st->end);
}

/* Says what there is to say, when the connection takes it. */
static void
pump(struct stream *st, bool ping)
{
	struct buf out;
	bool last = st->end != NULL;
	enum err e = OK;

	if (!st->hungry || !st->l->running)
		return;
	buf_init(&out, PIECE + RING_FRAME_MAX);
	if (!st->greeted && !last)
		e = put_hello(st, &out);
	if (e == OK && last)
		e = put_end(st, &out);
	else if (e == OK)
		e = ring_take(&st->l->ring, &st->place, &out, PIECE);
	if (e == OK && out.len == 0 && ping)
		e = buf_puts(&out, ": ping\n\n");
	if (e == OK && out.len > 0) {
		st->hungry = false;
		st->said_ms = clock_mono_ms();
		e = http_stream_write(st->req, out.data, out.len, last);
	}
	buf_free(&out);
	if (e != OK)
		http_stream_abort(st->req);
}

static void
on_proceed(struct http_req *req, void *ctx)
{
	struct stream *st = ctx;

	(void)req;
	st->hungry = true;
	pump(st, false);
}

static void
on_stop(struct http_req *req, void *ctx)
{
	struct stream *st = ctx;

	(void)req;
	ring_leave(&st->l->ring, &st->place);
	*st->link = st->next;
	if (st->next != NULL)
		st->next->link = st->link;
	st->l->n--;
	free(st);
}

static const struct http_source source = { on_proceed, on_stop };

static size_t
of_session(const struct live *l, const struct who *w)
{
	size_t n = 0;

	for (const struct stream *st = l->streams; st != NULL; st = st->next)
		n += memcmp(st->who.session, w->session, sizeof(w->session)) == 0;
	return n;
}

static void
take_text(struct http_req *req, const char *name, char *out, size_t size)
{
	const char *text = http_query(req, name);

	if (text == NULL || text_copy(out, size, text, strlen(text)) != OK)
		out[0] = '\0';
}

static unsigned
topics_of(struct http_req *req)
{
	const char *p = http_query(req, "topics");
	unsigned topics = 0;

	while (p != NULL && *p != '\0') {
		size_t n = strcspn(p, ",");

		topics |= text_eq(p, n, "events") ? RING_EVENT : 0;
		topics |= text_eq(p, n, "agents") ? RING_AGENT : 0;
		topics |= text_eq(p, n, "tasks") ? RING_TASK : 0;
		p += n;
		p += *p == ',';
	}
	return topics;
}

static uint64_t
resume_point(struct http_req *req)
{
	const char *text = http_field(req, "last-event-id");
	uint64_t n;

	if (text == NULL || text[0] == '\0')
		text = http_query(req, "after");
	if (text == NULL || text_u64(text, strlen(text), JSON_MAX_INT, &n) != OK)
		return UINT64_MAX;
	return n;
}

void
web_live(struct http_req *req, void *ctx)
{
	struct console *c = ctx;
	struct live *l = c->web->live;
	struct stream *st;
	struct who who;

	if (!web_who(c, req, &who) || l->n >= STREAMS_MAX || c->stopping ||
	    of_session(l, &who) >= STREAMS_PER_SESSION || (st = calloc(1, sizeof(*st))) == NULL) {
		http_set(req, "Retry-After", "10");
		http_problem(req, 503, "busy", "too many streams are open");
		return;
	}
	st->l = l;
	st->req = req;
	st->who = who;
	st->place.topics = topics_of(req);
	st->place.who = &st->who;
	take_text(req, "class", st->place.cls, sizeof(st->place.cls));
	take_text(req, "type", st->place.type, sizeof(st->place.type));
	take_text(req, "agent", st->place.agent, sizeof(st->place.agent));
	st->resume = resume_point(req);
	st->said_ms = clock_mono_ms();
	st->next = l->streams;
	st->link = &l->streams;
	if (st->next != NULL)
		st->next->link = &st->next;
	l->streams = st;
	l->n++;
	l->next_query = 0;
	http_stream(req, 200, "text/event-stream", HTTP_LENGTH_UNKNOWN, &source, st);
}

/* ---- feeding the ring ---- */

struct query {
	struct job job;
	struct live *l;
	struct live_feed feed;
	struct ring_list found;
};

static enum err
query_run(struct job *job, void *ctx)
{
	struct query *q = (struct query *)job;

	return live_feed_read(&q->feed, q->l->w->c, ctx, &q->found);
}

static void
pump_all(struct live *l)
{
	struct stream *next;

	for (struct stream *st = l->streams; st != NULL; st = next) {
		next = st->next;
		pump(st, false);
	}
}

static void
query_done(struct job *job, enum err result)
{
	struct query *q = (struct query *)job;
	struct live *l = q->l;

	l->querying = false;
	if (result == OK) {
		l->feed.last_n = q->feed.last_n;
		l->feed.last_rev = q->feed.last_rev;
		l->feed.started = l->running = true;
		if (q->feed.more)
			l->dirty = true;
		ring_add(&l->ring, &q->found);
		pump_all(l);
	}
	ring_list_free(&q->found);
	free(q);
}

static void
query(struct live *l)
{
	struct query *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return;
	q->l = l;
	q->feed = l->feed; /* with the tasks that changed */
	l->feed.n_tasks = 0;
	q->job.run = query_run;
	q->job.done = query_done;
	l->querying = true;
	l->dirty = false;
	work_add(&l->w->c->db_work, &q->job);
}

/* What others are woken for is what streams tell. */
static void
on_woken(void *arg, const char *topic)
{
	struct live *l = arg;

	l->dirty = true;
	if (l->running && text_starts(topic, "task:"))
		live_feed_task(&l->feed, topic + strlen("task:"));
}

static void
check_sessions(struct live *l, uint64_t now_ms)
{
	struct stream *next;

	for (struct stream *st = l->streams; st != NULL; st = next) {
		next = st->next;
		if (sessions_find(l->w->sessions, st->who.session, clock_wall_ms(), false, NULL) ==
		    NULL)
			st->end = "session";
		if (st->end != NULL || now_ms - st->said_ms >= PING_MS)
			pump(st, true);
	}
}

void
live_tick(struct live *l, uint64_t now_ms)
{
	if (l->stopped)
		return;
	if (l->n > 0)
		l->rest_ms = now_ms + REST_MS;
	if (now_ms >= l->next_check) {
		l->next_check = now_ms + CHECK_MS;
		check_sessions(l, now_ms);
	}
	if (l->n == 0 && now_ms >= l->rest_ms) {
		if (l->running && !l->querying) {
			l->running = false;
			l->feed = (struct live_feed){ .started = false };
			ring_clear(&l->ring);
		}
		return;
	}
	if (!l->querying && (l->dirty || now_ms >= l->next_query)) {
		l->next_query = now_ms + QUERY_MS;
		query(l);
	}
}

/* ---- life ---- */

enum err
live_new(struct live **out, struct web *w)
{
	struct live *l = calloc(1, sizeof(*l));

	*out = l;
	if (l == NULL)
		return ERR_NOMEM;
	l->w = w;
	ring_init(&l->ring);
	waiters_watch(w->c->waiters, on_woken, l);
	return OK;
}

void
live_stop(struct live *l)
{
	struct stream *next;

	l->stopped = true;
	waiters_watch(l->w->c->waiters, NULL, NULL);
	for (struct stream *st = l->streams; st != NULL; st = next) {
		next = st->next;
		st->end = "stopping";
		if (st->hungry && l->running)
			pump(st, false);
		else
			http_stream_abort(st->req);
	}
}

void
live_free(struct live *l)
{
	if (l == NULL)
		return;
	ring_clear(&l->ring);
	free(l);
}
