/* engine_clamd.c - a running clamd: reload and probe. RELOAD is answered at once and its end
 * is not told; PING is answered while every scan fails. So only scans prove anything here. */
#include "engine_internal.h"

#define TRY_MS 250u /* between two looks for the marker */

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

static enum err
clamd_reload(struct engine_job *j, struct fault *f)
{
	enum err k = engine_ask(&j->ask, j->e->o.loop, j->e->o.clamd_socket, "zRELOAD", 8,
	    ENGINE_ASK_MS, reload_answered, j);

	return k == OK ? OK : fault_set(f, k, "clamd cannot be asked");
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
	if (may_still_load(j) && (scanned || j->e->up)) {
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
	engine_run_cancel(j->run);
	j->run = NULL;
	(void)uv_timer_stop(&j->pause);
}

const struct engine_ops engine_clamd_ops = { engine_clamscan_gate, clamd_reload, clamd_probe,
	clamd_stop, engine_clamd_look };
