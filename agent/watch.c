/* watch.c - see watch.h. */
#include "watch.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "net/httpc.h"
#include "os/rand.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_S 240u
#define ASK_MS 10000u
#define CONNECT_MS 5000u
#define RETRY_AFTER_MAX_S 86400u /* a mirror may spread its clients over a day */
#define RETRY_MS 5000u /* a mirror that restarts is back in seconds; asking costs one connection   \
			*/
#define IDLE_MS 60000u /* nobody to ask: look again */

struct watch {
	struct agent *agent;
	char feed[SOURCE_NAME];
	struct watch_owner owner;
	void *ctx;
	uint64_t retry_ms;
	struct source_health health[LIMIT_SOURCES];
	size_t n_health;
	struct source asked; /* of the standing poll */
	struct httpc_call *poll, *ask;
	void (*answer)(void *ctx, const void *body, size_t n, const char *why);
	uv_timer_t timer;
	bool paused, closing, told; /* told: the owner is busy with our news */
	void (*closed)(void *ctx);
	void *closed_ctx;
};

static void next_poll(struct watch *w);

static struct source_health *
health_of(struct watch *w, const char *name)
{
	for (size_t i = 0; i < w->n_health; i++)
		if (strcmp(w->health[i].name, name) == 0)
			return &w->health[i];
	if (w->n_health == LIMIT_SOURCES) /* sources changed by policy many times: begin anew */
		w->n_health = 0;
	memset(&w->health[w->n_health], 0, sizeof w->health[0]);
	(void)snprintf(w->health[w->n_health].name, SOURCE_NAME, "%s", name);
	return &w->health[w->n_health++];
}

static void
on_timer(uv_timer_t *t)
{
	next_poll(t->data);
}

static void
later(struct watch *w, uint64_t ms)
{
	if (!w->closing)
		(void)uv_timer_start(&w->timer, on_timer, ms == 0 ? 1 : ms, 0);
}

static void
poll_failed(struct watch *w, const struct httpc_response *r)
{
	char why[128];

	if (r->err != OK)
		(void)snprintf(why, sizeof why, "%s", fault_text(&r->fault));
	else
		(void)snprintf(why, sizeof why, "answered %d", r->status);
	log_debug("watch.failed", "feed=%s source=%s why=%s", w->feed, w->asked.name, log_q(why));
	source_failed(health_of(w, w->asked.name), clock_mono_ms(), w->retry_ms,
	    httpc_retry_after_ms(r, RETRY_AFTER_MAX_S), rand_below(1024), why);
	next_poll(w);
}

static void
poll_done(void *ctx, const struct httpc_response *r)
{
	struct watch *w = ctx;

	w->poll = NULL;
	if (r->err == OK && r->status == 204) {
		source_worked(health_of(w, w->asked.name));
		next_poll(w);
		return;
	}
	if (r->err != OK || r->status != 200 || r->len == 0) {
		poll_failed(w, r);
		return;
	}
	w->paused = w->told = true;
	log_debug("watch.news", "feed=%s source=%s", w->feed, w->asked.name);
	w->owner.news(
	    w->ctx, &w->asked, r->body, r->len, httpc_retry_after_ms(r, RETRY_AFTER_MAX_S));
}

static enum err
send_poll(struct watch *w, const struct source *s)
{
	struct httpc_request q = { 0 };
	char path[256], url[512];
	struct fault f = { 0 };
	enum err e;

	(void)snprintf(path, sizeof path, "v1/%s/timestamp?have=%llu&wait=%u", w->feed,
	    (unsigned long long)w->owner.have(w->ctx), WAIT_S);
	e = source_url(url, sizeof url, "http", s, s->version, path);
	if (e != OK)
		return e;
	w->asked = *s;
	q.url = url;
	q.max_body = LIMIT_TUF_TIMESTAMP;
	q.connect_ms = CONNECT_MS;
	q.total_ms = (WAIT_S + 30) * 1000;
	q.done = poll_done;
	q.ctx = w;
	e = httpc_start(w->agent->plain, &q, &w->poll, &f);
	if (e != OK)
		log_warn("watch.start", "feed=%s source=%s why=%s", w->feed, s->name,
		    log_q(fault_text(&f)));
	return e;
}

