/* tasks_run.c - running, stepping and ending tasks. */
#include "tasks_internal.h"

#include "base/clock.h"
#include "base/inject.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_TOLD_MS 5000u /* a thousand PCs that scan must leave the console time */

static void
unlink_task(struct task *t)
{
	struct task **p = &t->ts->live;

	while (*p != NULL && *p != t)
		p = &(*p)->next;
	if (*p == t)
		*p = t->next;
}

static void
maybe_free(struct task *t)
{
	struct tasks *ts = t->ts;

	if (!t->finished || !t->closed || t->open || t->commits > 0)
		return;
	unlink_task(t);
	cJSON_Delete(t->args);
	cJSON_Delete(t->progress);
	free(t);
	tasks_run_ready(ts);
	tasks_maybe_closed(ts);
}

static void
timer_closed(uv_handle_t *h)
{
	struct task *t = h->data;

	t->closed = true;
	maybe_free(t);
}

static void
end_recorded(void *ctx, enum err e)
{
	struct task *t = ctx;

	t->commits--;
	tasks_changed(t->ts, t->rec);
	maybe_free(t);
}

/* The end as an event: it arrives also when the report to 2225 is lost. */
void
tasks_tell_end(struct tasks *ts, const struct journal_record *r)
{
	cJSON *data = cJSON_CreateObject(), *result = NULL;
	enum err e = data == NULL ? ERR_NOMEM : json_add_string(data, "task", r->id);

	if (e == OK)
		e = json_add_string(data, "type", r->type);
	if (e == OK)
		e = json_add_string(data, "state", task_state_word(r->state));
	if (e == OK)
		e = json_add_string(data, "issuer", r->issuer);
	if (e == OK && r->step[0] != '\0')
		e = json_add_string(data, "step", r->step);
	if (e == OK && r->error[0] != '\0')
		e = json_add_string(data, "error", r->error);
	if (e == OK && r->detail[0] != '\0')
		e = json_add_string(data, "detail", r->detail);
	if (e == OK && r->result != NULL &&
	    json_parse(&result, r->result, strlen(r->result), JSON_EVENT, NULL) == OK &&
	    !cJSON_AddItemToObject(data, "result", result))
		cJSON_Delete(result);
	if (e != OK) {
		cJSON_Delete(data);
		data = NULL;
	}
	agent_event(ts->agent, "task.done", data);
}

static void
store_result(struct journal_record *r, cJSON *result)
{
	struct buf text;

	if (result == NULL)
		return;
	buf_init(&text, LIMIT_TASK_RESULT);
	if (json_print(result, &text) != OK) { /* the outcome stands, its details are too many */
		buf_reset(&text);
		log_warn("task.result", "id=%s error=too-big", r->id);
		if (buf_puts(&text, "{\"truncated\":true}") != OK)
			buf_reset(&text);
	}
	if (journal_set_text(&r->result, text.len > 0 ? buf_text(&text) : NULL) != OK)
		log_warn("task.result", "id=%s error=no-memory", r->id);
	buf_free(&text);
	cJSON_Delete(result);
}

void
task_end(struct task *t, enum task_state state, cJSON *result, const char *code, const char *detail)
{
	struct journal_record *r = t->rec;

	if (t->finished) {
		cJSON_Delete(result);
		return;
	}
	t->finished = true;
	r->state = state;
	r->runs = 0;
	r->reported = false;
	r->updated = clock_wall_ms();
	(void)snprintf(r->error, sizeof r->error, "%s", code == NULL ? "" : code);
	(void)snprintf(r->detail, sizeof r->detail, "%s", detail == NULL ? "" : detail);
	store_result(r, result);
	log_info("task.end", "id=%s type=%s state=%s error=%s detail=%s", r->id, r->type,
	    task_state_word(state), r->error[0] == '\0' ? "-" : r->error, log_q(r->detail));
	t->commits++;
	journal_update(t->ts->agent->journal, r, end_recorded, t);
	tasks_tell_end(t->ts, r);
	uv_close((uv_handle_t *)&t->timer, timer_closed);
}

/* The handler lets go. When the deadline ended the task before, this is all that is left to do. */
static bool
let_go(struct task *t)
{
	bool ended = t->finished;

	t->open = false;
	if (ended)
		maybe_free(t);
	return ended;
}

void
task_done(struct task *t, cJSON *result)
{
	if (let_go(t))
		cJSON_Delete(result);
	else
		task_end(t, TASK_DONE, result, NULL, NULL);
}

