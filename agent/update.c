/* update.c - the feeds of this PC: made, started, asked, closed. */
#include "update_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "engine.h"
#include "identity.h"
#include "os/file.h"
#include "os/rand.h"
#include "policies.h"
#include "role.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLICIES_HEAD_START_MS 30000u

/* The root that enrolment brought, else the one that a package brought. */
void
agent_initial_root(const struct agent *a, const char *feed, char *dst, size_t size)
{
	(void)snprintf(dst, size, "%s/roots/%s.root.json", a->conf->state, feed);
	if (!file_exists(dst))
		(void)snprintf(dst, size, "%s/%s.root.json", a->conf->roots, feed);
}

static enum err
feed_add(struct updates *u, const char *name, struct fault *f)
{
	struct agent *a = u->agent;
	struct feed *fd;
	enum err e;

	if (u->n == LIMIT_SOURCES || !text_is_role_name(name, strlen(name)))
		return fault_set(
		    f, ERR_INVAL, "feed '%.64s' cannot be followed: bad name or too many", name);
	fd = calloc(1, sizeof *fd);
	if (fd == NULL)
		return fault_set(f, ERR_NOMEM, "memory ran out");
	fd->u = u;
	fd->agent = a;
	(void)snprintf(fd->name, sizeof fd->name, "%s", name);
	(void)snprintf(fd->dir, sizeof fd->dir, "%s/feeds/%s", a->conf->state, name);
	fd->is_policies = strcmp(name, "policies") == 0;
	buf_init(&fd->timestamp, 65536);
	agent_initial_root(a, name, fd->root_json, sizeof fd->root_json);
	e = feed_store_load(&fd->facts, fd->dir, f);
	if (e == OK)
		e = watch_new(&fd->watch, a, name, &feed_watch_owner, fd);
	if (e != OK) {
		free(fd);
		return fault_set(f, e, "feed %s cannot be followed", name);
	}
	fd->offered = fd->facts.version;
	fd->work.data = fd->timer.data = fd;
	(void)uv_timer_init(&a->loop, &fd->timer);
	u->feeds[u->n++] = fd;
	u->open++;
	return OK;
}

static bool
followed(const struct agent_conf *c, const char *name)
{
	size_t want = strlen(name);

	if (c->feeds[0] == '\0')
		return true;
	for (const char *p = c->feeds; *p != '\0';) {
		size_t n = strcspn(p, ", \t");

		if (n == want && memcmp(p, name, n) == 0)
			return true;
		p += n;
		p += strspn(p, ", \t");
	}
	return false;
}

enum err
updates_new(struct updates **out, struct agent *a, struct fault *f)
{
	struct updates *u = calloc(1, sizeof *u);
	const char *names[LIMIT_FEEDS];
	size_t n = a->identity == NULL ? 0 : identity_feeds(a->identity, names);
	enum err e = OK;

	if (u == NULL)
		return fault_set(f, ERR_NOMEM, "memory ran out");
	u->agent = a;
	for (size_t i = 0; e == OK && i < n; i++)
		if (followed(a->conf, names[i]) || strcmp(names[i], "policies") == 0)
			e = feed_add(u, names[i], f);
	*out = u; /* also on failure: the caller closes it */
	return e;
}

static void
start_feed(struct feed *fd, uint64_t after_ms)
{
	if (fd->started || fd->closing)
		return;
	fd->started = true;
	watch_resume(fd->watch, true);
	feed_timer_start(fd, after_ms);
	if (engine_is_up(fd->agent->engine))
		feed_recheck(fd);
}

static void
start_others(struct updates *u)
{
	for (size_t i = 0; i < u->n; i++)
		start_feed(u->feeds[i], 1);
}

/* A PC that has never seen its policy would ask the wrong source: it waits for the head start, or
 * for the policy (updates_policy_changed). */
static void
policies_first(void *ctx, const struct update_outcome *o)
{
	struct updates *u = ctx;

	if (u->closing)
		return;
	if (policies_authority(u->agent->policies) != NULL || strcmp(o->word, "updated") == 0 ||
	    strcmp(o->word, "current") == 0)
		start_others(u);
}

static void
late_timer(uv_timer_t *t)
{
	start_feed(t->data, 1);
}

/* The policies say where the others come from. Their first try has a head start, not a veto. */
void
updates_start(struct updates *u)
{
	struct feed *first = NULL;

	u->started = true;
	for (size_t i = 0; i < u->n; i++)
		if (u->agent->conf->engine == ENGINE_COMMAND)
			u->feeds[i]->facts.unproved = true; /* it learns its folder from a reload */
	for (size_t i = 0; i < u->n; i++)
		if (u->feeds[i]->is_policies)
			first = u->feeds[i];
	if (first == NULL) {
		start_others(u);
		return;
	}
	for (size_t i = 0; i < u->n; i++)
		if (u->feeds[i] != first)
			(void)uv_timer_start(
			    &u->feeds[i]->timer, late_timer, POLICIES_HEAD_START_MS, 0);
	first->started = true;
	watch_resume(first->watch, true);
	if (updates_request(u, first->name, UPDATE_TIMER, policies_first, u) != OK)
		start_others(u);
}

