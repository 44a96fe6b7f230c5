/* tasks.c - the way in of every task, the settling after a crash, and the way out. */
#include "tasks_internal.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "identity.h"
#include "policies.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKEW_MS 60000
#define FENCE_RUNS 2

enum err
tasks_new(struct tasks **out, struct agent *a, struct fault *f)
{
	struct tasks *ts = calloc(1, sizeof *ts);

	if (ts == NULL)
		return fault_set(f, ERR_NOMEM, "memory ran out");
	ts->agent = a;
	*out = ts;
	return OK;
}

static void
settle_end(struct tasks *ts, struct journal_record *r, enum task_state state, const char *code,
    const char *detail)
{
	r->state = state;
	r->runs = 0;
	r->reported = false;
	r->updated = clock_wall_ms();
	(void)snprintf(r->error, sizeof r->error, "%s", code);
	(void)snprintf(r->detail, sizeof r->detail, "%s", detail);
	log_warn("task.settled", "id=%s type=%s state=%s error=%s step=%s", r->id, r->type,
	    task_state_word(state), code, r->step[0] == '\0' ? "-" : r->step);
	journal_update(ts->agent->journal, r, NULL, NULL);
	tasks_tell_end(ts, r);
}

static void
settle(struct tasks *ts, struct journal_record *r)
{
	const struct task_type *type = task_type_find(r->type);
	char detail[160];

	if (task_state_final(r->state))
		return;
	if (type == NULL) {
		settle_end(
		    ts, r, TASK_FAILED, "unknown-type", "this version does not know its type");
		return;
	}
	if (r->state == TASK_ACCEPTED) {
		if (task_admit(ts, r, 0) != OK)
			settle_end(
			    ts, r, TASK_FAILED, "no-memory", "it could not be taken up again");
		return;
	}
	if (r->runs >= FENCE_RUNS) {
		settle_end(
		    ts, r, TASK_FAILED, "fenced", "the agent died twice while it was running");
		return;
	}
	if (type->flags & TASK_RESUME) { /* step 0: no effect had begun, it starts afresh */
		if (task_admit(ts, r, r->step_no) != OK)
			settle_end(
			    ts, r, TASK_FAILED, "no-memory", "it could not be taken up again");
		return;
	}
	(void)snprintf(detail, sizeof detail, "interrupted at step %u%s%s", r->step_no,
	    r->step[0] == '\0' ? "" : ": ", r->step);
	settle_end(ts, r, TASK_INTERRUPTED, "agent-died", detail);
}

void
tasks_start(struct tasks *ts)
{
	for (size_t i = 0; i < journal_count(ts->agent->journal); i++)
		settle(ts, journal_at(ts->agent->journal, i));
	tasks_run_ready(ts);
}

void
tasks_maybe_closed(struct tasks *ts)
{
	void (*closed)(void *) = ts->closed;

	if (!ts->closing || ts->live != NULL || closed == NULL)
		return;
	ts->closed = NULL;
	closed(ts->closed_ctx);
}

void
tasks_free(struct tasks *ts)
{
	free(ts);
}

/* A task that goes on after the next start keeps its state; a clean stop is no crash. */
static void
leave_for_next_start(struct task *t)
{
	if (t->started && t->rec->runs > 0)
		t->rec->runs--;
	t->commits++;
	t->finished = true;
	task_leave(t);
}

static void
close_task(struct task *t)
{
	if (t->finished)
		return;
	if (!t->started || (t->type->flags & TASK_RESUME)) {
		leave_for_next_start(t);
		return;
	}
	t->cancel = true;
	if (t->type->cancel != NULL && t->open)
		t->type->cancel(t);
	else
		task_end(t, TASK_INTERRUPTED, NULL, "agent-stopped", "the agent was stopped");
}

void
tasks_close(struct tasks *ts, void (*closed)(void *ctx), void *ctx)
{
	struct task *t = ts->live, *next;

	ts->closing = true;
	ts->closed = closed;
	ts->closed_ctx = ctx;
	for (; t != NULL; t = next) {
		next = t->next;
		close_task(t);
	}
	tasks_maybe_closed(ts);
}

/* --- submitting --- */

struct submission {
	struct tasks *ts;
	struct journal_record *rec;
	task_answer_cb cb;
	void *ctx;
};

static void
audit_refusal(struct tasks *ts, const struct envelope *e, const char *who, const char *code,
    const char *detail)
{
	cJSON *data = cJSON_CreateObject();
	enum err er = data == NULL ? ERR_NOMEM : OK;

	if (er == OK)
		er = json_add_string(data, "task", e->id);
	if (er == OK)
		er = json_add_string(data, "type", e->type);
	if (er == OK)
		er = json_add_string(data, "issuer", e->issuer);
	if (er == OK)
		er = json_add_string(data, "who", who);
	if (er == OK)
		er = json_add_string(data, "error", code);
	if (er == OK)
		er = json_add_string(data, "detail", detail);
	if (er != OK) {
		cJSON_Delete(data);
		data = NULL;
	}
	log_warn("task.refused", "id=%s type=%s who=%s error=%s detail=%s", e->id, log_q(e->type),
	    log_q(who), code, log_q(detail));
	agent_event(ts->agent, "task.refused", data);
}

