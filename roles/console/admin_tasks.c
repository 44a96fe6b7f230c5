#include "admin_api.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "call.h"
#include "push.h"
#include "store.h"
#include "task_view.h"

#include <stdlib.h>
#include <string.h>

#define TASKS_MAX 10000

static enum err
work_list(struct call *call, struct db *db)
{
	struct task_query q = { .id = "",
		.before = call->text[0],
		.agent = "",
		.scope = who_scope(&call->who),
		.limit = call->limit };
	struct task_context x;
	cJSON *list = NULL, *o;
	enum err e = task_context_load(&x, call->c);

	if (e == OK)
		e = task_list(db, &x, &q, &list);
	task_context_free(&x);
	if (e != OK)
		return e;
	o = cJSON_CreateObject();
	if (o == NULL || !cJSON_AddItemToObject(o, "tasks", list)) {
		cJSON_Delete(list);
		cJSON_Delete(o);
		return ERR_NOMEM;
	}
	return call_json(call, 200, o);
}

void
admin_tasks(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);
	const char *before = http_query(req, "before");

	if (call == NULL)
		return;
	if (http_query_u64(req, "limit", TASKS_MAX, 100, &call->limit) != OK)
		call->limit = 100;
	if (before != NULL)
		(void)!text_copy(call->text[0], CALL_PARAM, before, strlen(before));
	call_start(call, work_list, NULL);
}

/* ---- show, and wait for a change ---- */

/* TASK (web/API.md) over what the deliveries say. People read whether the task is open; programs
 * of 2226 read the outcome of a single agent from `state`, as before. */
static enum err
lay_over(const struct call *call, cJSON *o, cJSON *task)
{
	bool people = strcmp(call->who.name, WHO_TOKEN_NAME) != 0;
	cJSON *item;

	while ((item = cJSON_DetachItemFromArray(task, 0)) != NULL) {
		cJSON *own = json_get(o, item->string);

		if (own != NULL && !people) {
			cJSON_Delete(item);
			continue;
		}
		if (own != NULL)
			cJSON_Delete(cJSON_DetachItemViaPointer(o, own));
		if (!cJSON_AddItemToObject(o, item->string, item)) {
			cJSON_Delete(item);
			return ERR_NOMEM;
		}
	}
	return OK;
}

/* One that waits for signatures: nobody has it yet. */
static enum err
show_waiting(struct db *db, const char *id, cJSON **o, int64_t *rev, int64_t *open)
{
	struct sql_stmt *s =
	    db_prepare(db, "SELECT envelope, canceled IS NULL FROM waiting WHERE id = ?");
	cJSON *envelope = NULL, *list;
	enum err e = db_bind(s, "t", id);

	*o = NULL;
	if (e == OK)
		e = db_step(s);
	if (e == OK) {
		*open = sql_i64(s, 1);
		e = json_parse(
		    &envelope, sql_text(s, 0), strlen(sql_text(s, 0)), JSON_SIGNED, NULL);
	}
	db_end(s);
	if (e != OK)
		return e;
	*rev = cJSON_GetArraySize(json_get(envelope, "signatures"));
	*o = cJSON_CreateObject();
	if (*o == NULL || !cJSON_AddItemToObject(*o, "envelope", envelope)) {
		cJSON_Delete(envelope);
		e = ERR_NOMEM;
	}
	return e == OK ? json_add_array(*o, "agents", &list) : e;
}

static enum err
show_any(struct call *call, struct db *db, cJSON **o, int64_t *rev, int64_t *open)
{
	struct task_context x;
	cJSON *task = NULL;
	enum err e = task_context_load(&x, call->c);

	*o = NULL;
	if (e == OK)
		e = task_one(db, &x, who_scope(&call->who), call->param, &task);
	task_context_free(&x);
	if (e == OK)
		e = store_task_show(db, call->param, o, rev, open);
	if (e == ERR_NOTFOUND && task != NULL)
		e = show_waiting(db, call->param, o, rev, open);
	if (e == OK)
		e = lay_over(call, *o, task);
	cJSON_Delete(task);
	if (e != OK)
		cJSON_Delete(*o);
	return e;
}

/* after: the rev that the client has seen; nothing newer and not ended: wait. */
static enum err
work_show(struct call *call, struct db *db)
{
	int64_t rev, open;
	cJSON *o;
	enum err e = show_any(call, db, &o, &rev, &open);

	if (e == ERR_NOTFOUND)
		return call_refuse(call, 404, "unknown-task", "there is no such task");
	if (e != OK)
		return e;
	if (call->wait_s > 0 && (uint64_t)rev <= call->after && open > 0) {
		cJSON_Delete(o);
		return OK;
	}
	e = json_add_u64(o, "rev", (uint64_t)rev);
	if (e == OK)
		e = json_add_bool(o, "ended", open == 0);
	if (e == OK)
		return call_json(call, 200, o);
	cJSON_Delete(o);
	return e;
}

