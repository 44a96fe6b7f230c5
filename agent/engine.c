/* engine.c - jobs and health of the engine, whichever it is. */
#include "engine_internal.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "os/file.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WATCH_MS 10000u
#define WATCH_COMMAND_MS 60000u /* each look is a process */
#define MISSES_DOWN 2		/* looks in a row that fail before an engine is called down */

static const char *const type_words[] = { "none", "clamd", "command" };
static const char *const kind_words[] = { "gate", "reload", "probe" };

/* --- jobs --- */

static void watch_closed(uv_handle_t *h);

static void
maybe_closed(struct engine *e)
{
	if (e->closing && e->jobs == NULL && e->look_ask == NULL &&
	    !uv_is_closing((uv_handle_t *)&e->watch))
		uv_close((uv_handle_t *)&e->watch, watch_closed);
}

static void
job_free(struct engine_job *j)
{
	struct engine *e = j->e;
	struct engine_job **at = &e->jobs;

	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	for (size_t i = 0; i < ENGINE_SAMPLES; i++)
		if (j->fd[i] >= 0)
			(void)close(j->fd[i]);
	engine_samples_free(&j->samples);
	j->cb(j->ctx, &j->out);
	free(j);
	maybe_closed(e);
}

static void
job_handle_closed(uv_handle_t *h)
{
	struct engine_job *j = h->data;

	if (--j->open_handles == 0)
		job_free(j);
}

static void
job_close(struct engine_job *j)
{
	uv_close((uv_handle_t *)&j->deadline, job_handle_closed);
	uv_close((uv_handle_t *)&j->pause, job_handle_closed);
}

void
engine_job_end(struct engine_job *j, enum err e, const char *rule, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	if (j->ended)
		return;
	j->ended = true;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (e != OK)
		(void)fault_set(&j->out.fault, e, "%s", text);
	j->out.err = e;
	(void)snprintf(j->out.rule, sizeof j->out.rule, "%s", rule);
	j->out.ms = clock_mono_ms() - j->began;
	j->e->ops->stop(j);
	log_info("engine.job", "kind=%s outcome=%s rule=%s ms=%" PRIu64 " why=%s",
	    kind_words[j->kind], err_word(e), rule[0] != '\0' ? rule : "-", j->out.ms,
	    log_q(e != OK ? text : ""));
	if (!j->working)
		job_close(j);
}

static void
deadline_passed(uv_timer_t *t)
{
	struct engine_job *j = t->data;

	engine_job_end(j, ERR_TIMEOUT, "deadline",
	    "the %s of the engine took longer than %" PRIu64 " s", kind_words[j->kind],
	    j->e->o.deadline_ms / 1000);
}

static void
cancel_due(uv_timer_t *t)
{
	engine_job_end(t->data, ERR_CANCELED, "", "stopped on request");
}

void
engine_cancel(struct engine_job *j)
{
	if (!j->ended && !j->canceled) {
		j->canceled = true;
		(void)uv_timer_start(&j->deadline, cancel_due, 0, 0);
	}
}

/* --- loading samples --- */

static void
load_work(uv_work_t *w)
{
	struct engine_job *j = w->data;
	const struct engine_options *o = &j->e->o;

	if (j->kind != ENGINE_RELOAD)
		j->loaded = engine_samples_load(&j->samples, o->canaries, o->clean_samples,
		    o->type == ENGINE_CLAMD, j->marker ? j->feed : NULL, j->version,
		    &j->load_fault);
	if (j->loaded != OK || j->kind == ENGINE_PROBE || j->set[0] == '\0')
		return;
	j->set_bytes = engine_set_bytes(j->set);
	if (o->type != ENGINE_CLAMD)
		return;
	engine_facts_read(&j->facts, o->clamd_socket, o->clamd_conf, j->set);
	j->memory = engine_clamav_need(&j->facts, j->set_bytes, engine_set_need(j->set));
}

static void
load_done(uv_work_t *w, int status)
{
	struct engine_job *j = w->data;

	(void)status;
	j->working = false;
	if (j->ended) {
		job_close(j);
		return;
	}
	if (j->loaded != OK) {
		engine_job_end(j, j->loaded, "samples", "%s", fault_text(&j->load_fault));
		return;
	}
	if (j->kind != ENGINE_PROBE)
		j->e->facts = j->facts;
	j->loaded_then(j);
}

void
engine_job_load(struct engine_job *j, void (*then)(struct engine_job *j))
{
	j->loaded_then = then;
	j->working = true;
	j->work.data = j;
	(void)uv_queue_work(j->e->o.loop, &j->work, load_work, load_done);
}

