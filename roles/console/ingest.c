/* ingest.c - POST /v1/events: one transaction for a batch, duplicates ignored, acks after the
 * commit (DESIGN section 9). The whole of it runs in the database worker, reading the JSON
 * included. */
#include "ingest.h"
#include "agent_api.h"
#include "audit.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "call.h"
#include "facts.h"
#include "gunzip.h"
#include "proto/enroll.h"
#include "proto/event.h"
#include "store.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT_EVENT_TYPE 128
#define WAKE_TASKS 16 /* further ones are seen when their watcher asks again */

struct ingest {
	struct call *call;
	struct db *db;
	cJSON *batch;
	char source[WAITER_TOPIC * 2];
	struct event_ack acks[EVENT_CLASSES];
	int64_t now;
	size_t stored;
	char done[WAKE_TASKS]
		 [UUID_TEXT]; /* tasks that ended in this batch: who watches them is woken */
	size_t n_done;
};

/* A refusal that names one event: {"status","title","code","detail","index","id"?}. The agent puts
 * that event aside and sends the rest. */
static enum err
refuse_event(struct ingest *x, int status, const char *code, int index, const struct fault *f)
{
	cJSON *o = cJSON_CreateObject();
	enum err e;

	(void)call_refuse(x->call, status, code, "event %d: %s", index, fault_text(f));
	e = o == NULL ? ERR_NOMEM : json_add_string(o, "type", "about:blank");
	if (e == OK)
		e = json_add_u64(o, "status", (uint64_t)status);
	if (e == OK)
		e = json_add_string(o, "code", code);
	if (e == OK)
		e = json_add_string(o, "detail", fault_text(&x->call->fault));
	if (e == OK)
		e = json_add_u64(o, "index", (uint64_t)index);
	if (e != OK) {
		cJSON_Delete(o);
		return e;
	}
	e = call_json(x->call, status, o);
	x->call->problem_body = true;
	return e == OK ? ERR_DENIED : e;
}

static enum err
read_event(const struct ingest *x, const cJSON *item, struct event_row *row, struct event_key *k,
    struct fault *f)
{
	enum err e = event_check(item, f);

	if (e == OK)
		e = event_key_read(item, k, f);
	if (e != OK)
		return e;
	if (strcmp(k->source, x->source) != 0)
		return fault_set(f, ERR_PARSE, "member 'source' names another agent");
	if (!text_is_uuid(k->id, strlen(k->id)))
		return fault_set(f, ERR_PARSE, "member 'id' must be a UUID");
	if (strlen(k->type) > LIMIT_EVENT_TYPE)
		return fault_set(f, ERR_PARSE, "member 'type' is longer than %d", LIMIT_EVENT_TYPE);
	row->source = x->source;
	row->epoch = k->epoch;
	row->cls = event_class_word(k->class);
	row->seq = k->seq;
	row->id = k->id;
	row->type = k->type;
	row->time = k->time != NULL ? k->time : "";
	return OK;
}

static enum err
ack(struct ingest *x, const struct event_key *k, struct fault *f)
{
	struct event_ack *a = &x->acks[k->class];

	if (!a->present && text_copy(a->epoch, sizeof(a->epoch), k->epoch, strlen(k->epoch)) != OK)
		return fault_set(f, ERR_PARSE, "the epoch is too long");
	a->present = true;
	if (strcmp(a->epoch, k->epoch) != 0)
		return fault_set(f, ERR_PARSE, "two epochs of class '%s' in one batch",
		    event_class_word(k->class));
	if (k->seq > a->seq)
		a->seq = k->seq;
	return OK;
}

/* The end of a task also travels as an event, so that its outcome arrives when reports are lost. */
static enum err
note_task_done(struct ingest *x, const struct event_row *row, const cJSON *item)
{
	const cJSON *data = json_get(item, "data");
	struct delivery d = { .now = x->now };
	const char *id;
	struct buf result;
	enum err e;

	if (strcmp(row->type, "org.atalaia.task.done") != 0)
		return OK;
	if (json_get_string(data, "task", &id, NULL) != OK ||
	    json_get_string(data, "state", &d.state, NULL) != OK ||
	    !enroll_state_is_final(d.state) ||
	    json_opt_string(data, "step", NULL, &d.step, NULL) != OK)
		return OK;
	if (json_opt_string(data, "error", NULL, &d.error, NULL) != OK)
		d.error = NULL;
	buf_init(&result, LIMIT_TASK_BYTES);
	if (cJSON_IsObject(json_get(data, "result")) &&
	    json_print(json_get(data, "result"), &result) == OK)
		d.result = buf_text(&result);
	e = store_delivery_state(x->db, id, x->call->peer.name, &d);
	buf_free(&result);
	if (e == OK && x->n_done < WAKE_TASKS)
		(void)!text_copy(x->done[x->n_done++], UUID_TEXT, id, strlen(id));
	return e == ERR_NOTFOUND ? OK : e;
}

