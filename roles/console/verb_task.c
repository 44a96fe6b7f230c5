/* verb_task.c - task send, sign, submit, cancel, list; showing is verb_task_show.c. */
#include "cli.h"

#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"
#include "proto/envelope.h"

#include <stdio.h>
#include <string.h>

#define LIMIT_PATH 512
#define LIMIT_KEY 16384

/* ---- arguments of a task: NAME=VALUE, GROUP.NAME=VALUE ---- */

/* A value that is JSON is taken as JSON, anything else as text; inside a group
 * (settings.ftp_port=2021) always as text, because options are text. */
static cJSON *
value_of(const char *text, bool in_group)
{
	cJSON *v = NULL;

	if (in_group || json_parse(&v, text, strlen(text), JSON_SIGNED, NULL) != OK)
		v = cJSON_CreateString(text);
	return v;
}

static int
add_argument(cJSON *args, const char *word)
{
	const char *eq = strchr(word, '='), *dot;
	char name[128];
	cJSON *into = args, *value;

	if (eq == NULL || eq == word ||
	    text_copy(name, sizeof(name), word, (size_t)(eq - word)) != OK)
		return cli_fail(CLI_USAGE, "'%s' is no argument: use NAME=VALUE", word);
	dot = strchr(name, '.');
	if (dot != NULL) {
		char group[128];
		if (text_copy(group, sizeof(group), name, (size_t)(dot - name)) != OK)
			return CLI_INTERNAL;
		into = json_get(args, group);
		if (into == NULL && json_add_object(args, group, &into) != OK)
			return CLI_INTERNAL;
	}
	value = value_of(eq + 1, dot != NULL);
	if (value == NULL || !cJSON_AddItemToObject(into, dot != NULL ? dot + 1 : name, value)) {
		cJSON_Delete(value);
		return cli_fail(CLI_INTERNAL, "memory ran out");
	}
	return CLI_OK;
}

/* first: the word behind the type. */
static int
read_arguments(struct cli *c, size_t first, cJSON **out)
{
	const char *text = args_value(&c->args, "--args");
	struct fault f = { 0 };
	int code = CLI_OK;

	*out = NULL;
	if (text == NULL && first < c->args.n_words && c->args.words[first][0] == '{')
		text = c->args.words[first++];
	if (text != NULL) {
		if (json_parse(out, text, strlen(text), JSON_SIGNED, &f) != OK ||
		    !cJSON_IsObject(*out))
			code =
			    cli_fail(CLI_USAGE, "--args needs a JSON object: %s", fault_text(&f));
	} else if ((*out = cJSON_CreateObject()) == NULL) {
		code = CLI_INTERNAL;
	}
	for (size_t i = first; code == CLI_OK && i < c->args.n_words; i++)
		code = add_argument(*out, c->args.words[i]);
	if (code != CLI_OK) {
		cJSON_Delete(*out);
		*out = NULL;
	}
	return code;
}

/* ---- send ---- */

static int
after_send(struct cli *c, const struct cli_reply *r)
{
	const char *id;
	uint64_t n = 0;

	if (json_get_string(r->body, "id", &id, NULL) != OK)
		return cli_fail(CLI_INTERNAL, "the console's answer has no id");
	if (args_has(&c->args, "--wait") || args_has(&c->args, "--follow"))
		return cli_task_show(c, id);
	if (c->json) {
		cli_print_json(r->body);
	} else {
		(void)!json_get_u64(r->body, "agents", JSON_MAX_INT, &n, NULL);
		(void)printf(
		    "%s  sent to %llu agent%s\n", id, (unsigned long long)n, n == 1 ? "" : "s");
	}
	return CLI_OK;
}

static int
write_draft(const struct cli_reply *r, const char *path)
{
	struct fault f = { 0 };
	struct buf text;
	int code = CLI_OK;

	buf_init(&text, LIMIT_TASK_BYTES * 2);
	if (json_print(r->body, &text) != OK ||
	    file_replace(path, text.data, text.len, 0640, &f) != OK)
		code = cli_fail(CLI_FAILED, "%s: %s", path, fault_text(&f));
	buf_free(&text);
	return code;
}

int
cli_send_task(struct cli *c, const char *target, const char *type, cJSON *args)
{
	const char *life = args_value(&c->args, "--life"), *draft = args_value(&c->args, "--draft");
	cJSON *body = cJSON_CreateObject();
	struct cli_reply r;
	int code;

	if (body == NULL || !cJSON_AddItemToObject(body, "args", args) ||
	    json_add_string(body, "target", target) != OK ||
	    json_add_string(body, "type", type) != OK ||
	    (life != NULL && json_add_string(body, "life", life) != OK) ||
	    (draft != NULL && json_add_bool(body, "draft", true) != OK)) {
		cJSON_Delete(body);
		return cli_fail(CLI_USAGE, "the target or type is no text");
	}
	code = cli_post(c, "/v1/tasks", body, &r);
	if (code == CLI_OK)
		code = draft != NULL ? write_draft(&r, draft) : after_send(c, &r);
	cli_reply_free(&r);
	return code;
}

