/* update_cycle.c - one feed's run from check to its end. feed_input is the only place that changes
 * the state; what follows from a state is in feed_enter. */
#include "update_internal.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "engine.h"
#include "identity.h"
#include "os/rand.h"
#include "policies.h"
#include "report.h"
#include "schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPREAD_CAP_MS 900000u

static void start_fetch(struct feed *fd);
static void ask_version_port(struct feed *fd);

static void
feed_enter(struct feed *fd, enum flow_input input)
{
	switch (fd->state) {
	case FLOW_CHECK:
		ask_version_port(fd);
		break;
	case FLOW_FETCH:
		if (input == FLOW_ASKED)
			start_fetch(fd);
		break;
	case FLOW_GATE:
		if (input == FLOW_STAGED || input == FLOW_SWITCH)
			feed_gate(fd);
		break;
	case FLOW_ACTIVATE:
		if (input == FLOW_PASSED)
			feed_activate(fd);
		break;
	case FLOW_PROBE:
		if (input == FLOW_ACTIVE || input == FLOW_RECHECK)
			feed_probe(fd);
		break;
	case FLOW_REVERT:
		if (input == FLOW_SICK)
			feed_revert(fd);
		break;
	default:
		break;
	}
}

void
feed_input(struct feed *fd, enum flow_input input)
{
	enum flow_state old = fd->state;

	if (flow_next(old, input, &fd->state) != OK) {
		log_error("update.flow", "feed=%s state=%s input=%s error=not-legal", fd->name,
		    flow_state_word(old), flow_input_word(input));
		return;
	}
	log_debug("update.flow", "feed=%s input=%s from=%s to=%s", fd->name, flow_input_word(input),
	    flow_state_word(old), flow_state_word(fd->state));
	feed_enter(fd, input);
}

/* The run has ended and the state is idle again: tell who waits, plan the next. */
void
feed_finish(struct feed *fd, const char *word, const char *why)
{
	struct waiter *list = fd->waiters, *next;
	struct update_outcome o = { fd->name, word, fd->facts.version, fd->before,
		fd->result.source, why };
	bool failed = strcmp(word, "failed") == 0 || strcmp(word, "waiting") == 0 ||
		      strcmp(word, "refused") == 0 || strcmp(word, "reverted") == 0;
	bool useful = fd->facts.timestamp > fd->held;

	(void)snprintf(fd->last_word, sizeof fd->last_word, "%s", word);
	(void)snprintf(fd->last_why, sizeof fd->last_why, "%s", why);
	(void)snprintf(fd->last_source, sizeof fd->last_source, "%s", fd->result.source);
	if (!fd->rechecking) /* a proof asks no source */
		fd->last_errors = fd->result.n_errors;
	fd->runs++;
	fd->failures += failed;
	log_info("update.run", "feed=%s outcome=%s version=%llu source=%s why=%s", fd->name, word,
	    (unsigned long long)fd->facts.version,
	    fd->result.source[0] == '\0' ? "-" : fd->result.source, log_q(why));
	buf_free(&fd->timestamp);
	fd->waiters = NULL;
	for (; list != NULL; list = next) {
		next = list->next;
		list->cb(list->ctx, &o);
		free(list);
	}
	if (fd->closing) {
		feed_maybe_closed(fd);
		return;
	}
	feed_schedule(fd, failed);
	if (!failed)
		watch_worked(fd->watch, fd->result.source);
	watch_resume(fd->watch, useful);
	fd->from_news = false;
	if (fd->again) {
		fd->again = false;
		feed_go(fd, fd->again_reason);
	} else if (fd->recheck_wanted) {
		feed_recheck(fd);
	}
}

static void
end_run(struct feed *fd, const char *word, const char *why)
{
	feed_input(fd, FLOW_NOTHING);
	feed_finish(fd, word, why);
}

/* A person is not held back by windows or by `update.auto`. */
static bool
held_back(struct feed *fd, enum update_reason reason)
{
	const struct policy *p = policies_effective(fd->agent->policies);

	if (reason == UPDATE_LOCAL || reason == UPDATE_TASK || fd->is_policies)
		return false;
	return !policy_bool(p, "update.auto") || feed_window_wait(fd) > 0;
}