static enum err
start(struct engine *e, enum engine_kind kind, const char *set, const char *feed, uint64_t version,
    bool marker, engine_cb cb, void *ctx, struct engine_job **out, struct fault *f)
{
	struct engine_job *j;
	enum err k;

	if (e->closing)
		return fault_set(f, ERR_STATE, "the engine is being closed");
	j = calloc(1, sizeof *j);
	if (j == NULL)
		return fault_set(f, ERR_NOMEM, "memory ran out");
	j->e = e;
	j->kind = kind;
	j->version = version;
	j->marker = marker;
	j->cb = cb;
	j->ctx = ctx;
	j->began = clock_mono_ms();
	for (size_t i = 0; i < ENGINE_SAMPLES; i++)
		j->fd[i] = -1;
	(void)snprintf(j->set, sizeof j->set, "%s", set);
	(void)snprintf(j->feed, sizeof j->feed, "%s", feed);
	(void)uv_timer_init(e->o.loop, &j->deadline);
	(void)uv_timer_init(e->o.loop, &j->pause);
	j->deadline.data = j->pause.data = j;
	j->open_handles = 2;
	j->next = e->jobs;
	e->jobs = j;
	(void)uv_timer_start(&j->deadline, deadline_passed, e->o.deadline_ms, 0);
	k = kind == ENGINE_GATE	    ? e->ops->gate(j, f)
	    : kind == ENGINE_RELOAD ? e->ops->reload(j, f)
				    : e->ops->probe(j, f);
	if (k != OK) /* told by the callback as well, so that callers have one path */
		engine_job_end(j, k, "start", "%s", fault_text(f));
	if (out != NULL)
		*out = j;
	return OK;
}

enum err
engine_gate(struct engine *e, const char *set, const char *feed, uint64_t version, engine_cb cb,
    void *ctx, struct engine_job **job, struct fault *f)
{
	return start(
	    e, ENGINE_GATE, set, feed, version, engine_set_has_marker(set), cb, ctx, job, f);
}

enum err
engine_reload(struct engine *e, const char *set, engine_cb cb, void *ctx, struct engine_job **job,
    struct fault *f)
{
	(void)snprintf(e->current, sizeof e->current, "%s", set);
	return start(e, ENGINE_RELOAD, set, "", 0, false, cb, ctx, job, f);
}

enum err
engine_probe(struct engine *e, const char *feed, uint64_t version, bool marker, engine_cb cb,
    void *ctx, struct engine_job **job, struct fault *f)
{
	return start(e, ENGINE_PROBE, "", feed, version, marker, cb, ctx, job, f);
}

bool
engine_set_has_marker(const char *set)
{
	char path[1200];

	return file_join(path, sizeof path, set, "atalaia-marker.hsb") == OK && file_exists(path);
}

/* --- health --- */

void
engine_tell(
    struct engine *e, const char *type, const char *name, uint64_t a, const char *name2, uint64_t b)
{
	cJSON *data = cJSON_CreateObject();
	enum err k =
	    data == NULL ? ERR_NOMEM : json_add_string(data, "engine", type_words[e->o.type]);

	if (k == OK)
		k = json_add_string(data, "version", e->version);
	if (k == OK && !e->up)
		k = json_add_string(data, "error", e->error);
	if (k == OK && name != NULL)
		k = json_add_u64(data, name, a);
	if (k == OK && name2 != NULL)
		k = json_add_u64(data, name2, b);
	if (k != OK) {
		cJSON_Delete(data);
		data = NULL;
	}
	if (e->o.event != NULL)
		e->o.event(e->o.ctx, type, data);
	else
		cJSON_Delete(data);
}

void
engine_seen(struct engine *e, bool up, const char *version, const char *error)
{
	bool was = e->up;

	if (up) {
		e->misses = 0;
		(void)snprintf(e->version, sizeof e->version, "%s", version);
		e->error[0] = '\0';
	} else {
		(void)snprintf(e->error, sizeof e->error, "%s", error);
		if (++e->misses < MISSES_DOWN && e->known)
			return;
	}
	e->up = up;
	if (e->known && was == up)
		return;
	e->since = clock_wall_ms();
	log_info(up ? "engine.up" : "engine.down", "type=%s why=%s", type_words[e->o.type],
	    log_q(e->error));
	/* The first look says how things are; only an engine that is missing then is news. */
	if (e->known || !up)
		engine_tell(e, up ? "engine.up" : "engine.down", NULL, 0, NULL, 0);
	e->known = true;
}

static void
watch_due(uv_timer_t *t)
{
	struct engine *e = t->data;

	if (e->look_ask == NULL && !e->closing)
		e->ops->look(e);
}

static const char *
copy(const char *text)
{
	return strdup(text != NULL ? text : "");
}

static void
free_options(struct engine_options *o)
{
	free((void *)(uintptr_t)o->clamd_socket);
	free((void *)(uintptr_t)o->clamscan);
	free((void *)(uintptr_t)o->clamd_restart);
	free((void *)(uintptr_t)o->clamd_conf);
	free((void *)(uintptr_t)o->canaries);
	free((void *)(uintptr_t)o->clean_samples);
	free((void *)(uintptr_t)o->command_reload);
	free((void *)(uintptr_t)o->command_test);
	free((void *)(uintptr_t)o->command_scan);
}

