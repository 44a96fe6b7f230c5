/* client.c - see client.h. */
#include "client.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "net/httpc.h"
#include "net/loop.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define DEFAULT_SOCKET "/run/atalaia/events.sock"
#define DEFAULT_URL "http://127.0.0.1:2227"
#define ANSWER_MAX (4u << 20)
#define TOTAL_MS 20000u

struct client {
	uv_loop_t loop;
	struct httpc *http;
	uv_timer_t timer;
	char socket[1024], url[512];
	/* of the request under way */
	bool done;
	enum err err;
	int status;
	cJSON *tree;
	struct fault fault;
};

static void
choose(struct client *c, const char *where)
{
	(void)snprintf(c->url, sizeof c->url, "http://localhost");
	if (where == NULL && file_exists(DEFAULT_SOCKET))
		(void)snprintf(c->socket, sizeof c->socket, "%s", DEFAULT_SOCKET);
	else if (where == NULL)
		(void)snprintf(c->url, sizeof c->url, "%s", DEFAULT_URL);
	else if (text_starts(where, "http://"))
		(void)snprintf(c->url, sizeof c->url, "%s", where);
	else
		(void)snprintf(c->socket, sizeof c->socket, "%s", where);
}

enum err
client_new(struct client **out, const char *where, struct fault *f)
{
	struct client *c = calloc(1, sizeof *c);
	enum err e;

	if (c == NULL || uv_loop_init(&c->loop) != 0) {
		free(c);
		return fault_set(f, ERR_NOMEM, "memory ran out");
	}
	choose(c, where);
	e = httpc_new(&c->http, &c->loop, NULL, f);
	if (e != OK) {
		(void)!loop_end(&c->loop);
		free(c);
		return e;
	}
	(void)uv_timer_init(&c->loop, &c->timer);
	*out = c;
	return OK;
}

void
client_free(struct client *c)
{
	if (c == NULL)
		return;
	httpc_close(c->http, NULL, NULL);
	uv_close((uv_handle_t *)&c->timer, NULL);
	(void)uv_run(&c->loop, UV_RUN_DEFAULT);
	(void)!loop_end(&c->loop);
	free(c);
}

static void
answered(void *ctx, const struct httpc_response *r)
{
	struct client *c = ctx;

	c->done = true;
	c->err = r->err;
	c->status = r->status;
	c->fault = r->fault;
	if (r->err == OK && r->len > 0 &&
	    json_parse(&c->tree, (const char *)r->body, r->len, JSON_EVENT, NULL) != OK)
		c->tree = NULL;
}

enum err
client_ask(struct client *c, const char *method, const char *path, int *status, cJSON **out,
    struct fault *f)
{
	struct httpc_request q = { 0 };
	char url[1200];
	enum err e;

	*out = NULL;
	c->done = false;
	c->tree = NULL;
	(void)snprintf(url, sizeof url, "%s%s", c->url, path);
	q.method = method;
	q.url = url;
	q.unix_socket = c->socket[0] == '\0' ? NULL : c->socket;
	q.max_body = ANSWER_MAX;
	q.total_ms = TOTAL_MS;
	q.done = answered;
	q.ctx = c;
	e = httpc_start(c->http, &q, NULL, f);
	if (e != OK)
		return e;
	while (!c->done)
		(void)uv_run(&c->loop, UV_RUN_ONCE);
	if (c->err != OK)
		return fault_set(f, c->err,
		    "the agent does not answer on %s: %s; is atalaia-agent running?",
		    c->socket[0] == '\0' ? c->url : c->socket, fault_text(&c->fault));
	*status = c->status;
	*out = c->tree;
	return OK;
}

static void
woke(uv_timer_t *t)
{
	*(bool *)t->data = true;
}

void
client_pause(struct client *c, unsigned ms)
{
	bool over = false;

	c->timer.data = &over;
	(void)uv_timer_start(&c->timer, woke, ms, 0);
	while (!over)
		(void)uv_run(&c->loop, UV_RUN_ONCE);
}
