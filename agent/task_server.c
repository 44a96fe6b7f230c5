/* task_server.c - the routes of port 2222. */
#include "task_server.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "identity.h"
#include "net/httpd.h"
#include "net/refusals.h"
#include "policies.h"
#include "report.h"
#include "status.h"
#include "task_stream.h"
#include "tasks.h"

#include <stdlib.h>
#include <string.h>

#define HANDSHAKES_PER_S 8u
#define HANDSHAKE_BURST 32u
#define DRAIN_MS 500u
#define LIST_MAX 200

struct task_server {
	struct agent *agent;
	struct httpd *httpd;
	struct streams *streams;
	struct refusals refusals; /* a flood of them must not fill the spool */
	void (*closed)(void *ctx);
	void *closed_ctx;
};

static const char *
who(struct http_req *r)
{
	const struct pki_identity *id = http_identity(r);

	return id == NULL ? "nobody" : id->name;
}

static void
answered(void *ctx, const struct task_answer *a)
{
	struct http_req *r = ctx;
	struct agent *agent = http_data(r);
	cJSON *o;

	if (a->code != NULL) {
		http_told(r); /* event task.refused */
		http_problem(r, a->status, a->code, "%s", a->detail);
		return;
	}
	o = tasks_json(agent->tasks, a->record);
	http_reply_json(r, a->status, o);
	cJSON_Delete(o);
}

/* The console may hang up before the journal has written: the task is then recorded all the same,
 * and its state is there for the next question. */
struct pending {
	struct http_req *r;
};

static void
pending_gone(struct http_req *r, void *ctx)
{
	((struct pending *)ctx)->r = NULL;
}

static void
pending_answered(void *ctx, const struct task_answer *a)
{
	struct pending *p = ctx;

	if (p->r != NULL)
		answered(p->r, a);
	free(p);
}

static void
post_task(struct http_req *r, void *ctx)
{
	struct task_server *s = ctx;
	struct pending *p;
	struct envelope env;
	struct fault f = { 0 };
	const uint8_t *body;
	size_t n;

	body = http_body(r, &n);
	if (!http_type_is(r, "application/json")) {
		http_problem(r, 415, "content-type", "send application/json");
		return;
	}
	if (envelope_parse(&env, (const char *)body, n, &f) != OK) {
		http_problem(
		    r, f.code == ERR_TOOBIG ? 413 : 400, "malformed", "%s", fault_text(&f));
		return;
	}
	p = calloc(1, sizeof *p);
	if (p == NULL) {
		envelope_free(&env);
		http_problem(r, 503, "no-memory", "memory ran out");
		return;
	}
	p->r = r;
	http_set_data(r, s->agent);
	http_on_cancel(r, pending_gone, p);
	tasks_submit(s->agent->tasks, &env, "push", who(r), pending_answered, p);
}

static void
get_tasks(struct http_req *r, void *ctx)
{
	struct task_server *s = ctx;
	cJSON *o = cJSON_CreateObject(), *list = tasks_list(s->agent->tasks, LIST_MAX);

	if (o == NULL || list == NULL)
		cJSON_Delete(list);
	else
		(void)cJSON_AddItemToObject(o, "tasks", list);
	http_reply_json(r, 200, o);
	cJSON_Delete(o);
}

static struct journal_record *
find(struct task_server *s, struct http_req *r)
{
	struct journal_record *rec = journal_find(s->agent->journal, http_param(r, 0));

	if (rec == NULL)
		http_problem(r, 404, "unknown-task", "no such task is recorded");
	return rec;
}

static void
get_task(struct http_req *r, void *ctx)
{
	struct task_server *s = ctx;
	const struct journal_record *rec = find(s, r);
	cJSON *o;

	if (rec == NULL)
		return;
	o = tasks_json(s->agent->tasks, rec);
	http_reply_json(r, 200, o);
	cJSON_Delete(o);
}

