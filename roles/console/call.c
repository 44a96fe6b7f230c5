#include "call.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "os/rand.h"
#include "trail.h"
#include "web.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT_CALL_OUT (64u << 20) /* a long list of events */
#define LIMIT_CALL_BODY (2u << 20) /* the largest policy or authority and its JSON */

static void
call_drop(struct call *call)
{
	if (call->extra_free != NULL)
		call->extra_free(call->extra);
	buf_wipe(&call->body); /* it may have held a password */
	buf_free(&call->out);
	free(call);
}

static void
on_cancel(struct http_req *req, void *ctx)
{
	struct call *call = ctx;

	(void)req;
	call->req = NULL;
}

/* Everybody who is sent away comes back at another moment. */
static void
answer_busy(struct http_req *req, const char *why)
{
	http_setf(req, "Retry-After", "%u", 1 + rand_below(10));
	http_problem(req, 503, "busy", "%s", why);
}

struct call *
call_new(struct console *c, struct http_req *req)
{
	struct call *call;
	const uint8_t *body;
	size_t n;

	if (c->stopping || c->db_work.queued > CALL_QUEUE_MAX) {
		answer_busy(req, "the console has more to do than it can; come again");
		return NULL;
	}
	call = calloc(1, sizeof(*call));
	body = http_body(req, &n);
	if (call != NULL)
		buf_init(&call->body, LIMIT_CALL_BODY);
	if (call == NULL || buf_append(&call->body, body, n) != OK) {
		free(call);
		answer_busy(req, "memory ran out");
		return NULL;
	}
	buf_init(&call->out, LIMIT_CALL_OUT);
	call->c = c;
	call->req = req;
	if (http_identity(req) != NULL)
		call->peer = *http_identity(req);
	(void)addr_format_ip(call->address, http_peer(req));
	if (text_copy(call->param, sizeof(call->param), http_param(req, 0),
		strlen(http_param(req, 0))) != OK)
		call->param[0] = '\0';
	call->route = http_route_of(req);
	if (!web_who(c, req, &call->who)) {
		call_drop(call);
		http_problem(req, 401, "unauthorized", "the session has ended: log in again");
		return NULL;
	}
	http_on_cancel(req, on_cancel, call);
	return call;
}

static void
answer(struct call *call, enum err result)
{
	struct http_req *req = call->req;

	http_on_cancel(req, NULL, NULL);
	if (call->told)
		http_told(req);
	if (result == ERR_NOSPACE || result == ERR_BUSY || result == ERR_NOMEM) {
		answer_busy(req, err_text(result));
	} else if (result != OK) {
		http_problem(req, 500, "internal", "%s", err_text(result));
	} else if (call->problem_body && call->code == NULL) { /* where to go on: no refusal */
		http_reply(
		    req, call->status, "application/problem+json", call->out.data, call->out.len);
	} else if (call->problem_body) {
		http_problem_body(req, call->status, call->code, fault_text(&call->fault),
		    call->out.data, call->out.len);
	} else if (call->code != NULL) {
		if (call->retry_s > 0)
			http_setf(req, "Retry-After", "%u", call->retry_s);
		http_problem(req, call->status, call->code, "%s", fault_text(&call->fault));
	} else if (call->out.len == 0) {
		http_reply(req, call->status == 0 ? 204 : call->status, NULL, NULL, 0);
	} else {
		http_reply(req, call->status == 0 ? 200 : call->status, "application/json",
		    call->out.data, call->out.len);
	}
}

void
call_fail(struct call *call)
{
	answer(call, ERR_NOMEM);
	call_drop(call);
}

static void
on_done(struct job *job, enum err result)
{
	struct call *call = (struct call *)job;

	if (result != OK)
		log_error("call.failed", "error=%s", err_word(result));
	call->moved = false;
	if (result == OK && call->finish != NULL)
		call->finish(call);
	if (call->moved)
		return;
	if (result == OK && trail_wants(call))
		trail_later(call); /* it ran where there is no database */
	if (call->req != NULL && !call->answered)
		answer(call, result);
	call_drop(call);
}

static enum err
on_run(struct job *job, void *ctx)
{
	struct call *call = (struct call *)job;

	enum err e = call->work(call, ctx);

	if (e == OK && ctx != NULL && trail_wants(call))
		e = trail_call(call, ctx);
	return e;
}

static void
start_on(struct work *w, struct call *call, enum err (*work)(struct call *, struct db *),
    void (*finish)(struct call *))
{
	call->work = work;
	call->finish = finish;
	call->job.run = on_run;
	call->job.done = on_done;
	work_add(w, &call->job);
}

void
call_start(
    struct call *call, enum err (*work)(struct call *, struct db *), void (*finish)(struct call *))
{
	start_on(&call->c->db_work, call, work, finish);
}

void
call_start_feed(
    struct call *call, enum err (*work)(struct call *, struct db *), void (*finish)(struct call *))
{
	start_on(&call->c->feed_work, call, work, finish);
}

void
call_next(struct call *call, struct work *w, enum err (*work)(struct call *, struct db *),
    void (*finish)(struct call *))
{
	call->moved = true;
	start_on(w, call, work, finish);
}

void
call_start_files(
    struct call *call, enum err (*work)(struct call *, struct db *), void (*finish)(struct call *))
{
	call_next(call, &call->c->file_work, work, finish);
}

enum err
call_refuse(struct call *call, int status, const char *code, const char *fmt, ...)
{
	struct buf b;
	va_list ap;

	buf_init(&b, sizeof(call->fault.text));
	va_start(ap, fmt);
	if (buf_vprintf(&b, fmt, ap) != OK)
		buf_reset(&b);
	va_end(ap);
	fault_reset(&call->fault);
	(void)fault_set(&call->fault, ERR_DENIED, "%s", buf_text(&b));
	buf_free(&b);
	call->status = status;
	call->code = code;
	return OK;
}

enum err
call_json(struct call *call, int status, cJSON *tree)
{
	enum err e;

	if (tree == NULL)
		return ERR_NOMEM;
	buf_reset(&call->out);
	e = json_print(tree, &call->out);
	cJSON_Delete(tree);
	call->status = status;
	return e;
}

struct held {
	struct console *c;
	uint64_t deadline_ms;
	void (*restart)(struct console *c, struct http_req *req, uint64_t deadline_ms);
};

static void
held_again(struct http_req *req, void *arg)
{
	struct held h = *(struct held *)arg;

	free(arg);
	h.restart(h.c, req, h.deadline_ms);
}

static void
held_late(struct http_req *req, void *arg)
{
	free(arg);
	http_reply(req, 204, NULL, NULL, 0);
}

static const struct waiter_calls held_calls = { held_again, held_late, free };

void
call_hold(struct call *call, const char *topic,
    void (*restart)(struct console *c, struct http_req *req, uint64_t deadline_ms))
{
	struct held *h;

	if (call->req == NULL || call->code != NULL || call->out.len > 0 || call->c->stopping ||
	    clock_mono_ms() >= call->deadline_ms)
		return; /* it is answered, or its time is over */
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return;
	h->c = call->c;
	h->deadline_ms = call->deadline_ms;
	h->restart = restart;
	if (waiters_add(call->c->waiters, topic, h->deadline_ms, call->req, &held_calls, h) == OK)
		call->answered = true;
	else
		free(h);
}
