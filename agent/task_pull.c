/* task_pull.c - see task_pull.h. */
#include "task_pull.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "identity.h"
#include "net/httpc.h"
#include "os/rand.h"
#include "policies.h"
#include "proto/enroll.h"
#include "tamper.h"
#include "tasks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_S 240u
#define FIRST_PAUSE_MS 1000u
#define MAX_PAUSE_MS 60000u
#define NOT_READY_MS 5000u
#define PULL_MAX (16 * LIMIT_TASK_BYTES)

struct task_pull {
	struct agent *agent;
	struct task_watch watch; /* states to report */
	struct httpc_call *poll, *report;
	uv_timer_t poll_timer, report_timer;
	unsigned poll_fails, report_fails;
	char reporting[UUID_TEXT];
	int64_t reporting_updated;
	int64_t heard;
	char error[240];
	bool started, closing;
	int open; /* submissions under way; at the end also timers */
	void (*closed)(void *ctx);
	void *closed_ctx;
};

static void poll_next(struct task_pull *p);
static void report_next(struct task_pull *p);
static void one_closed(struct task_pull *p);

enum err
console_url(const struct agent *a, char *dst, size_t size, const char *path)
{
	struct source s = { 0 };

	(void)snprintf(s.host, sizeof s.host, "%s",
	    tamper_host(a->tamper, identity_console_host(a->identity)));
	return source_url(dst, size, "https", &s, identity_console_port(a->identity), path);
}

static uint64_t
pause_for(unsigned fails)
{
	uint64_t ms = FIRST_PAUSE_MS;

	while (fails-- > 1 && ms < MAX_PAUSE_MS)
		ms *= 2;
	if (ms > MAX_PAUSE_MS)
		ms = MAX_PAUSE_MS;
	return ms + rand_below((uint32_t)(ms / 2 + 1));
}

/* --- pulling --- */

static void
on_poll_timer(uv_timer_t *t)
{
	poll_next(t->data);
}

/* A pulled task that is refused before it is journaled is reported right away, once; the console
 * offers it again otherwise. */
static void report_refusal(
    struct task_pull *p, const char *id, const char *code, const char *detail);

struct pulled {
	struct task_pull *p;
	char id[UUID_TEXT];
};

static void
submitted(void *ctx, const struct task_answer *a)
{
	struct pulled *x = ctx;
	struct task_pull *p = x->p;

	if (!p->closing && a->status == 503 && p->poll == NULL) /* not now: it is offered again */
		(void)uv_timer_start(&p->poll_timer, on_poll_timer, NOT_READY_MS, 0);
	else if (!p->closing && a->record == NULL && a->code != NULL)
		report_refusal(p, x->id, a->code, a->detail);
	else if (!p->closing && a->status == 200 && a->record != NULL && a->record->reported) {
		/* it is offered although its end was reported: the report was lost on the other
		 * side */
		struct journal_record *r = journal_find(p->agent->journal, a->record->id);

		if (r != NULL && task_state_final(r->state))
			r->reported = false;
	}
	free(x);
	if (p->closing) {
		one_closed(p);
		return;
	}
	p->open--;
	report_next(p);
}

static void
take_envelope(struct task_pull *p, cJSON *item)
{
	struct envelope env;
	struct fault f = { 0 };
	struct pulled *x;

	if (envelope_from_tree(&env, item, &f) != OK) {
		log_warn("pull.malformed", "why=%s", log_q(fault_text(&f)));
		return;
	}
	x = calloc(1, sizeof *x);
	if (x == NULL) {
		envelope_free(&env);
		return;
	}
	x->p = p;
	(void)snprintf(x->id, sizeof x->id, "%s", env.id);
	p->open++;
	tasks_submit(
	    p->agent->tasks, &env, "pull", identity_console_name(p->agent->identity), submitted, x);
}

/* Behind NAT a cancel comes the same way as the task; the connection proved the console. */
static void
take_cancels(struct task_pull *p, const cJSON *list)
{
	struct task_answer out;
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
	{
		if (!cJSON_IsString(item))
			continue;
		tasks_cancel(p->agent->tasks, item->valuestring, &out);
		log_info("pull.cancel", "task=%s status=%d", log_q(item->valuestring), out.status);
	}
}

