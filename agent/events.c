/* events.c - opening, closing and the agent's own events. */
#include "events_internal.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "os/rand.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS 1000

#define LISTED_EVENT_BYTES 800.0 /* what the byte rate of a listed user counts for one event */

struct emitted {
	struct emitted *next;
	struct events *ev;
	enum event_class class;
	size_t n;
	char body[];
};

static const struct http_route post_route = { "POST", "/v1/events", 0, LIMIT_BATCH_BYTES,
	intake_post };

/* --- bodies on their way into the spool --- */

enum err
events_stored_init(struct events_stored *s, size_t max)
{
	*s = (struct events_stored){ .max = max };
	buf_init(&s->bytes, LIMIT_SPOOL_MEMORY);
	if (max == 0)
		max = 1;
	s->items = calloc(max, sizeof *s->items);
	s->at = calloc(max, sizeof *s->at);
	s->ids = calloc(max, sizeof *s->ids);
	return s->items != NULL && s->at != NULL && s->ids != NULL ? OK : ERR_NOMEM;
}

enum err
events_stored_add(struct events_stored *s, const cJSON *event, struct event_stamp *stamp)
{
	struct buf one;
	enum err e;

	if (s->n == s->max)
		return ERR_TOOBIG;
	rand_uuid_v7(s->ids[s->n]);
	stamp->id = s->ids[s->n];
	buf_init(&one, 2 * (size_t)LIMIT_EVENT_BYTES); /* escapes may double what came */
	e = event_store_form(event, stamp, &one);
	if (e == OK) {
		s->at[s->n] = s->bytes.len;
		s->items[s->n] = (struct spool_event){ stamp->class, NULL, one.len };
		e = buf_append(&s->bytes, one.data, one.len);
	}
	s->n += e == OK;
	buf_free(&one);
	return e;
}

void
events_stored_finish(struct events_stored *s)
{
	for (size_t i = 0; i < s->n; i++)
		s->items[i].p = s->bytes.data + s->at[i];
}

void
events_stored_free(struct events_stored *s)
{
	buf_free(&s->bytes);
	free(s->items);
	free(s->at);
	free(s->ids);
}

void
events_durable(struct events *ev, enum event_class most_urgent)
{
	if (!ev->closing)
		uplink_kick(ev->uplink, most_urgent != EVENT_TELEMETRY);
}

/* --- own events --- */

