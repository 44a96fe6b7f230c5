/* verb_agents.c - token, agents, revoke. */
#include "cli.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define LIMIT_PATH 512

/* [FEED=]FILE: the root of a signature feed goes to the console, its hash into the token. */
static int
add_root(cJSON *body, const char *word)
{
	const char *eq = strchr(word, '=');
	char feed[65] = "signatures";
	struct buf bytes, b64;
	cJSON *roots;
	int code;

	if (eq != NULL && text_copy(feed, sizeof(feed), word, (size_t)(eq - word)) != OK)
		return cli_fail(CLI_USAGE, "--signature-root takes FEED=FILE");
	code = cli_read_file(eq != NULL ? eq + 1 : word, &bytes);
	buf_init(&b64, 1u << 20);
	roots = json_get(body, "roots");
	if (code == CLI_OK && ((roots == NULL && json_add_object(body, "roots", &roots) != OK) ||
				  text_b64(&b64, bytes.data, bytes.len) != OK ||
				  json_add_string(roots, feed, buf_text(&b64)) != OK))
		code = cli_fail(CLI_USAGE, "%s is too large for a root.json", word);
	buf_free(&bytes);
	buf_free(&b64);
	return code;
}

static int
token_body(struct cli *c, cJSON *body)
{
	const char *uses = args_value(&c->args, "--uses"), *life = args_value(&c->args, "--life");
	const char *group = args_value(&c->args, "--group");
	uint32_t n = 1;
	int code = CLI_OK;

	if (uses != NULL && text_u32(uses, strlen(uses), 1000000, &n) != OK)
		return cli_fail(CLI_USAGE, "--uses needs a number");
	if (json_add_u64(body, "uses", n) != OK ||
	    (life != NULL && json_add_string(body, "life", life) != OK) ||
	    (group != NULL && json_add_string(body, "group", group) != OK))
		return cli_fail(CLI_INTERNAL, "memory ran out");
	for (size_t i = 0; code == CLI_OK && i < c->args.n_options; i++)
		if (strncmp(c->args.options[i].name, "--signature-root", 16) == 0)
			code = add_root(body, c->args.options[i].value);
	return code;
}

static int
token_new(struct cli *c)
{
	cJSON *body = cJSON_CreateObject();
	struct cli_reply r;
	const char *word;
	int code = body == NULL ? CLI_INTERNAL : token_body(c, body);

	if (code != CLI_OK) {
		cJSON_Delete(body);
		return code;
	}
	code = cli_post(c, "/v1/tokens", body, &r);
	if (code != CLI_OK)
		return code;
	if (c->json)
		cli_print_json(r.body);
	else if (json_get_string(r.body, "token", &word, NULL) == OK)
		(void)puts(word);
	cli_reply_free(&r);
	return CLI_OK;
}

static int
token_list(struct cli *c)
{
	struct cli_reply r;
	const cJSON *t;
	int code = cli_request(c, "GET", "/v1/tokens", NULL, 0, 0, &r);

	if (code != CLI_OK)
		return code;
	if (c->json) {
		cli_print_json(r.body);
	} else {
		(void)printf("%-16s  %-12s  %9s  %8s  %-24s\n", "ID", "GROUP", "USED", "ATTEMPTS",
		    "EXPIRES");
		cJSON_ArrayForEach(t, json_get(r.body, "tokens"))
		{
			uint64_t used = 0, uses = 0, attempts = 0;
			(void)!json_get_u64(t, "used", JSON_MAX_INT, &used, NULL);
			(void)!json_get_u64(t, "uses", JSON_MAX_INT, &uses, NULL);
			(void)!json_get_u64(t, "attempts", JSON_MAX_INT, &attempts, NULL);
			(void)printf("%-16s  %-12s  %4llu/%-4llu  %8llu  %-24s%s\n",
			    cli_text(t, "id"), cli_text(t, "group"), (unsigned long long)used,
			    (unsigned long long)uses, (unsigned long long)attempts,
			    cli_text(t, "expires"),
			    cJSON_IsTrue(json_get(t, "revoked")) ? " revoked" : "");
		}
	}
	cli_reply_free(&r);
	return CLI_OK;
}