static void
answer(task_answer_cb cb, void *ctx, int status, const char *code, const char *detail,
    const struct journal_record *r)
{
	struct task_answer a = { status, code, detail, r };

	cb(ctx, &a);
}

static void
inserted(void *ctx, enum err e)
{
	struct submission *s = ctx;
	struct tasks *ts = s->ts;

	if (e != OK) {
		answer(s->cb, s->ctx, 503, "journal",
		    "the task could not be recorded, so it is not run", NULL);
	} else if (s->rec->state == TASK_REFUSED) {
		answer(s->cb, s->ctx, 422, s->rec->error, s->rec->detail, s->rec);
		tasks_changed(ts, s->rec);
	} else {
		if (task_admit(ts, s->rec, 0) != OK)
			settle_end(ts, s->rec, TASK_FAILED, "no-memory", "memory ran out");
		answer(s->cb, s->ctx, 202, NULL, NULL, s->rec);
		tasks_changed(ts, s->rec);
		tasks_run_ready(ts);
	}
	free(s);
}

static struct journal_record *
make_record(const struct envelope *e, const char *via)
{
	struct journal_record *r = journal_record_new();
	struct buf args;
	bool ok;

	if (r == NULL)
		return NULL;
	buf_init(&args, LIMIT_TASK_BYTES);
	(void)snprintf(r->id, sizeof r->id, "%s", e->id);
	(void)snprintf(r->type, sizeof r->type, "%s", e->type);
	(void)snprintf(r->issuer, sizeof r->issuer, "%s", e->issuer);
	(void)snprintf(r->via, sizeof r->via, "%s", via);
	r->state = TASK_ACCEPTED;
	r->not_before = e->not_before_ms;
	r->expires = e->expires_ms;
	r->created = r->updated = clock_wall_ms();
	ok = json_print(e->args, &args) == OK && journal_set_text(&r->args, buf_text(&args)) == OK;
	buf_free(&args);
	if (!ok) {
		journal_record_free(r);
		return NULL;
	}
	return r;
}

static void
record_task(struct tasks *ts, const struct envelope *e, const char *via, const char *refusal,
    const char *detail, task_answer_cb cb, void *ctx)
{
	struct submission *s = calloc(1, sizeof *s);
	struct journal_record *r = s == NULL ? NULL : make_record(e, via);

	if (r == NULL) {
		free(s);
		answer(cb, ctx, 503, "no-memory", "memory ran out", NULL);
		return;
	}
	if (refusal != NULL) {
		r->state = TASK_REFUSED;
		(void)snprintf(r->error, sizeof r->error, "%s", refusal);
		(void)snprintf(r->detail, sizeof r->detail, "%s", detail);
	}
	s->ts = ts;
	s->rec = r;
	s->cb = cb;
	s->ctx = ctx;
	journal_insert(ts->agent->journal, r, inserted, s);
}

static int
refusal_status(enum envelope_refusal r)
{
	switch (r) {
	case ENVELOPE_MALFORMED:
		return 400;
	case ENVELOPE_NO_MEMORY:
		return 503;
	case ENVELOPE_WRONG_AGENT:
	case ENVELOPE_NOT_YET:
	case ENVELOPE_EXPIRED:
	case ENVELOPE_LIFE:
	case ENVELOPE_TOO_OLD:
		return 422;
	default:
		return 403;
	}
}

static enum envelope_refusal
verify(struct tasks *ts, const struct envelope *e, const struct authority *au, struct fault *f)
{
	struct agent *a = ts->agent;
	int64_t born = journal_created(a->journal);
	struct envelope_context c = { 0 };

	c.agent = identity_agent(a->identity);
	c.group = identity_group(a->identity);
	c.now_ms = agent_now(a);
	c.skew_ms = SKEW_MS;
	c.not_before_ms = identity_enrolled(a->identity);
	if (c.not_before_ms < born)
		c.not_before_ms = born;
	return envelope_verify(e, au, &c, f);
}

