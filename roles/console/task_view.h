/* task_view.h - tasks as people see them: sent ones and those that wait for signatures in one list,
 * with who ordered and who signed (TASK of web/API.md). Worker thread. */
#ifndef CONSOLE_TASK_VIEW_H
#define CONSOLE_TASK_VIEW_H

#include "console.h"
#include "store.h"

#include "proto/authority.h"

/* What is the same for all rows of one answer. */
struct task_context {
	struct authority *authority; /* NULL: none in force */
	char console_key[KEY_ID_TEXT];
};
MUST_CHECK enum err task_context_load(struct task_context *x, const struct console *c);
void task_context_free(struct task_context *x);

struct task_query {
	const char *id;	    /* "" = any */
	const char *before; /* "" or an id: older ones */
	const char *agent;  /* "" or the agent whose deliveries are asked for */
	const char *scope;  /* NULL or JSON array of groups */
	uint64_t limit;
};
/* [TASK], newest first. */
MUST_CHECK enum err task_list(
    struct db *db, const struct task_context *x, const struct task_query *q, cJSON **out);
/* One; ERR_NOTFOUND. */
MUST_CHECK enum err task_one(
    struct db *db, const struct task_context *x, const char *scope, const char *id, cJSON **out);
/* Who did what: "created", "signed". keyid "" for created. */
MUST_CHECK enum err task_person(struct db *db, const char *task, const char *what,
    const char *keyid, const char *user, int64_t now);
/* May this scope see a task with this target? */
MUST_CHECK enum err task_target_seen(
    struct db *db, const char *scope, const char *target, bool *seen);

#endif