static bool
pinned(struct feed *fd)
{
	if (fd->facts.pin.version == 0)
		return false;
	if (fd->facts.pin.until > agent_now(fd->agent))
		return true;
	log_info("update.pin", "feed=%s version=%llu ended=yes", fd->name,
	    (unsigned long long)fd->facts.pin.version);
	memset(&fd->facts.pin, 0, sizeof fd->facts.pin);
	return false;
}

void
feed_go(struct feed *fd, enum update_reason reason)
{
	if (fd->closing || !fd->u->started)
		return;
	if (fd->state != FLOW_IDLE || fd->work_busy || fd->saving) {
		fd->again = true;
		fd->again_reason = reason;
		return;
	}
	if (held_back(fd, reason)) { /* what the long-poll brought may be old when the time comes */
		buf_free(&fd->timestamp);
		feed_schedule(fd, false);
		return;
	}
	fd->reason = reason;
	fd->canceled = fd->switching = fd->rechecking = false;
	fd->before = fd->facts.version;
	fd->held = fd->facts.timestamp;
	fd->last_try = clock_wall_ms();
	memset(&fd->result, 0, sizeof fd->result);
	memset(&fd->progress, 0, sizeof fd->progress);
	(void)uv_timer_stop(&fd->timer);
	if (pinned(fd)) {
		feed_finish(fd, "pinned", "a pin holds this version");
		return;
	}
	watch_pause(fd->watch);
	feed_input(fd, FLOW_GO);
}

/* An engine that was away for a moment only is never seen to come back: it is asked again. */
static bool
proof_is_due(const struct feed *fd)
{
	return fd->facts.unproved && fd->timestamp.len == 0 && !fd->is_policies &&
	       engine_is_up(fd->agent->engine) &&
	       clock_mono_ms() - fd->rechecked >= fd->agent->conf->update_retry;
}

void
feed_on_timer(uv_timer_t *t)
{
	struct feed *fd = t->data;

	if (proof_is_due(fd)) {
		feed_recheck(fd);
		return;
	}
	feed_go(fd, fd->timestamp.len > 0 ? UPDATE_NEWS : UPDATE_TIMER);
}

/* --- check --- */

static void
asked(void *ctx, const void *body, size_t n, const char *why)
{
	struct feed *fd = ctx;

	if (fd->state != FLOW_CHECK)
		return;
	if (body != NULL) {
		buf_reset(&fd->timestamp);
		if (buf_append(&fd->timestamp, body, n) != OK)
			buf_reset(&fd->timestamp);
	} else {
		log_debug(
		    "update.ask", "feed=%s source=%s why=%s", fd->name, fd->asked.name, log_q(why));
		fd->asked.name[0] = '\0';
	}
	feed_input(fd, FLOW_ASKED);
}

/* A reason is an event when it begins, not at each try while it lasts. */
static bool
is_news(struct feed *fd, const char *reason)
{
	bool known = strcmp(fd->told, reason) == 0;

	(void)snprintf(fd->told, sizeof fd->told, "%s", reason);
	return !known;
}

void
feed_waits(struct feed *fd, const char *reason, const char *why)
{
	if (is_news(fd, reason))
		report_waiting(fd->agent, fd->name, why);
}

static void
no_source(struct feed *fd, const struct source_plan *plan)
{
	const char *why = plan->retry_at == 0
			      ? "no source is known for this PC"
			      : "every source failed lately and is left alone for a while";

	if (fd->told[0] == '\0') /* the run that found them failing has told why */
		feed_waits(fd, "no-source", why);
	end_run(fd, "waiting", why);
}

/* A person's request and a first check ask again although a source is being left alone. */
static void
forgive(struct feed *fd)
{
	for (size_t i = 0; i < fd->n_health; i++)
		fd->health[i].not_before = 0;
}

static void
ask_version_port(struct feed *fd)
{
	struct source_plan plan;

	if (fd->timestamp.len > 0) { /* the long-poll brought it */
		feed_input(fd, FLOW_ASKED);
		return;
	}
	if (fd->reason == UPDATE_LOCAL || fd->reason == UPDATE_TASK)
		forgive(fd);
	feed_plan(fd, &plan, fd->health, fd->n_health);
	if (plan.count == 0) {
		no_source(fd, &plan);
		return;
	}
	fd->asked = plan.list[0];
	if (fd->asked.version == 0 || watch_ask(fd->watch, &fd->asked, asked) != OK)
		asked(fd, NULL, 0, "this source has no version port");
}

/* --- fetch --- */