void
tasks_submit(struct tasks *ts, struct envelope *take, const char *via, const char *who,
    task_answer_cb cb, void *ctx)
{
	struct agent *a = ts->agent;
	const struct authority *au = policies_authority(a->policies);
	const struct journal_record *known = journal_find(a->journal, take->id);
	const struct task_type *type;
	enum envelope_refusal r;
	struct fault f = { 0 };
	const char *code;

	if (known != NULL) {
		answer(cb, ctx, 200, NULL, NULL, known);
	} else if (a->identity == NULL || au == NULL || ts->closing) {
		answer(cb, ctx, 503, "not-ready", "this agent has no verified authority yet", NULL);
	} else if ((r = verify(ts, take, au, &f)) != ENVELOPE_OK) {
		audit_refusal(ts, take, who, envelope_code(r), fault_text(&f));
		answer(cb, ctx, refusal_status(r), envelope_code(r), fault_text(&f), NULL);
	} else if ((type = task_type_find(take->type)) == NULL) {
		audit_refusal(ts, take, who, "unknown-type", "this agent has no such type of task");
		record_task(
		    ts, take, via, "unknown-type", "this agent has no such type of task", cb, ctx);
	} else if ((code = task_args_check(type, take->args, &f)) != NULL) {
		audit_refusal(ts, take, who, code, fault_text(&f));
		record_task(ts, take, via, code, fault_text(&f), cb, ctx);
	} else {
		record_task(ts, take, via, NULL, NULL, cb, ctx);
	}
	envelope_free(take);
}

static struct task *
find_live(struct tasks *ts, const char *id)
{
	for (struct task *t = ts->live; t != NULL; t = t->next)
		if (strcmp(t->rec->id, id) == 0)
			return t;
	return NULL;
}

void
tasks_cancel(struct tasks *ts, const char *id, struct task_answer *out)
{
	struct journal_record *r = journal_find(ts->agent->journal, id);
	struct task *t = find_live(ts, id);

	memset(out, 0, sizeof *out);
	out->record = r;
	out->status = 202;
	if (r == NULL) {
		out->status = 404;
		out->code = "unknown-task";
		out->detail = "no such task is recorded";
	} else if (t == NULL || t->finished || (t->started && t->type->cancel == NULL)) {
		out->status = 409;
		out->code = "not-cancelable";
		out->detail =
		    t == NULL || t->finished ? "the task has ended" : "this type cannot be stopped";
	} else if (!t->started) {
		task_end(t, TASK_CANCELED, NULL, "canceled", "canceled before it ran");
	} else if (!t->cancel) {
		t->cancel = true;
		if (t->open)
			t->type->cancel(t);
	}
}

void
tasks_changed(struct tasks *ts, const struct journal_record *r)
{
	struct task_watch *w = ts->watches, *next;

	for (; w != NULL; w = next) {
		next = w->next;
		w->changed(w, r);
	}
}

void
tasks_watch(struct tasks *ts, struct task_watch *w)
{
	w->next = ts->watches;
	ts->watches = w;
}

void
tasks_unwatch(struct tasks *ts, struct task_watch *w)
{
	struct task_watch **p = &ts->watches;

	while (*p != NULL && *p != w)
		p = &(*p)->next;
	if (*p != NULL)
		*p = w->next;
}

size_t
tasks_running(const struct tasks *ts)
{
	size_t n = 0;

	for (const struct task *t = ts->live; t != NULL; t = t->next)
		n += t->started && !t->finished;
	return n;
}

const cJSON *
tasks_progress(struct tasks *ts, const struct journal_record *r)
{
	const struct task *t = task_state_final(r->state) ? NULL : find_live(ts, r->id);

	return t == NULL ? NULL : t->progress;
}

cJSON *
tasks_json(struct tasks *ts, const struct journal_record *r)
{
	const struct task *t = find_live(ts, r->id);
	cJSON *o = cJSON_CreateObject(), *result = NULL;
	enum err e = o == NULL ? ERR_NOMEM : OK;

	if (e == OK)
		e = json_add_string(o, "id", r->id);
	if (e == OK)
		e = json_add_string(o, "type", r->type);
	if (e == OK)
		e = json_add_string(o, "state", task_state_word(r->state));
	if (e == OK && r->step_no > 0)
		e = json_add_string(o, "step", r->step);
	if (e == OK && t != NULL && t->progress != NULL)
		(void)cJSON_AddItemToObject(o, "progress", cJSON_Duplicate(t->progress, true));
	if (e == OK && r->result != NULL &&
	    json_parse(&result, r->result, strlen(r->result), JSON_EVENT, NULL) == OK)
		(void)cJSON_AddItemToObject(o, "result", result);
	if (e == OK && r->error[0] != '\0')
		e = json_add_string(o, "error", r->error);
	if (e == OK && r->detail[0] != '\0')
		e = json_add_string(o, "detail", r->detail);
	if (e == OK)
		e = json_add_string(o, "via", r->via);
	if (e == OK)
		e = json_add_time(o, "created", r->created);
	if (e == OK)
		e = json_add_time(o, "updated", r->updated);
	if (e != OK) {
		cJSON_Delete(o);
		return NULL;
	}
	return o;
}

cJSON *
tasks_list(struct tasks *ts, size_t max)
{
	struct journal *j = ts->agent->journal;
	cJSON *list = cJSON_CreateArray();

	for (size_t i = journal_count(j); list != NULL && i > 0 && max > 0; i--, max--) {
		cJSON *o = tasks_json(ts, journal_at(j, i - 1));

		if (o != NULL)
			(void)cJSON_AddItemToArray(list, o);
	}
	return list;
}