static void
get_progress(struct http_req *r, void *ctx)
{
	struct task_server *s = ctx;
	const struct journal_record *rec = find(s, r);

	if (rec != NULL)
		streams_add(s->streams, r, rec);
}

static void
post_cancel(struct http_req *r, void *ctx)
{
	struct task_server *s = ctx;
	struct task_answer a;
	cJSON *o;

	tasks_cancel(s->agent->tasks, http_param(r, 0), &a);
	log_info("task.cancel", "id=%s who=%s status=%d", log_q(http_param(r, 0)), log_q(who(r)),
	    a.status);
	if (a.code != NULL) {
		http_problem(r, a.status, a.code, "%s", a.detail);
		return;
	}
	o = tasks_json(s->agent->tasks, a.record);
	http_reply_json(r, a.status, o);
	cJSON_Delete(o);
}

static void
get_status(struct http_req *r, void *ctx)
{
	struct task_server *s = ctx;
	cJSON *o = status_json(s->agent);

	http_reply_json(r, 200, o);
	cJSON_Delete(o);
}

static void
get_inventory(struct http_req *r, void *ctx)
{
	struct task_server *s = ctx;

	inventory_reply(s->agent, r);
}

static const struct http_route routes[] = {
	{ "POST", "/v1/tasks", HTTP_NEED_CONSOLE, LIMIT_TASK_BYTES + 1024, post_task },
	{ "GET", "/v1/tasks", HTTP_NEED_CONSOLE, 0, get_tasks },
	{ "GET", "/v1/tasks/{}", HTTP_NEED_CONSOLE, 0, get_task },
	{ "GET", "/v1/tasks/{}/progress", HTTP_NEED_CONSOLE, 0, get_progress },
	{ "POST", "/v1/tasks/{}/cancel", HTTP_NEED_CONSOLE, LIMIT_TASK_BYTES, post_cancel },
	{ "GET", "/v1/status", HTTP_NEED_CONSOLE, 0, get_status },
	{ "GET", "/v1/inventory", HTTP_NEED_CONSOLE, 0, get_inventory },
};

/* Without an authority the CA alone says who is a console; then no task is taken anyway. */
static bool
welcome(const struct agent *a, const struct pki_identity *peer)
{
	const struct authority *au = policies_authority(a->policies);

	if (peer->role != PKI_CONSOLE || strcmp(peer->org, identity_org(a->identity)) != 0)
		return false;
	return au == NULL || (authority_console_allowed(au, peer->name) &&
				 !authority_serial_revoked(au, peer->serial));
}

static bool
admit(void *ctx, const struct pki_identity *peer)
{
	struct task_server *s = ctx;
	bool ok = welcome(s->agent, peer);

	if (!ok)
		log_warn("tasks.refused", "peer=%s role=%s org=%s why=not-an-allowed-console",
		    log_q(peer->name), pki_role_word(peer->role), log_q(peer->org));
	return ok;
}

/* Questions for what is not there are no refusals. */
static void
refused(void *ctx, const struct http_refusal *x)
{
	struct task_server *s = ctx;
	uint64_t n;

	if (x->told || x->status == 404 || x->status == 405 || x->status == 409)
		return;
	if (refusals_tell(&s->refusals, x->code, x->peer, clock_mono_ms(), &n))
		report_console_refused(s->agent, x, n);
}

static bool
gate(struct http_req *r, void *ctx)
{
	struct task_server *s = ctx;
	const struct pki_identity *peer = http_identity(r);

	if (peer != NULL && welcome(s->agent, peer))
		return true;
	http_problem(r, 403, "console-refused", "the authority does not list this console");
	return false;
}

