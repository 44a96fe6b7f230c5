/* probe.c - an agent asks whether this server reaches its task port: the console connects back to
 * the address that it sees, with the protocol of a push, and tells what came of it. Only that
 * address, and only a peer that proves to be the very agent counts as reached. */
#include "agent_api.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define PROBE_MS 6000
#define PROBES_MAX 16 /* at a time; each waits for somebody else's firewall */

struct probe {
	struct http_req *req; /* NULL: the agent went away */
	struct httpc_call *call;
	char address[ADDR_TEXT];
	uint64_t port;
};

static unsigned running; /* one console in a process */

static void
answer(struct probe *p, const struct httpc_response *r)
{
	cJSON *o = cJSON_CreateObject();
	char now[CLOCK_TEXT];
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "address", p->address);

	clock_format(now, clock_wall_ms());
	if (e == OK)
		e = json_add_u64(o, "task_port", p->port);
	if (e == OK)
		e = json_add_bool(o, "reached", r->err == OK);
	if (e == OK)
		e = json_add_u64(o, "status", r->status > 0 ? (uint64_t)r->status : 0);
	if (e == OK && r->err != OK)
		e = json_add_string(o, "error", fault_text(&r->fault));
	if (e == OK)
		e = json_add_string(o, "time", now);
	if (e == OK)
		http_reply_json(p->req, 200, o);
	else
		http_problem(p->req, 503, "no-memory", "memory ran out");
	cJSON_Delete(o);
}

static void
on_done(void *ctx, const struct httpc_response *r)
{
	struct probe *p = ctx;

	running--;
	log_info("probe", "address=%s port=%llu reached=%s", p->address,
	    (unsigned long long)p->port, r->err == OK ? "yes" : "no");
	if (p->req != NULL)
		answer(p, r);
	free(p);
}

static void
on_gone(struct http_req *req, void *ctx)
{
	((struct probe *)ctx)->req = NULL;
}

static enum err
start(struct console *c, struct probe *p, const char *agent, struct fault *f)
{
	bool v6 = strchr(p->address, ':') != NULL;
	char url[ADDR_TEXT + 64];
	struct httpc_request q = { .url = url,
		.expect_name = agent,
		.connect_ms = PROBE_MS,
		.total_ms = PROBE_MS,
		.done = on_done,
		.ctx = p };

	(void)snprintf(url, sizeof(url), "https://%s%s%s:%llu/v1/status", v6 ? "[" : "", p->address,
	    v6 ? "]" : "", (unsigned long long)p->port);
	return httpc_start(c->client, &q, &p->call, f);
}

void
on_probe(struct http_req *req, void *ctx)
{
	struct probe *p;
	uint64_t port;
	struct fault f = { 0 };

	if (http_query_u64(req, "task_port", 65535, 0, &port) != OK || port == 0) {
		http_problem(req, 400, "malformed", "task_port must be a port");
		return;
	}
	p = running < PROBES_MAX ? calloc(1, sizeof(*p)) : NULL;
	if (p == NULL) {
		http_set(req, "Retry-After", "5");
		http_problem(req, 503, "busy", "other probes are under way");
		return;
	}
	p->port = port;
	(void)addr_format_ip(p->address, http_peer(req));
	if (start(ctx, p, http_identity(req)->name, &f) != OK) {
		http_problem(req, 503, "not-started", "%s", fault_text(&f));
		free(p);
		return;
	}
	running++;
	p->req = req;
	http_on_cancel(req, on_gone, p);
}
