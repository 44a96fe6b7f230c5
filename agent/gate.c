/* gate.c - see gate.h. */
#include "gate.h"

#include "base/log.h"
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gate_run {
	struct agent *agent;
	char feed[64], set[4096];
	uint64_t version;
	bool marker;
	gate_cb cb;
	void *ctx;
	uv_work_t work;
	struct engine_job *job;
};

static enum verdict
verdict_of(const struct engine_outcome *o)
{
	if (o->err == OK)
		return VERDICT_GOOD;
	return o->err == ERR_VERIFY ? VERDICT_BAD : VERDICT_LATER;
}

static void
finish(struct gate_run *g, enum verdict v, const char *rule, const char *why)
{
	g->cb(g->ctx, v, rule, why);
	free(g);
}

static void
tested(void *ctx, const struct engine_outcome *o)
{
	struct gate_run *g = ctx;

	log_info("update.gate", "feed=%s version=%llu outcome=%s skipped=%d ms=%llu", g->feed,
	    (unsigned long long)g->version, err_word(o->err), o->skipped,
	    (unsigned long long)o->ms);
	finish(g, verdict_of(o), o->rule, o->err == OK ? "" : fault_text(&o->fault));
}

static void
probed(void *ctx, const struct engine_outcome *o)
{
	struct gate_run *g = ctx;

	log_info("update.probe", "feed=%s version=%llu outcome=%s ms=%llu", g->feed,
	    (unsigned long long)g->version, err_word(o->err), (unsigned long long)o->ms);
	finish(g, verdict_of(o), o->rule, o->err == OK ? "" : fault_text(&o->fault));
}

static void
reloaded(void *ctx, const struct engine_outcome *o)
{
	struct gate_run *g = ctx;
	struct fault f = { 0 };

	if (o->err != OK) {
		finish(g, VERDICT_LATER, o->rule, fault_text(&o->fault));
		return;
	}
	if (engine_probe(
		g->agent->engine, g->feed, g->version, g->marker, probed, g, &g->job, &f) != OK)
		finish(g, VERDICT_LATER, "probe", fault_text(&f));
}

static void
marker_work(uv_work_t *w)
{
	struct gate_run *g = w->data;

	g->marker = engine_set_has_marker(g->set);
}

static void
marker_known(uv_work_t *w, int status)
{
	struct gate_run *g = w->data;
	struct fault f = { 0 };

	if (g->agent->engine == NULL)
		finish(g, VERDICT_LATER, "stopped", "the agent is being stopped");
	else if (engine_reload(g->agent->engine, g->set, reloaded, g, &g->job, &f) != OK)
		finish(g, VERDICT_LATER, "reload", fault_text(&f));
}

static void
gate_work(uv_work_t *w)
{
}

static void
gate_ready(uv_work_t *w, int status)
{
	struct gate_run *g = w->data;
	struct fault f = { 0 };

	if (g->agent->engine == NULL)
		finish(g, VERDICT_LATER, "stopped", "the agent is being stopped");
	else if (engine_gate(
		     g->agent->engine, g->set, g->feed, g->version, tested, g, &g->job, &f) != OK)
		finish(g, VERDICT_LATER, "gate", fault_text(&f));
}

/* Both begin with a turn through the worker, so that no callback comes from inside the call. */
static void
begin(struct agent *a, const char *feed, uint64_t version, const char *set, gate_cb cb, void *ctx,
    uv_work_cb work, uv_after_work_cb after)
{
	struct gate_run *g = calloc(1, sizeof *g);

	if (g == NULL) {
		cb(ctx, VERDICT_LATER, "memory", "memory ran out");
		return;
	}
	g->agent = a;
	g->version = version;
	g->cb = cb;
	g->ctx = ctx;
	g->work.data = g;
	(void)snprintf(g->feed, sizeof g->feed, "%s", feed);
	(void)snprintf(g->set, sizeof g->set, "%s", set);
	(void)uv_queue_work(&a->loop, &g->work, work, after);
}

void
gate_test(
    struct agent *a, const char *feed, uint64_t version, const char *set, gate_cb cb, void *ctx)
{
	begin(a, feed, version, set, cb, ctx, gate_work, gate_ready);
}

void
gate_probe(
    struct agent *a, const char *feed, uint64_t version, const char *set, gate_cb cb, void *ctx)
{
	begin(a, feed, version, set, cb, ctx, marker_work, marker_known);
}
