/* show.c - verbs that show what the agent answers. */
#include "verbs.h"

#include "base/clock.h"
#include "base/json.h"
#include "screen.h"

#include <stdio.h>
#include <string.h>

int
ask(const struct call *c, const char *method, const char *path, cJSON **out)
{
	struct fault f = { 0 };
	int status = 0;

	if (client_ask(c->client, method, path, &status, out, &f) != OK) {
		(void)fprintf(stderr, "atalaia: %s\n", fault_text(&f));
		return EXIT_SILENT;
	}
	if (status / 100 == 2 && *out != NULL)
		return EXIT_GOOD;
	(void)fprintf(stderr, "atalaia: the agent refused (%d %s): %s\n", status,
	    screen_text(*out, "code"), screen_text(*out, "detail"));
	cJSON_Delete(*out);
	*out = NULL;
	return EXIT_TROUBLE;
}

static void
print_identity(const cJSON *s, int64_t now)
{
	const cJSON *id = json_get(s, "identity");
	char heard[32], up[32];

	screen_age(up, sizeof up, screen_text(s, "started"), now);
	(void)printf("%s agent    version %s, up %s\n", screen_mark(MARK_GOOD),
	    screen_text(s, "version"), up);
	if (!cJSON_IsTrue(json_get(id, "enrolled"))) {
		(void)printf("%s identity not enrolled; %s\n", screen_mark(MARK_BAD),
		    screen_text(id, "remedy"));
		return;
	}
	(void)printf("%s identity %s, organisation %s, group %s, certificate until %.10s\n",
	    screen_mark(MARK_GOOD), screen_text(id, "agent"), screen_text(id, "org"),
	    screen_text(id, "group"), screen_text(id, "certificate_until"));
	screen_age(heard, sizeof heard, screen_text(id, "console_heard"), now);
	(void)printf("%s console  %s:%llu, heard: %s%s%s\n",
	    screen_mark(screen_text(id, "console_error")[0] == '\0' ? MARK_GOOD : MARK_NOTE),
	    screen_text(id, "console"), (unsigned long long)screen_number(id, "console_port"),
	    heard, screen_text(id, "console_error")[0] == '\0' ? "" : ", now: ",
	    screen_text(id, "console_error"));
}

static bool
feed_is_good(const cJSON *f)
{
	const char *last = screen_text(f, "last");

	return screen_number(f, "version") > 0 && !cJSON_IsTrue(json_get(f, "stale")) &&
	       strcmp(last, "failed") != 0 && strcmp(last, "refused") != 0 &&
	       strcmp(last, "reverted") != 0;
}

static void
print_feed(const cJSON *f, int64_t now)
{
	const char *why = screen_text(f, "why");
	char age[32];

	screen_age(age, sizeof age, screen_text(f, "checked"), now);
	(void)printf("%s feed     %s: version %llu, verified %s%s, from %s, %s%s%s\n",
	    screen_mark(feed_is_good(f) ? MARK_GOOD : MARK_BAD), screen_text(f, "feed"),
	    (unsigned long long)screen_number(f, "version"), age,
	    strcmp(age, "never") == 0 ? "" : " ago",
	    screen_text(f, "source")[0] == '\0' ? "nobody" : screen_text(f, "source"),
	    strcmp(screen_text(f, "state"), "idle") == 0 ? screen_text(f, "last")
							 : screen_text(f, "state"),
	    why[0] == '\0' ? "" : ": ", why);
}

static void
print_rest(const cJSON *s)
{
	const cJSON *engine = json_get(s, "engine"), *role = json_get(s, "update_agent"), *i;
	bool none = strcmp(screen_text(engine, "type"), "none") == 0;
	bool up = cJSON_IsTrue(json_get(engine, "up"));

	(void)printf("%s engine   %s%s %s\n",
	    screen_mark(none ? MARK_NOTE
			: up ? MARK_GOOD
			     : MARK_BAD),
	    screen_text(engine, "type"),
	    none ? ""
	    : up ? ", answers"
		 : ", does not answer",
	    screen_text(engine, "error"));
	if (cJSON_IsTrue(json_get(role, "on")))
		(void)printf("%s role     update agent (%s), %s %s\n",
		    screen_mark(cJSON_IsTrue(json_get(role, "serving")) ? MARK_GOOD : MARK_BAD),
		    screen_text(role, "mode"),
		    cJSON_IsTrue(json_get(role, "serving")) ? "serving" : "not serving",
		    screen_text(role, "why"));
	cJSON_ArrayForEach(i, json_get(s, "spool")) if (cJSON_IsObject(i) &&
							(screen_number(i, "waiting") > 0 ||
							    screen_number(i, "dropped") > 0))(void)
	    printf("%s spool    %s: %llu waiting, %llu dropped\n", screen_mark(MARK_NOTE),
		i->string, (unsigned long long)screen_number(i, "waiting"),
		(unsigned long long)screen_number(i, "dropped"));
}

static void
print_task(const cJSON *t)
{
	const char *state = screen_text(t, "state");
	enum mark m = strcmp(state, "done") == 0 ? MARK_GOOD
		      : strcmp(state, "running") == 0 || strcmp(state, "accepted") == 0 ||
			      strcmp(state, "canceled") == 0
			  ? MARK_NOTE
			  : MARK_BAD;

	(void)printf("%s task     %.19s %s %s%s%s %s\n", screen_mark(m), screen_text(t, "updated"),
	    screen_text(t, "type"), state, screen_text(t, "error")[0] == '\0' ? "" : ": ",
	    screen_text(t, "error"), screen_text(t, "detail"));
}

