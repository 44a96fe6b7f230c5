/* pull.c - agents that ask for their tasks (long-poll) and report what became of them. */
#include "agent_api.h"
#include "audit.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "call.h"
#include "proto/enroll.h"
#include "store.h"

#include <string.h>

/* A task that was offered and not taken must not wait for the end of a long poll. */
static enum err
shorten_wait(struct call *call, struct db *db, int64_t now)
{
	uint64_t wait, at;
	enum err e = store_next_offer(db, call->peer.name, now, &wait);

	if (e != OK || wait == UINT64_MAX)
		return e;
	at = clock_mono_ms() + wait;
	if (at < call->deadline_ms)
		call->deadline_ms = at;
	return OK;
}

/* text[0]: machine id as the agent sees it now; after: its task port + 1, or 0 when not said. */
static enum err
work_pull(struct call *call, struct db *db)
{
	struct agent_row known;
	int64_t now = clock_wall_ms();
	enum err e = store_agent_get(db, call->peer.name, &known);

	if (e == ERR_NOTFOUND)
		return call_refuse(call, 403, "unknown-agent", "this agent must be enrolled anew");
	if (e != OK)
		return e;
	if (call->text[0][0] != '\0' && known.machine[0] != '\0' &&
	    strcmp(call->text[0], known.machine) != 0) {
		(void)call_refuse(call, 409, "clone",
		    "this identity belongs to another machine: a copied disk must enrol anew");
		e = store_agent_clone(db, call->peer.name, now);
		return e == OK ? audit_refusal(call, db, "tasks") : e;
	}
	e = store_agent_seen(db, call->peer.name, call->address,
	    call->after > 0 ? (int64_t)call->after - 1 : -1, now);
	if (e == OK)
		e = store_pull(db, call->peer.name, now, &call->out);
	return e == OK && call->out.len == 0 ? shorten_wait(call, db, now) : e;
}

static void pull_start(struct console *c, struct http_req *req, uint64_t deadline_ms);

static void
finish_pull(struct call *call)
{
	char topic[WAITER_TOPIC];

	waiters_topic(topic, "agent", call->peer.name);
	call_hold(call, topic, pull_start);
}

static void
pull_start(struct console *c, struct http_req *req, uint64_t deadline_ms)
{
	struct call *call = call_new(c, req);
	const char *machine = http_query(req, "machine");
	uint64_t port = 0;

	if (call == NULL)
		return;
	call->deadline_ms = deadline_ms;
	if (machine != NULL && text_copy(call->text[0], CALL_PARAM, machine, strlen(machine)) != OK)
		call->text[0][0] = '\0';
	if (http_query(req, "task_port") != NULL &&
	    http_query_u64(req, "task_port", 65535, 0, &port) == OK)
		call->after = port + 1;
	call_start(call, work_pull, finish_pull);
}

void
on_pull(struct http_req *req, void *ctx)
{
	uint64_t wait;

	if (http_query_u64(req, "wait", LIMIT_WAIT_SECONDS, 0, &wait) != OK)
		http_problem(req, 400, "malformed", "wait must be a number of seconds up to %d",
		    LIMIT_WAIT_SECONDS);
	else
		pull_start(ctx, req, clock_mono_ms() + wait * 1000);
}

static enum err
work_state(struct call *call, struct db *db)
{
	struct delivery d = { .now = clock_wall_ms() };
	struct enroll_state s;
	struct fault f = { 0 };
	struct buf result, progress;
	enum err e = enroll_state_read(&s, buf_text(&call->body), call->body.len, &f);

	if (e == ERR_NOMEM)
		return e;
	if (e != OK)
		return call_refuse(call, 400, "malformed", "%s", fault_text(&f));
	buf_init(&result, LIMIT_TASK_BYTES);
	buf_init(&progress, LIMIT_TASK_BYTES);
	if (s.result != NULL && cJSON_IsObject(s.result)) {
		e = json_print(s.result, &result);
		d.result = buf_text(&result);
	}
	if (e == OK && s.progress != NULL && !enroll_state_is_final(s.state)) {
		e = json_print(s.progress, &progress);
		d.progress = buf_text(&progress);
	}
	d.state = s.state;
	d.step = s.step;
	d.error = s.error;
	if (e == OK)
		e = store_delivery_state(db, call->param, call->peer.name, &d);
	if (e == ERR_NOTFOUND)
		e = call_refuse(call, 404, "unknown-task", "no such task was sent to this agent");
	else if (e == OK)
		log_info("task.state", "task=%s agent=%s state=%s", call->param, call->peer.name,
		    d.state);
	buf_free(&result);
	buf_free(&progress);
	enroll_state_free(&s);
	return e;
}

static void
finish_state(struct call *call)
{
	char topic[WAITER_TOPIC];

	waiters_topic(topic, "task", call->param);
	(void)waiters_wake(call->c->waiters, topic);
}

void
on_task_state(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL && !text_is_uuid(call->param, strlen(call->param)))
		call->param[0] = '\0'; /* no such task */
	if (call != NULL)
		call_start(call, work_state, finish_state);
}
