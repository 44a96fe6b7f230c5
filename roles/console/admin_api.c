#include "admin_api.h"

#include "base/limits.h"
#include "net/pki.h"
#include "os/machine.h"
#include "proto/authority.h"
#include "proto/policy.h"
#include "push.h"

#include <inttypes.h>
#include <string.h>

#define LIMIT_ADMIN_JSON 1500000 /* a token request may carry a root.json */
#define LIMIT_ROLE_DOCUMENT 2000000

const struct http_route admin_routes[] = {
	{ "GET", "/metrics", 0, 0, admin_metrics },
	{ "GET", "/v1/status", 0, 0, admin_status },
	{ "GET", "/v1/agents", 0, 0, admin_agents },
	{ "POST", "/v1/agents/{}/revoke", 0, LIMIT_ADMIN_JSON, admin_agent_revoke },
	{ "GET", "/v1/tokens", 0, 0, admin_tokens },
	{ "POST", "/v1/tokens", 0, LIMIT_ADMIN_JSON, admin_token_new },
	{ "POST", "/v1/tokens/{}/revoke", 0, LIMIT_ADMIN_JSON, admin_token_revoke },
	{ "GET", "/v1/tasks", 0, 0, admin_tasks },
	{ "POST", "/v1/tasks", 0, LIMIT_ADMIN_JSON, admin_task_send },
	{ "GET", "/v1/tasks/{}", 0, 0, admin_task_show },
	{ "POST", "/v1/tasks/{}/cancel", 0, LIMIT_ADMIN_JSON, admin_task_cancel },
	{ "GET", "/v1/events", 0, 0, admin_events },
	{ "POST", "/v1/events/import", 0, LIMIT_SEALED + LIMIT_BATCH_BYTES, admin_import },
	{ "POST", "/v1/events/import/end", 0, LIMIT_SEALED, admin_import_end },
	{ "GET", "/v1/policies/*", 0, 0, admin_policy_get },
	{ "PUT", "/v1/policies/*", 0, LIMIT_POLICY_BYTES, admin_policy_put },
	{ "DELETE", "/v1/policies/*", 0, 0, admin_policy_delete },
	{ "GET", "/v1/authority", 0, 0, admin_authority_get },
	{ "PUT", "/v1/authority", 0, LIMIT_AUTHORITY_BYTES, admin_authority_put },
	{ "GET", "/v1/authority/staged", 0, 0, admin_authority_staged },
	{ "POST", "/v1/authority/signatures", 0, LIMIT_ROLE_DOCUMENT, admin_authority_sign },
	{ "POST", "/v1/backup", 0, LIMIT_ADMIN_JSON, admin_backup },
};
const size_t admin_route_count = sizeof(admin_routes) / sizeof(admin_routes[0]);

bool
admin_gate(struct http_req *req, void *ctx)
{
	static const char scheme[] = "Bearer ";
	struct console *c = ctx;
	const char *field = http_field(req, "authorization");
	size_t n = strlen(c->admin_token);

	if (field != NULL && strncmp(field, scheme, sizeof(scheme) - 1) == 0) {
		field += sizeof(scheme) - 1;
		if (strlen(field) == n && pki_equal(field, c->admin_token, n)) {
			http_set_data(req, c); /* for web_who */
			return true;
		}
	}
	http_set(req, "WWW-Authenticate", "Bearer");
	http_problem(
	    req, 401, "unauthorized", "send the token of %s/" FILE_ADMIN_TOKEN, c->o->state);
	return false;
}

static enum err
fill_status(struct console *c, cJSON *o)
{
	struct httpd_stats s = httpd_stats(c->agents);
	enum err e = json_add_string(o, "org", c->o->org);

	if (e == OK)
		e = json_add_string(o, "console", c->o->name);
	if (e == OK)
		e = json_add_string(o, "version", ATALAIA_VERSION);
	if (e == OK)
		e = json_add_u64(o, "connections", s.connections);
	if (e == OK)
		e = json_add_u64(o, "requests", s.requests);
	if (e == OK)
		e = json_add_u64(o, "handshakes_failed", s.handshakes_failed);
	if (e == OK)
		e = json_add_u64(o, "waiters", waiters_count(c->waiters));
	if (e == OK)
		e = json_add_u64(o, "pushes", push_pending(c->push));
	if (e == OK)
		e = json_add_u64(o, "jobs", c->db_work.queued);
	if (e == OK)
		e = json_add_u64(o, "revoked", revoked_count(c->revoked));
	return e;
}

static enum err
metric(struct buf *b, const char *name, const char *type, const char *help, uint64_t value)
{
	return buf_printf(b,
	    "# TYPE atalaia_console_%s %s\n# HELP atalaia_console_%s %s\n"
	    "atalaia_console_%s%s %" PRIu64 "\n",
	    name, type, name, help, name, strcmp(type, "counter") == 0 ? "_total" : "", value);
}

/* OpenMetrics 1.0 text. */
static enum err
write_metrics(struct console *c, struct buf *b)
{
	struct httpd_stats s = httpd_stats(c->agents);
	uv_rusage_t use = { 0 };
	enum err e = uv_getrusage(&use) == 0 ? OK : ERR_IO;

	if (e == OK)
		e = metric(b, "connections", "gauge", "Open connections of agents", s.connections);
	if (e == OK)
		e = metric(b, "requests", "counter", "Requests of agents", s.requests);
	if (e == OK)
		e = metric(b, "handshakes_failed", "counter", "TLS handshakes that failed",
		    s.handshakes_failed);
	if (e == OK)
		e = metric(b, "waiters", "gauge", "Held requests", waiters_count(c->waiters));
	if (e == OK)
		e = metric(
		    b, "pushes", "gauge", "Tasks on their way to agents", push_pending(c->push));
	if (e == OK)
		e = metric(
		    b, "jobs", "gauge", "Jobs that wait for the database", c->db_work.queued);
	if (e == OK)
		e = metric(b, "revoked_agents", "gauge", "Agents that are refused",
		    revoked_count(c->revoked));
	if (e == OK)
		e = metric(b, "resident_memory_bytes", "gauge", "Resident memory of this process",
		    machine_own_memory());
	if (e == OK)
		e = metric(b, "cpu_milliseconds", "counter", "CPU time of this process",
		    ((uint64_t)use.ru_utime.tv_sec + (uint64_t)use.ru_stime.tv_sec) * 1000 +
			((uint64_t)use.ru_utime.tv_usec + (uint64_t)use.ru_stime.tv_usec) / 1000);
	return e == OK ? buf_puts(b, "# EOF\n") : e;
}

void
admin_metrics(struct http_req *req, void *ctx)
{
	struct buf b;

	buf_init(&b, 16384);
	if (write_metrics(ctx, &b) != OK)
		http_problem(req, 503, "busy", "memory ran out");
	else
		http_reply(req, 200, "application/openmetrics-text; version=1.0.0; charset=utf-8",
		    b.data, b.len);
	buf_free(&b);
}

void
admin_status(struct http_req *req, void *ctx)
{
	cJSON *o = cJSON_CreateObject();

	if (o == NULL || fill_status(ctx, o) != OK)
		http_problem(req, 503, "busy", "memory ran out");
	else
		http_reply_json(req, 200, o);
	cJSON_Delete(o);
}
