#include "push.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct attempt {
	struct attempt *next, **at;
	struct push *owner;
	struct agent_row agent;
	char task[UUID_TEXT];
	char *body;	     /* NULL: a cancel */
	uint64_t started_ms; /* 0: waits for its turn */
	bool woken;
};

struct push {
	struct console *c;
	struct attempt *all, **tail; /* in the order of sending */
	size_t n, running;
};

enum err
push_new(struct push **out, struct console *c)
{
	struct push *p = calloc(1, sizeof(*p));

	*out = p;
	if (p == NULL)
		return ERR_NOMEM;
	p->c = c;
	p->tail = &p->all;
	return OK;
}

static void
forget(struct attempt *a)
{
	*a->at = a->next;
	if (a->next != NULL)
		a->next->at = a->at;
	else
		a->owner->tail = a->at;
	a->owner->n--;
	free(a->body);
	free(a);
}

void
push_free(struct push *p)
{
	if (p == NULL)
		return;
	/* forget moves p->all on. */
	while (p->all != NULL)
		forget(p->all); /* NOLINT(clang-analyzer-unix.Malloc) */
	free(p);
}

size_t
push_pending(const struct push *p)
{
	return p->n;
}

/* ---- what came of it, into the database ---- */

struct outcome {
	struct job job;
	struct console *c;
	char task[UUID_TEXT], agent[UUID_TEXT];
	char text[400], code[64], detail[250];
	bool reached, refused;
};

static enum err
outcome_run(struct job *job, void *ctx)
{
	struct outcome *o = (struct outcome *)job;
	int64_t now = clock_wall_ms();
	struct delivery d = { .state = "refused", .error = o->code, .way = "push", .now = now };
	enum err e = store_delivery_push(ctx, o->task, o->agent, o->text, o->reached, now);

	if (e == OK && o->refused)
		e = store_delivery_state(ctx, o->task, o->agent, &d);
	return e == ERR_NOTFOUND ? OK : e;
}

static void
outcome_done(struct job *job, enum err result)
{
	struct outcome *o = (struct outcome *)job;
	char topic[WAITER_TOPIC];

	if (result != OK)
		log_error("push.record", "task=%s error=%s", o->task, err_word(result));
	waiters_topic(topic, "task", o->task);
	(void)waiters_wake(o->c->waiters, topic);
	free(o);
}

static void
wake(struct attempt *a)
{
	char topic[WAITER_TOPIC];

	if (a->woken)
		return;
	a->woken = true;
	waiters_topic(topic, "agent", a->agent.agent);
	(void)waiters_wake(a->owner->c->waiters, topic);
}

/* Code and sentence of the agent's problem document. */
static void
read_problem(const struct httpc_response *r, struct outcome *o)
{
	cJSON *tree = NULL;
	const char *text;

	memcpy(o->code, "refused", sizeof("refused"));
	if (r->status < 400 ||
	    json_parse(&tree, (const char *)r->body, r->len, JSON_EVENT, NULL) != OK)
		return;
	if (json_get_string(tree, "code", &text, NULL) == OK &&
	    text_copy(o->code, sizeof(o->code), text, strlen(text)) != OK)
		memcpy(o->code, "refused", sizeof("refused"));
	if (json_get_string(tree, "detail", &text, NULL) == OK)
		(void)snprintf(o->detail, sizeof(o->detail), ": %s", text);
	cJSON_Delete(tree);
}

/* Refusals that the same envelope will meet again by pull. The others (not ready, too many
 * connections) may pass. */
static bool
is_final_refusal(const struct httpc_response *r)
{
	return r->err == OK && (r->status == 400 || r->status == 403 || r->status == 409 ||
				   r->status == 413 || r->status == 422);
}

