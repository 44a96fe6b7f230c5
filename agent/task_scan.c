/* task_scan.c - tasks `scan.start` and `scan.stop`, and the scanner's place in the agent. */
#include "task_scan.h"

#include "base/json.h"
#include "base/limits.h"
#include "scanner.h"
#include "task_handlers.h"
#include "tasks.h"

enum err
scan_part_open(struct agent *a, struct fault *f)
{
	struct scanner_options s = { 0 };

	s.loop = &a->loop;
	s.state = a->conf->state;
	s.libexec = a->conf->libexec;
	s.engine = a->engine;
	s.events = a->events;
	s.require_confinement = a->conf->require_confinement;
	return scanner_open(&a->scanner, &s, f);
}

void
scan_part_close(struct agent *a, void (*closed)(void *ctx), void *ctx)
{
	scanner_close(a->scanner, closed, ctx);
}

static cJSON *
scan_json(const struct scan_result *r)
{
	const struct {
		const char *name;
		uint64_t value;
	} numbers[] = {
		{ "files", r->files },
		{ "bytes", r->bytes },
		{ "found", r->found },
		{ "unreadable", r->unreadable },
		{ "quarantined", r->quarantined },
		{ "ms", r->ms },
	};
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : OK;

	for (size_t i = 0; e == OK && i < sizeof numbers / sizeof numbers[0]; i++)
		e = json_add_u64(o, numbers[i].name, numbers[i].value);
	if (e == OK)
		return o;
	cJSON_Delete(o);
	return NULL;
}

static void
scan_progress(void *ctx, const struct scan_result *r)
{
	task_progress(ctx, scan_json(r));
}

static void
scan_done(void *ctx, const struct scan_result *r)
{
	struct task *t = ctx;

	if (r->err == OK)
		task_done(t, scan_json(r));
	else if (r->err == ERR_CANCELED)
		task_fail(t, TASK_CANCELED, "canceled", "stopped after %llu files, %llu found",
		    (unsigned long long)r->files, (unsigned long long)r->found);
	else
		task_fail(t, TASK_FAILED, err_word(r->err), "%s", fault_text(&r->fault));
}

static void
scan_begin(struct task *t)
{
	const char *paths[LIMIT_SCAN_PATHS];
	struct scan_request q = { 0 };
	struct fault f = { 0 };
	const cJSON *i;

	cJSON_ArrayForEach(i, json_get(task_args(t), "paths")) if (q.n_paths < LIMIT_SCAN_PATHS)
	    paths[q.n_paths++] = i->valuestring;
	q.paths = paths;
	q.quarantine = cJSON_IsTrue(json_get(task_args(t), "quarantine"));
	q.task = task_id(t);
	q.progress = scan_progress;
	q.done = scan_done;
	q.ctx = t;
	if (task_canceled(t))
		task_fail(t, TASK_CANCELED, "canceled", "stopped before it began");
	else if (scanner_start(task_agent(t)->scanner, &q, &f) != OK)
		task_fail(t, TASK_FAILED, err_word(f.code), "%s", fault_text(&f));
}

void
run_scan_start(struct task *t)
{
	task_step(t, "scan", scan_begin);
}

void
cancel_scan_start(struct task *t)
{
	scanner_stop(task_agent(t)->scanner);
}

static void
scan_stop_begin(struct task *t)
{
	struct scanner *s = task_agent(t)->scanner;
	bool running = scanner_running(s);
	cJSON *o = cJSON_CreateObject();

	scanner_stop(s);
	if (o == NULL || json_add_bool(o, "was_running", running) != OK) {
		cJSON_Delete(o);
		o = NULL;
	}
	task_done(t, o);
}

void
run_scan_stop(struct task *t)
{
	task_step(t, "stop", scan_stop_begin);
}
