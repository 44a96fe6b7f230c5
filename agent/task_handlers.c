/* task_handlers.c - what each type of task does, but for `collect` and `scan.*`. */
#include "task_handlers.h"

#include "agent.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "role.h"
#include "status.h"
#include "tasks.h"
#include "update.h"

#include <stdlib.h>
#include <string.h>

static const char *
text_arg(struct task *t, const char *name)
{
	const cJSON *v = json_get(task_args(t), name);

	return cJSON_IsString(v) ? v->valuestring : NULL;
}

/* --- update.now and policy.refresh --- */

struct now {
	struct task *task;
	unsigned left; /* feeds that have not ended */
	unsigned failed;
	cJSON *result, *feeds;
	char why[400], code[24];
	uv_timer_t tick; /* progress of the download */
	bool done;
};

static void
now_freed(uv_handle_t *h)
{
	free(h->data);
}

static void
now_finish(struct now *n)
{
	struct task *t = n->task;
	cJSON *result = n->result;

	if (n->done)
		return;
	n->done = true;
	updates_forget(task_agent(t)->updates, n);
	uv_close((uv_handle_t *)&n->tick, now_freed);
	task_set_data(t, NULL);
	if (n->failed == 0) {
		task_done(t, result);
		return;
	}
	cJSON_Delete(result);
	task_fail(t, task_canceled(t) ? TASK_CANCELED : TASK_FAILED, n->code, "%s", n->why);
}

static void
now_ended(void *ctx, const struct update_outcome *o)
{
	struct now *n = ctx;
	cJSON *item = cJSON_CreateObject();
	bool good = strcmp(o->word, "updated") == 0 || strcmp(o->word, "current") == 0 ||
		    strcmp(o->word, "pinned") == 0;
	enum err e = item == NULL ? ERR_NOMEM : json_add_string(item, "feed", o->feed);

	if (e == OK)
		e = json_add_string(item, "outcome", o->word);
	if (e == OK)
		e = json_add_u64(item, "version", o->version);
	if (e == OK)
		e = json_add_u64(item, "from", o->from);
	if (e == OK && o->source[0] != '\0')
		e = json_add_string(item, "source", o->source);
	if (e == OK)
		e = json_append(n->feeds, item);
	else
		cJSON_Delete(item);
	if (!good) {
		n->failed++;
		(void)snprintf(n->code, sizeof n->code, "update-%s", o->word);
		(void)snprintf(n->why, sizeof n->why, "feed %s: %s", o->feed,
		    o->why[0] == '\0' ? o->word : o->why);
	}
	if (--n->left == 0)
		now_finish(n);
}

static void
now_tick(uv_timer_t *timer)
{
	struct now *n = timer->data;
	struct update_view *v = malloc(sizeof *v);

	for (size_t i = 0; v != NULL && updates_view(task_agent(n->task)->updates, i, v); i++) {
		cJSON *o;

		if (v->state == FLOW_IDLE)
			continue;
		o = cJSON_CreateObject();
		if (o != NULL && json_add_string(o, "feed", v->feed) == OK &&
		    json_add_string(o, "state", flow_state_word(v->state)) == OK &&
		    json_add_string(o, "phase", v->phase) == OK &&
		    json_add_u64(o, "done", v->done) == OK &&
		    json_add_u64(o, "total", v->total) == OK)
			task_progress(n->task, o);
		else
			cJSON_Delete(o);
		break;
	}
	free(v);
}

static void
now_request(struct now *n, const char *feed)
{
	struct agent *a = task_agent(n->task);
	bool found = feed == NULL;

	n->left = 1; /* held until all are asked: one may end at once */
	(void)role_sync_now(a->role, feed);
	for (size_t i = 0; i < updates_count(a->updates); i++) {
		const char *name = updates_name(a->updates, i);

		if (feed != NULL && strcmp(feed, name) != 0)
			continue;
		n->left++;
		found = true;
		if (updates_request(a->updates, name, UPDATE_TASK, now_ended, n) != OK) {
			n->left--;
			n->failed++;
			(void)snprintf(n->code, sizeof n->code, "busy");
			(void)snprintf(n->why, sizeof n->why, "feed %s cannot be asked now", name);
		}
	}
	if (!found) {
		n->failed++;
		(void)snprintf(n->code, sizeof n->code, "unknown-feed");
		(void)snprintf(n->why, sizeof n->why, "this agent does not follow feed %s", feed);
	}
	if (--n->left == 0)
		now_finish(n);
}

static void
now_begin(struct task *t)
{
	struct now *n = task_data(t);

	now_request(n, strcmp(n->code, "policies") == 0 ? "policies" : text_arg(t, "feed"));
}

static void
start_now(struct task *t, bool policies)
{
	struct now *n = calloc(1, sizeof *n);
	enum err e = n == NULL ? ERR_NOMEM : OK;

	if (e == OK && (n->result = cJSON_CreateObject()) == NULL)
		e = ERR_NOMEM;
	if (e == OK)
		e = json_add_array(n->result, "feeds", &n->feeds);
	if (e != OK) {
		if (n != NULL)
			cJSON_Delete(n->result);
		free(n);
		task_fail(t, TASK_FAILED, "no-memory", "memory ran out");
		return;
	}
	n->task = t;
	if (policies)
		(void)snprintf(n->code, sizeof n->code, "policies");
	(void)uv_timer_init(&task_agent(t)->loop, &n->tick);
	n->tick.data = n;
	(void)uv_timer_start(&n->tick, now_tick, 500, 500);
	task_set_data(t, n);
	task_step(t, "look", now_begin);
}