static void
next_poll(struct watch *w)
{
	struct source_plan plan;
	uint64_t now = clock_mono_ms();

	if (w->paused || w->closing || w->poll != NULL)
		return;
	(void)uv_timer_stop(&w->timer);
	w->owner.plan(w->ctx, &plan, w->health, w->n_health);
	for (size_t i = 0; i < plan.count; i++) {
		if (plan.list[i].version == 0)
			continue;
		if (send_poll(w, &plan.list[i]) == OK)
			return;
	}
	later(w, plan.retry_at > now ? plan.retry_at - now : IDLE_MS);
}

enum err
watch_new(struct watch **out, struct agent *a, const char *feed, const struct watch_owner *owner,
    void *ctx)
{
	struct watch *w = calloc(1, sizeof *w);

	if (w == NULL)
		return ERR_NOMEM;
	w->agent = a;
	w->owner = *owner;
	w->ctx = ctx;
	w->retry_ms = a->conf->update_retry < RETRY_MS ? a->conf->update_retry : RETRY_MS;
	w->paused = true;
	(void)snprintf(w->feed, sizeof w->feed, "%s", feed);
	(void)uv_timer_init(&a->loop, &w->timer);
	w->timer.data = w;
	*out = w;
	return OK;
}

static void
timer_closed(uv_handle_t *h)
{
	struct watch *w = h->data;

	if (w->closed != NULL)
		w->closed(w->closed_ctx);
	free(w);
}

void
watch_close(struct watch *w, void (*closed)(void *ctx), void *ctx)
{
	w->closing = true;
	w->closed = closed;
	w->closed_ctx = ctx;
	watch_pause(w);
	if (w->ask != NULL)
		httpc_cancel(w->ask);
	w->ask = NULL;
	uv_close((uv_handle_t *)&w->timer, timer_closed);
}

void
watch_pause(struct watch *w)
{
	w->paused = true;
	(void)uv_timer_stop(&w->timer);
	if (w->poll != NULL)
		httpc_cancel(w->poll);
	w->poll = NULL;
}

void
watch_resume(struct watch *w, bool useful)
{
	if (w->told && !useful)
		source_failed(health_of(w, w->asked.name), clock_mono_ms(), w->retry_ms, 0,
		    rand_below(1024), "said there was news, and there was none");
	else if (w->told)
		source_worked(health_of(w, w->asked.name));
	w->told = false;
	w->paused = false;
	next_poll(w);
}

void
watch_worked(struct watch *w, const char *source)
{
	if (source[0] != '\0')
		source_worked(health_of(w, source));
}

const char *
watch_source(const struct watch *w)
{
	return w->poll == NULL ? NULL : w->asked.name;
}

static void
ask_done(void *ctx, const struct httpc_response *r)
{
	struct watch *w = ctx;
	char why[128] = "";

	w->ask = NULL;
	if (r->err != OK)
		(void)snprintf(why, sizeof why, "%s", fault_text(&r->fault));
	else if (r->status == 204 || r->status == 304)
		(void)snprintf(why, sizeof why, "nothing newer there");
	else if (r->status != 200)
		(void)snprintf(why, sizeof why, "answered %d", r->status);
	if (why[0] == '\0')
		w->answer(w->ctx, r->body, r->len, NULL);
	else
		w->answer(w->ctx, NULL, 0, why);
}

enum err
watch_ask(struct watch *w, const struct source *s,
    void (*done)(void *, const void *, size_t, const char *))
{
	struct httpc_request q = { 0 };
	char path[128], url[512];
	struct fault f = { 0 };
	enum err e;

	if (w->ask != NULL || w->closing)
		return ERR_BUSY;
	(void)snprintf(path, sizeof path, "v1/%s/timestamp?have=%llu&wait=0", w->feed,
	    (unsigned long long)w->owner.have(w->ctx));
	e = source_url(url, sizeof url, "http", s, s->version, path);
	if (e != OK)
		return e;
	w->answer = done;
	q.url = url;
	q.max_body = LIMIT_TUF_TIMESTAMP;
	q.connect_ms = CONNECT_MS;
	q.total_ms = ASK_MS;
	q.done = ask_done;
	q.ctx = w;
	return httpc_start(w->agent->plain, &q, &w->ask, &f);
}
