/* role_mirror.c - keeps the served tree current: for each feed a long-poll upstream and runs of
 * atalaia-fetch in mirror mode; serve is told of each publication. */
#include "role_internal.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "feed_store.h"
#include "os/file.h"
#include "os/rand.h"
#include "policies.h"
#include "proto/childctl.h"
#include "report.h"
#include "schedule.h"
#include "update.h"
#include "update_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void sync_now(struct mirror *m);

static struct source_health *
health_of(struct mirror *m, const char *name)
{
	for (size_t i = 0; i < m->n_health; i++)
		if (strcmp(m->health[i].name, name) == 0)
			return &m->health[i];
	if (m->n_health == LIMIT_SOURCES)
		m->n_health = 0;
	memset(&m->health[m->n_health], 0, sizeof m->health[0]);
	(void)snprintf(m->health[m->n_health].name, SOURCE_NAME, "%s", name);
	return &m->health[m->n_health++];
}

static void
plan_for(void *ctx, struct source_plan *plan, const struct source_health *h, size_t n)
{
	struct mirror *m = ctx;
	struct source list[LIMIT_SOURCES];
	struct source_rules rules = { 0 };
	struct agent *a = m->role->agent;
	uint64_t bypass = policy_duration(policies_effective(a->policies), "update.bypass");
	size_t count = agent_sources(a, list, LIMIT_SOURCES, true);

	rules.bypass_ms = bypass == POLICY_NEVER ? BYPASS_NEVER : bypass;
	rules.feed_is_policies = strcmp(m->name, "policies") == 0;
	rules.is_mirror = true;
	sources_plan(plan, list, count, h, n, &rules, clock_mono_ms());
}

static void
on_timer(uv_timer_t *t)
{
	sync_now(t->data);
}

static unsigned
window_wait(const struct mirror *m)
{
	const struct policy *p = policies_effective(m->role->agent->policies);

	return strcmp(m->name, "policies") == 0
		   ? 0
		   : policy_window_wait(policy_value(p, "mirror.window"), local_minute());
}

static void
later(struct mirror *m, bool failed)
{
	const struct agent_conf *c = m->role->agent->conf;
	const struct policy *p = policies_effective(m->role->agent->policies);
	struct schedule_in in = { 0 };
	struct source_plan plan;
	uint64_t wait;

	in.interval_ms = policy_or(p, "update.interval", c->update_interval);
	in.now = clock_mono_ms();
	in.seed = rand_below(UINT32_MAX);
	in.failed = failed;
	if (failed) {
		plan_for(m, &plan, m->health, m->n_health);
		in.retry_at = plan.count > 0 ? in.now + c->update_retry : plan.retry_at;
	}
	wait = schedule_next(&in);
	if (wait < (uint64_t)window_wait(m) * 60000u)
		wait = (uint64_t)window_wait(m) * 60000u;
	(void)uv_timer_start(&m->timer, on_timer, wait, 0);
}

void
mirror_tell_serve(struct mirror *m)
{
	cJSON *msg;
	enum err e;

	if (!m->role->ready || m->role->serve == NULL || m->served == 0)
		return;
	msg = childctl_new("changed");
	e = msg == NULL ? ERR_NOMEM : json_add_string(msg, "feed", m->name);
	if (e == OK)
		e = json_add_u64(msg, "version", m->served);
	if (e == OK)
		e = child_send(m->role->serve, msg);
	else
		cJSON_Delete(msg);
	if (e != OK)
		log_warn("role.changed", "feed=%s error=%s", m->name, err_word(e));
}

static void mirror_maybe_closed(struct mirror *m);

