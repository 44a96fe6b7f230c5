/* probe.c - POST /v1/probe of the local port: asks the console to connect back to the task port,
 * and hands its answer on. Proves 2225 and 2222 in one go, for atalaia doctor. */
#include "status.h"

#include "events.h"
#include "net/httpc.h"
#include "task_pull.h"

#include <stdio.h>
#include <stdlib.h>

#define PROBE_MS 15000u
#define ANSWER_MAX 8192u

struct probe {
	struct http_req *r; /* NULL: the client has gone */
};

static bool busy; /* one agent in a process, one probe at a time */

static void
probe_done(void *ctx, const struct httpc_response *r)
{
	struct probe *p = ctx;

	busy = false;
	if (p->r != NULL && r->err != OK)
		http_problem(p->r, 502, "console", "%s", fault_text(&r->fault));
	else if (p->r != NULL && r->status != 200)
		http_problem(p->r, 502, "console", "the console answered %d", r->status);
	else if (p->r != NULL)
		http_reply(p->r, 200, "application/json", r->body, r->len);
	free(p);
}

static void
client_gone(struct http_req *r, void *ctx)
{
	((struct probe *)ctx)->r = NULL;
}

void
probe_reply(struct agent *a, struct http_req *r)
{
	struct httpc_request q = { .method = "POST", .max_body = ANSWER_MAX, .total_ms = PROBE_MS };
	struct httpc_call *call;
	struct fault f = { 0 };
	char path[64], url[512];
	struct probe *p;

	if (a->identity == NULL || a->console == NULL) {
		http_problem(r, 409, "not-enrolled", "this PC is not enrolled");
		return;
	}
	p = busy ? NULL : calloc(1, sizeof *p);
	if (p == NULL) {
		http_problem(r, 429, "busy", "another probe is under way");
		return;
	}
	(void)snprintf(path, sizeof path, "v1/probe?task_port=%u", (unsigned)a->task_port);
	q.url = url;
	q.proxy = a->conf->console_proxy;
	q.done = probe_done;
	q.ctx = p;
	if (console_url(a, url, sizeof url, path) != OK ||
	    httpc_start(a->console, &q, &call, &f) != OK) {
		http_problem(r, 502, "console", "%s", fault_text(&f));
		free(p);
		return;
	}
	busy = true;
	p->r = r;
	http_on_cancel(r, client_gone, p);
}