static int
send_task(struct cli *c)
{
	const char *to = args_value(&c->args, "--to");
	size_t type = to != NULL ? 1 : 2;
	cJSON *args;
	int code;

	if (c->args.n_words <= type)
		return cli_fail(CLI_USAGE, "use: task send --to TARGET TYPE [NAME=VALUE ...]");
	code = read_arguments(c, type + 1, &args);
	if (code != CLI_OK)
		return code;
	return cli_send_task(c, to != NULL ? to : c->args.words[1], c->args.words[type], args);
}

static int
submit(struct cli *c, const char *path)
{
	struct cli_reply r;
	struct fault f = { 0 };
	struct buf text;
	cJSON *tree = NULL, *body = NULL;
	int code = cli_read_file(path, &text);

	if (code == CLI_OK && json_parse(&tree, buf_text(&text), text.len, JSON_SIGNED, &f) != OK)
		code = cli_fail(CLI_USAGE, "%s: %s", path, fault_text(&f));
	buf_free(&text);
	if (code != CLI_OK)
		return code;
	body = cJSON_CreateObject();
	if (body == NULL || !cJSON_AddItemToObject(body, "envelope", tree)) {
		cJSON_Delete(body);
		return cli_fail(CLI_INTERNAL, "memory ran out");
	}
	code = cli_post(c, "/v1/tasks", body, &r);
	if (code == CLI_OK)
		code = after_send(c, &r);
	cli_reply_free(&r);
	return code;
}

static enum err
sign_envelope(const char *path, const char *key_path, struct fault *f)
{
	struct sign_private *key = NULL;
	struct envelope envelope = { 0 };
	struct buf text, pem;
	enum err e;

	buf_init(&text, LIMIT_TASK_BYTES * 2);
	buf_init(&pem, LIMIT_KEY);
	e = file_read(path, &text, f);
	if (e == OK)
		e = envelope_parse(&envelope, buf_text(&text), text.len, f);
	if (e == OK)
		e = file_read(key_path, &pem, f);
	if (e == OK)
		e = sign_private_load(&key, buf_text(&pem), pem.len, NULL, f);
	if (e == OK)
		e = envelope_sign(&envelope, key, f);
	buf_reset(&text);
	if (e == OK)
		e = envelope_write(&envelope, &text);
	if (e == OK)
		e = file_replace(path, text.data, text.len, 0640, f);
	sign_private_free(key);
	envelope_free(&envelope);
	buf_free(&text);
	buf_wipe(&pem);
	return e;
}

static int
sign(struct cli *c, const char *path)
{
	const char *key = args_value(&c->args, "--key");
	struct fault f = { 0 };

	if (key == NULL)
		return cli_fail(CLI_USAGE, "use: task sign FILE --key PEM");
	if (sign_envelope(path, key, &f) != OK)
		return cli_fail(CLI_FAILED, "%s", fault_text(&f));
	return CLI_OK;
}

static int
cancel(struct cli *c, const char *id)
{
	struct cli_reply r;
	struct buf path;
	int code = CLI_INTERNAL;

	if (!text_is_uuid(id, strlen(id)))
		return cli_fail(CLI_USAGE, "'%s' is no task id", id);
	buf_init(&path, LIMIT_PATH);
	if (buf_printf(&path, "/v1/tasks/%s/cancel", id) == OK)
		code = cli_post(c, buf_text(&path), cJSON_CreateObject(), &r);
	buf_free(&path);
	if (code != CLI_OK)
		return code;
	if (c->json)
		cli_print_json(r.body);
	else
		cli_task_print(r.body);
	cli_reply_free(&r);
	return CLI_OK;
}

static int
list(struct cli *c)
{
	struct cli_reply r;
	const cJSON *t;
	int code = cli_request(c, "GET", "/v1/tasks", NULL, 0, 0, &r);

	if (code != CLI_OK)
		return code;
	if (c->json)
		cli_print_json(r.body);
	else
		cJSON_ArrayForEach(t, json_get(r.body, "tasks"))
		{
			uint64_t total = 0, final = 0, done = 0;
			(void)!json_get_u64(t, "agents_total", JSON_MAX_INT, &total, NULL);
			(void)!json_get_u64(t, "agents_final", JSON_MAX_INT, &final, NULL);
			(void)!json_get_u64(t, "agents_done", JSON_MAX_INT, &done, NULL);
			(void)printf("%s  %-24s  %-14s  %-20s  done %llu, ended %llu of %llu\n",
			    cli_text(t, "id"), cli_text(t, "created"), cli_text(t, "type"),
			    cli_text(t, "target"), (unsigned long long)done,
			    (unsigned long long) final, (unsigned long long)total);
		}
	cli_reply_free(&r);
	return CLI_OK;
}

int
verb_task(struct cli *c)
{
	static const struct {
		const char *name;
		int (*run)(struct cli *c, const char *word);
	} with_word[] = { { "sign", sign }, { "submit", submit }, { "show", cli_task_show },
		{ "cancel", cancel } };
	const struct args *a = &c->args;

	if (a->n_words >= 1 && strcmp(a->words[0], "send") == 0)
		return send_task(c);
	if (a->n_words == 1 && strcmp(a->words[0], "list") == 0)
		return list(c);
	for (size_t i = 0; a->n_words == 2 && i < sizeof(with_word) / sizeof(with_word[0]); i++)
		if (strcmp(a->words[0], with_word[i].name) == 0)
			return with_word[i].run(c, a->words[1]);
	return cli_fail(CLI_USAGE, "use: task send, sign, submit, show, cancel or list");
}