static void
put_first(struct source_plan *plan, const struct source *s)
{
	for (size_t i = 0; i < plan->count; i++)
		if (strcmp(plan->list[i].name, s->name) == 0) {
			struct source keep = plan->list[i];

			memmove(&plan->list[1], &plan->list[0], i * sizeof plan->list[0]);
			plan->list[0] = keep;
			return;
		}
}

/* A source that was tried and did not give what it should is left alone for a while; the one that
 * gave it is healthy. */
static void
judge_sources(struct feed *fd, const struct fetch_result *r)
{
	uint64_t now = clock_mono_ms();
	bool good = r->outcome == FETCH_UPDATED || r->outcome == FETCH_CURRENT;

	for (size_t i = 0; i < r->n_errors; i++) {
		const struct fetch_error *e = &r->errors[i];

		if (e->source[0] == '\0' || (good && strcmp(e->source, r->source) == 0))
			continue;
		if (i > 0 && strcmp(r->errors[i - 1].source, e->source) == 0)
			continue;
		source_failed(feed_health(fd, e->source), now, fd->agent->conf->update_retry, 0,
		    rand_below(1024), e->text);
	}
	if (good && r->source[0] != '\0')
		source_worked(feed_health(fd, r->source));
}

static bool
of_this_pc(const struct fetch_result *r)
{
	for (size_t i = 0; i < r->n_errors; i++)
		if (r->errors[i].source[0] == '\0' && strcmp(r->errors[i].rule, "waiting") != 0)
			return true;
	return false;
}

/* What keeps this feed old, as one event: metadata that expired or no source that can be used
 * (stale), this PC itself (waiting). Refused content has its own event. */
static void
note_trouble(struct feed *fd, const struct fetch_result *r)
{
	bool good = r->outcome == FETCH_UPDATED || r->outcome == FETCH_CURRENT;
	const char *why = r->why[0] == '\0' ? "no source gave a valid update" : r->why;

	fd->stale = r->stale && !good;
	if (good) {
		if (r->version == fd->facts.version) /* else the gate has the last word */
			fd->told[0] = '\0';
	} else if (fd->stale) {
		if (is_news(fd, "expired"))
			report_stale(fd->agent, fd->name, why, r->expires);
	} else if (r->outcome == FETCH_FAILED && of_this_pc(r)) {
		feed_waits(fd, "local", why);
	} else if (r->outcome == FETCH_FAILED && fd->refused_sum == 0) {
		if (is_news(fd, "sources"))
			report_stale(fd->agent, fd->name, why, r->expires);
	}
}

static void
add_facts(struct feed *fd, const struct fetch_result *r)
{
	char path[4400];

	fd->facts.bytes_metadata += r->bytes_metadata;
	fd->facts.bytes_delta += r->bytes_delta;
	fd->facts.bytes_full += r->bytes_full;
	if (r->expires[0] != '\0')
		(void)snprintf(fd->facts.expires, sizeof fd->facts.expires, "%s", r->expires);
	if (r->outcome == FETCH_UPDATED || r->outcome == FETCH_CURRENT)
		fd->facts.checked = clock_wall_ms();
	if (r->verified != 0)
		agent_floor(fd->agent, r->verified);
	(void)snprintf(path, sizeof path, "%s/tuf/timestamp.json", fd->dir);
	fd->facts.timestamp = feed_timestamp_version(path); /* one small file, just written */
}

static void
take_staged(struct feed *fd)
{
	const struct fetch_result *r = &fd->result;

	fd->target = r->version;
	fd->offered = r->version;
	(void)snprintf(fd->target_sha, sizeof fd->target_sha, "%s", r->sha256);
	if (r->sha256[0] != '\0' && feed_is_rejected(&fd->facts, r->sha256)) {
		end_run(fd, "refused", "this set was refused before");
		return;
	}
	feed_input(fd, FLOW_STAGED);
}

/* A damaged set that was mended where it lies has not been loaded by the engine as it is now. */
static void
note_damage(struct feed *fd, const struct fetch_result *r)
{
	if (r->outcome != FETCH_CURRENT && r->outcome != FETCH_UPDATED)
		return;
	fd->inspected = true;
	for (size_t i = 0; r->outcome == FETCH_CURRENT && i < r->n_errors; i++)
		if (r->errors[i].source[0] == '\0' && strcmp(r->errors[i].rule, "damaged") == 0)
			fd->facts.unproved = true;
}

