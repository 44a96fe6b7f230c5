/* verb_events.c - events, once or followed. */
#include "cli.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define LIMIT_PATH 1024
#define FOLLOW_S 60
#define LIMIT_DATA 4096

/* 17 2026-11-24T13:54:29.120Z detection org.atalaia.detection <agent> {data} */
static void
print_line(const cJSON *row)
{
	const cJSON *e = json_get(row, "event"), *data = json_get(e, "data");
	const char *source;
	struct buf text;
	uint64_t n = 0;

	(void)!json_get_u64(row, "n", JSON_MAX_INT, &n, NULL);
	if (json_get_string(e, "source", &source, NULL) != OK)
		source = "-";
	buf_init(&text, LIMIT_DATA);
	if (data != NULL && json_print(data, &text) != OK) {
		buf_reset(&text);
		(void)!buf_puts(&text, "(long)");
	}
	cli_clean((char *)text.data, text.len);
	(void)printf("%llu %s %s %s %s %s\n", (unsigned long long)n, cli_text(e, "time"),
	    cli_text(e, "atalaiaclass"), cli_text(e, "type"),
	    strrchr(source, '/') != NULL ? strrchr(source, '/') + 1 : source, buf_text(&text));
	buf_free(&text);
}

/* The event itself with two members of ours: its number here and when it came. */
static enum err
print_event(const cJSON *row, struct buf *line)
{
	cJSON *e = cJSON_Duplicate(json_get(row, "event"), 1);
	const char *received;
	uint64_t n;
	enum err x = e == NULL ? ERR_NOMEM : json_get_u64(row, "n", JSON_MAX_INT, &n, NULL);

	if (x == OK)
		x = json_get_string(row, "received", &received, NULL);
	if (x == OK)
		x = json_add_u64(e, "atalaian", n);
	if (x == OK)
		x = json_add_string(e, "atalaiareceived", received);
	if (x == OK)
		x = json_print(e, line);
	cJSON_Delete(e);
	return x;
}

/* With --json one document a line, so that a program can follow. */
static void
print_rows(struct cli *c, const cJSON *body)
{
	const cJSON *row;
	struct buf line;

	cJSON_ArrayForEach(row, json_get(body, "events"))
	{
		if (!c->json) {
			print_line(row);
			continue;
		}
		buf_init(&line, 1u << 20);
		if (print_event(row, &line) == OK)
			(void)puts(buf_text(&line));
		buf_free(&line);
	}
	(void)fflush(stdout);
}

static enum err
make_path(struct cli *c, struct buf *path, uint64_t after, bool first, bool follow)
{
	const char *last = args_value(&c->args, "--last");
	enum err e;

	if (last == NULL)
		last = follow ? "10" : c->json ? "1000" : "100";
	buf_reset(path);
	e = buf_printf(path, "/v1/events?after=%llu", (unsigned long long)after);
	if (e == OK && first && args_value(&c->args, "--after") == NULL)
		e = buf_printf(path, "&last=1&limit=%s", last);
	if (e == OK && !first)
		e = buf_printf(path, "&wait=%d", FOLLOW_S);
	if (e == OK)
		e = cli_query(path, "class", args_value(&c->args, "--class"));
	if (e == OK)
		e = cli_query(path, "type", args_value(&c->args, "--type"));
	if (e == OK)
		e = cli_query(path, "agent", args_value(&c->args, "--agent"));
	return e;
}

static int
check_numbers(const struct args *a, uint64_t *after)
{
	const char *last = args_value(a, "--last"), *text = args_value(a, "--after");
	uint32_t n;

	*after = 0;
	if (last != NULL && text_u32(last, strlen(last), 1000, &n) != OK)
		return cli_fail(CLI_USAGE, "--last needs a number up to 1000");
	if (text != NULL && text_u64(text, strlen(text), JSON_MAX_INT, after) != OK)
		return cli_fail(CLI_USAGE, "--after needs a number");
	return CLI_OK;
}

int
verb_events(struct cli *c)
{
	bool follow = args_has(&c->args, "--follow"), first = true;
	struct cli_reply r;
	struct buf path;
	uint64_t after;
	int code = check_numbers(&c->args, &after);

	buf_init(&path, LIMIT_PATH);
	while (code == CLI_OK && (first || follow)) {
		if (make_path(c, &path, after, first, follow) != OK) {
			code = cli_fail(CLI_USAGE, "a filter is too long");
			break;
		}
		first = false;
		code = cli_request(c, "GET", buf_text(&path), NULL, 0, FOLLOW_S * 1000, &r);
		if (code != CLI_OK)
			break;
		print_rows(c, r.body);
		(void)!json_opt_u64(r.body, "last", JSON_MAX_INT, after, &after, NULL);
		cli_reply_free(&r);
	}
	buf_free(&path);
	return code;
}
