/* task_quarantine.c - tasks `quarantine.list` and `quarantine.restore`. */
#include "base/json.h"
#include "base/limits.h"
#include "events.h"
#include "quarantine.h"
#include "scanner.h"
#include "task_handlers.h"
#include "tasks.h"

#include <stdlib.h>
#include <string.h>

#define STEP_RESTORE 2 /* a task that died at or after it knows that the id was in the vault */

struct vault_task {
	struct task *task;
	struct vault_use use;
	char id[UUID_TEXT];
	cJSON *found; /* list, or metadata of the one to restore */
	enum err err;
	struct fault fault;
};

static void
end(struct vault_task *v, cJSON *result)
{
	struct task *t = v->task;

	if (v->err == OK)
		task_done(t, result);
	else
		task_fail(t, TASK_FAILED, err_word(v->err), "%s", fault_text(&v->fault));
	cJSON_Delete(v->found);
	free(v);
}

static void
drop(struct task *t)
{
	struct vault_task *v = task_data(t);

	cJSON_Delete(v->found);
	free(v);
}

static struct vault_task *
make(struct task *t)
{
	struct vault_task *v = calloc(1, sizeof *v);

	if (v == NULL) {
		task_fail(t, TASK_FAILED, "no-memory", "memory ran out");
		return NULL;
	}
	v->task = t;
	v->use.ctx = v;
	task_set_data(t, v);
	task_on_drop(t, drop);
	return v;
}

static void
use(struct vault_task *v, void (*work)(struct quarantine *q, void *ctx), void (*done)(void *ctx))
{
	struct fault f = { 0 };
	enum err e;

	v->use.work = work;
	v->use.done = done;
	/* v->err and v->fault are the worker's from here on. */
	e = scanner_vault_use(task_agent(v->task)->scanner, &v->use, &f);
	if (e == OK)
		return;
	v->err = e;
	v->fault = f;
	end(v, NULL);
}

/* --- list --- */

/* One item as an outcome shows it: the story without what only a restore needs. */
static cJSON *
shown(const cJSON *meta)
{
	static const char *const members[] = { "id", "path", "path_b64", "signature", "sha256",
		"size", "taken", "task" };
	cJSON *o = cJSON_CreateObject();

	for (size_t i = 0; o != NULL && i < sizeof members / sizeof members[0]; i++) {
		const cJSON *v = json_get(meta, members[i]);

		if (v == NULL ||
		    (strcmp(members[i], "path_b64") == 0 && json_get(meta, "path") != NULL))
			continue;
		(void)cJSON_AddItemToObject(o, members[i], cJSON_Duplicate(v, true));
	}
	return o;
}

static size_t
printed(const cJSON *o)
{
	struct buf b;
	size_t n;

	buf_init(&b, LIMIT_TASK_RESULT);
	n = json_print(o, &b) == OK ? b.len : LIMIT_TASK_RESULT;
	buf_free(&b);
	return n;
}

/* The newest ones, as many as an outcome holds, and how many there are. */
static cJSON *
list_result(const cJSON *all)
{
	cJSON *o = cJSON_CreateObject(), *list = NULL;
	int n = cJSON_GetArraySize(all);
	size_t room = LIMIT_TASK_RESULT - 1024;
	enum err e = o == NULL ? ERR_NOMEM : json_add_u64(o, "count", (uint64_t)n);

	if (e == OK)
		e = json_add_array(o, "items", &list);
	for (int i = n - 1; e == OK && i >= 0; i--) {
		cJSON *item = shown(cJSON_GetArrayItem(all, i));
		size_t need = item != NULL ? printed(item) + 1 : 0;

		if (item == NULL || need > room) {
			cJSON_Delete(item);
			break;
		}
		room -= need;
		e = json_append(list, item);
	}
	if (e == OK)
		return o;
	cJSON_Delete(o);
	return NULL;
}

static void
list_work(struct quarantine *q, void *ctx)
{
	struct vault_task *v = ctx;

	v->err = quarantine_list(q, &v->found, &v->fault);
}

static void
list_done(void *ctx)
{
	struct vault_task *v = ctx;

	end(v, v->err == OK ? list_result(v->found) : NULL);
}

static void
list_begin(struct task *t)
{
	use(task_data(t), list_work, list_done);
}

void
run_quarantine_list(struct task *t)
{
	if (make(t) != NULL)
		task_step(t, "list", list_begin);
}

/* --- restore: find it, then put it back. After a crash in the second step the file may be back
 * already. --- */

static void
restore_work(struct quarantine *q, void *ctx)
{
	struct vault_task *v = ctx;

	v->err = quarantine_find(q, v->id, &v->found, &v->fault);
	if (v->err == OK)
		v->err = quarantine_restore(q, v->id, &v->fault);
	else if (v->err == ERR_NOTFOUND && task_resumed_at(v->task) >= STEP_RESTORE)
		v->err = OK;
}

/* The event may come a second time after a crash; never less than once. */
static cJSON *
restored(const struct vault_task *v)
{
	cJSON *o = v->found != NULL ? shown(v->found) : cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : OK;

	if (e == OK && v->found == NULL)
		e = json_add_string(o, "id", v->id);
	if (e == OK)
		e = json_add_string(o, "restored_by", task_id(v->task));
	if (e == OK)
		return o;
	cJSON_Delete(o);
	return NULL;
}

static void
restore_done(void *ctx)
{
	struct vault_task *v = ctx;

	if (v->err == OK)
		events_emit(
		    task_agent(v->task)->events, EVENT_TASK, "quarantine.restored", restored(v));
	end(v, v->err == OK ? restored(v) : NULL);
}

static void
restore_begin(struct task *t)
{
	use(task_data(t), restore_work, restore_done);
}

static void
find_work(struct quarantine *q, void *ctx)
{
	struct vault_task *v = ctx;

	v->err = quarantine_find(q, v->id, &v->found, &v->fault);
	cJSON_Delete(v->found);
	v->found = NULL;
}

static void
find_done(void *ctx)
{
	struct vault_task *v = ctx;

	if (v->err != OK)
		end(v, NULL);
	else
		task_step(v->task, "restore", restore_begin);
}

static void
find_begin(struct task *t)
{
	use(task_data(t), find_work, find_done);
}

void
run_quarantine_restore(struct task *t)
{
	struct vault_task *v = make(t);
	const char *id;

	if (v == NULL)
		return;
	if (json_get_string(task_args(t), "id", &id, NULL) == OK)
		(void)snprintf(v->id, sizeof v->id, "%s", id);
	if (task_resumed_at(t) >= STEP_RESTORE)
		task_step(t, "restore", restore_begin);
	else
		task_step(t, "find", find_begin);
}
