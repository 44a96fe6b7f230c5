/* main.c - atalaia: what the person in front of this PC can see and ask. */
#include "guard.h"
#include "verbs.h"

#include "base/text.h"
#include "net/curlset.h"
#include "os/confine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAKES_FEED = 1, TAKES_WAIT = 2, TAKES_EXPLAIN = 4, TAKES_HINTS = 8 };

static const struct verb {
	const char *name;
	unsigned takes;
	int (*run)(const struct call *c);
	const char *usage, *help;
} verbs[] = {
	{ "status", 0, verb_status, "",
	    "One screen: identity, feeds, engine, role, spool, last tasks.\n"
	    "Exit status 1 when this PC is not enrolled or a feed is not well." },
	{ "update", TAKES_FEED | TAKES_WAIT, verb_update, "[--wait] [--feed FEED]",
	    "Asks the agent to look for updates now. With --wait, until they are active or have "
	    "failed;\n"
	    "exit status 1 when a feed ended otherwise than updated, current or pinned, 4 when all "
	    "are\n"
	    "up to date but a source was refused or failed on the way." },
	{ "why-old", TAKES_FEED, verb_why_old, "[--feed FEED]",
	    "Walks the chain from clock to engine and shows the first broken link first.\n"
	    "Exit status 1 when one is broken." },
	{ "doctor", TAKES_HINTS, verb_doctor, "[--fix-hints]",
	    "Probes every port this PC depends on, and clock, certificate, disk, engine.\n"
	    "Exit status 1 when something is wrong." },
	{ "policy", TAKES_EXPLAIN, verb_policy, "[--explain]",
	    "Values that a policy file sets; with --explain every value and the file that set "
	    "it." },
	{ "feeds", TAKES_FEED, verb_feeds, "[--feed FEED]",
	    "Each feed with its sources, bytes received, refused sets." },
	{ "sets", 0, verb_sets, "", "The sets that are kept; * marks the active ones." },
	{ "tasks", 0, verb_tasks, "",
	    "Tasks that consoles sent, newest first, with their outcome." },
	{ "events", 0, verb_events, "", "Events by class: waiting, delivered, dropped." },
};

#define VERB_COUNT (sizeof verbs / sizeof verbs[0])

static int
usage(FILE *out, int status)
{
	(void)fprintf(
	    out, "usage: atalaia VERB [--json] [--socket PATH | --url http://127.0.0.1:2227]\n");
	for (size_t i = 0; i < VERB_COUNT; i++)
		(void)fprintf(out, "  atalaia %-8s %s\n", verbs[i].name, verbs[i].usage);
	(void)fprintf(out,
	    "atalaia VERB --help says more.\nExit status: 0 good, 1 something is wrong, "
	    "2 wrong usage, 3 the agent does not answer.\n");
	return status;
}

static const struct verb *
find(const char *name)
{
	for (size_t i = 0; i < VERB_COUNT; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static bool
flag(const struct verb *v, unsigned need, const char *arg, const char *name, bool *to)
{
	if (strcmp(arg, name) != 0 || (need != 0 && (v->takes & need) == 0))
		return false;
	*to = true;
	return true;
}

static bool
read_words(const struct verb *v, struct call *c, const char **where, int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		if (flag(v, 0, argv[i], "--json", &c->json) ||
		    flag(v, TAKES_WAIT, argv[i], "--wait", &c->wait) ||
		    flag(v, TAKES_EXPLAIN, argv[i], "--explain", &c->explain) ||
		    flag(v, TAKES_HINTS, argv[i], "--fix-hints", &c->fix_hints))
			continue;
		if (i + 1 == argc)
			return false;
		if (strcmp(argv[i], "--socket") == 0 || strcmp(argv[i], "--url") == 0)
			*where = argv[++i];
		else if (strcmp(argv[i], "--feed") == 0 && (v->takes & TAKES_FEED) &&
			 text_is_role_name(argv[i + 1], strlen(argv[i + 1])))
			c->feed = argv[++i];
		else
			return false;
	}
	return true;
}

int
main(int argc, char **argv)
{
	const char *where = getenv("ATALAIA_AGENT");
	struct call c = { 0 };
	const struct verb *v;
	struct fault f = { 0 };
	int status;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(stdout, EXIT_GOOD);
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return printf("atalaia %s\n", ATALAIA_VERSION) > 0 ? EXIT_GOOD : EXIT_TROUBLE;
	if (argc < 2 || (v = find(argv[1])) == NULL)
		return usage(stderr, EXIT_USAGE);
	if (argc == 3 && strcmp(argv[2], "--help") == 0) {
		(void)printf("usage: atalaia %s [--json] %s\n%s\n", v->name, v->usage, v->help);
		return EXIT_GOOD;
	}
	if (!read_words(v, &c, &where, argc, argv))
		return usage(stderr, EXIT_USAGE);
	if (confine_basics(false, &f) != OK || (v->run == verb_doctor && guard_doctor(&f) != OK) ||
	    curlset_global() != OK || client_new(&c.client, where, &f) != OK) {
		(void)fprintf(stderr, "atalaia: %s\n", fault_text(&f));
		return EXIT_TROUBLE;
	}
	status = v->run(&c);
	client_free(c.client);
	return fflush(stdout) == 0 ? status : EXIT_TROUBLE;
}
