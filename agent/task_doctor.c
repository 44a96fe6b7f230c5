/* task_doctor.c - task `doctor`: what `atalaia doctor` and `atalaia why-old` say on this PC. They
 * run as children, because doctor speaks FTP and HTTP with mirrors, whom no program with keys
 * should hear; it locks itself up first. The task chooses neither program nor words. */
#include "task_handlers.h"

#include "agent.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "capture.h"
#include "child.h"
#include "tasks.h"

#include <stdlib.h>
#include <string.h>

static const struct part {
	const char *step, *verb, *member, *bad; /* bad: the member of a finding that says so */
	bool bad_when;
} parts[] = {
	{ "doctor", "doctor", "findings", "good", false },
	{ "why-old", "why-old", "chain", "broken", true },
};
#define PARTS (sizeof parts / sizeof parts[0])

struct doctor_task {
	struct task *task;
	struct capture *run;
	cJSON *result;
	size_t at;
};

static void next_part(struct doctor_task *d);

static void
end(struct doctor_task *d, const char *code, const char *why)
{
	struct task *t = d->task;
	cJSON *result = d->result;

	free(d);
	task_set_data(t, NULL);
	if (code == NULL) {
		task_done(t, result);
		return;
	}
	cJSON_Delete(result);
	task_fail(t, strcmp(code, "canceled") == 0 ? TASK_CANCELED : TASK_FAILED, code, "%s", why);
}

static void
drop(struct task *t)
{
	struct doctor_task *d = task_data(t);

	cJSON_Delete(d->result);
	free(d);
}

static bool
too_big(const cJSON *o)
{
	struct buf b;
	bool big;

	buf_init(&b, LIMIT_TASK_RESULT);
	big = json_print(o, &b) != OK;
	buf_free(&b);
	return big;
}

/* A PC with many sources says more than an outcome holds: what is well goes first. */
static void
shorten(cJSON *result)
{
	for (size_t i = 0; i < PARTS && too_big(result); i++) {
		cJSON *list = cJSON_GetObjectItemCaseSensitive(result, parts[i].member), *k, *next;

		for (k = list != NULL ? list->child : NULL; k != NULL; k = next) {
			next = k->next;
			if (cJSON_IsTrue(json_get(k, parts[i].bad)) != parts[i].bad_when)
				cJSON_Delete(cJSON_DetachItemViaPointer(list, k));
		}
	}
}

/* doctor prints an object whose list we want, why-old the list itself. */
static enum err
take(struct doctor_task *d, const char *text)
{
	const struct part *p = &parts[d->at];
	cJSON *tree = NULL, *list = NULL;
	enum err e = json_parse(&tree, text, strlen(text), JSON_EVENT, NULL);

	if (e == OK && cJSON_IsObject(tree))
		list = cJSON_DetachItemFromObjectCaseSensitive(tree, p->member);
	else if (e == OK) {
		list = tree;
		tree = NULL;
	}
	cJSON_Delete(tree);
	if (e == OK && cJSON_IsArray(list) && cJSON_AddItemToObject(d->result, p->member, list))
		return OK;
	cJSON_Delete(list);
	return e != OK ? e : ERR_PARSE;
}

static void
ran(void *ctx, const struct captured *r)
{
	struct doctor_task *d = ctx;
	char why[300];

	d->run = NULL;
	/* 1: it found something */
	if (r->cut || (r->status != 0 && r->status != 1) || take(d, r->out) != OK) {
		(void)snprintf(why, sizeof why, "atalaia %s ended with %d: %.200s",
		    parts[d->at].verb, (int)r->status, r->err);
		end(d, "doctor-failed", why);
		return;
	}
	d->at++;
	next_part(d);
}

static void
begin(struct task *t)
{
	struct doctor_task *d = task_data(t);
	const struct agent_conf *conf = task_agent(t)->conf;
	struct fault f = { 0 };
	char program[4096];
	const char *argv[] = { program, parts[d->at].verb, "--json", "--socket", conf->event_socket,
		NULL };

	if (task_canceled(t))
		end(d, "canceled", "stopped on request");
	else if (child_find(program, sizeof program, conf->libexec, "atalaia") != OK &&
		 child_find(program, sizeof program, "/usr/bin", "atalaia") != OK)
		end(d, "no-program", "the program atalaia is not on this PC");
	else if (capture_start(&d->run, &task_agent(t)->loop, argv, NULL, 0, ran, d, &f) != OK)
		end(d, "doctor-failed", fault_text(&f));
}

static void
next_part(struct doctor_task *d)
{
	if (d->at < PARTS) {
		task_step(d->task, parts[d->at].step, begin);
		return;
	}
	shorten(d->result);
	end(d, NULL, NULL);
}

void
run_doctor(struct task *t)
{
	struct doctor_task *d = calloc(1, sizeof *d);

	if (d == NULL || (d->result = cJSON_CreateObject()) == NULL) {
		free(d);
		task_fail(t, TASK_FAILED, "no-memory", "memory ran out");
		return;
	}
	d->task = t;
	task_set_data(t, d);
	task_on_drop(t, drop);
	next_part(d);
}

void
cancel_doctor(struct task *t)
{
	struct doctor_task *d = task_data(t);

	if (d == NULL || d->run == NULL)
		return; /* between two steps: the next one sees it */
	capture_cancel(d->run);
	end(d, "canceled", "stopped on request");
}
