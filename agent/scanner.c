/* scanner.c - the scan's child and what becomes of its findings. Findings are settled in a worker
 * (vault, mwav.log), in order, one batch at a time; their events follow from the loop. */
#include "scanner.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "child.h"
#include "proto/childctl.h"
#include "scanner_finding.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STOP_MS 5000u
#define UNREADABLE_LOGGED 100u

struct scanner {
	struct scanner_options o;
	char *state, *libexec;
	struct quarantine *vault; /* worker only while one runs */
	struct child *child;
	struct scan_request q;
	char *task;
	struct scan_result result;
	struct finding *waiting, **tail, *working_on;
	struct vault_use *uses, *using;
	uv_work_t work;
	bool running, working, ended, got_result, closing;
	uint64_t unreadable_seen;
	void (*closed)(void *ctx);
	void *closed_ctx;
};

static void settle_next(struct scanner *s);

static void
free_scanner(struct scanner *s)
{
	quarantine_close(s->vault);
	if (s->closed != NULL)
		s->closed(s->closed_ctx);
	free(s->state);
	free(s->libexec);
	free(s->task);
	free(s);
}

static void
maybe_free(struct scanner *s)
{
	if (s->closing && !s->running && !s->working && s->uses == NULL)
		free_scanner(s);
}

static void
tell_done(struct scanner *s)
{
	const struct scan_result *r = &s->result;
	cJSON *data = cJSON_CreateObject();
	enum err e = data == NULL ? ERR_NOMEM
				  : json_add_string(data, "outcome",
					r->err == OK		 ? "done"
					: r->err == ERR_CANCELED ? "canceled"
								 : "failed");

	if (e == OK)
		e = json_add_u64(data, "files", r->files);
	if (e == OK)
		e = json_add_u64(data, "bytes", r->bytes);
	if (e == OK)
		e = json_add_u64(data, "found", r->found);
	if (e == OK)
		e = json_add_u64(data, "unreadable", r->unreadable);
	if (e == OK)
		e = json_add_u64(data, "quarantined", r->quarantined);
	if (e == OK)
		e = json_add_u64(data, "ms", r->ms);
	if (e == OK)
		e = json_add_string(data, "trigger", s->q.scheduled ? "schedule" : "task");
	if (e == OK && s->task != NULL)
		e = json_add_string(data, "task", s->task);
	if (e == OK && r->err != OK && r->err != ERR_CANCELED)
		e = json_add_string(data, "error", fault_text(&r->fault));
	if (e != OK) {
		cJSON_Delete(data);
		data = NULL;
	}
	events_emit(s->o.events, EVENT_TASK, "scan.done", data);
}

static void
finish(struct scanner *s)
{
	void (*done)(void *ctx, const struct scan_result *r) = s->q.done;
	struct scan_result result = s->result;

	s->running = false;
	tell_done(s);
	log_info("scan.done",
	    "outcome=%s files=%" PRIu64 " found=%" PRIu64 " unreadable=%" PRIu64
	    " quarantined=%" PRIu64 " ms=%" PRIu64,
	    err_word(result.err), result.files, result.found, result.unreadable, result.quarantined,
	    result.ms);
	if (done != NULL)
		done(s->q.ctx, &result);
	maybe_free(s);
}

/* --- the vault, used by somebody else --- */

static void
use_work(uv_work_t *w)
{
	struct scanner *s = w->data;

	s->using->work(s->vault, s->using->ctx);
}

static void
used(uv_work_t *w, int status)
{
	struct scanner *s = w->data;
	struct vault_use *u = s->using;

	s->working = false;
	s->using = NULL;
	u->done(u->ctx);
	if (s->running || s->uses != NULL)
		settle_next(s); /* may be the end of a scan, and of s */
	else
		maybe_free(s);
}

/* --- findings --- */

static void
settle_work(uv_work_t *w)
{
	struct scanner *s = w->data;

	for (struct finding *g = s->working_on; g != NULL; g = g->next)
		finding_settle(g, s->vault, s->state);
}

static void
settled(uv_work_t *w, int status)
{
	struct scanner *s = w->data;
	struct finding *g, *next, *list = s->working_on;

	s->working = false;
	s->working_on = NULL;
	for (g = list; g != NULL; g = next) {
		next = g->next;
		if (g->kind == FINDING_DETECTION) {
			s->result.quarantined += g->quarantined;
			finding_tell(g, s->o.events, s->o.engine);
		}
		finding_free(g);
	}
	settle_next(s);
}

/* Sends what waits to a worker, which must be free. */
static void
settle_begin(struct scanner *s)
{
	s->work.data = s;
	if (s->uses != NULL) {
		s->using = s->uses;
		s->uses = s->using->next;
		s->working = true;
		(void)uv_queue_work(s->o.loop, &s->work, use_work, used);
	} else if (s->waiting != NULL) {
		s->working_on = s->waiting;
		s->waiting = NULL;
		s->tail = &s->waiting;
		s->working = true;
		(void)uv_queue_work(s->o.loop, &s->work, settle_work, settled);
	}
}