static int
post_path(
    struct cli *c, const char *before, const char *word, const char *after, struct cli_reply *r)
{
	struct buf path;
	int code = CLI_INTERNAL;

	buf_init(&path, LIMIT_PATH);
	if (strchr(word, '/') != NULL || strchr(word, '?') != NULL || strchr(word, '%') != NULL)
		code = cli_fail(CLI_USAGE, "'%s' is no name", word);
	else if (buf_printf(&path, "%s%s%s", before, word, after) == OK)
		code = cli_post(c, buf_text(&path), cJSON_CreateObject(), r);
	buf_free(&path);
	return code;
}

int
verb_token(struct cli *c)
{
	const struct args *a = &c->args;
	struct cli_reply r;
	int code;

	if (a->n_words == 0)
		return token_new(c);
	if (a->n_words == 1 && strcmp(a->words[0], "list") == 0)
		return token_list(c);
	if (a->n_words != 2 || strcmp(a->words[0], "revoke") != 0)
		return cli_fail(CLI_USAGE, "use: token, token list, or token revoke ID");
	code = post_path(c, "/v1/tokens/", a->words[1], "/revoke", &r);
	cli_reply_free(&r);
	return code;
}

static int
move_agent(struct cli *c, const char *agent, const char *group)
{
	cJSON *args = cJSON_CreateObject();

	if (args != NULL && json_add_string(args, "group", group) == OK)
		return cli_send_task(c, agent, "agent.group", args);
	cJSON_Delete(args);
	return cli_fail(CLI_USAGE, "'%s' is no name of a group", group);
}

int
verb_agents(struct cli *c)
{
	struct cli_reply r;
	struct buf path;
	const cJSON *a;
	int code;

	if (c->args.n_words == 3 && strcmp(c->args.words[0], "move") == 0)
		return move_agent(c, c->args.words[1], c->args.words[2]);
	if (c->args.n_words > 0)
		return cli_fail(CLI_USAGE, "use: agents, or agents move AGENT GROUP");
	buf_init(&path, LIMIT_PATH);
	if (buf_puts(&path, "/v1/agents") != OK ||
	    cli_query(&path, "group", args_value(&c->args, "--group")) != OK)
		return cli_fail(CLI_USAGE, "the group's name is too long");
	code = cli_request(c, "GET", buf_text(&path), NULL, 0, 0, &r);
	buf_free(&path);
	if (code != CLI_OK)
		return code;
	if (c->json) {
		cli_print_json(r.body);
	} else {
		(void)printf("%-36s  %-20s  %-10s  %-21s  %-24s\n", "AGENT", "HOST", "GROUP",
		    "ADDRESS", "SEEN");
		cJSON_ArrayForEach(a, json_get(r.body, "agents"))
		{
			uint64_t port = 0;
			(void)!json_get_u64(a, "task_port", 65535, &port, NULL);
			(void)printf("%-36s  %-20s  %-10s  %15s:%-5u  %-24s%s%s\n",
			    cli_text(a, "agent"), cli_text(a, "host"), cli_text(a, "group"),
			    cli_text(a, "address"), (unsigned)port, cli_text(a, "seen"),
			    json_get(a, "revoked") != NULL ? " revoked" : "",
			    json_get(a, "clone_seen") != NULL ? " clone-seen" : "");
		}
	}
	cli_reply_free(&r);
	return CLI_OK;
}

int
verb_revoke(struct cli *c)
{
	struct cli_reply r = { 0 };
	int code;

	if (c->args.n_words != 1)
		return cli_fail(CLI_USAGE, "use: revoke AGENT");
	code = post_path(c, "/v1/agents/", c->args.words[0], "/revoke", &r);
	if (code != CLI_OK)
		return code;
	if (c->json)
		cli_print_json(r.body);
	else
		(void)printf(
		    "revoked %s\nPut serial %s into authority.json too, so that agents refuse it "
		    "among themselves.\n",
		    cli_text(r.body, "revoked"), cli_text(r.body, "serial"));
	cli_reply_free(&r);
	return CLI_OK;
}