void
task_fail(struct task *t, enum task_state state, const char *code, const char *fmt, ...)
{
	char detail[400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(detail, sizeof detail, fmt, ap);
	va_end(ap);
	if (t->late && state == TASK_CANCELED) {
		state = TASK_FAILED;
		code = "deadline";
	} else if (t->ts->closing && state == TASK_CANCELED) {
		state = TASK_INTERRUPTED;
		code = "agent-stopped";
	}
	if (!let_go(t))
		task_end(t, state, NULL, code, detail);
}

static void
on_deadline(uv_timer_t *timer)
{
	struct task *t = timer->data;

	t->late = true;
	log_warn("task.deadline", "id=%s type=%s", t->rec->id, t->rec->type);
	if (t->type->cancel != NULL) {
		t->cancel = true;
		t->type->cancel(t);
	} else {
		task_end(t, TASK_FAILED, NULL, "deadline", "it did not end within its deadline");
	}
}

static void
run_recorded(void *ctx, enum err e)
{
	struct task *t = ctx;

	t->commits--;
	tasks_changed(t->ts, t->rec);
	if (t->finished) {
		maybe_free(t);
		return;
	}
	t->open = true;
	t->type->start(t);
}

static void
step_recorded(void *ctx, enum err e)
{
	struct task *t = ctx;
	void (*next)(struct task *) = t->after_step;

	t->commits--;
	t->after_step = NULL;
	tasks_changed(t->ts, t->rec);
	if (!t->finished) {
		if (next != NULL)
			next(t);
		return;
	}
	t->open = false; /* no step follows: the handler has nothing under way */
	if (t->drop != NULL)
		t->drop(t);
	maybe_free(t);
}

void
task_step(struct task *t, const char *step, void (*next)(struct task *t))
{
	struct journal_record *r = t->rec;

	(void)snprintf(r->step, sizeof r->step, "%s", step);
	r->step_no++;
	r->reported = false; /* whoever follows the task at the console sees the step */
	r->updated = clock_wall_ms();
	t->after_step = next;
	t->commits++;
	journal_update(t->ts->agent->journal, r, step_recorded, t);
}

void
task_progress(struct task *t, cJSON *take)
{
	uint64_t now = clock_mono_ms();

	cJSON_Delete(t->progress);
	t->progress = take;
	if (t->rec->state == TASK_RUNNING &&
	    (t->told_ms == 0 || now - t->told_ms >= PROGRESS_TOLD_MS)) {
		t->told_ms = now;
		t->rec->reported = false;
	}
	tasks_changed(t->ts, t->rec);
}

static void
start_task(struct task *t)
{
	struct journal_record *r = t->rec;

	t->started = true;
	if (t->resumed_at == 0) {
		r->step[0] = '\0';
		r->step_no = 0;
	}
	r->state = TASK_RUNNING;
	r->runs++;
	r->reported = false;
	r->updated = clock_wall_ms();
	log_info("task.start", "id=%s type=%s via=%s resumed_at=%u", r->id, r->type, r->via,
	    t->resumed_at);
	(void)uv_timer_start(&t->timer, on_deadline,
	    inject("task.deadline") ? 2000 : (uint64_t)t->type->deadline_s * 1000, 0);
	t->commits++;
	journal_update(t->ts->agent->journal, r, run_recorded, t);
}

static bool
blocked(const struct tasks *ts, const struct task *t)
{
	if (t->type->flags & TASK_BUSY_OK)
		return false;
	for (const struct task *o = ts->live; o != NULL; o = o->next)
		if (o != t && o->started && !o->finished && !(o->type->flags & TASK_BUSY_OK))
			return true;
	return false;
}

static void
on_not_before(uv_timer_t *timer)
{
	tasks_run_ready(((struct task *)timer->data)->ts);
}

/* One at a time of those that exclude each other; the first that came goes first. */
void
tasks_run_ready(struct tasks *ts)
{
	int64_t now = agent_now(ts->agent);

	if (ts->closing)
		return;
	for (struct task *t = ts->live; t != NULL; t = t->next) {
		if (t->started || t->finished)
			continue;
		if (t->rec->expires <= now) {
			task_end(t, TASK_EXPIRED, NULL, "expired",
			    "its time passed before it could run");
			continue;
		}
		if (t->rec->not_before > now) {
			uint64_t wait = (uint64_t)(t->rec->not_before - now);

			(void)uv_timer_start(&t->timer, on_not_before, wait, 0);
			continue;
		}
		if (!blocked(ts, t))
			start_task(t);
	}
}

enum err
task_admit(struct tasks *ts, struct journal_record *r, unsigned resumed_at)
{
	struct task *t = calloc(1, sizeof *t), **p = &ts->live;
	enum err e;

	if (t == NULL)
		return ERR_NOMEM;
	t->ts = ts;
	t->rec = r;
	t->resumed_at = resumed_at;
	t->type = task_type_find(r->type);
	e = json_parse(&t->args, r->args, strlen(r->args), JSON_SIGNED, NULL);
	if (e != OK || t->type == NULL) {
		cJSON_Delete(t->args);
		free(t);
		return e != OK ? e : ERR_NOTFOUND;
	}
	(void)uv_timer_init(&ts->agent->loop, &t->timer);
	t->timer.data = t;
	while (*p != NULL)
		p = &(*p)->next;
	*p = t;
	return OK;
}

struct agent *
task_agent(struct task *t)
{
	return t->ts->agent;
}

const cJSON *
task_args(const struct task *t)
{
	return t->args;
}

const char *
task_id(const struct task *t)
{
	return t->rec->id;
}

unsigned
task_resumed_at(const struct task *t)
{
	return t->resumed_at;
}

void *
task_data(const struct task *t)
{
	return t->data;
}

void
task_set_data(struct task *t, void *data)
{
	t->data = data;
}

void
task_on_drop(struct task *t, void (*drop)(struct task *t))
{
	t->drop = drop;
}

bool
task_canceled(const struct task *t)
{
	return t->cancel;
}

struct task *
tasks_find_running(struct tasks *ts, const char *type)
{
	for (struct task *t = ts->live; t != NULL; t = t->next)
		if (t->started && !t->finished && strcmp(t->rec->type, type) == 0)
			return t;
	return NULL;
}

static void
left_recorded(void *ctx, enum err e)
{
	struct task *t = ctx;

	t->commits--;
	maybe_free(t);
}

/* Stopped cleanly with the intention to go on: the row keeps its state. The caller set finished and
 * counted the commit. An open handler still has to let go. */
void
task_leave(struct task *t)
{
	uv_close((uv_handle_t *)&t->timer, timer_closed);
	journal_update(t->ts->agent->journal, t->rec, left_recorded, t);
}
