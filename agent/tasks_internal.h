/* tasks_internal.h - shared by tasks.c (the way in) and tasks_run.c (running and ending). */
#ifndef ATALAIA_AGENT_TASKS_INTERNAL_H
#define ATALAIA_AGENT_TASKS_INTERNAL_H

#include "tasks.h"

struct task {
	struct tasks *ts;
	struct task *next;
	struct journal_record *rec;
	const struct task_type *type;
	cJSON *args, *progress;
	uv_timer_t timer; /* not_before, then the deadline */
	void *data;
	void (*after_step)(struct task *t);
	void (*drop)(struct task *t); /* frees the handler's data when no step follows */
	uint64_t told_ms; /* when the console was to hear of progress; 0: never */
	unsigned resumed_at;
	unsigned commits; /* journal writes under way that come back to this task */
	bool started, cancel, late, finished, closed;
	bool open; /* the handler has not ended it yet: it holds the pointer */
};

struct tasks {
	struct agent *agent;
	struct task *live; /* accepted and running, in order of arrival */
	struct task_watch *watches;
	bool closing;
	void (*closed)(void *ctx);
	void *closed_ctx;
};

MUST_CHECK enum err task_admit(struct tasks *ts, struct journal_record *r, unsigned resumed_at);
void tasks_run_ready(struct tasks *ts);
void tasks_changed(struct tasks *ts, const struct journal_record *r);
void task_end(
    struct task *t, enum task_state state, cJSON *result, const char *code, const char *detail);
void task_leave(struct task *t);
void tasks_tell_end(struct tasks *ts, const struct journal_record *r);
void tasks_maybe_closed(struct tasks *ts);

#endif
