/* main.c - atalaia-agent: command line, configuration, and the door to agent_run and enroll_run. */
#include "agent.h"
#include "carry.h"
#include "config.h"
#include "enroll.h"

#include "base/log.h"
#include "net/curlset.h"
#include "os/confine.h"
#include "os/mem.h"
#include "os/user.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define DEFAULT_CONFIG "/etc/atalaia/agent.conf"

static int
usage(FILE *out, int status)
{
	(void)fprintf(out, "usage: atalaia-agent run [--config FILE]\n"
			   "       atalaia-agent enroll [--config FILE] [--again] TOKEN\n"
			   "       atalaia-agent export-events [--config FILE] BUNDLE\n"
			   "       atalaia-agent import-acks [--config FILE] ACKS\n"
			   "       atalaia-agent --help | --version\n"
			   "FILE is " DEFAULT_CONFIG " unless it is named.\n");
	return status;
}

static int
help(void)
{
	(void)usage(stdout, 0);
	(void)printf("\nOptions of the configuration file:\n");
	conf_print_help(stdout, agent_options, agent_option_count);
	return fflush(stdout) == 0 ? 0 : 1;
}

enum verb { VERB_RUN, VERB_ENROLL, VERB_EXPORT, VERB_ACKS, VERB_NONE };

static const char *const verbs[] = { "run", "enroll", "export-events", "import-acks" };

struct words {
	enum verb verb;
	const char *config, *word; /* token, or a file */
	bool again;
};

static bool
read_words(struct words *w, int argc, char **argv)
{
	w->verb = VERB_RUN;
	while (w->verb < VERB_NONE && strcmp(argv[1], verbs[w->verb]) != 0)
		w->verb++;
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
			w->config = argv[++i];
		else if (strcmp(argv[i], "--again") == 0)
			w->again = true;
		else if (argv[i][0] != '-' && w->word == NULL)
			w->word = argv[i];
		else
			return false;
	}
	if (w->config == NULL)
		w->config = DEFAULT_CONFIG;
	if (w->verb == VERB_NONE || (w->again && w->verb != VERB_ENROLL))
		return false;
	return (w->word == NULL) == (w->verb == VERB_RUN);
}

static int
with_configuration(const struct words *w)
{
	struct agent_conf conf;
	struct fault f = { 0 };
	int status = 1;

	if (agent_conf_load(&conf, w->config, &f) != OK) {
		(void)fprintf(stderr, "atalaia-agent: %s\n", fault_text(&f));
		return EXIT_USAGE;
	}
	if (log_init("atalaia-agent", conf.log) != OK) {
		(void)fprintf(stderr, "atalaia-agent: %s: [agent] log=%s is not a list of levels\n",
		    w->config, conf.log);
		agent_conf_free(&conf);
		return EXIT_USAGE;
	}
	if (w->verb == VERB_RUN)
		status = agent_run(&conf);
	else if (w->verb == VERB_EXPORT) /* as the caller: the stick is his */
		status = carry_export_main(&conf, w->word);
	else if (w->verb == VERB_ACKS)
		status = carry_acks_main(&conf, w->word);
	else if (user_become_owner(conf.state, &f) != OK)
		(void)fprintf(stderr, "atalaia-agent: %s\n", fault_text(&f));
	else
		status = enroll_run(&conf, w->word, w->again);
	agent_conf_free(&conf);
	return status;
}

int
main(int argc, char **argv)
{
	struct words w = { 0 };
	struct fault f = { 0 };
	int status;

	mem_one_heap();
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return help();
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		(void)printf("atalaia-agent %s\n", ATALAIA_VERSION);
		return 0;
	}
	if (argc < 2)
		return usage(stderr, EXIT_USAGE);
	if (!read_words(&w, argc, argv))
		return usage(stderr, EXIT_USAGE);
	/* atalaia-scan may have been given file capabilities, which no_new_privs would take away.
	 */
	if (confine_basics(true, &f) != OK || curlset_global() != OK) {
		(void)fprintf(stderr, "atalaia-agent: %s\n", fault_text(&f));
		return 1;
	}
	status = with_configuration(&w);
	if (status ==
	    AGENT_EXIT_RESTART) /* task agent.restart: the same process, a fresh program */
		(void)execvp(argv[0], argv);
	return status;
}
