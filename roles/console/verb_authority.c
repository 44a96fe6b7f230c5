/* verb_authority.c - authority show, make, rotate, sign, publish. */
#include "cli.h"

#include "base/text.h"
#include "os/file.h"
#include "update/key.h"
#include "update/repo.h"
#include "update/sign.h"

#include <stdio.h>
#include <string.h>

#define LIMIT_KEY 16384

static int
stage(struct cli *c, const struct buf *bytes)
{
	const char *out = args_value(&c->args, "--out");
	struct fault f = { 0 };
	struct cli_reply r = { 0 };
	struct buf text;
	int code;

	if (out == NULL)
		return cli_fail(CLI_USAGE, "--out STAGED is missing");
	code = cli_request(c, "PUT", "/v1/authority", buf_text(bytes), bytes->len, 0, &r);
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
authority_make(struct cli *c, const char *path)
{
	struct buf bytes;
	int code = cli_read_file(path, &bytes);

	if (code == CLI_OK)
		code = stage(c, &bytes);
	buf_free(&bytes);
	return code;
}

/* ---- rotate: other keys for the authority itself ---- */

/* A private key's file serves too: only its public half is read out. */
static enum err
public_pem(const char *path, struct buf *out, struct fault *f)
{
	struct sign_private *key = NULL;
	enum err e = file_read(path, out, f);

	if (e != OK || strstr(buf_text(out), "PUBLIC KEY") != NULL)
		return e;
	e = sign_private_load(&key, buf_text(out), out->len, NULL, f);
	buf_wipe(out);
	buf_init(out, LIMIT_KEY);
	if (e == OK)
		e = sign_private_public_pem(key, out);
	sign_private_free(key);
	return e;
}

static enum err
add_successor(cJSON *keys, cJSON *ids, const char *path, struct fault *f)
{
	cJSON *o = cJSON_CreateObject(), *val;
	char id[KEY_ID_TEXT];
	struct buf pem;
	enum err e;

	buf_init(&pem, LIMIT_KEY);
	e = o == NULL ? ERR_NOMEM : public_pem(path, &pem, f);
	if (e == OK)
		e = json_add_string(o, "keytype", "ecdsa");
	if (e == OK)
		e = json_add_string(o, "scheme", "ecdsa-sha2-nistp256");
	if (e == OK)
		e = json_add_object(o, "keyval", &val);
	if (e == OK)
		e = json_add_string(val, "public", buf_text(&pem));
	if (e == OK)
		e = key_compute_id(o, id, f);
	if (e == OK)
		e = json_append_string(ids, id);
	buf_wipe(&pem);
	if (e == OK && cJSON_AddItemToObject(keys, id, o))
		return OK;
	cJSON_Delete(o);
	return e == OK ? ERR_NOMEM : e;
}

static enum err
name_successors(struct cli *c, cJSON *tree, uint32_t threshold, struct fault *f)
{
	cJSON *member, *keys, *ids;
	uint64_t version = 0;
	enum err e = json_get_u64(tree, "version", JSON_MAX_INT - 1, &version, f);

	cJSON_DeleteItemFromObjectCaseSensitive(tree, "version");
	cJSON_DeleteItemFromObjectCaseSensitive(tree, "authority");
	if (e == OK)
		e = json_add_u64(tree, "version", version + 1);
	if (e == OK)
		e = json_add_object(tree, "authority", &member);
	if (e == OK)
		e = json_add_object(member, "keys", &keys);
	if (e == OK)
		e = json_add_array(member, "keyids", &ids);
	if (e == OK)
		e = json_add_u64(member, "threshold", threshold);
	for (size_t i = 0; e == OK && i < c->args.n_options; i++)
		if (strncmp(c->args.options[i].name, "--successor", 11) == 0)
			e = add_successor(keys, ids, c->args.options[i].value, f);
	if (e == OK && cJSON_GetArraySize(ids) < (int)threshold)
		e = fault_set(
		    f, ERR_INVAL, "%u signatures need as many --successor keys", threshold);
	return e;
}

/* Starts from the authority in force. */
static int
authority_rotate(struct cli *c)
{
	const char *word = args_value(&c->args, "--threshold");
	uint32_t threshold = 2;
	struct cli_reply r = { 0 };
	struct fault f = { 0 };
	struct buf text;
	int code;

	if (word != NULL && text_u32(word, strlen(word), 64, &threshold) != OK)
		return cli_fail(CLI_USAGE, "--threshold needs a number");
	code = cli_request(c, "GET", "/v1/authority", NULL, 0, 0, &r);
	buf_init(&text, 4u << 20);
	if (code == CLI_OK &&
	    (name_successors(c, r.body, threshold, &f) != OK || json_print(r.body, &text) != OK))
		code = cli_fail(CLI_FAILED, "%s", fault_text(&f));
	if (code == CLI_OK)
		code = stage(c, &text);
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
	if (a->n_words == 1 && strcmp(a->words[0], "rotate") == 0)
		return authority_rotate(c);
	if (a->n_words == 2 && strcmp(a->words[0], "sign") == 0)
		return authority_sign(c, a->words[1]);
	if (a->n_words == 2 && strcmp(a->words[0], "publish") == 0)
		return authority_publish(c, a->words[1]);
	return cli_fail(CLI_USAGE, "use: authority show, make, rotate, sign or publish");
}