static void
finish(struct mirror *m, const char *word, const char *why, bool failed)
{
	bool useful = m->served > m->held;

	(void)snprintf(m->last_word, sizeof m->last_word, "%s", word);
	(void)snprintf(m->last_why, sizeof m->last_why, "%s", why);
	m->runs++;
	m->failures += failed;
	if (!failed)
		m->last_ok = clock_wall_ms();
	buf_free(&m->timestamp);
	log_info("mirror.run", "feed=%s outcome=%s version=%llu source=%s why=%s", m->name, word,
	    (unsigned long long)m->served, m->last_source[0] == '\0' ? "-" : m->last_source,
	    log_q(why));
	if (m->closing) {
		mirror_maybe_closed(m);
		return;
	}
	if (!role_mirrors(m->role))
		return;
	later(m, failed);
	if (!failed)
		watch_worked(m->watch, m->last_source);
	watch_resume(m->watch, useful);
	if (m->again) {
		m->again = false;
		sync_now(m);
	}
}

static void
judge(struct mirror *m, const struct fetch_result *r, bool good)
{
	uint64_t now = clock_mono_ms();

	for (size_t i = 0; i < r->n_errors; i++) {
		const struct fetch_error *e = &r->errors[i];

		if (e->source[0] == '\0' || (good && strcmp(e->source, r->source) == 0))
			continue;
		if (i > 0 && strcmp(r->errors[i - 1].source, e->source) == 0)
			continue;
		source_failed(health_of(m, e->source), now, m->role->agent->conf->update_retry, 0,
		    rand_below(1024), e->text);
	}
	if (good && r->source[0] != '\0')
		source_worked(health_of(m, r->source));
}

static void
synced(void *ctx, const struct fetch_result *r)
{
	struct mirror *m = ctx;
	bool good = r->outcome == FETCH_UPDATED || r->outcome == FETCH_CURRENT;

	m->job = NULL;
	memset(&m->progress, 0, sizeof m->progress);
	m->bytes_metadata += r->bytes_metadata;
	m->bytes_delta += r->bytes_delta;
	m->bytes_full += r->bytes_full;
	(void)snprintf(m->last_source, sizeof m->last_source, "%s", r->source);
	judge(m, r, good);
	report_refused_files(m->role->agent, m->name, r, &m->refused_sum);
	if (r->verified != 0)
		agent_floor(m->role->agent, r->verified);
	if (r->stale && !good && !m->stale)
		report_stale(m->role->agent, m->name, "the upstream's signed metadata has expired",
		    r->expires);
	m->stale = r->stale && !good;
	m->served = feed_timestamp_version(m->metadata);
	if (m->served > m->held)
		mirror_tell_serve(m);
	if (r->outcome == FETCH_UPDATED)
		report_mirrored(m->role->agent, m->name, r);
	if (r->outcome == FETCH_WAITING)
		report_waiting(m->role->agent, m->name, r->why);
	finish(m, fetch_outcome_word(r->outcome), r->why, !good && r->outcome != FETCH_CANCELED);
}

static void
progressed(void *ctx, const struct fetch_progress *p)
{
	((struct mirror *)ctx)->progress = *p;
}

static void
start_job(struct mirror *m)
{
	static const struct fetch_handlers handlers = { progressed, synced };
	struct agent *a = m->role->agent;
	const struct policy *p = policies_effective(a->policies);
	struct fetch_order o = { 0 };
	struct source_plan plan;
	struct fault f = { 0 };
	char work[4300];

	plan_for(m, &plan, m->health, m->n_health);
	if (plan.count == 0) {
		finish(m, "waiting", "no upstream can be asked now", true);
		return;
	}
	(void)snprintf(work, sizeof work, "%s/mirror/work/%s", a->conf->state, m->name);
	o.feed = m->name;
	o.mirror = true;
	o.folder = a->conf->role_root;
	o.work = work;
	o.root_json = m->root_json;
	o.sources = plan.list;
	o.n_sources = plan.count;
	o.timestamp = m->timestamp.data;
	o.timestamp_len = m->timestamp.len;
	o.delta = policy_string(p, "update.delta");
	o.rate_limit = policy_size(p, "mirror.rate_limit");
	o.disk_floor = a->conf->disk_floor;
	o.proxy = a->conf->proxy;
	if (file_make_dirs(work, 0750, &f) != OK ||
	    fetch_start(&m->job, a, &o, &handlers, m, &f) != OK)
		finish(m, "failed", fault_text(&f), true);
}

