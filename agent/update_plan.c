/* update_plan.c - from whom and when: candidates out of the role, policy and enrolment, their
 * health, and the next check. */
#include "update_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "engine.h"
#include "identity.h"
#include "net/addr.h"
#include "os/rand.h"
#include "policies.h"
#include "role.h"
#include "schedule.h"
#include "tamper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIMIT_ADDRESSES 32
#define MINUTE_MS 60000u

struct address_list {
	char text[LIMIT_ADDRESSES][ADDR_TEXT];
	size_t n;
};

static void
add_address(struct address_list *l, const char *p, size_t n)
{
	if (l->n < LIMIT_ADDRESSES && n > 0 && text_copy(l->text[l->n], ADDR_TEXT, p, n) == OK)
		l->n++;
}

static void
configured_addresses(struct address_list *l, const char *list)
{
	for (const char *p = list; *p != '\0';) {
		size_t n = strcspn(p, ", \t");

		add_address(l, p, n);
		p += n;
		p += strspn(p, ", \t");
	}
}

static void
interface_addresses(struct address_list *l)
{
	uv_interface_address_t *list;
	int n;

	if (uv_interface_addresses(&list, &n) != 0)
		return;
	for (int i = 0; i < n; i++) {
		char text[ADDR_TEXT] = "";
		int r;

		if (list[i].is_internal)
			continue;
		if (list[i].address.address4.sin_family == AF_INET)
			r = uv_ip4_name(&list[i].address.address4, text, sizeof text);
		else
			r = uv_ip6_name(&list[i].address.address6, text, sizeof text);
		if (r == 0)
			add_address(l, text, strlen(text));
	}
	uv_free_interface_addresses(list, n);
}

static bool
listed(const struct source *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0)
			return true;
	return false;
}

static bool
is_ours(const struct address_list *own, const char *host)
{
	for (size_t i = 0; i < own->n; i++)
		if (strcmp(own->text[i], host) == 0)
			return true;
	return false;
}

/* Update agents for any of our addresses, without ourselves: a mirror must not follow itself. */
static size_t
policy_agents(struct agent *a, struct source *out, size_t n, size_t max)
{
	struct policy_source found[LIMIT_SOURCES];
	struct address_list own = { .n = 0 };

	if (a->conf->addresses[0] != '\0')
		configured_addresses(&own, a->conf->addresses);
	else
		interface_addresses(&own);
	for (size_t i = 0; i < own.n; i++) {
		size_t k = policy_sources(
		    policies_effective(a->policies), own.text[i], found, LIMIT_SOURCES);

		for (size_t j = 0; j < k && n < max; j++) {
			struct source *s = &out[n];

			if (listed(out, n, found[j].name) ||
			    (role_on(a->role) && is_ours(&own, found[j].host)))
				continue;
			memset(s, 0, sizeof *s);
			s->kind = SOURCE_AGENT;
			(void)snprintf(s->name, sizeof s->name, "%s", found[j].name);
			(void)snprintf(s->host, sizeof s->host, "%s", found[j].host);
			s->ftp = found[j].ftp;
			s->http = found[j].http;
			s->version = found[j].version;
			n++;
		}
	}
	return n;
}

size_t
agent_sources_by_name(struct agent *a, struct source *out, size_t max, bool for_mirror)
{
	size_t n = 0;

	if (for_mirror) { /* two mirrors of one branch must not wait for each other */
		n = role_upstreams(a->role, out, max);
	} else {
		if (a->role != NULL && role_own_source(a->role, &out[n]))
			n++;
		n = policy_agents(a, out, n, max);
	}
	if (a->identity != NULL && n < max)
		n += identity_sources(a->identity, out + n, max - n);
	return n;
}

size_t
agent_sources(struct agent *a, struct source *out, size_t max, bool for_mirror)
{
	size_t n = agent_sources_by_name(a, out, max, for_mirror);

	for (size_t i = 0; i < n; i++) {
		const char *host = tamper_host(a->tamper, out[i].host);

		if (host != out[i].host)
			(void)snprintf(out[i].host, sizeof out[i].host, "%s", host);
	}
	return n;
}

struct source_health *
feed_health(struct feed *fd, const char *name)
{
	for (size_t i = 0; i < fd->n_health; i++)
		if (strcmp(fd->health[i].name, name) == 0)
			return &fd->health[i];
	if (fd->n_health == LIMIT_SOURCES)
		fd->n_health = 0;
	memset(&fd->health[fd->n_health], 0, sizeof fd->health[0]);
	(void)snprintf(fd->health[fd->n_health].name, SOURCE_NAME, "%s", name);
	return &fd->health[fd->n_health++];
}

void
feed_plan(struct feed *fd, struct source_plan *plan, const struct source_health *h, size_t n)
{
	struct source list[LIMIT_SOURCES];
	struct source_rules rules = { 0 };
	size_t count = agent_sources(fd->agent, list, LIMIT_SOURCES, false);
	uint64_t bypass = policy_duration(policies_effective(fd->agent->policies), "update.bypass");

	rules.bypass_ms = bypass == POLICY_NEVER ? BYPASS_NEVER : bypass;
	rules.feed_is_policies = fd->is_policies;
	sources_plan(plan, list, count, h, n, &rules, clock_mono_ms());
}

unsigned
local_minute(void)
{
	time_t t = (time_t)(clock_wall_ms() / 1000);
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL)
		return 0;
	return (unsigned)(tm.tm_hour * 60 + tm.tm_min);
}

/* Policies are small and carry the windows themselves: they are never held back. */
unsigned
feed_window_wait(const struct feed *fd)
{
	if (fd->is_policies)
		return 0;
	return policy_window_wait(
	    policy_value(policies_effective(fd->agent->policies), "update.windows"),
	    local_minute());
}

void
feed_timer_start(struct feed *fd, uint64_t ms)
{
	if (fd->closing)
		return;
	fd->timer_at = clock_mono_ms() + ms;
	(void)uv_timer_start(&fd->timer, feed_on_timer, ms == 0 ? 1 : ms, 0);
}

uint64_t
policy_or(const struct policy *p, const char *path, uint64_t local)
{
	if (strcmp(policy_origin(p, path), POLICY_BUILT_IN) == 0)
		return local;
	return policy_duration(p, path);
}

void
feed_schedule(struct feed *fd, bool failed)
{
	const struct policy *p = policies_effective(fd->agent->policies);
	const struct agent_conf *c = fd->agent->conf;
	struct schedule_in in = { 0 };
	struct source_plan plan;
	uint64_t wait;

	in.interval_ms = policy_or(p, "update.interval", c->update_interval);
	in.jitter_ms = policy_or(p, "update.jitter", c->update_jitter);
	in.now = clock_mono_ms();
	in.seed = rand_below(UINT32_MAX);
	in.failed = failed;
	if (failed) {
		feed_plan(fd, &plan, fd->health, fd->n_health);
		in.retry_at = plan.count > 0 ? in.now + c->update_retry : plan.retry_at;
	}
	wait = schedule_next(&in);
	if (feed_window_wait(fd) > 0 && wait < (uint64_t)feed_window_wait(fd) * MINUTE_MS)
		wait = (uint64_t)feed_window_wait(fd) * MINUTE_MS;
	if (fd->facts.unproved && engine_is_up(fd->agent->engine) && wait > c->update_retry)
		wait = c->update_retry;
	log_debug(
	    "update.next", "feed=%s ms=%llu failed=%d", fd->name, (unsigned long long)wait, failed);
	feed_timer_start(fd, wait);
}