static bool
take_answer(struct task_pull *p, const struct httpc_response *r)
{
	struct fault f = { 0 };
	cJSON *tree, *list;
	bool any = false;

	if (json_parse(&tree, (const char *)r->body, r->len, JSON_SIGNED, &f) != OK ||
	    json_get_array(tree, "tasks", &list, &f) != OK) {
		log_warn("pull.malformed", "why=%s", log_q(fault_text(&f)));
		cJSON_Delete(tree);
		return false;
	}
	while (cJSON_GetArraySize(list) > 0) {
		take_envelope(p, cJSON_DetachItemFromArray(list, 0));
		any = true;
	}
	take_cancels(p, json_get(tree, "cancel"));
	cJSON_Delete(tree);
	return any;
}

static void
poll_done(void *ctx, const struct httpc_response *r)
{
	struct task_pull *p = ctx;
	bool good = r->err == OK && (r->status == 200 || r->status == 204);
	uint64_t pause = 1;

	p->poll = NULL;
	if (good) {
		p->poll_fails = 0;
		p->error[0] = '\0';
		p->heard = clock_wall_ms();
		if (r->status == 200 && take_answer(p, r))
			pause =
			    200; /* a task that cannot be taken now is offered again: no spinning */
	} else {
		p->poll_fails++;
		if (r->err != OK)
			(void)snprintf(p->error, sizeof p->error, "%s", fault_text(&r->fault));
		else
			(void)snprintf(
			    p->error, sizeof p->error, "the console answered %d", r->status);
		pause = pause_for(p->poll_fails);
		if (r->err == OK && pause < httpc_retry_after_ms(r, LIMIT_RETRY_AFTER_S))
			pause = httpc_retry_after_ms(r, LIMIT_RETRY_AFTER_S);
		log_debug("pull.failed", "why=%s again_ms=%llu", log_q(p->error),
		    (unsigned long long)pause);
	}
	if (!p->closing)
		(void)uv_timer_start(&p->poll_timer, on_poll_timer, pause, 0);
	report_next(p);
}

static void
poll_next(struct task_pull *p)
{
	struct httpc_request q = { 0 };
	char url[512], path[256];
	struct fault f = { 0 };
	enum err e;

	if (p->closing || p->poll != NULL || p->agent->console == NULL ||
	    policies_authority(p->agent->policies) == NULL)
		return;
	(void)snprintf(path, sizeof path, "v1/tasks?wait=%u&task_port=%u", WAIT_S,
	    (unsigned)p->agent->task_port);
	e = console_url(p->agent, url, sizeof url, path);
	q.url = url;
	q.max_body = PULL_MAX;
	q.total_ms = (WAIT_S + 30) * 1000;
	q.done = poll_done;
	q.ctx = p;
	if (e == OK)
		e = httpc_start(p->agent->console, &q, &p->poll, &f);
	if (e == OK)
		return;
	log_warn("pull.start", "why=%s", log_q(fault_text(&f)));
	(void)uv_timer_start(&p->poll_timer, on_poll_timer, MAX_PAUSE_MS, 0);
}

/* --- reporting --- */

static void
on_report_timer(uv_timer_t *t)
{
	report_next(t->data);
}

static void
reported(struct task_pull *p, bool known)
{
	struct journal_record *r = journal_find(p->agent->journal, p->reporting);

	if (r == NULL || r->updated != p->reporting_updated)
		return; /* it changed meanwhile: the newer state is reported next */
	r->reported = true;
	if (!known)
		log_warn("pull.unknown", "id=%s why=the-console-does-not-know-it", r->id);
	journal_update(p->agent->journal, r, NULL, NULL);
}

static void
report_done(void *ctx, const struct httpc_response *r)
{
	struct task_pull *p = ctx;
	uint64_t pause;

	p->report = NULL;
	if (r->err == OK &&
	    (r->status / 100 == 2 || r->status == 404 || r->status == 409 || r->status == 400)) {
		p->report_fails = 0;
		reported(p, r->status / 100 == 2);
		report_next(p);
		return;
	}
	p->report_fails++;
	pause = pause_for(p->report_fails);
	if (!p->closing)
		(void)uv_timer_start(&p->report_timer, on_report_timer, pause, 0);
}

static enum err
send_state(struct task_pull *p, const char *id, const struct enroll_state *s)
{
	static const char *const headers[] = { "Content-Type: application/json", NULL };
	struct httpc_request q = { 0 };
	char url[512], path[128];
	struct fault f = { 0 };
	struct buf body;
	enum err e;

	buf_init(&body, 2 * LIMIT_TASK_RESULT);
	(void)snprintf(path, sizeof path, "v1/tasks/%s/state", id);
	e = console_url(p->agent, url, sizeof url, path);
	if (e == OK)
		e = enroll_state_write(s, &body);
	q.url = url;
	q.headers = headers;
	q.body = body.data;
	q.body_len = body.len;
	log_debug("pull.report", "id=%s body=%s", id, log_q(buf_text(&body)));
	q.done = report_done;
	q.ctx = p;
	if (e == OK)
		e = httpc_start(p->agent->console, &q, &p->report, &f);
	buf_free(&body);
	return e;
}