enum event_class
events_class_of(const char *type)
{
	static const struct {
		const char *prefix;
		enum event_class class;
	} rows[] = {
		{ "detection", EVENT_DETECTION },
		{ "update.", EVENT_TASK },
		{ "task.", EVENT_TASK },
		{ "role.", EVENT_TASK },
		{ "console.", EVENT_TASK },
		{ "policy.", EVENT_TASK },
		{ "engine.", EVENT_TASK },
		{ "events.", EVENT_TASK },
		{ "quarantine.", EVENT_TASK },
		{ "scan.", EVENT_TASK },
		{ "tamper.", EVENT_DETECTION },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (text_starts(type, rows[i].prefix))
			return rows[i].class;
	return EVENT_TELEMETRY;
}

static void try_store(struct emitted *m);
static void retry_due(uv_timer_t *t);

static void
wait_for_disk(struct emitted *m)
{
	struct events *ev = m->ev;

	if (ev->waiting_bytes + m->n > LIMIT_EMIT_MEMORY || ev->closing) {
		log_error("events.lost", "class=%s why=%s", event_class_word(m->class),
		    log_q("the disk takes no events"));
		if (spool_lost(ev->spool, m->class, 1, m->n) != OK)
			log_error("events.lost", "class=%s why=%s", event_class_word(m->class),
			    "uncounted");
		free(m);
		return;
	}
	m->next = NULL;
	*ev->waiting_tail = m;
	ev->waiting_tail = &m->next;
	ev->waiting_bytes += m->n;
	(void)uv_timer_start(&ev->retry, retry_due, RETRY_MS, 0);
}

static void
stored(void *ctx, const struct spool_answer *a)
{
	struct emitted *m = ctx;
	struct events *ev = m->ev;

	ev->under_way--;
	if (a->err != OK) {
		wait_for_disk(m);
		return;
	}
	ev->accepted[m->class]++;
	events_durable(ev, m->class);
	free(m);
}

static void
try_store(struct emitted *m)
{
	struct spool_event item = { m->class, m->body, m->n };

	if (spool_append(m->ev->spool, &item, 1, stored, m) == OK)
		m->ev->under_way++;
	else
		wait_for_disk(m);
}

static void
retry_due(uv_timer_t *t)
{
	struct events *ev = t->data;
	struct emitted *m = ev->waiting, *next;

	ev->waiting = NULL;
	ev->waiting_tail = &ev->waiting;
	ev->waiting_bytes = 0;
	for (; m != NULL; m = next) {
		next = m->next;
		try_store(m);
	}
}

static enum err
make_body(struct buf *out, enum event_class class, const char *type, cJSON *take)
{
	struct event_stamp stamp = { .class = class, .time_ms = clock_wall_ms(), .pid = -1 };
	cJSON *event = cJSON_CreateObject();
	char id[UUID_TEXT], full[128];
	enum err e = OK;

	(void)snprintf(full, sizeof full, EVENT_TYPE_PREFIX "%s", type);
	rand_uuid_v7(id);
	stamp.id = id;
	if (event == NULL || !cJSON_AddItemToObject(event, "data", take)) {
		cJSON_Delete(take);
		e = ERR_NOMEM;
	}
	if (e == OK)
		e = json_add_string(event, "type", full);
	if (e == OK)
		e = event_store_form(event, &stamp, out);
	cJSON_Delete(event);
	return e;
}

void
events_emit(struct events *ev, enum event_class class, const char *type, cJSON *data)
{
	struct emitted *m = NULL;
	struct buf body;
	enum err e;

	if (class == EVENT_TELEMETRY && ev->no_telemetry) {
		cJSON_Delete(data);
		return;
	}
	buf_init(&body, LIMIT_EVENT_BYTES);
	e = data == NULL ? ERR_NOMEM : make_body(&body, class, type, data);
	if (e == OK)
		m = calloc(1, sizeof *m + body.len);
	if (m == NULL) {
		log_error("events.lost", "class=%s type=%s why=%s", event_class_word(class), type,
		    err_word(e == OK ? ERR_NOMEM : e));
		if (spool_lost(ev->spool, class, 1, body.len) != OK)
			log_error(
			    "events.lost", "class=%s why=%s", event_class_word(class), "uncounted");
		buf_free(&body);
		return;
	}
	m->ev = ev;
	m->class = class;
	m->n = body.len;
	memcpy(m->body, body.data, body.len);
	buf_free(&body);
	try_store(m);
}

/* --- life --- */

static void
free_events(struct events *ev)
{
	struct emitted *m, *next;

	for (m = ev->waiting; m != NULL; m = next) {
		next = m->next;
		free(m);
	}
	if (ev->closed != NULL)
		ev->closed(ev->closed_ctx);
	free(ev);
}

static void
retry_closed(uv_handle_t *h)
{
	free_events(h->data);
}

static void
spool_closed(void *ctx)
{
	struct events *ev = ctx;

	uv_close((uv_handle_t *)&ev->retry, retry_closed);
}

static void
uplink_closed(void *ctx)
{
	struct events *ev = ctx;

	retry_due(&ev->retry); /* last try; what the disk refuses now is counted as lost */
	spool_close(ev->spool, spool_closed, ev);
}

static void
httpd_closed(void *ctx)
{
	struct events *ev = ctx;

	uplink_close(ev->uplink, uplink_closed, ev);
}

void
events_close(struct events *ev, void (*closed)(void *ctx), void *ctx)
{
	ev->closing = true;
	ev->closed = closed;
	ev->closed_ctx = ctx;
	(void)uv_timer_stop(&ev->retry);
	if (ev->httpd != NULL)
		httpd_close(ev->httpd, 1000, httpd_closed, ev);
	else
		httpd_closed(ev);
}

static enum err
listen_one(struct events *ev, const char *host, uint16_t port, struct fault *f)
{
	uint16_t real = 0;
	enum err e = httpd_listen(ev->httpd, host, port, &real, f);

	if (e == OK && ev->port == 0)
		ev->port = real;
	return e;
}

/* Both loopback addresses when none is named; then one may be missing (a kernel without IPv6). */
static enum err
listen_all(struct events *ev, const struct events_options *o, struct fault *f)
{
	const char *text = o->listen != NULL && o->listen[0] != '\0' ? o->listen : NULL;
	struct fault second = { OK, "" };
	char host[80];
	enum err e = OK;

	if (text == NULL) {
		e = listen_one(ev, "127.0.0.1", o->port, f);
		if (e == OK && listen_one(ev, "::1", ev->port, &second) != OK)
			log_info("events.listen", "address=::1 why=%s", log_q(fault_text(&second)));
		text = "";
	}
	while (e == OK && *(text += strspn(text, ", \t")) != '\0') {
		size_t n = strcspn(text, ", \t");

		if (text_copy(host, sizeof host, text, n) != OK)
			return fault_set(
			    f, ERR_INVAL, "event address '%.60s...' is too long", text);
		e = listen_one(ev, host, o->port != 0 ? o->port : ev->port, f);
		text += n;
	}
	if (e == OK && o->socket != NULL && o->socket[0] != '\0')
		e = httpd_listen_unix(ev->httpd, o->socket, 0666, f);
	return e;
}

static enum err
open_httpd(struct events *ev, const struct events_options *o, struct fault *f)
{
	struct httpd_options h = { .name = "events",
		.routes = ev->routes,
		.ctx = ev,
		.refused = intake_refused,
		.local_only = true,
		.local_forced = o->any_address };
	enum err e;

	if (o->n_routes >= EVENTS_ROUTES)
		return fault_set(f, ERR_INVAL, "more than %d local routes", EVENTS_ROUTES - 1);
	ev->routes[0] = post_route;
	for (size_t i = 0; i < o->n_routes; i++)
		ev->routes[i + 1] = o->routes[i];
	h.n_routes = o->n_routes + 1;
	e = httpd_new(&ev->httpd, ev->loop, &h, f);
	return e == OK ? listen_all(ev, o, f) : e;
}

static void
set_rates(struct events *ev, const uint64_t quota[EVENT_CLASSES])
{
	double listed = ev->listed_rate, unlisted = ev->unlisted_rate;

	ev->trusted = (struct intake_rate){ listed, 2 * listed, LISTED_EVENT_BYTES * listed,
		4 * LISTED_EVENT_BYTES * listed };
	/* A user who is not listed may write his share of the telemetry quota at once and as much
	 * again in an hour: not enough to push out what others reported. */
	ev->others.events_per_s = unlisted;
	ev->others.events_burst = 10 * unlisted;
	ev->others.bytes_burst = (double)quota[EVENT_TELEMETRY] * ev->unlisted_share / 100;
	ev->others.bytes_per_s = ev->others.bytes_burst / 3600;
}

static void
drop_reported(void *ctx)
{
	events_durable(ctx, EVENT_TASK);
}

static enum err
open_spool(
    struct events *ev, const struct events_options *o, struct spool_opened *opened, struct fault *f)
{
	struct spool_options s = { .loop = o->loop,
		.dir = o->state,
		.report = events_report_drop,
		.reported = drop_reported,
		.report_class = EVENT_TASK,
		.ctx = ev };
	enum err e;

	memcpy(s.quota, o->quota, sizeof s.quota);
	e = spool_open(&ev->spool, &s, opened, f);
	if (e != OK)
		return e;
	e = uplink_new(&ev->uplink, o->loop, ev->spool, f);
	if (e != OK)
		spool_close(ev->spool, NULL, NULL);
	return e;
}

enum err
events_open(struct events **out, const struct events_options *o, struct fault *f)
{
	struct events *ev = calloc(1, sizeof *ev);
	struct spool_opened opened;
	enum err e;

	*out = NULL;
	if (ev == NULL)
		return fault_set(f, ERR_NOMEM, "memory ran out");
	ev->loop = o->loop;
	ev->owner = o->owner;
	ev->waiting_tail = &ev->waiting;
	ev->listed_rate = o->listed_rate > 0 ? o->listed_rate : EVENTS_LISTED_RATE;
	ev->unlisted_rate = o->unlisted_rate > 0 ? o->unlisted_rate : EVENTS_UNLISTED_RATE;
	ev->unlisted_share = o->unlisted_share > 0 ? o->unlisted_share : EVENTS_UNLISTED_SHARE;
	set_rates(ev, o->quota);
	e = intake_uids_parse(&ev->uids, o->detection_uids != NULL ? o->detection_uids : "", f);
	if (e != OK)
		fault_prefix(f, "[events] detection_uids");
	if (e == OK)
		e = open_spool(ev, o, &opened, f);
	if (e != OK) {
		free(ev);
		return e;
	}
	(void)uv_timer_init(ev->loop, &ev->retry);
	ev->retry.data = ev;
	e = events_set_target(ev, o->plain, o->target, f);
	if (e == OK)
		e = open_httpd(ev, o, f);
	if (e != OK) {
		events_close(ev, NULL, NULL);
		return e;
	}
	if (opened.damaged)
		events_report_damage(ev, &opened);
	*out = ev;
	return OK;
}

void *
events_owner(const struct events *ev)
{
	return ev->owner;
}

struct spool *
events_spool(const struct events *ev)
{
	return ev->spool;
}

uint16_t
events_port(const struct events *ev)
{
	return ev->port;
}

enum err
events_identity(struct events *ev, const char *org, const char *agent)
{
	struct buf b;
	enum err e;

	buf_init(&b, 512);
	e = event_source(&b, org, agent);
	if (e == OK)
		e = uplink_source(ev->uplink, buf_text(&b));
	buf_free(&b);
	return e;
}

enum err
events_console(struct events *ev, struct httpc *console, const char *url)
{
	if (ev->collector)
		return OK;
	return uplink_target(ev->uplink, console, UPLINK_CONSOLE, url, NULL);
}

void
events_keep_telemetry(struct events *ev, bool keep)
{
	ev->no_telemetry = !keep;
}

enum err
events_apply(struct events *ev, const uint64_t quota[EVENT_CLASSES], const char *detection_uids,
    struct fault *f)
{
	struct intake_uids uids;
	enum err e;

	if (detection_uids != NULL) {
		e = intake_uids_parse(&uids, detection_uids, f);
		if (e != OK)
			return e;
		ev->uids = uids;
	}
	if (quota != NULL) {
		for (unsigned c = 0; c < EVENT_CLASSES; c++)
			if (quota[c] < LIMIT_SPOOL_QUOTA_MIN)
				return fault_set(f, ERR_INVAL,
				    "the quota of class %s is below %d bytes",
				    event_class_word((enum event_class)c), LIMIT_SPOOL_QUOTA_MIN);
		set_rates(ev, quota);
		spool_quota(ev->spool, quota);
	}
	return OK;
}

struct events_stats
events_stats(const struct events *ev)
{
	const struct uplink_stats *u = uplink_stats(ev->uplink);
	struct spool_stats s = spool_stats(ev->spool);
	struct events_stats out = { .posts = ev->posts,
		.posts_refused = ev->posts_refused,
		.batches = u->batches,
		.bytes_sent = u->bytes_sent,
		.send_errors = u->errors,
		.commits = s.commits,
		.commit_errors = s.commit_errors,
		.delivered_ms = u->delivered_ms,
		.reserved = s.state.reserved };

	for (unsigned c = 0; c < EVENT_CLASSES; c++) {
		int64_t oldest = s.state.class[c].oldest_ms;

		out.class[c].accepted = ev->accepted[c];
		out.class[c].delivered = u->delivered[c];
		out.class[c].dropped = s.state.class[c].dropped;
		out.class[c].dead = s.state.class[c].dead;
		out.class[c].depth = s.state.class[c].depth;
		out.class[c].depth_bytes = s.state.class[c].bytes;
		if (oldest > 0 && (out.oldest_ms == 0 || (uint64_t)oldest < out.oldest_ms))
			out.oldest_ms = (uint64_t)oldest;
	}
	(void)snprintf(out.error, sizeof out.error, "%s", u->error);
	return out;
}
