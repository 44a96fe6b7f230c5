/* engine_clamd.c - a running clamd: reload and probe. RELOAD is answered at once and its end
 * is not told; PING is answered while every scan fails. So only scans prove anything here. */
#include "engine_internal.h"

#include "base/clock.h"
#include "proto/command.h"

#include <stdio.h>
#include <string.h>

#define TRY_MS 250u   /* between two looks for the marker */
#define SLACK_MS 1000 /* of the start of a process, which is known to a tick */

/* --- reload --- */

static void
reload_answered(void *ctx, const struct engine_answer *a)
{
	struct engine_job *j = ctx;

	j->ask = NULL;
	if (a->err != OK)
		engine_job_end(j, a->err, "down", "clamd at %s does not take RELOAD: %s",
		    j->e->o.clamd_socket, err_text(a->err));
	else if (a->reply.kind != CLAMD_RELOADING)
		engine_job_end(j, ERR_STATE, "reload",
		    "clamd answers RELOAD with '%s'; is "
		    "EnableReloadCommand off?",
		    a->reply.text);
	else
		engine_job_end(j, OK, "", "%s", "");
}

static void
restarted(void *ctx, const struct captured *r)
{
	struct engine_job *j = ctx;

	j->run = NULL;
	j->e->restarted_mono = clock_mono_ms();
	if (r->status != 0)
		engine_job_end(j, ERR_STATE, "restart", "the restart command ends with %d: %.200s",
		    (int)r->status, r->err[0] != '\0' ? r->err : r->out);
	else
		engine_job_end(j, OK, "", "%s", "");
}

/* The old set goes with the old process: a blocking reload, whatever clamd.conf says. */
static void
restart(struct engine_job *j)
{
	struct engine *e = j->e;
	struct command w;
	struct fault f = { OK, "" };
	enum err k;

	if (strcmp(e->restarted, j->set) == 0 && e->facts.started >= e->restarted_wall) {
		engine_job_end(j, OK, "", "%s", ""); /* this process began with this set */
		return;
	}
	(void)snprintf(e->restarted, sizeof e->restarted, "%s", j->set);
	e->restarted_wall = clock_wall_ms() - SLACK_MS;
	k = command_make(&w, e->o.clamd_restart, j->set, "");
	if (k == OK)
		k = capture_start(&j->run, j->e->o.loop, w.argv, NULL, 0, restarted, j, &f);
	if (k != OK)
		engine_job_end(j, k, "restart", "the restart command cannot be started: %s",
		    f.code != OK ? fault_text(&f) : err_text(k));
	command_free(&w);
}

static void
reload_looked(struct engine_job *j)
{
	enum reload_way way = engine_memory_reload(j);
	enum err k;

	if (way == WAY_RESTART)
		restart(j);
	if (way == WAY_NONE || way == WAY_RESTART)
		return;
	k = engine_ask(&j->ask, j->e->o.loop, j->e->o.clamd_socket, "zRELOAD", 8, ENGINE_ASK_MS,
	    reload_answered, j);
	if (k != OK)
		engine_job_end(j, k, "down", "clamd cannot be asked: %s", err_text(k));
}

static enum err
clamd_reload(struct engine_job *j, struct fault *f)
{
	(void)f;
	engine_job_load(j, reload_looked);
	return OK;
}

/* --- probe --- */

static void scan_next(struct engine_job *j);

static void
try_again(uv_timer_t *t)
{
	scan_next(t->data);
}

/* Until the marker is there a wrong verdict only means that the reload goes on. */
static bool
may_still_load(const struct engine_job *j)
{
	return j->samples.item[j->at].marker;
}

/* Restarted by us: it answers when its set is loaded. */
static bool
is_starting(const struct engine *e)
{
	return e->restarted_mono != 0 && clock_mono_ms() - e->restarted_mono < e->o.deadline_ms;
}

static void
sample_answered(void *ctx, const struct engine_answer *a)
{
	struct engine_job *j = ctx;
	const struct engine_sample *s = &j->samples.item[j->at];
	const char *rule = "", *signature = a->reply.kind == CLAMD_FOUND ? a->reply.text : NULL;
	char text[300] = "";
	bool scanned =
	    a->err == OK && (a->reply.kind == CLAMD_FOUND || a->reply.kind == CLAMD_CLEAN);

	j->ask = NULL;
	if (scanned &&
	    engine_sample_right(s, signature, j->feed, j->version, &rule, text, sizeof text)) {
		j->at++;
		scan_next(j);
		return;
	}
	/* An engine that died under the probe is away, not loading: the set is proved when it
	 * returns. */
	if (may_still_load(j) && (scanned || j->e->up || is_starting(j->e))) {
		(void)uv_timer_start(&j->pause, try_again, TRY_MS, 0);
		return;
	}
	if (!scanned)
		engine_job_end(j, a->err != OK ? a->err : ERR_STATE, "down",
		    "clamd at %s does not scan: %s", j->e->o.clamd_socket,
		    a->err != OK ? err_text(a->err) : a->reply.text);
	else
		engine_job_end(j, ERR_VERIFY, rule, "%s", text);
}

static void
scan_next(struct engine_job *j)
{
	enum err k;

	if (j->at == j->samples.n) {
		engine_job_end(j, OK, "", "%s", "");
		return;
	}
	k = engine_ask_scan(&j->ask, j->e, &j->samples.item[j->at].bytes, sample_answered, j);
	if (k != OK)
		engine_job_end(j, k, "down", "clamd cannot be asked: %s", err_text(k));
}

static enum err
clamd_probe(struct engine_job *j, struct fault *f)
{
	(void)f;
	engine_job_load(j, scan_next);
	return OK;
}

static void
clamd_stop(struct engine_job *j)
{
	engine_ask_cancel(j->ask);
	j->ask = NULL;
	capture_cancel(j->run);
	j->run = NULL;
	(void)uv_timer_stop(&j->pause);
}

const struct engine_ops engine_clamd_ops = { engine_clamscan_gate, clamd_reload, clamd_probe,
	clamd_stop, engine_clamd_look };
