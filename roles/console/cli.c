#include "cli.h"

#include "base/limits.h"
#include "base/text.h"
#include "net/httpc.h"
#include "net/loop.h"
#include "os/file.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LIMIT_REPLY (64u << 20)
#define LIMIT_INPUT (4u << 20)

int
cli_fail(int code, const char *fmt, ...)
{
	va_list ap;

	(void)fputs("atalaia-console: ", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	return code;
}

void
cli_print_json(const cJSON *tree)
{
	struct buf b;

	buf_init(&b, LIMIT_REPLY);
	if (json_print(tree, &b) == OK)
		(void)puts(buf_text(&b));
	buf_free(&b);
}

void
cli_print_document(const cJSON *tree)
{
	struct buf b;

	buf_init(&b, LIMIT_REPLY);
	if (json_print_pretty(tree, &b) == OK)
		(void)puts(buf_text(&b));
	buf_free(&b);
}

void
cli_clean(char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		memset(text + i, '?', text_unseen((const uint8_t *)text + i, n - i));
}

const char *
cli_text(const cJSON *o, const char *name)
{
	static char slots[8][400];
	static unsigned next;
	char *slot = slots[next++ % 8];
	const char *text;
	size_t n;

	if (json_get_string(o, name, &text, NULL) != OK || text[0] == '\0')
		return "-";
	n = strlen(text);
	if (n >= sizeof(slots[0]))
		n = sizeof(slots[0]) - 1;
	memcpy(slot, text, n);
	slot[n] = '\0';
	cli_clean(slot, n);
	return slot;
}

int
cli_read_file(const char *path, struct buf *out)
{
	struct fault f = { 0 };
	char piece[65536];
	ssize_t n;

	buf_init(out, LIMIT_INPUT);
	if (strcmp(path, "-") != 0) {
		if (file_read(path, out, &f) == OK)
			return CLI_OK;
		return cli_fail(CLI_USAGE, "%s: %s", path, fault_text(&f));
	}
	while ((n = read(STDIN_FILENO, piece, sizeof(piece))) > 0)
		if (buf_append(out, piece, (size_t)n) != OK)
			return cli_fail(
			    CLI_USAGE, "the input is larger than %u bytes", LIMIT_INPUT);
	return CLI_OK;
}

enum err
cli_query(struct buf *path, const char *name, const char *value)
{
	enum err e;

	if (value == NULL)
		return OK;
	e = buf_printf(path, "%c%s=", strchr(buf_text(path), '?') == NULL ? '?' : '&', name);
	for (; e == OK && *value != '\0'; value++) {
		unsigned char c = (unsigned char)*value;
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
		e = plain ? buf_append(path, &c, 1) : buf_printf(path, "%%%02X", c);
	}
	return e;
}

/* ---- one request ---- */

struct exchange {
	uv_loop_t loop;
	struct httpc *client;
	struct buf body;
	int status;
	enum err err;
	struct fault fault;
};

static void
on_done(void *ctx, const struct httpc_response *r)
{
	struct exchange *x = ctx;

	x->err = r->err;
	x->status = r->status;
	x->fault = r->fault;
	if (r->err == OK && buf_append(&x->body, r->body, r->len) != OK)
		x->err = ERR_NOMEM;
	httpc_close(x->client, NULL, NULL);
}

/* The port that serve announced when the configuration leaves it open, and the token. */
static int
find_console(struct cli *c)
{
	char path[STATE_PATH];
	struct fault f = { 0 };
	struct buf b;
	cJSON *ports = NULL;
	uint64_t port = c->o.admin_port;
	enum err e = options_path(&c->o, FILE_ADMIN_TOKEN, path, &f);

	buf_init(&b, 4096);
	if (e == OK)
		e = file_read(path, &b, &f);
	while (b.len > 0 && b.data[b.len - 1] == '\n')
		b.data[--b.len] = '\0';
	if (e == OK)
		e = text_copy(c->token, sizeof(c->token), buf_text(&b), b.len);
	buf_free(&b);
	if (e == OK && port == 0) {
		e = options_path(&c->o, FILE_PORTS, path, &f);
		if (e == OK)
			e = file_read(path, &b, &f);
		if (e == OK)
			e = json_parse(&ports, buf_text(&b), b.len, JSON_SIGNED, &f);
		if (e == OK)
			e = json_get_u64(ports, "admin", 65535, &port, &f);
		cJSON_Delete(ports);
		buf_free(&b);
	}
	c->port = (uint16_t)port;
	if (e != OK)
		return cli_fail(CLI_USAGE, "%s", fault_text(&f));
	return CLI_OK;
}

static enum err
exchange(struct cli *c, struct exchange *x, const struct httpc_request *q)
{
	struct httpc_call *call;
	enum err e;

	(void)c;
	if (uv_loop_init(&x->loop) != 0)
		return ERR_NOMEM;
	e = httpc_new(&x->client, &x->loop, NULL, &x->fault);
	if (e == OK) {
		e = httpc_start(x->client, q, &call, &x->fault);
		if (e != OK)
			httpc_close(x->client, NULL, NULL);
	}
	(void)uv_run(&x->loop, UV_RUN_DEFAULT);
	(void)!loop_end(&x->loop);
	return e;
}

/* A problem document becomes a sentence. */
static int
judge(struct cli *c, struct exchange *x, struct cli_reply *out)
{
	struct fault f = { 0 };

	if (x->err != OK)
		return cli_fail(CLI_UNREACHABLE,
		    "the console does not answer on 127.0.0.1 port %u (%s): is atalaia-console "
		    "serve running?",
		    c->port, fault_text(&x->fault));
	out->status = x->status;
	if (x->body.len > 0 &&
	    json_parse(&out->body, buf_text(&x->body), x->body.len, JSON_EVENT, &f) != OK)
		return cli_fail(
		    CLI_INTERNAL, "the console's answer is no JSON: %s", fault_text(&f));
	c->refused[0] = '\0';
	if (x->status < 400)
		return CLI_OK;
	(void)snprintf(c->refused, sizeof(c->refused), "%s", cli_text(out->body, "code"));
	if (c->json)
		cli_print_json(out->body);
	return cli_fail(CLI_FAILED, "refused (%s): %s", cli_text(out->body, "code"),
	    cli_text(out->body, "detail"));
}

int
cli_request(struct cli *c, const char *method, const char *path, const char *body, size_t n,
    uint32_t wait_ms, struct cli_reply *out)
{
	struct exchange x = { .err = ERR_CLOSED };
	char auth[96];
	const char *const headers[] = { auth, "Content-Type: application/json", NULL };
	struct httpc_request q = { .method = method,
		.headers = headers,
		.body = body,
		.body_len = n,
		.max_body = LIMIT_REPLY,
		.connect_ms = 3000,
		.total_ms = 60000 + wait_ms,
		.done = on_done,
		.ctx = &x };
	struct buf url;
	enum err e;
	int code;

	memset(out, 0, sizeof(*out));
	if (c->token[0] == '\0' && (code = find_console(c)) != CLI_OK)
		return code;
	(void)snprintf(auth, sizeof(auth), "Authorization: Bearer %s", c->token);
	buf_init(&url, 8192);
	buf_init(&x.body, LIMIT_REPLY);
	e = buf_printf(&url, "http://%s%s%s:%u%s", strchr(c->o.admin_listen, ':') ? "[" : "",
	    c->o.admin_listen, strchr(c->o.admin_listen, ':') ? "]" : "", c->port, path);
	q.url = buf_text(&url);
	if (e == OK)
		e = exchange(c, &x, &q);
	if (e != OK && x.err == ERR_CLOSED)
		x.err = e;
	code = judge(c, &x, out);
	buf_free(&url);
	buf_free(&x.body);
	if (code != CLI_OK)
		cli_reply_free(out);
	return code;
}

int
cli_post(struct cli *c, const char *path, cJSON *body, struct cli_reply *out)
{
	struct buf text;
	int code = CLI_INTERNAL;

	memset(out, 0, sizeof(*out));
	buf_init(&text, LIMIT_INPUT);
	if (body != NULL && json_print(body, &text) == OK)
		code = cli_request(c, "POST", path, buf_text(&text), text.len, 0, out);
	else
		(void)cli_fail(code, "memory ran out");
	cJSON_Delete(body);
	buf_free(&text);
	return code;
}

void
cli_reply_free(struct cli_reply *r)
{
	cJSON_Delete(r->body);
	memset(r, 0, sizeof(*r));
}