int
verb_status(const struct call *c)
{
	cJSON *s;
	const cJSON *i;
	int64_t now = clock_wall_ms();
	int r = ask(c, "GET", "/v1/status", &s), n = 0;

	if (r != EXIT_GOOD)
		return r;
	if (!cJSON_IsTrue(json_get(json_get(s, "identity"), "enrolled")))
		r = EXIT_TROUBLE;
	cJSON_ArrayForEach(i, json_get(s, "feeds")) if (!feed_is_good(i)) r = EXIT_TROUBLE;
	if (c->json) {
		screen_json(s);
	} else {
		print_identity(s, now);
		cJSON_ArrayForEach(i, json_get(s, "feeds")) print_feed(i, now);
		print_rest(s);
		cJSON_ArrayForEach(i, json_get(s, "tasks")) if (n++ < 3) print_task(i);
	}
	cJSON_Delete(s);
	return r;
}

static void
print_feed_more(const cJSON *f, int64_t now)
{
	char meta[32], delta[32], full[32];
	const cJSON *i;

	print_feed(f, now);
	screen_bytes(meta, sizeof meta, screen_number(f, "bytes_metadata"));
	screen_bytes(delta, sizeof delta, screen_number(f, "bytes_delta"));
	screen_bytes(full, sizeof full, screen_number(f, "bytes_full"));
	(void)printf(
	    "            received so far: metadata %s, deltas %s, full %s\n", meta, delta, full);
	if (screen_text(f, "watching")[0] != '\0')
		(void)printf("            waits for news at %s\n", screen_text(f, "watching"));
	(void)printf("            may ask now:");
	cJSON_ArrayForEach(i, json_get(f, "sources")) if (cJSON_IsString(i))(void)
	    printf(" %s", i->valuestring);
	(void)printf("\n");
	cJSON_ArrayForEach(i, json_get(f, "failing"))(void)
	    printf("            %s failed %llu times: %s\n", screen_text(i, "source"),
		(unsigned long long)screen_number(i, "fails"), screen_text(i, "error"));
	cJSON_ArrayForEach(i, json_get(f, "rejected"))(void)
	    printf("            refused: version %llu (%s) %s\n",
		(unsigned long long)screen_number(i, "version"), screen_text(i, "rule"),
		screen_text(i, "why"));
}

int
verb_feeds(const struct call *c)
{
	cJSON *s;
	const cJSON *i;
	int r = ask(c, "GET", "/v1/status", &s);

	if (r != EXIT_GOOD)
		return r;
	if (c->json)
		screen_json(json_get(s, "feeds"));
	else
		cJSON_ArrayForEach(
		    i, json_get(s, "feeds")) if (c->feed == NULL ||
						 strcmp(c->feed, screen_text(i, "feed")) == 0)
		    print_feed_more(i, clock_wall_ms());
	cJSON_Delete(s);
	return EXIT_GOOD;
}

int
verb_sets(const struct call *c)
{
	cJSON *s;
	const cJSON *i;
	int r = ask(c, "GET", "/v1/sets", &s);

	if (r != EXIT_GOOD)
		return r;
	if (c->json)
		screen_json(json_get(s, "sets"));
	else
		cJSON_ArrayForEach(i, json_get(s, "sets"))(void) printf("%s %-12s %8llu  %.16s\n",
		    cJSON_IsTrue(json_get(i, "active")) ? "*" : " ", screen_text(i, "feed"),
		    (unsigned long long)screen_number(i, "version"), screen_text(i, "sha256"));
	cJSON_Delete(s);
	return EXIT_GOOD;
}

int
verb_tasks(const struct call *c)
{
	cJSON *s;
	const cJSON *i;
	int r = ask(c, "GET", "/v1/tasks", &s);

	if (r != EXIT_GOOD)
		return r;
	if (c->json)
		screen_json(json_get(s, "tasks"));
	else
		cJSON_ArrayForEach(i, json_get(s, "tasks")) print_task(i);
	cJSON_Delete(s);
	return EXIT_GOOD;
}

int
verb_events(const struct call *c)
{
	cJSON *s;
	const cJSON *spool, *i;
	int r = ask(c, "GET", "/v1/status", &s);

	if (r != EXIT_GOOD)
		return r;
	spool = json_get(s, "spool");
	if (c->json) {
		screen_json(spool);
	} else {
		cJSON_ArrayForEach(i, spool) if (cJSON_IsObject(i))(void)
		    printf("%-10s %8llu waiting %8llu delivered %8llu dropped\n", i->string,
			(unsigned long long)screen_number(i, "waiting"),
			(unsigned long long)screen_number(i, "delivered"),
			(unsigned long long)screen_number(i, "dropped"));
		if (screen_text(spool, "error")[0] != '\0')
			(void)printf("%s %s\n", screen_mark(MARK_BAD), screen_text(spool, "error"));
	}
	cJSON_Delete(s);
	return EXIT_GOOD;
}

static void
print_member(const cJSON *m)
{
	cJSON *v = json_get(m, "value");
	char *text = cJSON_PrintUnformatted(v);

	(void)printf("%-24s %-28s %s\n", screen_text(m, "member"), text == NULL ? "" : text,
	    screen_text(m, "origin"));
	cJSON_free(text);
}

int
verb_policy(const struct call *c)
{
	cJSON *s;
	const cJSON *i;
	int r = ask(c, "GET", "/v1/policy", &s);

	if (r != EXIT_GOOD)
		return r;
	if (c->json)
		screen_json(json_get(s, "members"));
	else
		cJSON_ArrayForEach(i,
		    json_get(s, "members")) if (c->explain || strcmp(screen_text(i, "origin"),
								  "built-in") != 0) print_member(i);
	cJSON_Delete(s);
	return EXIT_GOOD;
}
