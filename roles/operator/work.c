/* work.c - verbs that do something or judge: update, why-old. */
#include "verbs.h"

#include "bar.h"
#include "base/clock.h"
#include "base/json.h"
#include "chain.h"
#include "screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 250u
#define LONGEST_MS (6ull * 3600 * 1000)
#define OLD_MS                                                                                     \
	(26ll * 3600 * 1000) /* a day and a little: a daily feed is not old in the morning         \
			      */

static bool
busy(const cJSON *s, const char *feed)
{
	const cJSON *f;

	cJSON_ArrayForEach(f,
	    json_get(s, "feeds")) if ((feed == NULL || strcmp(feed, screen_text(f, "feed")) == 0) &&
				      strcmp(screen_text(f, "state"), "idle") != 0) return true;
	return false;
}

static void
print_progress(struct bar *b, const cJSON *s)
{
	const cJSON *f;
	char line[400];

	cJSON_ArrayForEach(f, json_get(s, "feeds"))
	{
		if (strcmp(screen_text(f, "state"), "idle") == 0)
			continue;
		bar_line(b, line, sizeof line, f, clock_mono_ms());
		(void)printf("\r\033[K%s", line);
		(void)fflush(stdout);
		return;
	}
}

static void
print_outcome(const cJSON *f, const char *last, bool good)
{
	unsigned long long errors = (unsigned long long)screen_number(f, "last_errors");

	(void)printf("%s %s: %s, version %llu%s%s", screen_mark(good ? MARK_GOOD : MARK_BAD),
	    screen_text(f, "feed"), last, (unsigned long long)screen_number(f, "version"),
	    screen_text(f, "why")[0] == '\0' ? "" : ": ", screen_text(f, "why"));
	if (good && errors > 0)
		(void)printf(" (%llu refused or failed on the way: atalaia status)", errors);
	(void)putchar('\n');
}

static int
outcome(const struct call *c, const cJSON *s)
{
	const cJSON *f;
	int r = EXIT_GOOD;

	cJSON_ArrayForEach(f, json_get(s, "feeds"))
	{
		const char *last = screen_text(f, "last");
		bool good = strcmp(last, "updated") == 0 || strcmp(last, "current") == 0 ||
			    strcmp(last, "pinned") == 0;

		if (c->feed != NULL && strcmp(c->feed, screen_text(f, "feed")) != 0)
			continue;
		if (!good)
			r = EXIT_TROUBLE;
		else if (r == EXIT_GOOD && screen_number(f, "last_errors") > 0)
			r = EXIT_PARTIAL;
		if (!c->json)
			print_outcome(f, last, good);
	}
	if (c->json)
		screen_json(json_get(s, "feeds"));
	return r;
}

static int
wait_for_end(const struct call *c)
{
	uint64_t until = clock_mono_ms() + LONGEST_MS;
	bool terminal = screen_is_terminal() && !c->json;
	struct bar b = { .first_ms = 0 };

	for (;;) {
		cJSON *s;
		int r = ask(c, "GET", "/v1/status", &s);

		if (r != EXIT_GOOD)
			return r;
		if (!busy(s, c->feed) || clock_mono_ms() > until) {
			if (terminal)
				(void)printf("\r\033[K");
			r = outcome(c, s);
			cJSON_Delete(s);
			return r;
		}
		if (terminal)
			print_progress(&b, s);
		cJSON_Delete(s);
		client_pause(c->client, LOOK_MS);
	}
}

int
verb_update(const struct call *c)
{
	char path[128];
	cJSON *s;
	int r;

	(void)snprintf(path, sizeof path, "/v1/update%s%s",
	    c->feed == NULL ? "" : "?feed=", c->feed == NULL ? "" : c->feed);
	r = ask(c, "POST", path, &s);
	if (r != EXIT_GOOD)
		return r;
	if (!c->wait && c->json)
		screen_json(s);
	else if (!c->wait)
		(void)printf("asked for %llu feeds; atalaia update --wait shows how it ends\n",
		    (unsigned long long)screen_number(s, "feeds"));
	cJSON_Delete(s);
	return c->wait ? wait_for_end(c) : EXIT_GOOD;
}

static void
chain_json(const struct chain *ch)
{
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; list != NULL && i < ch->n; i++) {
		const struct link *l = &ch->links[i];
		cJSON *o = cJSON_CreateObject();

		if (o == NULL || json_add_string(o, "link", l->name) != OK ||
		    json_add_string(o, "feed", l->feed) != OK ||
		    json_add_bool(o, "broken", l->broken) != OK ||
		    json_add_string(o, "text", l->text) != OK ||
		    json_add_string(o, "remedy", l->remedy) != OK || json_append(list, o) != OK)
			break;
	}
	screen_json(list);
	cJSON_Delete(list);
}

static void
print_link(const struct link *l)
{
	(void)printf("%s %s%s%s: %s\n", screen_mark(l->broken ? MARK_BAD : MARK_GOOD), l->feed,
	    l->feed[0] == '\0' ? "" : " ", l->name, l->text);
	if (l->remedy[0] != '\0')
		(void)printf("   remedy: %s\n", l->remedy);
}

int
verb_why_old(const struct call *c)
{
	struct chain *ch = malloc(sizeof *ch);
	cJSON *s;
	int r = ch == NULL ? EXIT_TROUBLE : ask(c, "GET", "/v1/status", &s);

	if (r != EXIT_GOOD) {
		free(ch);
		return r;
	}
	chain_walk(ch, s, c->feed, clock_wall_ms(), OLD_MS);
	cJSON_Delete(s);
	if (c->json) {
		chain_json(ch);
	} else {
		for (size_t i = 0; i < ch->n; i++) /* first broken link first */
			if (ch->links[i].broken)
				print_link(&ch->links[i]);
		if (ch->broken == 0)
			(void)printf("Nothing is old.\n");
		for (size_t i = 0; i < ch->n; i++)
			if (!ch->links[i].broken)
				print_link(&ch->links[i]);
	}
	r = ch->broken == 0 ? EXIT_GOOD : EXIT_TROUBLE;
	free(ch);
	return r;
}
