/* tasks.h - the one path of every task, whichever way it came: verify, check, journal, run once,
 * record the outcome. Loop's thread. */
#ifndef ATALAIA_AGENT_TASKS_H
#define ATALAIA_AGENT_TASKS_H

#include "agent.h"
#include "base/fault.h"
#include "journal.h"
#include "proto/envelope.h"
#include "task_table.h"

struct tasks;

MUST_CHECK enum err tasks_new(struct tasks **out, struct agent *a, struct fault *f);
/* Settles what the last run left: interrupted, resumed or fenced; then starts what is accepted. */
void tasks_start(struct tasks *ts);
/* Cancels what runs, records it, then calls closed. Questions are still answered: tasks_free comes
 * when nobody asks any more. */
void tasks_close(struct tasks *ts, void (*closed)(void *ctx), void *ctx);

void tasks_free(struct tasks *ts); /* NULL is fine */

struct task_answer {
	int status;	  /* HTTP: 202 new, 200 known, 4xx/5xx refused */
	const char *code; /* stable, NULL unless refused */
	const char *detail;
	const struct journal_record *record; /* NULL when refused before the journal */
};
typedef void (*task_answer_cb)(void *ctx, const struct task_answer *r);

/* Takes the envelope. cb exactly once, now or after the commit. who names the console or the way in
 * audit events. */
void tasks_submit(struct tasks *ts, struct envelope *take, const char *via, const char *who,
    task_answer_cb cb, void *ctx);
/* 202, or a refusal: 404 unknown, 409 not-cancelable. */
void tasks_cancel(struct tasks *ts, const char *id, struct task_answer *out);

/* {id,type,state,step,progress,result,error,created,updated}; NULL on no memory. */
cJSON *tasks_json(struct tasks *ts, const struct journal_record *r);
/* What a running task told last; borrowed until it tells again. NULL: nothing, or it has ended. */
const cJSON *tasks_progress(struct tasks *ts, const struct journal_record *r);
cJSON *tasks_list(struct tasks *ts, size_t max); /* newest first */
size_t tasks_running(const struct tasks *ts);

/* Hears of every change of every task; at most LIMIT_TASK_WATCHERS at once. */
struct task_watch {
	void (*changed)(struct task_watch *w, const struct journal_record *r);
	struct task_watch *next;
};
void tasks_watch(struct tasks *ts, struct task_watch *w);
void tasks_unwatch(struct tasks *ts, struct task_watch *w);

/* --- for handlers --- */
struct agent *task_agent(struct task *t);
const cJSON *task_args(const struct task *t);
const char *task_id(const struct task *t);
/* Number of the step that was recorded before a crash, 0 for a fresh start: a resumed task goes on
 * from there. */
unsigned task_resumed_at(const struct task *t);
void *task_data(const struct task *t);
void task_set_data(struct task *t, void *data);
/* When the agent stops between two steps of a task that goes on at the next start, nothing of the
 * handler is called any more but this. */
void task_on_drop(struct task *t, void (*drop)(struct task *t));
bool task_canceled(const struct task *t);
/* Records the step, then calls next once it is durable: an effect never comes before its record. */
void task_step(struct task *t, const char *step, void (*next)(struct task *t));
/* Shown and now and then told to the console, not stored. */
void task_progress(struct task *t, cJSON *take);
/* The end. result is taken and may be NULL; code NULL: no error. */
void task_done(struct task *t, cJSON *result);
void task_fail(struct task *t, enum task_state state, const char *code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* The running task of a type, or NULL. */
struct task *tasks_find_running(struct tasks *ts, const char *type);

#endif
