#include "eserv.h"
#include "import.h"
#include "serve.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2

static void
usage(FILE *out)
{
	(void)fputs("usage: atalaia-update-agent serve --config FILE\n"
		    "       atalaia-update-agent serve --child\n"
		    "       atalaia-update-agent serve --self-test-confinement --config FILE\n"
		    "       atalaia-update-agent import BUNDLE [--feed FEED] [--state DIR] ...\n"
		    "       atalaia-update-agent import-eserv FILE\n"
		    "       atalaia-update-agent --help | --version\n",
	    out);
}

static void
help(void)
{
	usage(stdout);
	(void)fputs("\nServes a folder of signed feeds: version answers, FTP and HTTP. "
		    "Exit status: 0 ended on request, 1 failed, 2 wrong configuration.\n\n",
	    stdout);
	options_help(stdout);
	import_help(stdout);
}

static int
serve_verb(int argc, char **argv)
{
	if (argc == 1 && strcmp(argv[0], "--child") == 0)
		return serve_child_main();
	if (argc == 2 && strcmp(argv[0], "--config") == 0)
		return serve_config_main(argv[1]);
	if (argc == 3 && strcmp(argv[0], "--self-test-confinement") == 0 &&
	    strcmp(argv[1], "--config") == 0)
		return self_test_main(argv[2]);
	usage(stderr);
	return EXIT_USAGE;
}

static int
import_verb(int argc, char **argv)
{
	int status = import_main(argc, argv);

	if (status == EXIT_USAGE)
		usage(stderr);
	return status;
}

int
main(int argc, char **argv)
{
	struct fault f = { 0 };

	/* Transfers from a slow disk wait in these threads; LIMIT_FTP_COLD of them at most. */
	(void)setenv("UV_THREADPOOL_SIZE", "8", 0);
	if (log_init("atalaia-update-agent", "info") != OK || confine_basics(false, &f) != OK) {
		(void)fprintf(stderr, "atalaia-update-agent: %s\n", fault_text(&f));
		return 1;
	}
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		help();
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		(void)printf("atalaia-update-agent %s\n", ATALAIA_VERSION);
		return 0;
	}
	if (argc >= 2 && strcmp(argv[1], "serve") == 0)
		return serve_verb(argc - 2, argv + 2);
	if (argc >= 2 && strcmp(argv[1], "import") == 0)
		return import_verb(argc - 2, argv + 2);
	if (argc == 3 && strcmp(argv[1], "import-eserv") == 0)
		return eserv_main(argv[2]);
	usage(stderr);
	return EXIT_USAGE;
}