/* --- closing --- */

static void
feed_handle_closed(struct feed *fd)
{
	struct updates *u = fd->u;
	void (*closed)(void *) = u->closed;
	void *ctx = u->closed_ctx;

	if (--fd->handles > 0)
		return;
	for (size_t i = 0; i < u->n; i++)
		if (u->feeds[i] == fd)
			u->feeds[i] = u->feeds[--u->n]; /* nobody finds it any more */
	buf_free(&fd->timestamp);
	free(fd);
	if (--u->open > 0)
		return;
	free(u);
	closed(ctx);
}

static void
timer_closed(uv_handle_t *h)
{
	feed_handle_closed(h->data);
}

static void
watch_closed(void *ctx)
{
	feed_handle_closed(ctx);
}

void
feed_maybe_closed(struct feed *fd)
{
	if (!fd->closing || fd->state != FLOW_IDLE || fd->work_busy || fd->saving ||
	    fd->handles > 0)
		return;
	fd->handles = 2;
	watch_close(fd->watch, watch_closed, fd);
	uv_close((uv_handle_t *)&fd->timer, timer_closed);
}

static void
cancel_run(struct feed *fd)
{
	fd->canceled = true;
	fd->again = false;
	if (fd->job != NULL)
		fetch_stop(fd->job);
	else if (fd->state == FLOW_CHECK) {
		feed_input(fd, FLOW_CANCEL);
		feed_finish(fd, "canceled", "stopped on request");
	}
}

void
updates_close(struct updates *u, void (*closed)(void *ctx), void *ctx)
{
	struct feed *list[LIMIT_SOURCES];
	size_t n = u->n;

	u->closing = true;
	u->closed = closed;
	u->closed_ctx = ctx;
	if (n == 0) {
		free(u);
		closed(ctx);
		return;
	}
	memcpy(list, u->feeds, sizeof list);
	for (size_t i = 0; i < n; i++) {
		list[i]->closing = true;
		watch_pause(list[i]->watch);
		(void)uv_timer_stop(&list[i]->timer);
	}
	for (size_t i = 0; i < n; i++) {
		if (list[i]->state != FLOW_IDLE)
			cancel_run(list[i]);
		else
			feed_maybe_closed(list[i]);
	}
}

/* --- requests --- */

static struct feed *
find(struct updates *u, const char *name)
{
	for (size_t i = 0; i < u->n; i++)
		if (strcmp(u->feeds[i]->name, name) == 0)
			return u->feeds[i];
	return NULL;
}

static enum err
add_waiter(struct feed *fd, update_cb cb, void *ctx)
{
	struct waiter *w;

	if (cb == NULL)
		return OK;
	w = calloc(1, sizeof *w);
	if (w == NULL)
		return ERR_NOMEM;
	w->cb = cb;
	w->ctx = ctx;
	w->next = fd->waiters;
	fd->waiters = w;
	return OK;
}

enum err
updates_request(
    struct updates *u, const char *feed, enum update_reason reason, update_cb cb, void *ctx)
{
	struct feed *fd = u == NULL ? NULL : find(u, feed);
	enum err e;

	if (fd == NULL)
		return ERR_NOTFOUND;
	if (fd->closing)
		return ERR_CANCELED;
	e = add_waiter(fd, cb, ctx);
	if (e != OK)
		return e;
	if (fd->state == FLOW_IDLE || reason == UPDATE_NEWS || reason == UPDATE_MIRROR)
		feed_go(fd, reason);
	return OK;
}

void
updates_forget(struct updates *u, void *ctx)
{
	for (size_t i = 0; u != NULL && i < u->n; i++)
		for (struct waiter **p = &u->feeds[i]->waiters; *p != NULL;) {
			struct waiter *w = *p;

			if (w->ctx != ctx) {
				p = &w->next;
				continue;
			}
			*p = w->next;
			free(w);
		}
}

size_t
updates_cancel(struct updates *u, const char *feed)
{
	size_t n = 0;

	for (size_t i = 0; u != NULL && i < u->n; i++) {
		struct feed *fd = u->feeds[i];

		if ((feed != NULL && strcmp(fd->name, feed) != 0) || fd->state == FLOW_IDLE)
			continue;
		if (fd->state == FLOW_CHECK || fd->state == FLOW_FETCH) {
			cancel_run(fd);
			n++;
		}
	}
	return n;
}