static enum err
take_event(struct ingest *x, const cJSON *item, int index)
{
	struct event_row row = { .received = x->now };
	struct fault f = { 0 };
	struct event_key key;
	struct buf body;
	enum err e = read_event(x, item, &row, &key, &f);

	if (e == OK)
		e = ack(x, &key, &f);
	if (e != OK)
		return refuse_event(x, 400, "event-refused", index, &f);
	buf_init(&body, LIMIT_EVENT_BYTES);
	e = json_print(item, &body);
	if (e == ERR_TOOBIG) {
		(void)fault_set(&f, e, "larger than %d bytes", LIMIT_EVENT_BYTES);
		e = refuse_event(x, 400, "event-refused", index, &f);
	} else if (e == OK) {
		row.body = buf_text(&body);
		e = store_event_add(x->db, &row);
		if (e == OK) {
			x->stored++;
			e = facts_note(
			    x->db, x->call->peer.name, row.type, json_get(item, "data"), x->now);
		}
	}
	buf_free(&body);
	if (e == ERR_STATE) {
		(void)fault_set(&f, e, "another event holds number %llu of class '%s' in epoch %s",
		    (unsigned long long)row.seq, row.cls, row.epoch);
		return refuse_event(x, 409, "event-conflict", index, &f);
	}
	if (e == ERR_EXISTS)
		return OK; /* a duplicate: stored before, acknowledged again */
	return e == OK ? note_task_done(x, &row, item) : e;
}

/* Replaces a compressed body by what it holds. */
static enum err
unpack(struct call *call)
{
	struct buf plain;
	enum err e;

	buf_init(&plain, LIMIT_BATCH_BYTES);
	e = gunzip(&plain, call->body.data, call->body.len);
	if (e == OK) {
		buf_free(&call->body);
		call->body = plain;
		return OK;
	}
	buf_free(&plain);
	if (e == ERR_TOOBIG)
		return call_refuse(
		    call, 413, "batch-too-big", "at most %d bytes", LIMIT_BATCH_BYTES);
	return e == ERR_PARSE ? call_refuse(call, 400, "malformed", "the body is no gzip") : e;
}

static enum err
take_batch(struct ingest *x)
{
	const cJSON *item;
	struct fault f = { 0 };
	int index = 0;
	enum err e = x->call->gzip ? unpack(x->call) : OK;

	if (e != OK || x->call->code != NULL)
		return e;
	e = json_parse(&x->batch, buf_text(&x->call->body), x->call->body.len, JSON_EVENT, &f);

	if (e != OK && e != ERR_NOMEM)
		return call_refuse(x->call, 400, "malformed", "%s", fault_text(&f));
	if (e != OK)
		return e;
	if (!cJSON_IsArray(x->batch))
		return call_refuse(
		    x->call, 400, "malformed", "the body must be a JSON array of events");
	if (cJSON_GetArraySize(x->batch) > LIMIT_BATCH_EVENTS)
		return call_refuse(
		    x->call, 413, "batch-too-big", "at most %d events", LIMIT_BATCH_EVENTS);
	cJSON_ArrayForEach(item, x->batch)
	{
		e = take_event(x, item, index++);
		if (e != OK)
			return e;
	}
	return event_acks_print(&x->call->out, x->acks);
}

struct ingest *
ingest_new(void)
{
	return calloc(1, sizeof(struct ingest));
}

enum err
ingest_work(struct ingest *x, struct call *call, struct db *db)
{
	struct buf source;
	enum err e;

	x->call = call;
	x->db = db;
	x->now = clock_wall_ms();
	buf_init(&source, sizeof(x->source));
	e = event_source(&source, call->c->o->org, call->peer.name);
	if (e == OK)
		e = text_copy(x->source, sizeof(x->source), buf_text(&source), source.len);
	buf_free(&source);
	if (e == OK)
		e = db_run(db, "SAVEPOINT batch", "");
	if (e == OK)
		e = take_batch(x);
	/* A refused batch leaves nothing half stored, but its refusal is recorded. */
	if (call->code != NULL && (e == OK || e == ERR_DENIED)) {
		e = db_run(db, "ROLLBACK TO batch", "");
		if (e == OK)
			e = audit_refusal(call, db, "events");
	}
	if (e == OK)
		e = db_run(db, "RELEASE batch", "");
	cJSON_Delete(x->batch);
	x->batch = NULL;
	return e;
}

void
ingest_finish(struct ingest *x, struct call *call)
{
	char topic[WAITER_TOPIC];

	if (call->code != NULL)
		return;
	if (x->stored > 0)
		(void)waiters_wake(call->c->waiters, "events");
	for (size_t i = 0; i < x->n_done; i++) {
		waiters_topic(topic, "task", x->done[i]);
		(void)waiters_wake(call->c->waiters, topic);
	}
}

static enum err
work_events(struct call *call, struct db *db)
{
	return ingest_work(call->extra, call, db);
}

static void
finish_events(struct call *call)
{
	ingest_finish(call->extra, call);
}

void
on_events(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);
	const char *encoding;

	if (call == NULL)
		return;
	encoding = http_field(req, "content-encoding");
	call->gzip = encoding != NULL && strcmp(encoding, "gzip") == 0;
	http_set(req, "Accept-Encoding", "gzip"); /* RFC 7694: agents may compress from now on */
	call->extra = ingest_new();
	call->extra_free = free;
	if (call->extra == NULL)
		call_fail(call);
	else
		call_start(call, work_events, finish_events);
}
