/* verb_policy.c - policy. */
#include "cli.h"

#include "base/text.h"
#include "feed.h"
#include "os/confine.h"

#include <stdio.h>
#include <string.h>

#define LIMIT_PATH 512

/* "till" and "group/till" and "group/till.json" are the same; "default" too. */
static int
policy_path(const char *word, struct buf *path)
{
	char name[128];
	const char *slash = strchr(word, '/');
	size_t n = strlen(word);

	if (text_ends(word, ".json"))
		n -= 5;
	if (text_copy(name, sizeof(name), word, n) != OK)
		return cli_fail(CLI_USAGE, "'%s' is no name of a policy", word);
	if (strcmp(name, "default") != 0 && slash == NULL)
		return buf_printf(path, "/v1/policies/group/%s.json", name) == OK ? CLI_OK
										  : CLI_INTERNAL;
	return buf_printf(path, "/v1/policies/%s.json", name) == OK ? CLI_OK : CLI_INTERNAL;
}

static int
print_put(struct cli *c, const cJSON *body)
{
	const cJSON *u;
	uint64_t version = 0;

	if (c->json) {
		cli_print_json(body);
		return CLI_OK;
	}
	(void)!json_get_u64(body, "version", JSON_MAX_INT, &version, NULL);
	(void)printf("%s published in version %llu\n", cli_text(body, "policy"),
	    (unsigned long long)version);
	cJSON_ArrayForEach(u, json_get(body, "unknown"))
	{
		if (cJSON_IsString(u))
			(void)printf("  kept, but unknown to this version: %s\n", u->valuestring);
	}
	return CLI_OK;
}

/* A console that does not run leaves its repository free: then the policy is published from here.
 */
static int
set_policy(struct cli *c, const char *path, const struct buf *bytes)
{
	const char *name = path + strlen("/v1/policies/");
	struct fault f = { 0 };
	struct feed *feed = NULL;
	struct cli_reply r = { 0 };
	uint64_t version = 0;
	int code;
	enum err e = confine_basics(false, &f);

	if (e == OK)
		e = feed_open(&feed, &c->o, &f);
	if (e == ERR_BUSY) {
		code = cli_request(c, "PUT", path, buf_text(bytes), bytes->len, 0, &r);
	} else {
		if (e == OK)
			e = feed_put_policy(feed, name, buf_text(bytes), bytes->len, &version, &f);
		feed_close(feed);
		if (e == OK)
			e = feed_answer(name, buf_text(bytes), bytes->len, version, &r.body);
		code = e == OK ? CLI_OK : cli_fail(CLI_FAILED, "%s", fault_text(&f));
	}
	if (code == CLI_OK)
		code = print_put(c, r.body);
	cli_reply_free(&r);
	return code;
}

int
verb_policy(struct cli *c)
{
	const struct args *a = &c->args;
	const char *what = a->n_words > 0 ? a->words[0] : "";
	struct cli_reply r = { 0 };
	struct buf path, bytes;
	int code;

	buf_init(&path, LIMIT_PATH);
	buf_init(&bytes, 0);
	code = policy_path(a->n_words > 1 ? a->words[1] : "default", &path);
	if (code != CLI_OK) {
		/* told */
	} else if (strcmp(what, "show") == 0 && a->n_words <= 2) {
		code = cli_request(c, "GET", buf_text(&path), NULL, 0, 0, &r);
		if (code == CLI_OK)
			cli_print_document(r.body);
	} else if (strcmp(what, "set") == 0 && a->n_words == 3) {
		code = cli_read_file(a->words[2], &bytes);
		if (code == CLI_OK)
			code = set_policy(c, buf_text(&path), &bytes);
	} else if (strcmp(what, "remove") == 0 && a->n_words == 2) {
		code = cli_request(c, "DELETE", buf_text(&path), NULL, 0, 0, &r);
	} else {
		code =
		    cli_fail(CLI_USAGE, "use: policy show [NAME], set NAME FILE, or remove NAME");
	}
	cli_reply_free(&r);
	buf_free(&path);
	buf_free(&bytes);
	return code;
}
