/* collect.c - task `collect`: the system information document and mwav.log to the console, over
 * 2225 or by way of a drop box, as agent.conf says. A console without uploads still gets the
 * document, as the task's result. */
#include "task_handlers.h"

#include "agent.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "drop.h"
#include "inventory.h"
#include "os/file.h"
#include "proto/upload.h"
#include "tasks.h"
#include "upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct collect {
	struct task *task;
	uv_work_t work;
	struct upload *upload; /* one of the two while a file is under way */
	struct drop *drop;
	cJSON *facts, *doc, *result;
	char state[4096], path[4300];
	bool want_system, want_log, sending_log;
	enum err err;
	struct fault fault;
};

static void send_log(struct task *t);

static void
finish(struct collect *c, enum err e, const char *why)
{
	struct task *t = c->task;
	cJSON *result = c->result;

	if (c->want_system && remove(c->path) != 0)
		log_debug("collect.left", "path=%s", log_q(c->path));
	cJSON_Delete(c->doc);
	free(c);
	if (e == OK) {
		task_done(t, result);
		return;
	}
	cJSON_Delete(result);
	task_fail(t, e == ERR_CANCELED ? TASK_CANCELED : TASK_FAILED, err_word(e), "%s", why);
}

static void
progress(void *ctx, uint64_t done, uint64_t total)
{
	struct collect *c = ctx;
	cJSON *o = cJSON_CreateObject();

	if (o != NULL &&
	    json_add_string(o, "file", c->sending_log ? UPLOAD_LOG : UPLOAD_SYSTEM) == OK &&
	    json_add_u64(o, "done", done) == OK && json_add_u64(o, "total", total) == OK)
		task_progress(c->task, o);
	else
		cJSON_Delete(o);
}

static void
uploaded(void *ctx, enum err e, const char *why)
{
	struct collect *c = ctx;
	bool boxed = task_agent(c->task)->conf->collect_by == COLLECT_DROPBOX;
	const char *word = e == OK	    ? (boxed ? "dropped" : "sent")
			   : e == ERR_STATE ? "absent"
					    : "not-taken";
	bool carry_on = e == OK || e == ERR_NOTFOUND || (e == ERR_STATE && c->sending_log);

	c->upload = NULL;
	if (!carry_on) {
		finish(c, e, why);
		return;
	}
	if (json_add_string(c->result, c->sending_log ? "mwav" : "system", word) != OK)
		log_warn("collect.result", "error=no-memory");
	if (!c->sending_log && e == ERR_NOTFOUND && c->doc != NULL &&
	    cJSON_AddItemToObject(c->result, "document", c->doc))
		c->doc = NULL;
	if (!c->sending_log && c->want_log)
		task_step(c->task, "send-log", send_log);
	else
		finish(c, OK, "");
}

/* A box that has the file carries it on; the result says whose box had the last one. */
static void
dropped(void *ctx, enum err e, const char *why)
{
	struct collect *c = ctx;

	c->drop = NULL;
	cJSON_DeleteItemFromObjectCaseSensitive(c->result, "box");
	if (e == OK && json_add_string(c->result, "box", why) != OK)
		log_warn("collect.result", "error=no-memory");
	uploaded(c, e, why);
}

static void
start_upload(struct collect *c, const char *name, const char *path)
{
	struct agent *a = task_agent(c->task);
	struct drop_order by_box = { task_id(c->task), name, path, dropped, c };
	struct upload_order direct = {
		.path = path, .progress = progress, .done = uploaded, .ctx = c
	};
	char route[160];
	enum err e;

	(void)snprintf(route, sizeof route, "v1/tasks/%s/files/%s", task_id(c->task), name);
	direct.route = route;
	e = a->conf->collect_by == COLLECT_DROPBOX ? drop_start(&c->drop, a, &by_box)
						   : upload_start(&c->upload, a, &direct);
	if (e != OK)
		finish(c, e, err_text(e));
}

static void
send_log(struct task *t)
{
	struct collect *c = task_data(t);
	char path[4300];

	c->sending_log = true;
	(void)snprintf(path, sizeof path, "%s/mwav.log", c->state);
	start_upload(c, UPLOAD_LOG, path);
}

static void
send_system(struct task *t)
{
	struct collect *c = task_data(t);

	start_upload(c, UPLOAD_SYSTEM, c->path);
}

static void
gather_work(uv_work_t *w)
{
	struct collect *c = w->data;
	char dir[4200];
	struct buf text;

	buf_init(&text, LIMIT_TASK_RESULT * 4);
	(void)snprintf(dir, sizeof dir, "%s/collect", c->state);
	c->err = inventory_read(&c->doc, c->facts, c->state);
	if (c->err == OK)
		c->err = file_make_dirs(dir, 0750, &c->fault);
	if (c->err == OK)
		c->err = json_print_pretty(c->doc, &text);
	if (c->err == OK)
		c->err = file_replace(c->path, text.data, text.len, 0640, &c->fault);
	buf_free(&text);
}

static void
gathered(uv_work_t *w, int status)
{
	struct collect *c = w->data;

	if (c->err != OK)
		finish(c, c->err, fault_text(&c->fault));
	else if (task_canceled(c->task))
		finish(c, ERR_CANCELED, "stopped on request");
	else
		task_step(c->task, "send-system", send_system);
}

static void
gather(struct task *t)
{
	struct collect *c = task_data(t);

	if (!c->want_system) {
		task_step(t, "send-log", send_log);
		return;
	}
	c->facts = inventory_facts(task_agent(t));
	(void)uv_queue_work(&task_agent(t)->loop, &c->work, gather_work, gathered);
}

static void
drop(struct task *t)
{
	struct collect *c = task_data(t);

	cJSON_Delete(c->doc);
	cJSON_Delete(c->result);
	free(c);
}

/* After a crash it begins anew: the console keeps what it has, by task and name. */
void
run_collect(struct task *t)
{
	struct collect *c = calloc(1, sizeof *c);
	const cJSON *i;

	if (c == NULL || (c->result = cJSON_CreateObject()) == NULL) {
		free(c);
		task_fail(t, TASK_FAILED, "no-memory", "memory ran out");
		return;
	}
	c->task = t;
	c->work.data = c;
	cJSON_ArrayForEach(i, json_get(task_args(t), "what"))
	{
		c->want_system = c->want_system || strcmp(i->valuestring, "system") == 0;
		c->want_log = c->want_log || strcmp(i->valuestring, "mwav") == 0;
	}
	(void)snprintf(c->state, sizeof c->state, "%s", task_agent(t)->conf->state);
	(void)snprintf(c->path, sizeof c->path, "%s/collect/%s.json", c->state, task_id(t));
	task_set_data(t, c);
	task_on_drop(t, drop);
	task_step(t, "gather", gather);
}

void
cancel_collect(struct task *t)
{
	struct collect *c = task_data(t);

	if (c != NULL && c->upload != NULL)
		upload_cancel(c->upload);
	else if (c != NULL && c->drop != NULL)
		drop_cancel(c->drop);
}
