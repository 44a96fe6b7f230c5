/* chain.c - see chain.h. Order is the order in which things must work. */
#include "chain.h"

#include "base/clock.h"
#include "base/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *
text_of(const cJSON *o, const char *name)
{
	const cJSON *v = json_get(o, name);

	return cJSON_IsString(v) ? v->valuestring : "";
}

static uint64_t
number_of(const cJSON *o, const char *name)
{
	uint64_t v;

	return json_opt_u64(o, name, JSON_MAX_INT, 0, &v, NULL) == OK ? v : 0;
}

static int64_t
time_of(const cJSON *o, const char *name)
{
	const char *s = text_of(o, name);
	int64_t ms;

	return s[0] != '\0' && clock_parse(s, strlen(s), &ms) == OK ? ms : 0;
}

static void add(struct chain *c, const char *name, const char *feed, bool broken,
    const char *remedy, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

static void
add(struct chain *c, const char *name, const char *feed, bool broken, const char *remedy,
    const char *fmt, ...)
{
	struct link *l;
	va_list ap;

	if (c->n == LIMIT_LINKS)
		return;
	l = &c->links[c->n++];
	memset(l, 0, sizeof *l);
	l->name = name;
	l->broken = broken;
	c->broken += broken;
	(void)snprintf(l->feed, sizeof l->feed, "%s", feed);
	(void)snprintf(l->remedy, sizeof l->remedy, "%s", broken ? remedy : "");
	va_start(ap, fmt);
	(void)vsnprintf(l->text, sizeof l->text, fmt, ap);
	va_end(ap);
}

static void
whole_pc(struct chain *c, const cJSON *s, int64_t now)
{
	const cJSON *id = json_get(s, "identity");
	bool enrolled = cJSON_IsTrue(json_get(id, "enrolled"));
	int64_t until = time_of(id, "certificate_until");
	const char *error = text_of(id, "console_error");

	if (cJSON_IsTrue(json_get(s, "clock_behind")))
		add(c, "clock", "", true, "set the clock (timedatectl set-ntp yes)",
		    "this PC's clock is behind signed time %s", text_of(s, "verified_time"));
	else
		add(c, "clock", "", false, "", "not behind any signed time");
	add(c, "enrolment", "", !enrolled, "atalaia-agent enroll --config FILE TOKEN",
	    enrolled ? "enrolled in %s" : "this PC is not enrolled%s", text_of(id, "org"));
	if (!enrolled)
		return;
	add(c, "certificate", "", until != 0 && until < now,
	    "let the PC reach its console: it renews then", "valid until %s",
	    text_of(id, "certificate_until"));
	add(c, "trust", "", !cJSON_IsTrue(json_get(json_get(s, "policy"), "authority")),
	    "the policies feed must reach this PC once; see its links below",
	    cJSON_IsTrue(json_get(json_get(s, "policy"), "authority"))
		? "an authority is in force"
		: "no authority has been verified yet");
	if (error[0] != '\0') /* updates do not need the console, so this breaks no chain */
		add(c, "console", "", false, "", "not reached now: %s", error);
}

static void
sources(struct chain *c, const cJSON *f, const char *feed)
{
	const cJSON *ok = json_get(f, "sources"), *bad = json_get(f, "failing"), *i;
	size_t failing = 0;

	cJSON_ArrayForEach(i, bad)
	{
		add(c, "source", feed, false, "", "%s failed %llu times: %s", text_of(i, "source"),
		    (unsigned long long)number_of(i, "fails"), text_of(i, "error"));
		failing++;
	}
	if (cJSON_GetArraySize(ok) > 0)
		add(c, "sources", feed, false, "", "%d can be asked", cJSON_GetArraySize(ok));
	else
		add(c, "sources", feed, true,
		    failing > 0
			? "atalaia doctor probes each port"
			: "the console must name sources (enrolment) or policy update agents",
		    failing > 0 ? "every source failed lately" : "no source is known for this PC");
}

static void
last_run(struct chain *c, const cJSON *f, const char *feed)
{
	const char *last = text_of(f, "last"), *why = text_of(f, "why");

	if (strcmp(last, "failed") == 0)
		add(c, "transfer", feed, true, "see the sentence; atalaia doctor probes the ports",
		    "the last run failed: %s", why);
	else if (strcmp(last, "waiting") == 0)
		add(c, "transfer", feed, true,
		    "it goes on by itself; atalaia policy --explain shows the rule",
		    "the last run waits: %s", why);
	else if (last[0] != '\0')
		add(c, "transfer", feed, false, "", "the last run ended with: %s", last);
	if (cJSON_IsTrue(json_get(f, "stale")))
		add(c, "freshness", feed, true, "the publisher must sign its timestamp again",
		    "the newest signed metadata expired at %s", text_of(f, "expires"));
}

static void
gate_and_pin(struct chain *c, const cJSON *f, const char *feed)
{
	uint64_t version = number_of(f, "version"), offered = number_of(f, "offered");
	const cJSON *i;

	if (offered > version)
		add(c, "offer", feed, true, "", "version %llu was offered, %llu is active",
		    (unsigned long long)offered, (unsigned long long)version);
	cJSON_ArrayForEach(i, json_get(f, "rejected")) if (number_of(i, "version") > version)
	    add(c, "gate", feed, true, "publish a set that the engine can load",
		"version %llu was refused (%s): %s", (unsigned long long)number_of(i, "version"),
		text_of(i, "rule"), text_of(i, "why"));
	if (number_of(f, "pinned") != 0)
		add(c, "pin", feed, true, "it ends by itself, or by task update.pin with version 0",
		    "version %llu is pinned until %s", (unsigned long long)number_of(f, "pinned"),
		    text_of(f, "pinned_until"));
}

static void
age(struct chain *c, const cJSON *f, const char *feed, int64_t now, int64_t old_ms)
{
	int64_t checked = time_of(f, "checked");

	if (number_of(f, "version") == 0)
		add(c, "age", feed, true, "mend the first broken link, then: atalaia update",
		    "no set has ever been active");
	else
		add(c, "age", feed, checked == 0 || now - checked > old_ms,
		    "mend the first broken link, then: atalaia update",
		    "version %llu, verified as current %lld minutes ago",
		    (unsigned long long)number_of(f, "version"),
		    checked == 0 ? -1LL : (long long)((now - checked) / 60000));
}

void
chain_walk(struct chain *c, const cJSON *status, const char *feed, int64_t now, int64_t old_ms)
{
	const cJSON *f, *engine = json_get(status, "engine");

	memset(c, 0, sizeof *c);
	whole_pc(c, status, now);
	cJSON_ArrayForEach(f, json_get(status, "feeds"))
	{
		const char *name = text_of(f, "feed");

		if (feed != NULL && strcmp(feed, name) != 0)
			continue;
		sources(c, f, name);
		last_run(c, f, name);
		gate_and_pin(c, f, name);
		age(c, f, name, now, old_ms);
	}
	if (strcmp(text_of(engine, "type"), "none") != 0 && json_get(engine, "up") != NULL)
		add(c, "engine", "", !cJSON_IsTrue(json_get(engine, "up")),
		    "start the engine (systemctl status clamav-daemon)",
		    cJSON_IsTrue(json_get(engine, "up")) ? "%s answers%s%s"
							 : "%s does not answer%s%s",
		    text_of(engine, "type"), text_of(engine, "error")[0] == '\0' ? "" : ": ",
		    text_of(engine, "error"));
}