static void show_start(struct console *c, struct http_req *req, uint64_t deadline_ms);

static void
finish_show(struct call *call)
{
	char topic[WAITER_TOPIC];

	waiters_topic(topic, "task", call->param);
	call_hold(call, topic, show_start);
}

static void
show_start(struct console *c, struct http_req *req, uint64_t deadline_ms)
{
	struct call *call = call_new(c, req);

	if (call == NULL)
		return;
	call->deadline_ms = deadline_ms;
	call->wait_s = 1;
	if (http_query(req, "wait") == NULL)
		call->wait_s = 0;
	if (http_query_u64(req, "rev", JSON_MAX_INT, 0, &call->after) != OK)
		call->after = 0;
	call_start(call, work_show, finish_show);
}

void
admin_task_show(struct http_req *req, void *ctx)
{
	uint64_t wait;

	if (http_query_u64(req, "wait", LIMIT_WAIT_SECONDS, 0, &wait) != OK)
		http_problem(req, 400, "malformed", "wait must be a number of seconds up to %d",
		    LIMIT_WAIT_SECONDS);
	else
		show_start(ctx, req, clock_mono_ms() + wait * 1000);
}

/* ---- cancel ---- */

struct cancel {
	struct agent_row *agents;
	size_t n, cap;
};

static void
cancel_free(void *extra)
{
	struct cancel *x = extra;

	free(x->agents);
	free(x);
}

static enum err
note_agent(struct cancel *x, const char *agent)
{
	struct agent_row *more;

	if (x->n == x->cap) {
		more = realloc(x->agents, (x->cap * 2 + 16) * sizeof(*more));
		if (more == NULL)
			return ERR_NOMEM;
		x->agents = more;
		x->cap = x->cap * 2 + 16;
	}
	memset(&x->agents[x->n], 0, sizeof(x->agents[x->n]));
	return text_copy(x->agents[x->n++].agent, UUID_TEXT, agent, strlen(agent));
}

/* Who has heard of the task must be told; the others never will hear of it. */
static enum err
collect(struct db *db, const char *id, struct cancel *x)
{
	struct sql_stmt *s =
	    db_prepare(db, "SELECT agent FROM deliveries WHERE task = ? AND final = 0");
	enum err e = db_bind(s, "t", id);
	struct agent_row known;

	while (e == OK && (e = db_step(s)) == OK)
		e = note_agent(x, sql_text(s, 0));
	db_end(s);
	if (e == ERR_NOTFOUND)
		e = OK;
	for (size_t i = 0; e == OK && i < x->n; i++) {
		e = store_agent_get(db, x->agents[i].agent, &known);
		if (e == OK)
			x->agents[i] = known;
		else if (e == ERR_NOTFOUND)
			e = OK; /* no port: woken, and nobody waits */
	}
	return e;
}

static enum err
withdraw(struct db *db, const char *id)
{
	enum err e = db_run(db, "UPDATE waiting SET canceled = ifnull(canceled, ?) WHERE id = ?",
	    "it", clock_wall_ms(), id);

	return e == OK && db_changes(db) == 0 ? ERR_NOTFOUND : e;
}

static enum err
work_cancel(struct call *call, struct db *db)
{
	int64_t rev, open;
	cJSON *o;
	enum err e = show_any(call, db, &o, &rev, &open); /* within the user's groups */

	if (e == OK) {
		cJSON_Delete(o);
		e = store_task_cancel(db, call->param, clock_wall_ms());
	}
	if (e == ERR_NOTFOUND)
		e = withdraw(db, call->param);

	if (e == ERR_NOTFOUND)
		return call_refuse(call, 404, "unknown-task", "there is no such task");
	if (e == OK)
		e = collect(db, call->param, call->extra);
	if (e == OK)
		e = show_any(call, db, &o, &rev, &open);
	return e == OK ? call_json(call, 202, o) : e;
}

static void
finish_cancel(struct call *call)
{
	struct cancel *x = call->extra;
	char topic[WAITER_TOPIC];

	if (call->code != NULL)
		return;
	for (size_t i = 0; i < x->n; i++) {
		waiters_topic(topic, "agent", x->agents[i].agent);
		/* a held pull is told at once; a handshake is for those who hold none */
		if (waiters_wake(call->c->waiters, topic) == 0 && x->agents[i].task_port != 0)
			push_send(call->c->push, &x->agents[i], call->param, NULL);
	}
	waiters_topic(topic, "task", call->param);
	(void)waiters_wake(call->c->waiters, topic);
}

void
admin_task_cancel(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call == NULL)
		return;
	call->extra = calloc(1, sizeof(struct cancel));
	if (call->extra == NULL) {
		call_fail(call);
		return;
	}
	call->extra_free = cancel_free;
	call_start(call, work_cancel, finish_cancel);
}