static enum err
make_tls(struct task_server *s, struct tls_config **out, struct fault *f)
{
	const struct identity *id = s->agent->identity;
	struct identity_trust trust;
	struct tls_options o = { 0 };
	struct buf chain;
	enum err e = identity_trust_make(&trust, id, policies_authority(s->agent->policies));

	if (e != OK)
		return fault_set(f, e, "memory ran out");
	buf_init(&chain, 2 * LIMIT_PEM_BYTES);
	e = buf_puts(&chain, identity_cert_pem(id));
	if (e == OK)
		e = buf_puts(&chain, identity_ca_pem(id));
	o.chain_pem = buf_text(&chain);
	o.key_pem = identity_key_pem(id);
	o.trust = trust.trust;
	o.expect.role = PKI_CONSOLE;
	o.expect.org = identity_org(id);
	o.auth = TLS_AUTH_REQUIRED;
	o.admit = admit;
	o.admit_ctx = s;
	if (e == OK)
		e = tls_config_new(out, &o, f);
	buf_free(&chain);
	identity_trust_free(&trust);
	return e;
}

static enum err
listen_all(struct task_server *s, struct fault *f)
{
	struct agent *a = s->agent;
	uint16_t port = a->conf->task_port;
	size_t n_open = 0;
	enum err e = OK;

	for (const char *p = a->conf->listen; *p != '\0';) {
		size_t n = strcspn(p, ", \t");
		char host[ADDR_HOST];

		if (n > 0 && text_copy(host, sizeof host, p, n) == OK) {
			struct fault mine = { 0 };

			e = httpd_listen(s->httpd, host, port, &port, &mine);
			if (e == OK)
				n_open++;
			else if (e !=
				 ERR_UNSUPPORTED) /* a PC without IPv6 listens on what it has */
				return fault_set(f, ERR_INVAL, "[agent] task_port=%u on %s: %s",
				    (unsigned)a->conf->task_port, host, fault_text(&mine));
		}
		p += n;
		p += strspn(p, ", \t");
	}
	a->task_port = port;
	return n_open > 0 ? OK
			  : fault_set(f, ERR_INVAL,
				"[agent] listen= names no address that this PC has; correct it");
}

enum err
task_server_new(struct task_server **out, struct agent *a, struct fault *f)
{
	struct task_server *s = calloc(1, sizeof *s);
	struct tls_config *tls = NULL;
	struct httpd_options o = { 0 };
	enum err e;

	*out = s;
	if (s == NULL)
		return fault_set(f, ERR_NOMEM, "memory ran out");
	s->agent = a;
	e = streams_new(&s->streams, a);
	if (e == OK)
		e = make_tls(s, &tls, f);
	if (e != OK)
		return fault_set(f, e, "the task port cannot be opened");
	o.name = "tasks";
	o.routes = routes;
	o.n_routes = sizeof routes / sizeof routes[0];
	o.ctx = s;
	o.gate = gate;
	o.refused = refused;
	o.tls = tls;
	o.max_connections = LIMIT_TASK_CONNECTIONS;
	o.max_per_address = LIMIT_TASK_CONNECTIONS / 2; /* who stalls leaves room for the console */
	o.handshakes_per_s = HANDSHAKES_PER_S;
	o.handshake_burst = HANDSHAKE_BURST;
	e = httpd_new(&s->httpd, &a->loop, &o, f);
	tls_config_unref(tls);
	return e == OK ? listen_all(s, f) : e;
}

void
task_server_renew(struct task_server *s)
{
	struct tls_config *tls = NULL;
	struct fault f = { 0 };

	if (make_tls(s, &tls, &f) != OK) {
		log_error("tasks.tls", "why=%s", log_q(fault_text(&f)));
		return;
	}
	httpd_set_tls(s->httpd, tls);
	tls_config_unref(tls);
}

static void
httpd_closed(void *ctx)
{
	struct task_server *s = ctx;
	void (*closed)(void *) = s->closed;
	void *closed_ctx = s->closed_ctx;

	streams_free(s->streams);
	free(s);
	closed(closed_ctx);
}

void
task_server_close(struct task_server *s, void (*closed)(void *ctx), void *ctx)
{
	s->closed = closed;
	s->closed_ctx = ctx;
	streams_end(s->streams);
	if (s->httpd == NULL)
		httpd_closed(s);
	else
		httpd_close(s->httpd, DRAIN_MS, httpd_closed, s);
}
