/* intake_post.c - one POST /v1/events from the request to the durable answer. */
#include "events_internal.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "os/peer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>

struct post {
	struct events *ev;
	struct http_req *req; /* NULL: the client is gone; its events are stored all the same */
	struct events_stored stored;
	enum event_class urgent;
};

static void
refuse(struct events *ev, struct http_req *r, int status, const char *code, const struct fault *f)
{
	ev->posts_refused++;
	http_problem(r, status, code, "%s", fault_text(f));
}

/* The position belongs into the document, so this one is written by hand. */
static void
refuse_at(struct events *ev, struct http_req *r, int status, const char *code,
    const struct event_where *w, const struct fault *f)
{
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "type", "about:blank");
	struct buf text;

	ev->posts_refused++;
	buf_init(&text, 4096);
	if (e == OK)
		e = json_add_u64(o, "status", (uint64_t)status);
	if (e == OK)
		e = json_add_string(o, "title", status == 403 ? "Forbidden" : "Bad Request");
	if (e == OK)
		e = json_add_string(o, "code", code);
	if (e == OK)
		e = json_add_string(o, "detail", fault_text(f));
	if (e == OK)
		e = json_add_u64(o, "index", w->index);
	if (e == OK)
		e = json_add_u64(o, "offset", w->offset);
	if (e == OK)
		e = json_print(o, &text);
	if (e == OK)
		http_problem_body(r, status, code, fault_text(f), text.data, text.len);
	else
		http_problem(r, status, code, "%s", fault_text(f));
	buf_free(&text);
	cJSON_Delete(o);
}

enum err
events_sender(const struct http_req *r, struct peer_id *who)
{
	struct sockaddr_storage ours = { 0 }, theirs = { 0 };
	socklen_t a = sizeof ours, b = sizeof theirs;
	int fd = http_peer_fd(r);

	if (getsockname(fd, (struct sockaddr *)&ours, &a) != 0 ||
	    getpeername(fd, (struct sockaddr *)&theirs, &b) != 0)
		return ERR_IO;
	if (ours.ss_family == AF_UNIX)
		return peer_unix(fd, who);
	return peer_tcp((struct sockaddr *)&ours, (struct sockaddr *)&theirs, who);
}

void
intake_refused(void *ctx, const struct http_refusal *x)
{
	struct events *ev = ctx;
	struct peer_id who;
	uint64_t n;
	cJSON *data;
	enum err e;

	if (x->status == 404 || x->status == 405 ||
	    !refusals_tell(&ev->refusals, x->code, x->peer, clock_mono_ms(), &n))
		return;
	data = cJSON_CreateObject();
	e = data == NULL ? ERR_NOMEM : json_add_string(data, "address", x->peer);
	if (e == OK && x->req != NULL && events_sender(x->req, &who) == OK)
		e = json_add_u64(data, "uid", who.uid);
	if (e == OK)
		e = json_add_string(data, "path", x->path);
	if (e == OK)
		e = json_add_string(data, "code", x->code);
	if (e == OK)
		e = json_add_string(data, "why", x->why);
	if (e == OK)
		e = json_add_u64(data, "count", n);
	if (e != OK) {
		cJSON_Delete(data);
		data = NULL;
	}
	events_emit(ev, EVENT_TELEMETRY, "local.refused", data);
}

static void
post_free(struct post *p)
{
	events_stored_free(&p->stored);
	free(p);
}

static void
client_gone(struct http_req *r, void *ctx)
{
	((struct post *)ctx)->req = NULL;
}

static cJSON *
answer_json(const struct post *p, const struct spool_answer *a)
{
	cJSON *o = cJSON_CreateObject(), *list = NULL, *item;
	enum err e = o == NULL ? ERR_NOMEM : json_add_u64(o, "accepted", a->n);

	if (e == OK)
		e = json_add_string(o, "epoch", a->epoch);
	if (e == OK)
		e = json_add_array(o, "events", &list);
	for (size_t i = 0; e == OK && i < a->n; i++) {
		item = cJSON_CreateObject();
		if (item == NULL) {
			e = ERR_NOMEM;
			break;
		}
		e = json_append(list, item);
		if (e == OK)
			e = json_add_string(item, "class",
			    event_class_word((enum event_class)p->stored.items[i].class));
		if (e == OK)
			e = json_add_u64(item, "seq", a->seq[i]);
		if (e == OK)
			e = json_add_string(item, "id", p->stored.ids[i]);
	}
	if (e == OK)
		return o;
	cJSON_Delete(o);
	return NULL;
}

