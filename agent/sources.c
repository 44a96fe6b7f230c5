/* sources.c - see sources.h. */
#include "sources.h"

#include <stdio.h>
#include <string.h>

#define PAUSE_MAX_MS 3600000ull
#define RETRY_AFTER_MAX_MS 86400000ull

const struct source_health *
sources_health(const struct source_health *h, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(h[i].name, name) == 0)
			return &h[i];
	return NULL;
}

struct view {
	const struct source *s;
	const struct source_health *h;
};

static bool
ready(const struct view *v, uint64_t now)
{
	return v->h == NULL || v->h->not_before <= now;
}

static unsigned
fails(const struct view *v)
{
	return v->h == NULL ? 0 : v->h->fails;
}

/* The server may be asked when there is no update agent, or when all of them have failed for the
 * bypass time. */
static bool
may_bypass(const struct view *views, size_t n, const struct source_rules *rules, uint64_t now,
    uint64_t *when, bool *has_agents)
{
	uint64_t since = 0;
	bool healthy = false;

	*has_agents = false;
	for (size_t i = 0; i < n; i++) {
		if (views[i].s->kind != SOURCE_AGENT)
			continue;
		*has_agents = true;
		if (fails(&views[i]) == 0)
			healthy = true;
		else if (views[i].h->failing_since > since)
			since = views[i].h->failing_since;
	}
	if (!*has_agents || rules->feed_is_policies)
		return true;
	if (healthy || rules->bypass_ms == BYPASS_NEVER)
		return false;
	if (since + rules->bypass_ms <= now)
		return true;
	*when = since + rules->bypass_ms;
	return false;
}

/* Stable: fewer failures first within update agents, policy order otherwise. */
static void
add_kind(struct source_plan *plan, const struct view *views, size_t n, enum source_kind kind,
    uint64_t now)
{
	for (unsigned f = 0; f < 64; f++)
		for (size_t i = 0; i < n; i++) {
			unsigned have = fails(&views[i]) < 63 ? fails(&views[i]) : 63;

			if (views[i].s->kind == kind && have == f && ready(&views[i], now) &&
			    plan->count < LIMIT_SOURCES)
				plan->list[plan->count++] = *views[i].s;
		}
}

static void
earliest(struct source_plan *plan, uint64_t when)
{
	if (when != 0 && (plan->retry_at == 0 || when < plan->retry_at))
		plan->retry_at = when;
}

void
sources_plan(struct source_plan *plan, const struct source *candidates, size_t n,
    const struct source_health *health, size_t nhealth, const struct source_rules *rules,
    uint64_t now)
{
	struct view views[LIMIT_SOURCES];
	uint64_t bypass_at = 0;
	bool agents, server;
	size_t m = 0;

	memset(plan, 0, sizeof *plan);
	for (size_t i = 0; i < n && m < LIMIT_SOURCES; i++) {
		if (rules->is_mirror && candidates[i].kind == SOURCE_OWN)
			continue;
		views[m].s = &candidates[i];
		views[m].h = sources_health(health, nhealth, candidates[i].name);
		m++;
	}
	server = may_bypass(views, m, rules, now, &bypass_at, &agents);
	add_kind(plan, views, m, SOURCE_OWN, now);
	add_kind(plan, views, m, SOURCE_AGENT, now);
	if (server) {
		add_kind(plan, views, m, SOURCE_SERVER, now);
		plan->bypassed = agents;
	}
	if (plan->count > 0)
		return;
	for (size_t i = 0; i < m; i++)
		if (server || views[i].s->kind != SOURCE_SERVER)
			earliest(plan, views[i].h == NULL ? now : views[i].h->not_before);
	earliest(plan, bypass_at);
}

void
source_failed(struct source_health *h, uint64_t now, uint64_t first_ms, uint64_t retry_after_ms,
    uint32_t seed, const char *error)
{
	uint64_t pause = first_ms;

	for (unsigned i = 0; i < h->fails && pause < PAUSE_MAX_MS; i++)
		pause *= 2;
	if (pause > PAUSE_MAX_MS)
		pause = PAUSE_MAX_MS;
	pause += pause / 4 * (seed % 1024) / 1024;
	if (retry_after_ms > RETRY_AFTER_MAX_MS)
		retry_after_ms = RETRY_AFTER_MAX_MS;
	if (pause < retry_after_ms)
		pause = retry_after_ms;
	if (h->fails < UINT32_MAX)
		h->fails++;
	if (h->failing_since == 0)
		h->failing_since = now == 0 ? 1 : now;
	h->not_before = now + pause;
	(void)snprintf(h->error, sizeof h->error, "%s", error == NULL ? "" : error);
}

void
source_worked(struct source_health *h)
{
	h->fails = 0;
	h->not_before = 0;
	h->failing_since = 0;
	h->error[0] = '\0';
}

enum err
source_url(char *dst, size_t size, const char *scheme, const struct source *s, uint16_t port,
    const char *path)
{
	bool six = strchr(s->host, ':') != NULL;
	int n = snprintf(dst, size, "%s://%s%s%s:%u/%s", scheme, six ? "[" : "", s->host,
	    six ? "]" : "", (unsigned)port, path);

	if (n < 0 || (size_t)n >= size) {
		dst[0] = '\0';
		return ERR_TOOBIG;
	}
	return OK;
}
