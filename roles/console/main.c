/* atalaia-console: the console role (DESIGN sections 8 to 11). One verb a line; everything but
 * init, serve, backup, restore and rotate-ca talks to the running console on 2226. */
#include "cli.h"
#include "net/curlset.h"

#include <stdio.h>
#include <string.h>

static const struct verb {
	const char *name;
	const char *options; /* beside --config= and --json */
	int (*run)(struct cli *c);
	const char *help;
} verbs[] = {
	{ "init", "--authority-keys= --authority-threshold= --two-signatures", verb_init,
	    "init                          make CA, keys, policies feed and first authority\n"
	    "     [--authority-keys 3] [--authority-threshold 2]   offline keys and how many must "
	    "sign\n"
	    "     [--two-signatures]       role.set, update.pin, agent.* need a second key" },
	{ "serve", "", verb_serve, "serve                         run the console" },
	{ "status", "", verb_status,
	    "status                        what the running console holds" },
	{ "token", "--uses= --life= --group= --signature-root=", verb_token,
	    "token [--uses N] [--life 7d] [--group NAME] [--signature-root [FEED=]ROOT.json]\n"
	    "                              print one enrolment token\n"
	    "token list | token revoke ID" },
	{ "agents", "--group= --wait --timeout= --life= --draft=", verb_agents,
	    "agents [--group NAME]         list the agents\n"
	    "agents move AGENT GROUP [--wait] [--draft FILE]\n"
	    "                              task agent.group: another group, and its policy" },
	{ "revoke", "", verb_revoke, "revoke AGENT                  by id or host name" },
	{ "task", "--to= --life= --wait --follow --timeout= --args= --draft= --key=", verb_task,
	    "task send --to TARGET TYPE [NAME=VALUE ... | JSON] [--life 1d] "
	    "[--wait | --follow [--timeout 60s]]\n"
	    "     TARGET: agent id, host name, group:NAME or all; a value that is JSON is taken as "
	    "JSON\n"
	    "     --draft FILE             write the signed envelope instead of sending it\n"
	    "task sign FILE --key PEM      add a second signature (needs no console)\n"
	    "task submit FILE [--wait]     send a drafted envelope\n"
	    "task show ID [--wait | --follow] [--timeout 1h] | task cancel ID | task list\n"
	    "     --follow                 each change as a line, until all agents have ended it" },
	{ "events", "--follow --class= --type= --agent= --last= --after=", verb_events,
	    "events [--follow] [--class C] [--type T[*]] [--agent ID] [--last N] [--after N]" },
	{ "import-events", "--acks=", verb_import,
	    "import-events BUNDLE ... [--acks FILE]\n"
	    "                              events that `atalaia-agent export-events` put on a "
	    "stick;\n"
	    "                              writes the acknowledgements to carry back (default: "
	    "acks\n"
	    "                              beside the first BUNDLE)" },
	{ "policy", "", verb_policy,
	    "policy show [NAME] | policy set NAME FILE | policy remove NAME\n"
	    "     NAME: default.json or group/GROUP.json" },
	{ "authority", "--key= --out= --successor= --threshold=", verb_authority,
	    "authority show                the authority in force\n"
	    "authority make FILE --out STAGED     check and stage a new one, write what must be "
	    "signed\n"
	    "authority rotate --successor PEM ... [--threshold 2] --out STAGED\n"
	    "     the same powers, from now on signed by other keys; old and new ones sign this "
	    "one\n"
	    "authority sign STAGED --key PEM      add a signature (needs no console)\n"
	    "authority publish STAGED             hand signatures in; publishes when enough "
	    "signed" },
	{ "user", "--role= --groups= --password-file= --new-password --no-totp", verb_user,
	    "user add NAME --role administrator|operator|auditor [--groups A,B]\n"
	    "     [--password-file FILE]   who may log in at the web console; without a file a\n"
	    "     password is made and shown once\n"
	    "user set NAME [--role R] [--groups A,B|all] [--password-file FILE | --new-password]\n"
	    "     [--no-totp]\n"
	    "user unlock NAME | user remove NAME | user list" },
	{ "backup", "", verb_backup,
	    "backup FILE                   everything, in one file (keep it secret)" },
	{ "restore", "", verb_restore, "restore FILE                  into an empty state folder" },
	{ "rotate-ca", "--finish", verb_rotate_ca,
	    "rotate-ca [--finish]          a new CA beside the old one; the end of the old one" },
};

static int
usage(FILE *out, int code)
{
	(void)fprintf(out, "usage: atalaia-console VERB [--config FILE] [--json] ...\n\n");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		(void)fprintf(out, "%s\n", verbs[i].help);
	(void)fprintf(out,
	    "\nexit codes: 0 done, 1 refused or failed, 2 wrong usage or configuration,\n"
	    "3 the console does not answer\n");
	if (code == CLI_OK) {
		(void)fprintf(out, "\nconfiguration file (default /etc/atalaia/console.conf):\n");
		conf_print_help(out, options_table, options_count);
	}
	return code;
}

static int
run_verb(const struct verb *v, int argc, char **argv)
{
	struct cli c;
	struct fault f = { 0 };
	char spec[256];
	int code;

	memset(&c, 0, sizeof(c));
	(void)snprintf(spec, sizeof(spec), "--config= --json --help %s", v->options);
	if (args_parse(&c.args, argc, (const char *const *)argv, spec, &f) != OK)
		return cli_fail(CLI_USAGE, "%s", fault_text(&f));
	if (args_has(&c.args, "--help")) {
		(void)printf("%s\n", v->help);
		return CLI_OK;
	}
	c.json = args_has(&c.args, "--json");
	if (options_load(&c.o, args_value(&c.args, "--config"), &f) != OK)
		return cli_fail(CLI_USAGE, "%s", fault_text(&f));
	code = v->run(&c);
	explicit_bzero(c.token, sizeof(c.token));
	options_free(&c.o);
	return code;
}

int
main(int argc, char **argv)
{
	if (argc < 2)
		return usage(stderr, CLI_USAGE);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
		return usage(stdout, CLI_OK);
	if (strcmp(argv[1], "--version") == 0) {
		(void)printf("atalaia-console %s\n", ATALAIA_VERSION);
		return CLI_OK;
	}
	if (curlset_global() != OK)
		return cli_fail(CLI_INTERNAL, "libcurl cannot start");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, argv[1]) == 0)
			return run_verb(&verbs[i], argc - 2, argv + 2);
	return cli_fail(CLI_USAGE, "there is no verb '%s': see atalaia-console --help", argv[1]);
}
