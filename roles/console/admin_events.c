#include "admin_api.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "call.h"
#include "proto/event.h"
#include "store.h"

#include <string.h>

#define EVENTS_MAX 1000

/* text: class, type, agent, anywhere. after, before, since, until, limit, wait_s as asked. */
static enum err
work_events(struct call *call, struct db *db)
{
	struct event_query q = { .after = call->after,
		.limit = call->limit,
		.cls = call->text[0],
		.type = call->text[1],
		.source = "",
		.last = call->last,
		.before = call->before,
		.since = call->since,
		.until = call->until,
		.scope = who_scope(&call->who),
		.text = call->text[3][0] != '\0' ? call->text[3] : NULL,
		.org = call->c->o->org };
	struct buf source;
	uint64_t found;
	enum err e = OK;

	buf_init(&source, 256);
	if (call->text[2][0] != '\0') {
		e = event_source(&source, call->c->o->org, call->text[2]);
		q.source = buf_text(&source);
	}
	if (e == OK)
		e = store_events_list(db, &q, &call->out, &found);
	buf_free(&source);
	if (e == OK && found == 0 && call->wait_s > 0)
		buf_reset(&call->out); /* nothing: wait */
	return e;
}

static void events_start(struct console *c, struct http_req *req, uint64_t deadline_ms);

static void
finish_events(struct call *call)
{
	call_hold(call, "events", events_start);
}

static void
take_text(struct http_req *req, const char *name, char out[CALL_PARAM])
{
	const char *text = http_query(req, name);

	if (text == NULL || text_copy(out, CALL_PARAM, text, strlen(text)) != OK)
		out[0] = '\0';
}

/* Milliseconds or RFC 3339; something else counts as no bound. */
static int64_t
take_time(struct http_req *req, const char *name)
{
	const char *text = http_query(req, name);
	uint64_t ms;
	int64_t at;

	if (text == NULL)
		return 0;
	if (text_u64(text, strlen(text), JSON_MAX_INT, &ms) == OK)
		return (int64_t)ms;
	return clock_parse(text, strlen(text), &at) == OK ? at : 0;
}

void
admin_events_filters(struct call *call, struct http_req *req)
{
	take_text(req, "class", call->text[0]);
	take_text(req, "type", call->text[1]);
	take_text(req, "agent", call->text[2]);
	take_text(req, "q", call->text[3]);
	call->since = take_time(req, "since");
	call->until = take_time(req, "until");
	if (http_query_u64(req, "after", JSON_MAX_INT, 0, &call->after) != OK)
		call->after = 0;
	if (http_query_u64(req, "before", JSON_MAX_INT, 0, &call->before) != OK)
		call->before = 0;
}

static void
events_start(struct console *c, struct http_req *req, uint64_t deadline_ms)
{
	struct call *call = call_new(c, req);

	if (call == NULL)
		return;
	call->deadline_ms = deadline_ms;
	call->wait_s = http_query(req, "wait") != NULL;
	call->last = http_query(req, "last") != NULL;
	admin_events_filters(call, req);
	if (http_query_u64(req, "limit", EVENTS_MAX, 100, &call->limit) != OK)
		call->limit = EVENTS_MAX;
	call_start(call, work_events, finish_events);
}

void
admin_events(struct http_req *req, void *ctx)
{
	uint64_t wait;

	if (http_query_u64(req, "wait", LIMIT_WAIT_SECONDS, 0, &wait) != OK)
		http_problem(req, 400, "malformed", "wait must be a number of seconds up to %d",
		    LIMIT_WAIT_SECONDS);
	else
		events_start(ctx, req, clock_mono_ms() + wait * 1000);
}