static void
durable(void *ctx, const struct spool_answer *a)
{
	struct post *p = ctx;
	cJSON *o;

	if (a->err == OK) {
		for (size_t i = 0; i < p->stored.n; i++)
			p->ev->accepted[p->stored.items[i].class]++;
		events_durable(p->ev, p->urgent);
	} else {
		p->ev->posts_refused++;
	}
	if (p->req != NULL && a->err == OK) {
		o = answer_json(p, a);
		if (o != NULL)
			http_reply_json(p->req, 202, o);
		else
			http_reply(p->req, 202, NULL, NULL, 0);
		cJSON_Delete(o);
	} else if (p->req != NULL) {
		http_set(p->req, "Retry-After", "1");
		http_problem(p->req, 503, "not-stored", "the events are not stored: %s",
		    fault_text(a->fault));
	}
	post_free(p);
}

/* All events of one request, or none: the first that is not allowed refuses it. */
static enum err
stamp_all(struct post *p, const struct event_list *l, const struct peer_id *who, bool trusted,
    struct event_where *w, struct fault *f)
{
	struct event_stamp stamp = { .time_ms = clock_wall_ms(),
		.local = true,
		.uid = who->uid,
		.pid = who->pid,
		.exe = who->exe };
	enum err e = events_stored_init(&p->stored, l->n);

	p->urgent = EVENT_TELEMETRY;
	for (size_t i = 0; e == OK && i < l->n; i++) {
		w->index = i;
		e = intake_classify(l->items[i], trusted, &stamp.class, f);
		if (e == OK)
			e = events_stored_add(&p->stored, l->items[i], &stamp);
		if (stamp.class < p->urgent)
			p->urgent = stamp.class;
	}
	events_stored_finish(&p->stored);
	return e;
}

static void
store(struct events *ev, struct http_req *r, const struct event_list *l, const struct peer_id *who,
    bool trusted, struct event_where *w)
{
	struct post *p = calloc(1, sizeof *p);
	struct fault f = { OK, "" };
	enum err e = ERR_NOMEM;

	if (p != NULL) {
		p->ev = ev;
		p->req = r;
		e = stamp_all(p, l, who, trusted, w, &f);
	}
	if (e == OK)
		e = spool_append(ev->spool, p->stored.items, p->stored.n, durable, p);
	if (e == OK) {
		http_on_cancel(r, client_gone, p);
		return;
	}
	if (e == ERR_DENIED) {
		refuse_at(ev, r, 403, "not-permitted", w, &f);
	} else if (e == ERR_TOOBIG) {
		(void)fault_set(&f, e, "an event is too large");
		refuse(ev, r, 413, "too-large", &f);
	} else {
		http_set(r, "Retry-After", "1");
		(void)fault_set(&f, e, "too much is waiting for the disk");
		refuse(ev, r, 503, "busy", &f);
	}
	if (p != NULL)
		post_free(p);
}

static bool
within_rate(
    struct events *ev, struct http_req *r, uint32_t uid, bool trusted, size_t n, size_t bytes)
{
	uint64_t wait = intake_take(
	    &ev->senders, trusted ? &ev->trusted : &ev->others, uid, clock_mono_ms(), n, bytes);
	struct fault f = { OK, "" };

	if (wait == 0)
		return true;
	http_setf(r, "Retry-After", "%" PRIu64, wait / 1000 + 1);
	(void)fault_set(&f, ERR_BUSY,
	    "this user sends more than its share; try again in %" PRIu64 " s", wait / 1000 + 1);
	refuse(ev, r, 429, "too-many", &f);
	return false;
}

void
intake_post(struct http_req *r, void *ctx)
{
	const char *type = http_field(r, "content-type");
	struct events *ev = ctx;
	struct fault f = { OK, "" };
	struct event_where w = { 0 };
	enum event_format format;
	struct event_list l;
	struct peer_id who;
	const uint8_t *body;
	bool trusted;
	size_t n;
	enum err e;

	ev->posts++;
	if (type == NULL || event_format_of(type, &format) != OK) {
		(void)fault_set(&f, ERR_UNSUPPORTED,
		    "send application/cloudevents+json, "
		    "application/cloudevents-batch+json, application/json or application/x-ndjson");
		refuse(ev, r, 415, "content-type", &f);
		return;
	}
	if (events_sender(r, &who) != OK) {
		(void)fault_set(&f, ERR_DENIED, "the sender's user id cannot be found");
		refuse(ev, r, 403, "unknown-sender", &f);
		return;
	}
	trusted = intake_uid_trusted(&ev->uids, who.uid);
	body = http_body(r, &n);
	e = event_list_parse(&l, format, (const char *)body, n, LIMIT_BATCH_EVENTS, &w, &f);
	if (e != OK) {
		refuse_at(ev, r,
		    e == ERR_TOOBIG  ? 413
		    : e == ERR_NOMEM ? 503
				     : 400,
		    "event-bad", &w, &f);
		return;
	}
	if (within_rate(ev, r, who.uid, trusted, l.n, n))
		store(ev, r, &l, &who, trusted, &w);
	event_list_free(&l);
}