static enum err
copy_options(struct engine_options *to, const struct engine_options *o)
{
	*to = *o;
	to->clamd_socket = copy(o->clamd_socket);
	to->clamscan = copy(o->clamscan);
	to->clamd_restart = copy(o->clamd_restart);
	to->clamd_conf = copy(o->clamd_conf);
	to->canaries = copy(o->canaries);
	to->clean_samples = copy(o->clean_samples);
	to->command_reload = copy(o->command_reload);
	to->command_test = copy(o->command_test);
	to->command_scan = copy(o->command_scan);
	if (to->deadline_ms == 0)
		to->deadline_ms = 300000;
	if (to->watch_ms == 0)
		to->watch_ms = o->type == ENGINE_COMMAND ? WATCH_COMMAND_MS : WATCH_MS;
	return to->clamd_socket != NULL && to->clamscan != NULL && to->clamd_conf != NULL &&
		       to->clamd_restart != NULL && to->canaries != NULL &&
		       to->clean_samples != NULL && to->command_reload != NULL &&
		       to->command_test != NULL && to->command_scan != NULL
		   ? OK
		   : ERR_NOMEM;
}

enum err
engine_open(struct engine **out, const struct engine_options *o, struct fault *f)
{
	static const struct engine_ops *const ops[] = { [ENGINE_NONE] = &engine_none_ops,
		[ENGINE_CLAMD] = &engine_clamd_ops,
		[ENGINE_COMMAND] = &engine_command_ops };
	struct engine *e = calloc(1, sizeof *e);

	*out = NULL;
	if (e == NULL || copy_options(&e->o, o) != OK) {
		if (e != NULL)
			free_options(&e->o);
		free(e);
		return fault_set(f, ERR_NOMEM, "memory ran out");
	}
	e->ops = ops[o->type];
	e->look_fd = -1;
	(void)uv_timer_init(o->loop, &e->watch);
	e->watch.data = e;
	e->since = clock_wall_ms();
	if (e->ops->look != NULL)
		(void)uv_timer_start(&e->watch, watch_due, 0, e->o.watch_ms);
	else
		e->up = e->known = true;
	*out = e;
	return OK;
}

static void
watch_closed(uv_handle_t *h)
{
	struct engine *e = h->data;

	free_options(&e->o);
	if (e->closed != NULL)
		e->closed(e->closed_ctx);
	free(e);
}

void
engine_close(struct engine *e, void (*closed)(void *ctx), void *ctx)
{
	e->closing = true;
	e->closed = closed;
	e->closed_ctx = ctx;
	engine_look_cancel(e);
	for (struct engine_job *j = e->jobs, *next; j != NULL; j = next) {
		next = j->next;
		engine_job_end(j, ERR_CANCELED, "", "the agent stops");
	}
	maybe_closed(e);
}

bool
engine_is_up(const struct engine *e)
{
	return e->up;
}

cJSON *
engine_status(const struct engine *e)
{
	cJSON *o = cJSON_CreateObject();
	char since[CLOCK_TEXT];
	enum err k = o == NULL ? ERR_NOMEM : json_add_string(o, "type", type_words[e->o.type]);

	clock_format(since, e->since);
	if (k == OK)
		k = json_add_bool(o, "up", e->up);
	if (k == OK)
		k = json_add_string(o, "version", e->version);
	if (k == OK)
		k = json_add_string(o, "since", since);
	if (k == OK)
		k = json_add_string(o, "error", e->error);
	if (k == OK)
		k = engine_memory_status(e, o);
	if (k == OK)
		return o;
	cJSON_Delete(o);
	return NULL;
}

const char *
engine_current_set(const struct engine *e)
{
	return e->current;
}

void
engine_apply(struct engine *e, enum gate_mode gate, uint64_t memory_limit, uint64_t deadline_ms)
{
	if (e->o.gate != gate || e->o.memory_limit != memory_limit ||
	    e->o.deadline_ms != deadline_ms)
		log_info("engine.options", "gate=%d memory_limit=%llu deadline_ms=%llu", gate,
		    (unsigned long long)memory_limit, (unsigned long long)deadline_ms);
	e->o.gate = gate;
	e->o.memory_limit = memory_limit;
	e->o.deadline_ms = deadline_ms;
}

const struct engine_options *
engine_settings(const struct engine *e)
{
	return &e->o;
}

/* --- none --- */

static enum err
skip(struct engine_job *j, struct fault *f)
{
	(void)f;
	j->out.skipped = true;
	engine_job_end(j, OK, "", "%s", "");
	return OK;
}

static void
stop_nothing(struct engine_job *j)
{
	(void)j;
}

const struct engine_ops engine_none_ops = { skip, skip, skip, stop_nothing, NULL };
