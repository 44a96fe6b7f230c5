/* verb_policy.c - policy and authority. */
#include "cli.h"

#include "base/text.h"
#include "feed.h"
#include "os/confine.h"
#include "os/file.h"
#include "update/repo.h"

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

/* ---- authority ---- */

static int
authority_make(struct cli *c, const char *path)
{
	const char *out = args_value(&c->args, "--out");
	struct fault f = { 0 };
	struct cli_reply r = { 0 };
	struct buf bytes, text;
	int code;

	if (out == NULL)
		return cli_fail(CLI_USAGE, "use: authority make FILE --out STAGED");
	code = cli_read_file(path, &bytes);
	if (code == CLI_OK)
		code = cli_request(c, "PUT", "/v1/authority", buf_text(&bytes), bytes.len, 0, &r);
	buf_free(&bytes);
	buf_init(&text, 4u << 20);
	if (code == CLI_OK && (json_print(r.body, &text) != OK ||
				  file_replace(out, text.data, text.len, 0644, &f) != OK))
		code = cli_fail(CLI_FAILED, "%s: %s", out, fault_text(&f));
	if (code == CLI_OK && !c->json)
		(void)printf("Carry %s to the people who sign: atalaia-console authority sign %s "
			     "--key PEM\n",
		    out, out);
	buf_free(&text);
	cli_reply_free(&r);
	return code;
}

static int
authority_sign(struct cli *c, const char *path)
{
	const char *key = args_value(&c->args, "--key");
	struct fault f = { 0 };

	if (key == NULL)
		return cli_fail(CLI_USAGE, "use: authority sign STAGED --key PEM");
	if (repo_sign_file(path, &key, 1, NULL, &f) != OK)
		return cli_fail(CLI_FAILED, "%s", fault_text(&f));
	return CLI_OK;
}

static int
authority_publish(struct cli *c, const char *path)
{
	struct cli_reply r = { 0 };
	uint64_t have = 0, need = 0;
	struct buf bytes;
	int code = cli_read_file(path, &bytes);

	if (code == CLI_OK)
		code = cli_request(
		    c, "POST", "/v1/authority/signatures", buf_text(&bytes), bytes.len, 0, &r);
	buf_free(&bytes);
	if (code != CLI_OK)
		return code;
	(void)!json_get_u64(r.body, "signatures", JSON_MAX_INT, &have, NULL);
	(void)!json_get_u64(r.body, "needed", JSON_MAX_INT, &need, NULL);
	if (c->json)
		cli_print_json(r.body);
	else
		(void)printf("%llu of %llu signatures: %s\n", (unsigned long long)have,
		    (unsigned long long)need, have >= need ? "published" : "waits for more");
	cli_reply_free(&r);
	return CLI_OK;
}

int
verb_authority(struct cli *c)
{
	const struct args *a = &c->args;
	struct cli_reply r;
	int code;

	if (a->n_words == 1 && strcmp(a->words[0], "show") == 0) {
		code = cli_request(c, "GET", "/v1/authority", NULL, 0, 0, &r);
		if (code == CLI_OK)
			cli_print_document(r.body);
		cli_reply_free(&r);
		return code;
	}
	if (a->n_words == 2 && strcmp(a->words[0], "make") == 0)
		return authority_make(c, a->words[1]);
	if (a->n_words == 2 && strcmp(a->words[0], "sign") == 0)
		return authority_sign(c, a->words[1]);
	if (a->n_words == 2 && strcmp(a->words[0], "publish") == 0)
		return authority_publish(c, a->words[1]);
	return cli_fail(CLI_USAGE, "use: authority show, make, sign or publish");
}