static void
report_record(struct task_pull *p, struct journal_record *r)
{
	char updated[CLOCK_TEXT];
	struct enroll_state s = { 0 };
	cJSON *result = NULL;

	clock_format(updated, r->updated);
	if (r->result != NULL &&
	    json_parse(&result, r->result, strlen(r->result), JSON_EVENT, NULL) == OK)
		s.result = result;
	s.state = task_state_word(r->state);
	s.step = r->step[0] == '\0' ? NULL : r->step;
	s.error = r->error[0] == '\0' ? NULL : r->error;
	s.updated = updated;
	s.progress = tasks_progress(p->agent->tasks, r);
	memcpy(p->reporting, r->id, sizeof p->reporting);
	p->reporting_updated = r->updated;
	if (send_state(p, r->id, &s) != OK && !p->closing)
		(void)uv_timer_start(&p->report_timer, on_report_timer, MAX_PAUSE_MS, 0);
	cJSON_Delete(result);
}

static void
report_refusal(struct task_pull *p, const char *id, const char *code, const char *detail)
{
	char updated[CLOCK_TEXT];
	struct enroll_state s = { 0 };

	if (p->report != NULL)
		return; /* it is offered again, and refused again, when the line is free */
	clock_format(updated, clock_wall_ms());
	s.state = "refused";
	s.error = code;
	s.updated = updated;
	p->reporting[0] = '\0';
	p->reporting_updated = 0;
	if (send_state(p, id, &s) != OK)
		log_warn("pull.refusal", "id=%s code=%s error=not-sent", id, code);
}

static void
report_next(struct task_pull *p)
{
	struct journal *j = p->agent->journal;

	if (p->closing || !p->started || p->report != NULL || p->agent->console == NULL ||
	    uv_is_active((uv_handle_t *)&p->report_timer))
		return;
	for (size_t i = 0; i < journal_count(j); i++) {
		struct journal_record *r = journal_at(j, i);

		if (r->reported || !journal_is_written(r))
			continue;
		report_record(p, r);
		return;
	}
}

static void
task_changed(struct task_watch *w, const struct journal_record *r)
{
	report_next((struct task_pull *)((char *)w - offsetof(struct task_pull, watch)));
}

static void
task_written(void *ctx)
{
	report_next(ctx);
}

/* --- made, started, closed --- */

enum err
task_pull_new(struct task_pull **out, struct agent *a)
{
	struct task_pull *p = calloc(1, sizeof *p);

	if (p == NULL)
		return ERR_NOMEM;
	p->agent = a;
	p->watch.changed = task_changed;
	(void)uv_timer_init(&a->loop, &p->poll_timer);
	(void)uv_timer_init(&a->loop, &p->report_timer);
	p->poll_timer.data = p->report_timer.data = p;
	*out = p;
	return OK;
}

void
task_pull_start(struct task_pull *p)
{
	p->started = true;
	tasks_watch(p->agent->tasks, &p->watch);
	journal_watch(p->agent->journal, task_written, p);
	poll_next(p);
	report_next(p);
}

static void
one_closed(struct task_pull *p)
{
	if (--p->open > 0)
		return;
	p->closed(p->closed_ctx);
	free(p);
}

static void
timer_closed(uv_handle_t *h)
{
	one_closed(h->data);
}

void
task_pull_authority(struct task_pull *p)
{
	if (p->started && !uv_is_active((uv_handle_t *)&p->poll_timer))
		poll_next(p);
}

void
task_pull_close(struct task_pull *p, void (*closed)(void *ctx), void *ctx)
{
	p->closing = true;
	p->closed = closed;
	p->closed_ctx = ctx;
	tasks_unwatch(p->agent->tasks, &p->watch);
	journal_watch(p->agent->journal, NULL, NULL);
	if (p->poll != NULL)
		httpc_cancel(p->poll);
	if (p->report != NULL)
		httpc_cancel(p->report);
	p->open += 2; /* besides submissions that wait for the journal */
	uv_close((uv_handle_t *)&p->poll_timer, timer_closed);
	uv_close((uv_handle_t *)&p->report_timer, timer_closed);
}

int64_t
task_pull_heard(const struct task_pull *p)
{
	return p == NULL ? 0 : p->heard;
}

const char *
task_pull_error(const struct task_pull *p)
{
	return p == NULL ? "" : p->error;
}