static void
fetched(void *ctx, const struct fetch_result *r)
{
	struct feed *fd = ctx;

	fd->job = NULL;
	fd->result = *r;
	memset(&fd->progress, 0, sizeof fd->progress);
	judge_sources(fd, r);
	add_facts(fd, r);
	fd->refused_files += r->n_errors;
	report_refused_files(fd->agent, fd->name, r, &fd->refused_sum);
	note_trouble(fd, r);
	note_damage(fd, r);
	feed_save(fd);
	if (fd->canceled || r->outcome == FETCH_CANCELED)
		end_run(fd, "canceled", "stopped on request");
	else if (r->outcome == FETCH_UPDATED || (r->outcome == FETCH_CURRENT && r->version != 0 &&
						    r->version != fd->facts.version))
		take_staged(fd);
	else if (r->outcome == FETCH_CURRENT)
		end_run(fd, "current", "");
	else if (r->outcome == FETCH_WAITING) {
		if (!feed_is_rejected(&fd->facts, r->sha256)) /* that was told as update.rejected */
			feed_waits(fd, "delta",
			    r->why[0] == '\0' ? "no delta leads to the new version" : r->why);
		end_run(fd, "waiting", r->why);
	} else {
		end_run(fd, "failed", r->why[0] == '\0' ? "no source gave a valid update" : r->why);
	}
}

static void
progressed(void *ctx, const struct fetch_progress *p)
{
	struct feed *fd = ctx;

	fd->progress = *p;
}

static void
fill_order(
    struct feed *fd, struct fetch_order *o, const struct source_plan *plan, const char **reject)
{
	const struct policy *p = policies_effective(fd->agent->policies);

	o->feed = fd->name;
	o->folder = fd->dir;
	o->root_json = fd->root_json;
	o->sources = plan->list;
	o->n_sources = plan->count;
	if (fd->timestamp.len > 0) {
		o->timestamp = fd->timestamp.data;
		o->timestamp_len = fd->timestamp.len;
	}
	o->delta = policy_string(p, "update.delta");
	o->rate_limit = policy_size(p, "update.rate_limit");
	o->current = fd->facts.version;
	o->inspect = !fd->inspected;
	o->disk_floor = fd->agent->conf->disk_floor;
	o->proxy = fd->agent->conf->proxy;
	for (size_t i = 0; i < fd->facts.n_rejected; i++)
		reject[o->n_reject++] = fd->facts.rejected[i].sha256;
	o->reject = reject;
}

static void
start_fetch(struct feed *fd)
{
	static const struct fetch_handlers handlers = { progressed, fetched };
	const char *reject[LIMIT_REJECTED];
	struct fetch_order o = { 0 };
	struct source_plan plan;
	struct fault f = { 0 };

	feed_plan(fd, &plan, fd->health, fd->n_health);
	if (plan.count == 0) {
		no_source(fd, &plan);
		return;
	}
	if (fd->timestamp.len > 0 && fd->asked.name[0] != '\0')
		put_first(&plan, &fd->asked);
	fill_order(fd, &o, &plan, reject);
	if (fetch_start(&fd->job, fd->agent, &o, &handlers, fd, &f) != OK) {
		log_error("update.fetch", "feed=%s why=%s", fd->name, log_q(fault_text(&f)));
		end_run(fd, "failed", fault_text(&f));
	}
}

/* --- the long-poll --- */

static void
plan_watch(void *ctx, struct source_plan *plan, const struct source_health *h, size_t n)
{
	feed_plan(ctx, plan, h, n);
}

static uint64_t
have(void *ctx)
{
	return ((struct feed *)ctx)->facts.timestamp;
}

static void
news(void *ctx, const struct source *s, const void *body, size_t n, uint64_t retry_after_ms)
{
	struct feed *fd = ctx;

	if (fd->state != FLOW_IDLE || fd->closing)
		return; /* the run that goes on will resume the watch */
	buf_reset(&fd->timestamp);
	if (buf_append(&fd->timestamp, body, n) != OK)
		buf_reset(&fd->timestamp);
	fd->asked = *s;
	fd->from_news = true;
	feed_health(fd, s->name)->not_before = 0; /* it speaks: its files are worth a try */
	feed_timer_start(
	    fd, schedule_spread(retry_after_ms, SPREAD_CAP_MS, rand_below(UINT32_MAX)));
}

const struct watch_owner feed_watch_owner = { plan_watch, have, news };