void
run_update_now(struct task *t)
{
	start_now(t, false);
}

void
run_policy_refresh(struct task *t)
{
	start_now(t, true);
}

void
cancel_update_now(struct task *t)
{
	struct now *n = task_data(t);

	(void)updates_cancel(task_agent(t)->updates, text_arg(t, "feed"));
	if (n == NULL || n->done)
		return;
	n->failed++;
	(void)snprintf(n->code, sizeof n->code, "canceled");
	(void)snprintf(n->why, sizeof n->why, "stopped on request");
	now_finish(n);
}

/* --- update.cancel --- */

static void
cancel_begin(struct task *t)
{
	struct agent *a = task_agent(t);
	const char *feed = text_arg(t, "feed");
	size_t n = updates_cancel(a->updates, feed) + role_cancel(a->role, feed);
	cJSON *o = cJSON_CreateObject();

	if (o == NULL || json_add_u64(o, "canceled", n) != OK) {
		cJSON_Delete(o);
		o = NULL;
	}
	task_done(t, o);
}

void
run_update_cancel(struct task *t)
{
	task_step(t, "cancel", cancel_begin);
}

/* --- update.pin --- */

static void
pin_ended(void *ctx, const struct update_outcome *o)
{
	struct task *t = ctx;
	cJSON *r;

	if (strcmp(o->word, "pinned") != 0 && strcmp(o->word, "current") != 0) {
		task_fail(t, TASK_FAILED, "pin-failed", "feed %s: %s", o->feed,
		    o->why[0] == '\0' ? o->word : o->why);
		return;
	}
	r = cJSON_CreateObject();
	if (r == NULL || json_add_string(r, "feed", o->feed) != OK ||
	    json_add_u64(r, "version", o->version) != OK) {
		cJSON_Delete(r);
		r = NULL;
	}
	task_done(t, r);
}

static void
pin_begin(struct task *t)
{
	const char *until = text_arg(t, "until");
	struct fault f = { 0 };
	uint64_t version;
	int64_t ms;

	if (until == NULL || clock_parse(until, strlen(until), &ms) != OK ||
	    json_get_u64(task_args(t), "version", UINT32_MAX, &version, NULL) != OK) {
		task_fail(t, TASK_FAILED, "wrong-argument", "until or version is not valid");
		return;
	}
	if (ms > agent_now(task_agent(t)) + LIMIT_PIN_MS) {
		task_fail(t, TASK_FAILED, "pin-too-long", "a pin may last 90 days, never for ever");
		return;
	}
	if (updates_pin(
		task_agent(t)->updates, text_arg(t, "feed"), version, ms, pin_ended, t, &f) != OK)
		task_fail(t, TASK_FAILED, err_word(f.code), "%s", fault_text(&f));
}

void
run_update_pin(struct task *t)
{
	task_step(t, "pin", pin_begin);
}

/* --- role.set --- */

static void
role_done(void *ctx, enum err e, const char *why)
{
	struct task *t = ctx;
	cJSON *r;

	if (e != OK) {
		task_fail(t, TASK_FAILED, "role-failed", "%s", why);
		return;
	}
	r = role_json(task_agent(t)->role);
	cJSON_DeleteItemFromObjectCaseSensitive(r, "counters");
	cJSON_DeleteItemFromObjectCaseSensitive(r, "feeds");
	task_done(t, r);
}

static void
role_begin(struct task *t)
{
	struct fault f = { 0 };
	bool on;

	if (json_get_bool(task_args(t), "on", &on, &f) != OK ||
	    role_set(task_agent(t)->role, on, json_get(task_args(t), "settings"), role_done, t,
		&f) != OK)
		task_fail(t, TASK_FAILED, f.code == ERR_INVAL ? "wrong-setting" : err_word(f.code),
		    "%s", fault_text(&f));
}

void
run_role_set(struct task *t)
{
	task_step(t, "set", role_begin);
}

/* --- status, agent.restart --- */

static void
status_begin(struct task *t)
{
	cJSON *o = status_json(task_agent(t));

	cJSON_DeleteItemFromObjectCaseSensitive(o, "tasks"); /* the console has those */
	task_done(t, o);
}

void
run_status(struct task *t)
{
	task_step(t, "read", status_begin);
}

/* The program begins anew in the same process (main.c). The wish is recorded; the next start finds
 * the record and its new boot id proves that it happened. */
static void
restart_begin(struct task *t)
{
	struct agent *a = task_agent(t);

	a->restart = true;
	agent_stop(a, "task agent.restart");
	task_fail(t, TASK_INTERRUPTED, "agent-stopped", "the agent is being restarted");
}

void
run_agent_restart(struct task *t)
{
	cJSON *o;

	if (task_resumed_at(t) == 0) {
		task_step(t, "restart", restart_begin);
		return;
	}
	o = cJSON_CreateObject();
	if (o != NULL && json_add_string(o, "boot", task_agent(t)->boot) != OK) {
		cJSON_Delete(o);
		o = NULL;
	}
	task_done(t, o);
}
