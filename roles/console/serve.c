#include "serve.h"

#include "admin_api.h"
#include "agent_api.h"
#include "audit.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "feed.h"
#include "net/addr.h"
#include "net/loop.h"
#include "os/confine.h"
#include "os/descriptors.h"
#include "os/file.h"
#include "os/notify.h"
#include "proto/enroll.h"
#include "push.h"
#include "store.h"
#include "upkeep.h"
#include "web.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS 100
#define DRAIN_MS 5000
#define LIMIT_CONNECTIONS 12000 /* every agent of a large site may hold a pull */
#define ADMIN_CONNECTIONS 256
/* A descriptor each; and browsers, the store, pushes and files. */
#define DESCRIPTORS (LIMIT_CONNECTIONS + ADMIN_CONNECTIONS + 2048)

/* ---- start ---- */

static enum err
load_revoked(void *arg, const char *agent)
{
	return revoked_add(arg, agent);
}

static enum err
read_admin_token(struct console *c, struct fault *f)
{
	char path[STATE_PATH];
	struct buf b;
	enum err e = options_path(c->o, FILE_ADMIN_TOKEN, path, f);

	buf_init(&b, 256);
	if (e == OK)
		e = file_read(path, &b, f);
	while (b.len > 0 && b.data[b.len - 1] == '\n')
		b.data[--b.len] = '\0';
	if (e == OK && b.len != 64)
		e = fault_set(
		    f, ERR_INVAL, "%s must hold 64 characters: run atalaia-console init", path);
	if (e == OK)
		e = text_copy(c->admin_token, sizeof(c->admin_token), buf_text(&b), b.len);
	buf_wipe(&b);
	return e;
}

/* Everything that needs the disk, before the loop runs. */
static enum err
open_state(struct console *c, struct fault *f)
{
	char path[STATE_PATH];
	bool fresh;
	enum err e = feed_open(&c->feed, c->o, f); /* its lock: nobody rotates meanwhile */

	if (e == OK)
		e = identity_refresh(c->o, &fresh, f);
	if (e == OK)
		e = identity_load(&c->id, c->o, f);
	if (e == OK)
		e = read_admin_token(c, f);
	if (e == OK)
		e = options_path(c->o, FILE_DB, path, f);
	if (e == OK)
		e = db_open(&c->db, path, f);
	if (e == OK)
		e = revoked_new(&c->revoked);
	if (e == OK)
		e = store_revoked_each(c->db, load_revoked, c->revoked);
	if (e == OK)
		e = waiters_new(&c->waiters, LIMIT_WAITERS);
	if (e == OK)
		e = push_new(&c->push, c);
	if (e != OK)
		return e;
	c->feed_root = open(feed_public(c->feed), O_PATH | O_DIRECTORY | O_CLOEXEC);
	return c->feed_root >= 0
		   ? OK
		   : fault_set(f, ERR_IO, "%s cannot be opened", feed_public(c->feed));
}

/* Inside the handshake: a revoked agent gets no further than its certificate. */
static bool
admit(void *ctx, const struct pki_identity *peer)
{
	struct console *c = ctx;

	return peer->role != PKI_AGENT || !revoked_has(c->revoked, peer->name);
}

static void
agent_refused(void *ctx, const struct http_refusal *x)
{
	audit_turned_away(ctx, "agents", x);
}

/* What somebody with the token asks for in vain stands in the trail when it would change anything.
 */
static void
admin_refused(void *ctx, const struct http_refusal *x)
{
	if (x->status == 401 || x->status == 403 || x->status == 408 || x->status == 429 ||
	    x->status == 503)
		audit_turned_away(ctx, "admin", x);
}

static enum err
make_tls(struct console *c, struct tls_config **out, struct fault *f)
{
	struct tls_options t = { .chain_pem = buf_text(&c->id.chain),
		.key_pem = buf_text(&c->id.key),
		.auth = TLS_AUTH_OPTIONAL,
		.admit = admit,
		.admit_ctx = c };

	t.trust.ca_pem = buf_text(&c->id.ca);
	t.trust.expired_grace_ms = ENROLL_RENEW_GRACE_DAYS * 86400000ll;
	t.expect.role = PKI_AGENT;
	t.expect.org = c->o->org;
	return tls_config_new(out, &t, f);
}

static enum err
make_client(struct console *c, struct fault *f)
{
	enum err e = OK;

	struct httpc_tls t = { .cert_pem = buf_text(&c->id.chain),
		.key_pem = buf_text(&c->id.key) };

	t.trust.ca_pem = buf_text(&c->id.ca);
	t.expect.role = PKI_AGENT;
	t.expect.org = c->o->org;
	t.expect.server = true;
	if (c->client == NULL)
		e = httpc_new(&c->client, c->loop, &t, f);
	else
		e = httpc_set_tls(c->client, &t, f);
	return e;
}