static void
settle_next(struct scanner *s)
{
	if (!s->working)
		settle_begin(s);
	if (!s->working && s->running && s->ended)
		finish(s);
}

static void
keep(struct scanner *s, struct finding *g)
{
	if (g == NULL) {
		log_error("scan.lost", "what=finding why=%s", "no memory or not readable");
		return;
	}
	g->next = NULL;
	*s->tail = g;
	s->tail = &g->next;
	if (!s->working)
		settle_begin(s);
}

/* --- the child's messages --- */

static void
take_counters(struct scanner *s, const cJSON *m)
{
	struct scan_result *r = &s->result;

	if (json_opt_u64(m, "files", JSON_MAX_INT, r->files, &r->files, NULL) != OK ||
	    json_opt_u64(m, "bytes", JSON_MAX_INT, r->bytes, &r->bytes, NULL) != OK ||
	    json_opt_u64(m, "found", JSON_MAX_INT, r->found, &r->found, NULL) != OK ||
	    json_opt_u64(m, "unreadable", JSON_MAX_INT, r->unreadable, &r->unreadable, NULL) !=
		OK ||
	    json_opt_u64(m, "ms", JSON_MAX_INT, r->ms, &r->ms, NULL) != OK)
		log_warn("scan.message", "why=%s", "a counter is no number");
}

static void
take_result(struct scanner *s, const cJSON *m)
{
	const char *outcome = "", *error = "";

	take_counters(s, m);
	if (json_opt_string(m, "outcome", "failed", &outcome, NULL) != OK ||
	    json_opt_string(m, "error", "the scan failed", &error, NULL) != OK)
		outcome = "failed";
	s->got_result = true;
	if (strcmp(outcome, "done") == 0)
		s->result.err = OK;
	else if (strcmp(outcome, "canceled") == 0)
		s->result.err = ERR_CANCELED;
	else
		s->result.err = fault_set(&s->result.fault, ERR_IO, "%s", error);
}

static void
on_message(void *ctx, const char *type, cJSON *m)
{
	struct scanner *s = ctx;

	if (strcmp(type, "progress") == 0) {
		take_counters(s, m);
		if (s->q.progress != NULL)
			s->q.progress(s->q.ctx, &s->result);
	} else if (strcmp(type, "detection") == 0) {
		keep(s, finding_new(FINDING_DETECTION, m, s->task, s->q.quarantine));
	} else if (strcmp(type, "unreadable") == 0) {
		if (s->unreadable_seen++ < UNREADABLE_LOGGED)
			keep(s, finding_new(FINDING_UNREADABLE, m, s->task, false));
	} else if (strcmp(type, "result") == 0) {
		take_result(s, m);
	}
}

static void
on_ended(void *ctx, const struct child_end *end)
{
	struct scanner *s = ctx;

	s->child = NULL;
	if (!s->got_result) {
		s->result.err = end->stopped ? ERR_CANCELED : ERR_IO;
		if (!end->stopped)
			(void)fault_set(&s->result.fault, ERR_IO,
			    "atalaia-scan ended without a result: %s", end->why);
		s->result.ms = end->ran_ms;
	}
	keep(s, finding_summary(&s->result, s->task));
	s->ended = true;
	settle_next(s);
}

/* --- starting --- */

static enum err
add_list(cJSON *o, const char *name, const char *const *items, size_t n)
{
	cJSON *list;
	enum err e = json_add_array(o, name, &list);

	for (size_t i = 0; e == OK && i < n; i++)
		e = json_append_string(list, items[i]);
	return e;
}

static enum err
add_engine(cJSON *o, const struct engine *engine)
{
	static const char *const methods[] = { [CLAMD_FILDES] = "fildes",
		[CLAMD_SCAN] = "scan",
		[CLAMD_CONTSCAN] = "contscan",
		[CLAMD_MULTISCAN] = "multiscan" };
	const struct engine_options *e = engine_settings(engine);
	cJSON *m;
	enum err k = json_add_object(o, "engine", &m);

	if (k == OK)
		k = json_add_string(m, "type", e->type == ENGINE_CLAMD ? "clamd" : "command");
	if (k == OK && e->type == ENGINE_CLAMD)
		k = json_add_string(m, "method", methods[e->clamd_scan]);
	if (k == OK && e->type == ENGINE_CLAMD)
		return json_add_string(m, "socket", e->clamd_socket);
	if (k == OK)
		k = json_add_string(m, "scan", e->command_scan);
	return k == OK ? json_add_string(m, "set", engine_current_set(engine)) : k;
}