static void
asked(void *ctx, const void *body, size_t n, const char *why)
{
	struct mirror *m = ctx;

	if (!m->asking)
		return;
	m->asking = false;
	if (body != NULL && buf_append(&m->timestamp, body, n) != OK)
		buf_reset(&m->timestamp);
	start_job(m);
}

/* `atalaia-update-agent import` publishes without us: who waits on 3333 must hear of it. */
static void
look_at_stick(struct mirror *m)
{
	uint64_t version = feed_timestamp_version(m->metadata);

	if (version <= m->served)
		return;
	m->served = version;
	mirror_tell_serve(m);
}

static void
sync_now(struct mirror *m)
{
	struct source_plan plan;

	if (m->closing || !role_mirrors(m->role))
		return;
	if (m->job != NULL || m->asking) {
		m->again = true;
		return;
	}
	look_at_stick(m);
	if (window_wait(m) > 0) {
		buf_free(&m->timestamp);
		later(m, false);
		return;
	}
	(void)uv_timer_stop(&m->timer);
	m->held = m->served;
	watch_pause(m->watch);
	if (m->timestamp.len > 0) {
		start_job(m);
		return;
	}
	plan_for(m, &plan, m->health, m->n_health);
	m->asking = true;
	if (plan.count == 0 || plan.list[0].version == 0 ||
	    watch_ask(m->watch, &plan.list[0], asked) != OK)
		asked(m, NULL, 0, "");
}

static uint64_t
have(void *ctx)
{
	return ((struct mirror *)ctx)->served;
}

static void
news(void *ctx, const struct source *s, const void *body, size_t n, uint64_t retry_after_ms)
{
	struct mirror *m = ctx;

	if (m->job != NULL || m->asking || m->closing)
		return;
	buf_reset(&m->timestamp);
	if (buf_append(&m->timestamp, body, n) != OK)
		buf_reset(&m->timestamp);
	m->asked = *s;
	health_of(m, s->name)->not_before = 0;
	(void)uv_timer_start(&m->timer, on_timer,
	    schedule_spread(retry_after_ms, 900000u, rand_below(UINT32_MAX)) + 1, 0);
}

/* --- made, started, stopped --- */

static enum err
mirror_add(struct role *r, const char *name)
{
	static const struct watch_owner owner = { plan_for, have, news };
	const struct agent_conf *c = r->agent->conf;
	struct mirror *m = calloc(1, sizeof *m);

	if (m == NULL)
		return ERR_NOMEM;
	m->role = r;
	(void)snprintf(m->name, sizeof m->name, "%s", name);
	(void)snprintf(
	    m->metadata, sizeof m->metadata, "%s/%s/metadata/timestamp.json", c->role_root, name);
	agent_initial_root(r->agent, name, m->root_json, sizeof m->root_json);
	buf_init(&m->timestamp, 65536);
	m->served = feed_timestamp_version(m->metadata);
	if (watch_new(&m->watch, r->agent, name, &owner, m) != OK) {
		free(m);
		return ERR_NOMEM;
	}
	(void)uv_timer_init(&r->agent->loop, &m->timer);
	m->timer.data = m;
	r->mirrors[r->n_mirrors++] = m;
	return OK;
}

enum err
mirrors_new(struct role *r, struct fault *f)
{
	struct updates *u = r->agent->updates;
	enum err e = OK;

	for (size_t i = 0; e == OK && i < updates_count(u) && i < LIMIT_SOURCES; i++)
		e = mirror_add(r, updates_name(u, i));
	return e == OK ? OK : fault_set(f, e, "memory ran out");
}

void
mirrors_start(struct role *r)
{
	for (size_t i = 0; i < r->n_mirrors; i++) {
		struct mirror *m = r->mirrors[i];

		if (m->job != NULL || m->asking || uv_is_active((uv_handle_t *)&m->timer))
			continue;
		sync_now(m);
	}
}