void
serve_identity_changed(struct console *c)
{
	struct tls_config *tls = NULL;
	struct fault f = { 0 };
	enum err e = make_tls(c, &tls, &f);

	if (e == OK) {
		httpd_set_tls(c->agents, tls);
		tls_config_unref(c->tls);
		c->tls = tls;
		e = make_client(c, &f);
	}
	if (e != OK)
		log_error("identity.tls", "error=%s", log_q(fault_text(&f)));
	else
		log_info("identity.renewed", "console=%s", c->o->name);
}

/* Every address of listen=; a machine without IPv6 serves without it. */
static enum err
listen_all(struct console *c, struct fault *f)
{
	const char *p = c->o->listen;
	char host[ADDR_HOST];
	size_t bound = 0;
	enum err e = OK;

	c->agent_port = c->o->agent_port;
	while (e == OK && *p != '\0') {
		size_t n = strcspn(p, ", ");
		struct fault own = { 0 };

		if (n > 0) {
			e = text_copy(host, sizeof(host), p, n);
			if (e == OK)
				e = httpd_listen(
				    c->agents, host, c->agent_port, &c->agent_port, &own);
			if (e == OK)
				bound++;
			else if (strchr(host, ':') != NULL && bound > 0)
				e = OK;
			else
				return conf_fault(
				    c->o->conf, "console", "agent_port", f, "%s", fault_text(&own));
		}
		p += n;
		p += strspn(p, ", ");
	}
	if (bound == 0)
		return conf_fault(c->o->conf, "console", "listen", f, "name at least one address");
	return OK;
}

/* Services start with 1,024, which would be the size of the fleet. */
static void
take_descriptors(void)
{
	uint64_t allowed = descriptors_take(DESCRIPTORS);

	if (allowed < DESCRIPTORS)
		log_warn("descriptors.few", "allowed=%llu wanted=%u remedy=%s",
		    (unsigned long long)allowed, DESCRIPTORS, log_q("raise LimitNOFILE"));
}

static enum err
make_servers(struct console *c, struct fault *f)
{
	struct httpd_options agents = { .name = "agents",
		.routes = agent_routes,
		.n_routes = agent_route_count,
		.ctx = c,
		.gate = agent_gate,
		.refused = agent_refused,
		.tls = c->tls,
		.max_connections = LIMIT_CONNECTIONS,
		.max_per_address = c->o->connections_per_address,
		.handshakes_per_s = c->o->handshakes_per_second,
		.handshake_burst = c->o->handshakes_per_second * 10,
		.idle_ms = 120000 };
	struct httpd_options admin = { .name = "admin",
		.ctx = c,
		.gate = admin_gate,
		.refused = admin_refused,
		.local_only = true,
		.max_connections = ADMIN_CONNECTIONS };
	struct fault own = { 0 };
	enum err e = web_admin_routes(&c->admin_routes, &admin.n_routes);

	take_descriptors();
	admin.routes = c->admin_routes;
	if (e == OK)
		e = httpd_new(&c->agents, c->loop, &agents, f);

	if (e == OK)
		e = httpd_new(&c->admin, c->loop, &admin, f);
	if (e == OK)
		e = listen_all(c, f);
	if (e == OK && httpd_listen(c->admin, c->o->admin_listen, c->o->admin_port, &c->admin_port,
			   &own) != OK)
		e = conf_fault(c->o->conf, "console", "admin_port", f, "%s", fault_text(&own));
	return e == OK ? web_open(&c->web, c, f) : e;
}

/* The real ports, for the command line and for tests with port 0. */
static enum err
announce(struct console *c, struct fault *f)
{
	char path[STATE_PATH];
	struct buf b;
	enum err e = options_path(c->o, FILE_PORTS, path, f);

	buf_init(&b, 128);
	if (e == OK)
		e = buf_printf(&b, "{\"agents\":%u,\"admin\":%u,\"web\":%u}\n", c->agent_port,
		    c->admin_port, c->web->server != NULL ? c->web->port : 0);
	if (e == OK)
		e = file_replace(path, b.data, b.len, 0644, f);
	buf_free(&b);
	if (e == OK) {
		web_announce(c->web, stdout);
		(void)printf("ready agents=%u admin=%u web=%u\n", c->agent_port, c->admin_port,
		    c->web->server != NULL ? c->web->port : 0);
		(void)fflush(stdout);
	}
	return e;
}

/* ---- stop ---- */

/* Servers first (no new work), then the client and the queues, then the handles: each step waits
 * for the one before, so that every answer that is owed has gone out. */
static void
on_queues_closed(void *arg)
{
	struct console *c = arg;

	if (--c->open_parts > 0)
		return;
	uv_close((uv_handle_t *)&c->tick, NULL);
	uv_close((uv_handle_t *)&c->alive, NULL);
	uv_close((uv_handle_t *)&c->sigterm, NULL);
	uv_close((uv_handle_t *)&c->sigint, NULL);
	uv_close((uv_handle_t *)&c->sighup, NULL);
}

