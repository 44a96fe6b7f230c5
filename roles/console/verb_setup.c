/* verb_setup.c - init, serve, status, rotate-ca. */
#include "cli.h"

#include "base/text.h"
#include "feed.h"
#include "identity.h"
#include "init.h"
#include "os/confine.h"
#include "os/user.h"
#include "serve.h"

#include <stdio.h>
#include <string.h>

static int
number(const struct args *a, const char *name, uint32_t dflt, uint32_t *out)
{
	const char *text = args_value(a, name);

	*out = dflt;
	if (text == NULL || text_u32(text, strlen(text), 1000000, out) == OK)
		return CLI_OK;
	return cli_fail(CLI_USAGE, "%s needs a number", name);
}

static int
report_init(struct cli *c, const struct init_plan *plan)
{
	if (c->json) {
		(void)printf("{\"state\":\"%s\",\"offline\":\"%s/" DIR_OFFLINE "\"}\n", c->o.state,
		    c->o.state);
		return CLI_OK;
	}
	(void)printf("The console of %s is ready in %s.\n\n", c->o.org, c->o.state);
	(void)printf("Move these keys off this machine now; it never needs them to run:\n");
	(void)printf(
	    "  %s/" DIR_OFFLINE "/policies-root.pem   root of the policies feed\n", c->o.state);
	(void)printf("  %s/" DIR_OFFLINE "/authority-1..%u.pem  %u of %u sign who may order what\n",
	    c->o.state, plan->authority_keys, plan->authority_threshold, plan->authority_keys);
	if (plan->two_signatures)
		(void)printf("  %s/" DIR_OFFLINE
			     "/task-second.pem     second signature of role.set, "
			     "update.pin, agent.*\n",
		    c->o.state);
	(void)printf("\nNext: atalaia-console serve --config %s\n", c->o.file);
	return CLI_OK;
}

int
verb_init(struct cli *c)
{
	struct init_plan plan = { .two_signatures = args_has(&c->args, "--two-signatures") };
	struct fault f = { 0 };
	int code = number(&c->args, "--authority-keys", 3, &plan.authority_keys);

	if (code == CLI_OK)
		code = number(&c->args, "--authority-threshold", plan.authority_keys > 1 ? 2 : 1,
		    &plan.authority_threshold);
	if (code != CLI_OK)
		return code;
	if (user_become_owner(c->o.state, &f) != OK || confine_basics(false, &f) != OK ||
	    init_console(&c->o, &plan, &f) != OK)
		return cli_fail(CLI_USAGE, "%s", fault_text(&f));
	return report_init(c, &plan);
}

int
verb_serve(struct cli *c)
{
	return serve(&c->o);
}

int
verb_status(struct cli *c)
{
	struct cli_reply r;
	const cJSON *item;
	int code = cli_request(c, "GET", "/v1/status", NULL, 0, 0, &r);

	if (code != CLI_OK)
		return code;
	if (c->json) {
		cli_print_json(r.body);
	} else {
		cJSON_ArrayForEach(item, r.body)
		{
			if (cJSON_IsString(item))
				(void)printf("%-18s %s\n", item->string, item->valuestring);
			else
				(void)printf("%-18s %.0f\n", item->string, item->valuedouble);
		}
	}
	cli_reply_free(&r);
	return CLI_OK;
}

/* The policies repository is locked while the console runs: taking it proves that it does not. */
int
verb_rotate_ca(struct cli *c)
{
	struct fault f = { 0 };
	struct feed *lock = NULL;
	bool finish = args_has(&c->args, "--finish");
	enum err e = confine_basics(false, &f);

	if (e == OK)
		e = feed_open(&lock, &c->o, &f);
	if (e == ERR_BUSY)
		return cli_fail(CLI_FAILED, "stop the console first, rotate, and start it again");
	if (e == OK)
		e = finish ? identity_finish_rotation(&c->o, &f) : identity_rotate_ca(&c->o, &f);
	feed_close(lock);
	if (e != OK)
		return cli_fail(CLI_FAILED, "%s", fault_text(&f));
	if (c->json)
		return CLI_OK;
	if (finish)
		(void)printf(
		    "The old CA is gone; the console's certificate comes from the new one.\n");
	else
		(void)printf(
		    "There is a new CA. Publish an authority that lists both; agents take the new "
		    "one\n"
		    "with their next renewal. The console stays under the old one for 210 days,\n"
		    "or until rotate-ca --finish.\n");
	return CLI_OK;
}