enum err
updates_pin(struct updates *u, const char *feed, uint64_t version, int64_t until, update_cb cb,
    void *ctx, struct fault *f)
{
	struct feed *fd = find(u, feed);
	char path[4300];
	enum err e;

	if (fd == NULL)
		return fault_set(f, ERR_NOTFOUND, "this agent does not follow feed %s", feed);
	if (fd->state != FLOW_IDLE || fd->work_busy)
		return fault_set(f, ERR_BUSY, "feed %s is being updated; try again", feed);
	if (version == 0 || until <= agent_now(fd->agent)) {
		struct update_outcome o = { fd->name, "current", fd->facts.version, 0, "", "" };

		memset(&fd->facts.pin, 0, sizeof fd->facts.pin);
		feed_save(fd);
		cb(ctx, &o);
		return OK;
	}
	(void)snprintf(path, sizeof path, "%s/sets/%llu", fd->dir, (unsigned long long)version);
	if (!file_exists(path))
		return fault_set(f, ERR_NOTFOUND, "set %llu of feed %s is not kept here",
		    (unsigned long long)version, feed);
	e = add_waiter(fd, cb, ctx);
	if (e != OK)
		return fault_set(f, e, "memory ran out");
	fd->facts.pin.version = version;
	fd->facts.pin.until = until;
	memset(&fd->result, 0, sizeof fd->result);
	fd->before = fd->facts.version;
	if (version == fd->facts.version) {
		feed_save(fd);
		feed_finish(fd, "pinned", "");
		return OK;
	}
	fd->result.version = version;
	fd->result.from = fd->facts.version;
	fd->target = version;
	fd->target_sha[0] = '\0';
	fd->switching = true;
	(void)uv_timer_stop(&fd->timer);
	watch_pause(fd->watch);
	feed_input(fd, FLOW_SWITCH);
	return OK;
}

void
updates_sources_moved(struct updates *u)
{
	for (size_t i = 0; u != NULL && i < u->n; i++)
		u->feeds[i]->n_health = 0; /* what failed was another address */
	updates_policy_changed(u);
}

void
updates_policy_changed(struct updates *u)
{
	for (size_t i = 0; u != NULL && i < u->n; i++) {
		struct feed *fd = u->feeds[i];

		if (fd->state != FLOW_IDLE || fd->closing || !u->started)
			continue;
		if (!fd->started) {
			start_feed(fd, 1);
			continue;
		}
		watch_pause(fd->watch); /* a better source may have come, or the polled one gone */
		watch_resume(fd->watch, true);
		if (fd->timestamp.len == 0)
			feed_schedule(fd, false);
	}
}

/* A clamd that starts loads the current set by itself. One that was away or busy while a set became
 * active, and a command engine that was never told, have something to prove. */
void
feed_recheck(struct feed *fd)
{
	struct feed_facts *facts = &fd->facts;

	if (fd->closing || fd->is_policies || facts->version == 0 || !facts->unproved)
		return;
	fd->recheck_wanted = fd->state != FLOW_IDLE || fd->work_busy || fd->saving;
	if (fd->recheck_wanted)
		return;
	memset(&fd->result, 0, sizeof fd->result);
	fd->target = facts->version;
	fd->before = facts->previous;
	(void)snprintf(fd->target_sha, sizeof fd->target_sha, "%s", facts->sha256);
	fd->rechecking = true;
	fd->rechecked = clock_mono_ms();
	fd->switching = false;
	(void)uv_timer_stop(&fd->timer);
	watch_pause(fd->watch);
	feed_input(fd, FLOW_RECHECK);
}

void
updates_engine_up(struct updates *u)
{
	for (size_t i = 0; u != NULL && u->started && i < u->n; i++)
		feed_recheck(u->feeds[i]);
}

/* --- looking --- */

size_t
updates_count(const struct updates *u)
{
	return u == NULL ? 0 : u->n;
}

const char *
updates_name(const struct updates *u, size_t i)
{
	return i < u->n ? u->feeds[i]->name : NULL;
}

bool
updates_view(struct updates *u, size_t i, struct update_view *v)
{
	uint64_t now = clock_mono_ms();
	struct feed *fd;

	if (u == NULL || i >= u->n)
		return false;
	fd = u->feeds[i];
	memset(v, 0, sizeof *v);
	v->feed = fd->name;
	v->facts = &fd->facts;
	v->state = fd->state;
	v->phase = fd->progress.phase;
	v->file = fd->progress.file;
	v->source = fd->progress.source;
	v->done = fd->progress.done;
	v->total = fd->progress.total;
	v->health = fd->health;
	v->n_health = fd->n_health;
	v->watching = watch_source(fd->watch);
	v->last_word = fd->last_word;
	v->last_why = fd->last_why;
	v->last_source = fd->last_source;
	v->stale = fd->stale;
	v->last_try = fd->last_try;
	v->last_errors = fd->last_errors;
	v->next_ms = fd->state == FLOW_IDLE && fd->timer_at > now ? fd->timer_at - now : 0;
	v->offered = fd->offered;
	v->runs = fd->runs;
	v->failures = fd->failures;
	v->refused_files = fd->refused_files;
	feed_plan(fd, &v->plan, fd->health, fd->n_health);
	return true;
}

enum err
updates_current_set(struct updates *u, const char *feed, char *dst, size_t n)
{
	struct feed *fd = find(u, feed);
	int w;

	if (fd == NULL || fd->facts.version == 0)
		return ERR_NOTFOUND;
	w = snprintf(dst, n, "%s/current", fd->dir);
	return w < 0 || (size_t)w >= n ? ERR_TOOBIG : OK;
}