static void
on_client_closed(void *arg)
{
	struct console *c = arg;

	c->open_parts = 3;
	work_close(&c->file_work, on_queues_closed, c);
	work_close(&c->feed_work, on_queues_closed, c);
	work_close(&c->db_work, on_queues_closed, c);
}

static void
on_server_closed(void *arg)
{
	struct console *c = arg;

	if (--c->open_parts == 0)
		httpc_close(c->client, on_client_closed, c);
}

static void
stop(struct console *c)
{
	if (c->stopping)
		return;
	c->stopping = true;
	log_info("stopping", "waiters=%zu", waiters_count(c->waiters));
	c->open_parts = 3;
	web_close(c->web, on_server_closed, c);
	httpd_close(c->agents, DRAIN_MS, on_server_closed, c);
	httpd_close(c->admin, DRAIN_MS, on_server_closed, c);
}

static void
on_signal(uv_signal_t *s, int number)
{
	(void)number;
	stop(s->data);
}

/* Duties of the hour are due now. */
static void
on_hangup(uv_signal_t *s, int number)
{
	struct console *c = s->data;

	(void)number;
	c->next_identity = 0;
	web_reload(c->web);
}

static void
on_tick(uv_timer_t *t)
{
	struct console *c = t->data;
	uint64_t now = clock_mono_ms();

	if (c->stopping)
		return;
	waiters_tick(c->waiters, now);
	push_tick(c->push, now);
	upkeep_tick(c, now);
	web_tick(c->web, now);
}

/* A loop that hangs says nothing: the service manager starts the console anew. */
static void
say_alive(uv_timer_t *t)
{
	notify_send(NOTIFY_ALIVE);
}

static int
start_loop(struct console *c)
{
	uint64_t every = notify_interval_ms();
	int rc = uv_timer_init(c->loop, &c->tick);

	c->tick.data = c->sigterm.data = c->sigint.data = c->sighup.data = c;
	if (rc == 0)
		rc = uv_timer_start(&c->tick, on_tick, TICK_MS, TICK_MS);
	if (rc == 0)
		rc = uv_timer_init(c->loop, &c->alive);
	if (rc == 0 && every > 0)
		rc = uv_timer_start(&c->alive, say_alive, 0, every);
	if (rc == 0)
		rc = uv_signal_init(c->loop, &c->sigterm);
	if (rc == 0)
		rc = uv_signal_start(&c->sigterm, on_signal, SIGTERM);
	if (rc == 0)
		rc = uv_signal_init(c->loop, &c->sigint);
	if (rc == 0)
		rc = uv_signal_start(&c->sigint, on_signal, SIGINT);
	if (rc == 0)
		rc = uv_signal_init(c->loop, &c->sighup);
	if (rc == 0)
		rc = uv_signal_start(&c->sighup, on_hangup, SIGHUP);
	return rc;
}

static void
free_state(struct console *c)
{
	web_free(c->web);
	free(c->admin_routes);
	push_free(c->push);
	waiters_free(c->waiters);
	revoked_free(c->revoked);
	feed_close(c->feed);
	tls_config_unref(c->tls);
	db_close(c->db);
	identity_free(&c->id);
	if (c->feed_root >= 0)
		(void)close(c->feed_root);
}

static int
run(struct console *c, struct fault *f)
{
	enum err e = open_state(c, f);

	work_init(&c->db_work, c->loop, &db_hooks, c->db);
	work_init(&c->feed_work, c->loop, NULL, NULL);
	work_init(&c->file_work, c->loop, NULL, NULL);
	if (e == OK)
		e = make_tls(c, &c->tls, f);
	if (e == OK)
		e = make_client(c, f);
	if (e == OK)
		e = make_servers(c, f);
	if (e == OK)
		e = announce(c, f);
	if (e != OK)
		return 2;
	if (start_loop(c) != 0)
		return 70;
	log_info("ready", "org=%s console=%s agents=%u admin=%u policies=%llu", c->o->org,
	    c->o->name, c->agent_port, c->admin_port, (unsigned long long)feed_version(c->feed));
	notify_send(NOTIFY_READY);
	(void)uv_run(c->loop, UV_RUN_DEFAULT);
	return 0;
}

int
serve(const struct options *o)
{
	struct console c = { .o = o, .feed_root = -1 };
	struct fault f = { 0 };
	uv_loop_t loop;
	int status;

	if (log_init("atalaia-console", o->log) != OK || confine_basics(false, &f) != OK ||
	    uv_loop_init(&loop) != 0) {
		(void)fprintf(stderr, "atalaia-console: cannot start: %s\n", fault_text(&f));
		return 70;
	}
	c.loop = &loop;
	status = run(&c, &f);
	if (status == 2) {
		(void)fprintf(stderr, "atalaia-console: %s\n", fault_text(&f));
		free_state(&c);
		return status; /* the process ends: what the loop still holds goes with it */
	}
	free_state(&c);
	if (!loop_end(&loop))
		return 70;
	return status;
}