/* Our own vault and the signatures are full of what engines look for. */
static enum err
make_config(cJSON **out, const struct scanner *s, const struct scan_request *q)
{
	const char *exclude[64];
	size_t n = 0;
	cJSON *m = childctl_new("config");
	enum err e = m == NULL ? ERR_NOMEM : add_list(m, "paths", q->paths, q->n_paths);

	exclude[n++] = s->state;
	for (size_t i = 0; i < q->n_exclude && n < sizeof exclude / sizeof exclude[0]; i++)
		exclude[n++] = q->exclude[i];
	if (e == OK)
		e = add_list(m, "exclude", exclude, n);
	if (e == OK)
		e = add_engine(m, s->o.engine);
	if (e == OK)
		e = json_add_bool(m, "cross_mounts", q->cross_mounts);
	if (e == OK)
		e = json_add_bool(m, "gentle", q->scheduled);
	if (e == OK)
		e = json_add_bool(m, "require_confinement", s->o.require_confinement);
	if (e != OK) {
		cJSON_Delete(m);
		return e;
	}
	*out = m;
	return OK;
}

static enum err
check_request(const struct scanner *s, const struct scan_request *q, struct fault *f)
{
	if (s->running || s->closing)
		return fault_set(f, ERR_BUSY,
		    s->q.scheduled ? "the scheduled scan is running; scan.stop ends it for today"
				   : "a scan is running");
	if (engine_settings(s->o.engine)->type == ENGINE_NONE)
		return fault_set(f, ERR_UNSUPPORTED, "this PC has no engine; set [engine] type");
	if (q->n_paths == 0 || q->n_paths > 64)
		return fault_set(f, ERR_INVAL, "name 1 to 64 paths to scan");
	for (size_t i = 0; i < q->n_paths; i++)
		if (q->paths[i][0] != '/')
			return fault_set(f, ERR_INVAL, "'%.100s' is no absolute path", q->paths[i]);
	return OK;
}

enum err
scanner_start(struct scanner *s, const struct scan_request *q, struct fault *f)
{
	static const struct child_handlers handlers = { on_message, on_ended };
	const struct child_spec spec = {
		.program = "atalaia-scan", .libexec = s->libexec, .stop_ms = STOP_MS
	};
	cJSON *config;
	enum err e = check_request(s, q, f);

	if (e != OK)
		return e;
	free(s->task);
	s->task = q->task != NULL ? strdup(q->task) : NULL;
	e = make_config(&config, s, q);
	if (e == OK)
		e = child_spawn(&s->child, s->o.loop, &spec, config, &handlers, s, f);
	if (e != OK)
		return fault_set(f, e, "the scan cannot be started: %s", err_text(e));
	s->q = *q;
	s->q.paths = s->q.exclude = NULL;
	s->result = (struct scan_result){ 0 };
	s->unreadable_seen = 0;
	s->running = true;
	s->ended = s->got_result = false;
	return OK;
}

void
scanner_stop(struct scanner *s)
{
	if (s->child != NULL)
		child_stop(s->child);
}

bool
scanner_running(const struct scanner *s)
{
	return s->running;
}

enum err
scanner_open(struct scanner **out, const struct scanner_options *o, struct fault *f)
{
	struct scanner *s = calloc(1, sizeof *s);
	struct fault vault = { OK, "" };

	*out = NULL;
	if (s == NULL)
		return fault_set(f, ERR_NOMEM, "memory ran out");
	s->o = *o;
	s->state = strdup(o->state);
	s->libexec = strdup(o->libexec != NULL ? o->libexec : "");
	s->tail = &s->waiting;
	if (s->state == NULL || s->libexec == NULL) {
		free(s->state);
		free(s->libexec);
		free(s);
		return fault_set(f, ERR_NOMEM, "memory ran out");
	}
	/* Scans go on without a vault; who asks for quarantine is told why there is none. */
	if (quarantine_open(&s->vault, s->state, &vault) != OK)
		log_error("quarantine.open", "why=%s", log_q(fault_text(&vault)));
	*out = s;
	return OK;
}

void
scanner_close(struct scanner *s, void (*closed)(void *ctx), void *ctx)
{
	s->closing = true;
	s->closed = closed;
	s->closed_ctx = ctx;
	if (s->running)
		scanner_stop(s);
	maybe_free(s);
}

cJSON *
scanner_status(const struct scanner *s)
{
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : json_add_bool(o, "running", s->running);

	if (e == OK)
		e = json_add_u64(o, "files", s->result.files);
	if (e == OK)
		e = json_add_u64(o, "bytes", s->result.bytes);
	if (e == OK)
		e = json_add_u64(o, "found", s->result.found);
	if (e == OK)
		e = json_add_u64(o, "unreadable", s->result.unreadable);
	if (e == OK && s->task != NULL)
		e = json_add_string(o, "task", s->task);
	if (e == OK)
		return o;
	cJSON_Delete(o);
	return NULL;
}

enum err
scanner_vault_use(struct scanner *s, struct vault_use *use, struct fault *f)
{
	struct vault_use **at = &s->uses;

	if (s->vault == NULL || s->closing)
		return fault_set(f, ERR_STATE, "this PC's vault cannot be opened; see its log");
	while (*at != NULL)
		at = &(*at)->next;
	use->next = NULL;
	*at = use;
	settle_next(s);
	return OK;
}
