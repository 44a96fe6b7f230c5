/* verb_user.c - users of the web console. The first administrator is made here, because nobody can
 * log in before. */
#include "cli.h"

#include "base/text.h"
#include "os/rand.h"
#include "password.h"

#include <stdio.h>
#include <string.h>

#define LIMIT_PATH 512

static int
usage(void)
{
	return cli_fail(CLI_USAGE, "say what to do: user add NAME --role ROLE, user list, user set "
				   "NAME ..., user unlock NAME, "
				   "user remove NAME");
}

/* 24 characters of 5 bits: nobody guesses it, and it can be read out on the telephone. */
static int
make_password(char out[PASSWORD_MAX + 1])
{
	static const char digits[] = "abcdefghijkmnpqrstuvwxyz23456789";
	uint8_t random[24];

	rand_bytes(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		out[i] = digits[random[i] & 31];
	out[sizeof(random)] = '\0';
	explicit_bzero(random, sizeof(random));
	return CLI_OK;
}

static int
read_password(const char *path, char out[PASSWORD_MAX + 1])
{
	struct buf b;
	int code = cli_read_file(path, &b);

	while (b.len > 0 && (b.data[b.len - 1] == '\n' || b.data[b.len - 1] == '\r'))
		b.data[--b.len] = '\0';
	if (code == CLI_OK &&
	    (b.len < PASSWORD_MIN || text_copy(out, PASSWORD_MAX + 1, buf_text(&b), b.len) != OK))
		code = cli_fail(
		    CLI_USAGE, "a password has %d to %d bytes", PASSWORD_MIN, PASSWORD_MAX);
	buf_wipe(&b);
	return code;
}

static int
add_groups(cJSON *body, const char *words)
{
	cJSON *list;

	if (json_add_array(body, "groups", &list) != OK)
		return CLI_INTERNAL;
	while (*words != '\0') {
		size_t n = strcspn(words, ",");
		char name[65];

		if (n > 0 && strcmp(words, "all") != 0 &&
		    (text_copy(name, sizeof(name), words, n) != OK ||
			json_append_string(list, name) != OK))
			return cli_fail(
			    CLI_USAGE, "--groups takes names with commas between, or all");
		words += n;
		words += *words == ',';
	}
	return CLI_OK;
}

/* Role, groups and password as the options say; shown: a password that was made here. */
static int
fill(struct cli *c, cJSON *body, bool fresh, char shown[PASSWORD_MAX + 1])
{
	const char *role = args_value(&c->args, "--role"),
		   *groups = args_value(&c->args, "--groups");
	const char *file = args_value(&c->args, "--password-file");
	bool make = args_has(&c->args, "--new-password") || (fresh && file == NULL);
	char password[PASSWORD_MAX + 1] = "";
	int code = CLI_OK;

	if (fresh && role == NULL)
		return cli_fail(CLI_USAGE, "--role is administrator, operator or auditor");
	if (role != NULL && json_add_string(body, "role", role) != OK)
		return CLI_INTERNAL;
	if (groups != NULL)
		code = add_groups(body, groups);
	if (code == CLI_OK && file != NULL)
		code = read_password(file, password);
	else if (code == CLI_OK && make)
		code = make_password(password);
	if (code == CLI_OK && password[0] != '\0' &&
	    json_add_string(body, "password", password) != OK)
		code = CLI_INTERNAL;
	if (code == CLI_OK && args_has(&c->args, "--no-totp") &&
	    json_add_bool(body, "totp", false) != OK)
		code = CLI_INTERNAL;
	if (make && code == CLI_OK)
		memcpy(shown, password, sizeof(password));
	explicit_bzero(password, sizeof(password));
	return code;
}

static int
send_path(struct cli *c, const char *method, const char *name, const char *after, cJSON *body)
{
	struct cli_reply r = { 0 };
	struct buf path;
	int code = CLI_INTERNAL;

	buf_init(&path, LIMIT_PATH);
	if (strchr(name, '/') != NULL || strchr(name, '?') != NULL || strchr(name, '%') != NULL) {
		cJSON_Delete(body);
		code = cli_fail(CLI_USAGE, "'%s' is no name", name);
	} else if (buf_printf(&path, "/v1/users%s%s%s", name[0] != '\0' ? "/" : "", name, after) ==
		   OK) {
		code = body != NULL ? cli_post(c, buf_text(&path), body, &r)
				    : cli_request(c, method, buf_text(&path), NULL, 0, 0, &r);
	} else {
		cJSON_Delete(body);
	}
	buf_free(&path);
	if (code == CLI_OK)
		cli_reply_free(&r);
	return code;
}

static int
user_write(struct cli *c, const char *name, bool fresh)
{
	char shown[PASSWORD_MAX + 1] = "";
	cJSON *body = cJSON_CreateObject();
	int code = body == NULL || (fresh && json_add_string(body, "name", name) != OK)
		       ? CLI_INTERNAL
		       : fill(c, body, fresh, shown);

	if (code != CLI_OK) {
		cJSON_Delete(body);
		return code;
	}
	code = send_path(c, "POST", fresh ? "" : name, "", body);
	if (code == CLI_OK && c->json)
		(void)printf("{\"name\":\"%s\"%s%s%s}\n", name,
		    shown[0] != '\0' ? ",\"password\":\"" : "", shown,
		    shown[0] != '\0' ? "\"" : "");
	else if (code == CLI_OK && shown[0] != '\0')
		(void)printf("password of %s: %s\n", name, shown);
	explicit_bzero(shown, sizeof(shown));
	return code;
}

static int
user_list(struct cli *c)
{
	struct cli_reply r;
	const cJSON *u;
	int code = cli_request(c, "GET", "/v1/users", NULL, 0, 0, &r);

	if (code != CLI_OK)
		return code;
	if (c->json) {
		cli_print_json(r.body);
	} else {
		(void)printf("%-20s  %-14s  %-5s  %-24s\n", "NAME", "ROLE", "CODES", "LAST LOGIN");
		cJSON_ArrayForEach(u, json_get(r.body, "users"))(void) printf(
		    "%-20s  %-14s  %-5s  %-24s%s%s\n", cli_text(u, "name"), cli_text(u, "role"),
		    cJSON_IsTrue(json_get(u, "totp")) ? "yes" : "no", cli_text(u, "last_login"),
		    cJSON_IsTrue(json_get(u, "disabled")) ? " disabled" : "",
		    json_get(u, "locked_until") != NULL ? " locked" : "");
	}
	cli_reply_free(&r);
	return CLI_OK;
}

int
verb_user(struct cli *c)
{
	const char *what = c->args.n_words > 0 ? c->args.words[0] : "";

	if (strcmp(what, "list") == 0 && c->args.n_words == 1)
		return user_list(c);
	if (c->args.n_words != 2 || c->args.words[1][0] == '\0')
		return usage();
	if (strcmp(what, "add") == 0)
		return user_write(c, c->args.words[1], true);
	if (strcmp(what, "set") == 0)
		return user_write(c, c->args.words[1], false);
	if (strcmp(what, "unlock") == 0)
		return send_path(c, "POST", c->args.words[1], "/unlock", cJSON_CreateObject());
	if (strcmp(what, "remove") == 0)
		return send_path(c, "DELETE", c->args.words[1], "", NULL);
	return usage();
}