void
mirrors_stop(struct role *r)
{
	for (size_t i = 0; i < r->n_mirrors; i++) {
		struct mirror *m = r->mirrors[i];

		m->again = m->asking = false;
		watch_pause(m->watch);
		(void)uv_timer_stop(&m->timer);
		buf_free(&m->timestamp);
		if (m->job != NULL)
			fetch_stop(m->job);
	}
}

static void
handle_closed(struct mirror *m)
{
	struct role *r = m->role;

	if (--m->handles > 0)
		return;
	for (size_t i = 0; i < r->n_mirrors; i++)
		if (r->mirrors[i] == m)
			r->mirrors[i] = r->mirrors[--r->n_mirrors];
	buf_free(&m->timestamp);
	free(m);
	role_one_closed(r);
}

static void
timer_closed(uv_handle_t *h)
{
	handle_closed(h->data);
}

static void
watch_closed(void *ctx)
{
	handle_closed(ctx);
}

static void
mirror_maybe_closed(struct mirror *m)
{
	if (m->job != NULL || m->handles > 0)
		return;
	m->handles = 2;
	watch_close(m->watch, watch_closed, m);
	uv_close((uv_handle_t *)&m->timer, timer_closed);
}

void
mirrors_close(struct role *r)
{
	mirrors_stop(r);
	for (size_t i = 0; i < r->n_mirrors; i++) {
		r->mirrors[i]->closing = true;
		mirror_maybe_closed(r->mirrors[i]); /* its end comes from the loop */
	}
}

size_t
role_sync_now(struct role *r, const char *feed)
{
	size_t n = 0;

	if (r == NULL || !role_mirrors(r))
		return 0;
	for (size_t i = 0; i < r->n_mirrors; i++) {
		struct mirror *m = r->mirrors[i];

		if (feed != NULL && strcmp(m->name, feed) != 0)
			continue;
		for (size_t k = 0; k < m->n_health; k++)
			m->health[k].not_before = 0;
		sync_now(m);
		n++;
	}
	return n;
}

size_t
role_cancel(struct role *r, const char *feed)
{
	size_t n = 0;

	for (size_t i = 0; r != NULL && i < r->n_mirrors; i++) {
		struct mirror *m = r->mirrors[i];

		if (m->job == NULL || (feed != NULL && strcmp(m->name, feed) != 0))
			continue;
		m->again = false;
		fetch_stop(m->job);
		n++;
	}
	return n;
}

void
role_policy_changed(struct role *r)
{
	for (size_t i = 0; r != NULL && role_mirrors(r) && i < r->n_mirrors; i++) {
		struct mirror *m = r->mirrors[i];

		if (m->job == NULL && !m->asking && m->timestamp.len == 0 && r->started) {
			later(m, false);
			watch_pause(m->watch);
			watch_resume(m->watch, true);
		}
	}
}

cJSON *
mirror_json(struct mirror *m)
{
	cJSON *o = cJSON_CreateObject();
	const struct {
		const char *name;
		uint64_t value;
	} numbers[] = {
		{ "timestamp", m->served },
		{ "runs", m->runs },
		{ "failures", m->failures },
		{ "bytes_metadata", m->bytes_metadata },
		{ "bytes_delta", m->bytes_delta },
		{ "bytes_full", m->bytes_full },
	};
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "feed", m->name);

	if (e == OK)
		e = json_add_string(o, "state",
		    m->job != NULL ? "sync"
		    : m->asking	   ? "check"
				   : "idle");
	for (size_t i = 0; e == OK && i < sizeof numbers / sizeof numbers[0]; i++)
		e = json_add_u64(o, numbers[i].name, numbers[i].value);
	if (e == OK && m->last_word[0] != '\0')
		e = json_add_string(o, "last", m->last_word);
	if (e == OK && m->last_why[0] != '\0')
		e = json_add_string(o, "why", m->last_why);
	if (e == OK && m->last_source[0] != '\0')
		e = json_add_string(o, "source", m->last_source);
	if (e == OK && watch_source(m->watch) != NULL)
		e = json_add_string(o, "watching", watch_source(m->watch));
	if (e == OK)
		return o;
	cJSON_Delete(o);
	return NULL;
}