static void
record(struct attempt *a, const struct httpc_response *r)
{
	struct outcome *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return;
	o->job.run = outcome_run;
	o->job.done = outcome_done;
	o->c = a->owner->c;
	memcpy(o->task, a->task, sizeof(o->task));
	memcpy(o->agent, a->agent.agent, sizeof(o->agent));
	o->reached = a->body != NULL && r->err == OK && r->status == 202;
	o->refused = a->body != NULL && is_final_refusal(r);
	read_problem(r, o);
	if (r->err != OK)
		(void)snprintf(o->text, sizeof(o->text), "%sfailed: %s",
		    a->body == NULL ? "cancel " : "", fault_text(&r->fault));
	else
		(void)snprintf(o->text, sizeof(o->text), "%sanswered %d%s%s%s",
		    a->body == NULL ? "cancel " : "", r->status, r->status < 400 ? "" : " ",
		    r->status < 400 ? "" : o->code, o->detail);
	work_add(&o->c->db_work, &o->job);
}

static void start_more(struct push *p);

static void
on_done(void *ctx, const struct httpc_response *r)
{
	struct attempt *a = ctx;
	struct push *p = a->owner;
	bool taken = r->err == OK && (r->status == 202 || r->status == 200);

	log_info("push", "task=%s agent=%s address=%s:%u status=%d%s%s", a->task, a->agent.agent,
	    a->agent.address, a->agent.task_port, r->status,
	    r->err == OK ? "" : " error=", r->err == OK ? "" : log_q(fault_text(&r->fault)));
	p->running--;
	if (r->err != ERR_CANCELED)
		record(a, r);
	if (!taken)
		wake(a);
	forget(a);
	if (r->err != ERR_CANCELED)
		start_more(p);
}

static enum err
make_url(const struct attempt *a, struct buf *url)
{
	bool v6 = strchr(a->agent.address, ':') != NULL;
	enum err e = buf_printf(url, "https://%s%s%s:%u/v1/tasks", v6 ? "[" : "", a->agent.address,
	    v6 ? "]" : "", a->agent.task_port);

	if (e == OK && a->body == NULL)
		e = buf_printf(url, "/%s/cancel", a->task);
	return e;
}

static enum err
start(struct attempt *a)
{
	static const char *const headers[] = { "Content-Type: application/json", NULL };
	struct console *c = a->owner->c;
	struct httpc_request q = { .method = "POST",
		.headers = headers,
		.body = a->body != NULL ? a->body : "{}",
		.body_len = a->body != NULL ? strlen(a->body) : 2,
		.expect_name = a->agent.agent,
		.connect_ms = (uint32_t)c->o->push_timeout,
		.total_ms = (uint32_t)c->o->push_timeout * 2,
		.done = on_done,
		.ctx = a };
	struct httpc_call *call;
	struct buf url;
	enum err e;

	buf_init(&url, 256);
	e = make_url(a, &url);
	q.url = buf_text(&url);
	if (e == OK)
		e = httpc_start(c->client, &q, &call, NULL);
	buf_free(&url);
	return e;
}

static void
start_more(struct push *p)
{
	struct attempt *a, *next;

	for (a = p->all; a != NULL && p->running < p->c->o->push_parallel; a = next) {
		next = a->next;
		if (a->started_ms != 0)
			continue;
		a->started_ms = clock_mono_ms() + 1; /* never 0 */
		if (start(a) == OK) {
			p->running++;
		} else {
			wake(a);
			forget(a);
		}
	}
}

void
push_send(struct push *p, const struct agent_row *agent, const char *task, const char *body)
{
	struct attempt *a = p->n < PUSH_MAX ? calloc(1, sizeof(*a)) : NULL;
	char topic[WAITER_TOPIC];

	if (a != NULL && body != NULL && (a->body = strdup(body)) == NULL) {
		free(a);
		a = NULL;
	}
	if (a == NULL || text_copy(a->task, sizeof(a->task), task, strlen(task)) != OK) {
		free(a);
		waiters_topic(topic, "agent", agent->agent);
		(void)waiters_wake(p->c->waiters, topic);
		return;
	}
	a->owner = p;
	a->agent = *agent;
	a->at = p->tail;
	*p->tail = a;
	p->tail = &a->next;
	p->n++;
	start_more(p);
}

void
push_tick(struct push *p, uint64_t now_ms)
{
	for (struct attempt *a = p->all; a != NULL; a = a->next)
		if (a->started_ms != 0 && now_ms >= a->started_ms + PUSH_HEAD_START_MS)
			wake(a);
}
