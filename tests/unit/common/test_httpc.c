/* test_httpc.c - client and server of common/net against each other over loopback: plain, mutual TLS, roles, pins, streams, cancel, closing orders. */
#include "net/httpc.h"
#include "net/httpd.h"

#include "net_world.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

struct site {
	uv_loop_t loop;
	struct httpd *d;
	struct httpc *c;
	struct world_fleet fleet, other;
	uint16_t port;
	bool server_closed, client_closed;
	struct http_req *waiting;
	size_t canceled, ticks;
	int admit;                       /* what the hook says; -1: no hook */
};

static void
on_who(struct http_req *r, void *ctx)
{
	const struct pki_identity *id = http_identity(r);

	http_set(r, "ETag", "\"7\"");
	http_reply(r, 200, "text/plain", id != NULL ? id->name : "nobody", strlen(id != NULL ? id->name : "nobody"));
}

static void
on_echo(struct http_req *r, void *ctx)
{
	size_t n;
	const uint8_t *p = http_body(r, &n);

	http_reply(r, http_type_is(r, "application/json") ? 200 : 415, "text/plain", p, n);
}

static void
on_big(struct http_req *r, void *ctx)
{
	char *p = calloc(1, 3 << 20);

	assert_non_null(p);
	memset(p, 'x', 3 << 20);
	http_reply(r, 200, "text/plain", p, 3 << 20);
	free(p);
}

static void
on_cancel(struct http_req *r, void *ctx)
{
	struct site *s = ctx;

	s->canceled++;
	s->waiting = NULL;
}

static void
on_wait(struct http_req *r, void *ctx)
{
	struct site *s = ctx;

	s->waiting = r;
	http_may_wait(r);
	http_on_cancel(r, on_cancel, s);
}

static void
sse_proceed(struct http_req *r, void *ctx)
{
	char line[32];

	(void)snprintf(line, sizeof(line), "data: %zu\n\n", ((struct site *)ctx)->ticks++);
	(void)!http_stream_write(r, line, strlen(line), false);
}

static void
sse_stop(struct http_req *r, void *ctx)
{
	((struct site *)ctx)->canceled++;
}

static void
on_sse(struct http_req *r, void *ctx)
{
	static const struct http_source source = { sse_proceed, sse_stop };

	http_stream(r, 200, "text/event-stream", HTTP_LENGTH_UNKNOWN, &source, ctx);
}

static void
on_own_file(struct http_req *r, void *ctx)
{
	char path[] = "/tmp/atalaia-httpc-XXXXXX";
	char block[200000];
	int fd = mkstemp(path);

	memset(block, 'f', sizeof(block));
	assert_true(fd >= 0);
	(void)unlink(path);
	assert_int_equal(write(fd, block, sizeof(block)), (ssize_t)sizeof(block));
	http_reply_file(r, 200, "application/octet-stream", fd, 0, sizeof(block));
}

static const struct http_route routes[] = {
	{ "GET", "/who", 0, 0, on_who },
	{ "GET", "/agent", HTTP_NEED_AGENT, 0, on_who },
	{ "GET", "/console", HTTP_NEED_CONSOLE, 0, on_who },
	{ "POST", "/renew", HTTP_NEED_AGENT | HTTP_EXPIRED_OK, 1000, on_who },
	{ "POST", "/echo", 0, 100000, on_echo },
	{ "GET", "/big", 0, 0, on_big },
	{ "GET", "/wait", 0, 0, on_wait },
	{ "GET", "/sse", 0, 0, on_sse },
	{ "GET", "/file", 0, 0, on_own_file },
};

static bool
admit(void *ctx, const struct pki_identity *peer)
{
	return ((struct site *)ctx)->admit != 0;
}

/* A server with the console's certificate; trust and grace as a console has them. tls false: plain. */
static struct site *
site_open(bool tls, enum tls_auth auth)
{
	struct site *s = calloc(1, sizeof(*s));
	struct httpd_options o = { .name = "site", .routes = routes, .n_routes = sizeof(routes) / sizeof(routes[0]) };
	struct tls_options t = { .auth = auth, .admit = admit };
	struct tls_config *config = NULL;
	struct fault f = { 0 };

	assert_non_null(s);
	s->admit = 1;
	world_fleet_new(&s->fleet, "acme");
	world_fleet_new(&s->other, "acme");
	assert_int_equal(uv_loop_init(&s->loop), 0);
	t.chain_pem = s->fleet.console.chain;
	t.key_pem = s->fleet.console.key;
	t.trust.ca_pem = s->fleet.ca;
	t.trust.expired_grace_ms = 180 * DAY;
	t.admit_ctx = o.ctx = s;
	if (tls && tls_config_new(&config, &t, &f) != OK)
		fail_msg("%s", fault_text(&f));
	o.tls = config;
	assert_int_equal(httpd_new(&s->d, &s->loop, &o, &f), OK);
	tls_config_unref(config);
	assert_int_equal(httpd_listen(s->d, "127.0.0.1", 0, &s->port, &f), OK);
	return s;
}

static void
on_server_closed(void *ctx)
{
	((struct site *)ctx)->server_closed = true;
}

static void
on_client_closed(void *ctx)
{
	((struct site *)ctx)->client_closed = true;
}

static void
site_close(struct site *s)
{
	if (s->c != NULL)
		httpc_close(s->c, on_client_closed, s);
	httpd_close(s->d, 1000, on_server_closed, s);
	assert_true(world_end(&s->loop));
	assert_true(s->server_closed);
	assert_true(s->c == NULL || s->client_closed);
	world_fleet_free(&s->fleet);
	world_fleet_free(&s->other);
	free(s);
}

struct answer {
	bool done;
	enum err err;
	int status;
	char body[256], text[400], etag[32], peer[PKI_NAME];
	size_t len;
};

static void
on_done(void *ctx, const struct httpc_response *r)
{
	struct answer *a = ctx;
	const char *etag = httpc_field(r, "etag");

	assert_false(a->done);
	a->done = true;
	a->err = r->err;
	a->status = r->status;
	a->len = r->len;
	(void)snprintf(a->body, sizeof(a->body), "%.200s", (const char *)r->body);
	(void)snprintf(a->text, sizeof(a->text), "%s", fault_text(&r->fault));
	(void)snprintf(a->etag, sizeof(a->etag), "%s", etag != NULL ? etag : "");
	(void)snprintf(a->peer, sizeof(a->peer), "%s", r->peer != NULL ? r->peer->name : "");
}

static bool
is_done(void *ctx)
{
	return ((struct answer *)ctx)->done;
}

static struct httpc_call *
start(struct site *s, struct httpc_request *q, struct answer *a, const char *path)
{
	struct httpc_call *call;
	struct fault f = { 0 };
	char url[128];

	memset(a, 0, sizeof(*a));
	(void)snprintf(url, sizeof(url), "%s:%u%s", q->url, s->port, path);
	q->url = url;
	q->done = on_done;
	q->ctx = a;
	if (httpc_start(s->c, q, &call, &f) != OK)
		fail_msg("%s", fault_text(&f));
	return call;
}

static void
get(struct site *s, const char *base, const char *path, struct answer *a)
{
	struct httpc_request q = { .url = base };

	start(s, &q, a, path);
	if (!world_run(&s->loop, is_done, a))
		fail_msg("no answer for %s", path);
}

#define HTTP "http://127.0.0.1"
#define HTTPS "https://127.0.0.1"

static void
client(struct site *s, const struct httpc_tls *t)
{
	struct fault f = { 0 };

	if (httpc_new(&s->c, &s->loop, t, &f) != OK)
		fail_msg("%s", fault_text(&f));
}

static struct httpc_tls
as(const struct world_cert *c, const char *ca)
{
	return (struct httpc_tls){
		.cert_pem = c != NULL ? c->chain : NULL, .key_pem = c != NULL ? c->key : NULL, .trust.ca_pem = ca, .expect.role = PKI_CONSOLE,
	};
}

static void
test_plain(void **state)
{
	struct site *s = site_open(false, TLS_AUTH_NONE);
	const char *const json[] = { "Content-Type: application/json", NULL };
	struct httpc_request q = { .url = HTTP, .body = "{}", .body_len = 2, .headers = json };
	struct answer a;
	int i;

	client(s, NULL);
	for (i = 0; i < 3; i++) {
		get(s, HTTP, "/who", &a);
		assert_int_equal(a.err, OK);
		assert_int_equal(a.status, 200);
		assert_string_equal(a.body, "nobody");
		assert_string_equal(a.etag, "\"7\"");
	}
	assert_int_equal(httpd_stats(s->d).accepted, 1);         /* kept alive */
	start(s, &q, &a, "/echo");
	assert_true(world_run(&s->loop, is_done, &a));
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body, "{}");
	get(s, HTTP, "/big", &a);
	assert_int_equal(a.err, ERR_TOOBIG);
	q = (struct httpc_request){ .url = HTTP, .max_body = 4 << 20 };
	start(s, &q, &a, "/big");
	assert_true(world_run(&s->loop, is_done, &a));
	assert_int_equal(a.err, OK);
	assert_int_equal(a.len, 3 << 20);
	get(s, HTTP, "/none", &a);
	assert_int_equal(a.err, OK);
	assert_int_equal(a.status, 404);
	get(s, "https://127.0.0.1", "/who", &a);
	assert_int_not_equal(a.err, OK);
	s->port = 1;
	get(s, HTTP, "/who", &a);
	assert_int_equal(a.err, ERR_UNREACHABLE);
	site_close(s);
}

static bool
is_waiting(void *ctx)
{
	return ((struct site *)ctx)->waiting != NULL;
}

static bool
is_canceled(void *ctx)
{
	return ((struct site *)ctx)->canceled > 0;
}

static void
test_wait_and_cancel(void **state)
{
	struct site *s = site_open(false, TLS_AUTH_NONE);
	struct httpc_request q = { .url = HTTP };
	struct httpc_call *call;
	struct answer a;

	client(s, NULL);
	start(s, &q, &a, "/wait");
	assert_true(world_run(&s->loop, is_waiting, s));
	http_reply(s->waiting, 200, "text/plain", "now", 3);
	assert_true(world_run(&s->loop, is_done, &a));
	assert_string_equal(a.body, "now");
	s->waiting = NULL;
	q.url = HTTP;
	call = start(s, &q, &a, "/wait");
	assert_true(world_run(&s->loop, is_waiting, s));
	httpc_cancel(call);
	assert_true(world_run(&s->loop, is_canceled, s));
	assert_false(a.done);
	q = (struct httpc_request){ .url = HTTP, .total_ms = 100 };
	start(s, &q, &a, "/wait");
	assert_true(world_run(&s->loop, is_done, &a));
	assert_int_equal(a.err, ERR_TIMEOUT);
	q = (struct httpc_request){ .url = HTTP, .stall_ms = 1000 };
	start(s, &q, &a, "/wait");
	assert_true(world_run(&s->loop, is_done, &a));
	assert_int_equal(a.err, ERR_TIMEOUT);
	q = (struct httpc_request){ .url = HTTP };
	start(s, &q, &a, "/wait");              /* under way when both close */
	s->waiting = NULL;
	assert_true(world_run(&s->loop, is_waiting, s));
	site_close(s);
	assert_int_equal(a.err, ERR_CANCELED);
}

struct chain {
	struct site *s;
	struct answer a;
	struct httpc_call *victim;
	int left;
};

/* done may start, cancel and close. */
static void
on_link(void *ctx, const struct httpc_response *r)
{
	struct chain *c = ctx;
	char url[64];
	struct httpc_request q = { .url = url, .done = on_link, .ctx = c };

	if (c->victim != NULL)
		httpc_cancel(c->victim);
	c->victim = NULL;
	if (--c->left == 0) {
		httpc_close(c->s->c, on_client_closed, c->s);
		assert_int_equal(httpc_start(c->s->c, &q, NULL, NULL), ERR_STATE);
		return;
	}
	(void)snprintf(url, sizeof(url), HTTP ":%u/who", c->s->port);
	assert_int_equal(httpc_start(c->s->c, &q, NULL, NULL), OK);
}

static bool
client_is_closed(void *ctx)
{
	return ((struct site *)ctx)->client_closed;
}

static void
test_inside_done(void **state)
{
	struct site *s = site_open(false, TLS_AUTH_NONE);
	struct chain c = { .s = s, .left = 20 };
	struct httpc_request q = { .url = HTTP }, first;
	char url[64];

	client(s, NULL);
	c.victim = start(s, &q, &c.a, "/wait");
	(void)snprintf(url, sizeof(url), HTTP ":%u/who", s->port);
	first = (struct httpc_request){ .url = url, .done = on_link, .ctx = &c };
	assert_int_equal(httpc_start(s->c, &first, NULL, NULL), OK);
	assert_true(world_run(&s->loop, client_is_closed, s));
	assert_int_equal(c.left, 0);
	assert_false(c.a.done);
	s->c = NULL;
	site_close(s);
}

static void
test_no_such_host(void **state)
{
	struct site *s = site_open(false, TLS_AUTH_NONE);
	struct answer a;

	client(s, NULL);
	get(s, "http://nothing.invalid", "/", &a);
	assert_int_equal(a.err, ERR_UNREACHABLE);
	get(s, "ftp://127.0.0.1", "/", &a);
	assert_int_equal(a.err, ERR_INVAL);
	site_close(s);
}

/* A kept connection whose certificate has expired meanwhile serves no further request. */
static int64_t
in_two_days(void)
{
	return (int64_t)time(NULL) * 1000 + 2 * DAY;
}

static void
test_expired_meanwhile(void **state)
{
	struct site *s = site_open(true, TLS_AUTH_OPTIONAL);
	struct httpc_tls t = as(NULL, s->fleet.ca);
	struct answer a;

	client(s, &t);
	get(s, HTTPS, "/who", &a);
	assert_int_equal(a.err, OK);
	clock_replace(in_two_days, NULL);
	get(s, HTTPS, "/who", &a);
	clock_replace(NULL, NULL);
	assert_int_equal(a.err, ERR_AUTH);
	assert_non_null(strstr(a.text, "expired"));
	site_close(s);
}

static bool
sse_data(void *ctx, const uint8_t *p, size_t n)
{
	struct answer *a = ctx;

	a->len += n;
	return a->len < 200;
}

static void
test_sse(void **state)
{
	struct site *s = site_open(false, TLS_AUTH_NONE);
	struct httpc_request q = { .url = HTTP, .data = sse_data, .max_body = SIZE_MAX };
	struct answer a;

	client(s, NULL);
	start(s, &q, &a, "/sse");
	assert_true(world_run(&s->loop, is_done, &a));
	assert_int_equal(a.err, ERR_CANCELED);
	assert_true(s->ticks >= 10);
	assert_true(world_run(&s->loop, is_canceled, s));
	site_close(s);
}

static void
test_tls(void **state)
{
	struct site *s = site_open(true, TLS_AUTH_OPTIONAL);
	struct httpc_tls t = as(&s->fleet.agent, s->fleet.ca);
	struct httpc_request q = { .url = HTTPS, .max_body = 4 << 20 };
	struct answer a;
	int i;

	client(s, &t);
	for (i = 0; i < 3; i++) {
		get(s, HTTPS, "/agent", &a);
		if (a.err != OK)
			fail_msg("%s", a.text);
		assert_int_equal(a.status, 200);
		assert_string_equal(a.body, "0193a4f0-7b1c-7000-8000-0000000000aa");
		assert_string_equal(a.peer, "main");
	}
	assert_int_equal(httpd_stats(s->d).accepted, 1);
	get(s, HTTPS, "/console", &a);
	assert_int_equal(a.status, 403);
	start(s, &q, &a, "/big");
	assert_true(world_run(&s->loop, is_done, &a));
	assert_int_equal(a.len, 3 << 20);
	q.url = HTTPS;
	start(s, &q, &a, "/file");
	assert_true(world_run(&s->loop, is_done, &a));
	assert_int_equal(a.len, 200000);
	/* the name of the peer can be asked for; then the connection is its own */
	q = (struct httpc_request){ .url = HTTPS, .expect_name = "main" };
	start(s, &q, &a, "/agent");
	assert_true(world_run(&s->loop, is_done, &a));
	assert_int_equal(a.err, OK);
	q = (struct httpc_request){ .url = HTTPS, .expect_name = "backup" };
	start(s, &q, &a, "/agent");
	assert_true(world_run(&s->loop, is_done, &a));
	assert_int_equal(a.err, ERR_AUTH);
	assert_non_null(strstr(a.text, "'main', not 'backup'"));
	/* without a certificate */
	t = as(NULL, s->fleet.ca);
	assert_int_equal(httpc_set_tls(s->c, &t, NULL), OK);
	get(s, HTTPS, "/who", &a);
	assert_int_equal(a.err, OK);
	assert_string_equal(a.body, "nobody");
	get(s, HTTPS, "/agent", &a);
	assert_int_equal(a.status, 401);
	/* new trust ends the use of kept connections */
	t = as(NULL, s->other.ca);
	assert_int_equal(httpc_set_tls(s->c, &t, NULL), OK);
	get(s, HTTPS, "/who", &a);
	assert_int_equal(a.err, ERR_AUTH);
	assert_non_null(strstr(a.text, "not from a CA trusted here"));
	site_close(s);
}

static void
test_pin(void **state)
{
	struct site *s = site_open(true, TLS_AUTH_OPTIONAL);
	uint8_t pin[1][PKI_SHA256];
	struct httpc_tls t = as(NULL, NULL);
	struct answer a;

	assert_int_equal(pki_spki_sha256(pin[0], (const uint8_t *)s->fleet.ca, strlen(s->fleet.ca), NULL), OK);
	t.trust.pins = (const uint8_t(*)[PKI_SHA256])pin;
	t.trust.n_pins = 1;
	client(s, &t);
	get(s, HTTPS, "/who", &a);
	if (a.err != OK)
		fail_msg("%s", a.text);
	pin[0][5] ^= 1;
	assert_int_equal(httpc_set_tls(s->c, &t, NULL), OK);
	get(s, HTTPS, "/who", &a);
	assert_int_equal(a.err, ERR_AUTH);
	assert_non_null(strstr(a.text, "pins"));
	site_close(s);
}

/* A stolen agent certificate must not pose as the console. */
static void
test_wrong_server(void **state)
{
	struct site *s = site_open(true, TLS_AUTH_OPTIONAL);
	struct tls_options o = { .chain_pem = s->fleet.agent.chain, .key_pem = s->fleet.agent.key, .trust.ca_pem = s->fleet.ca };
	struct httpc_tls t = as(NULL, s->fleet.ca);
	struct tls_config *config;
	struct answer a;

	assert_int_equal(tls_config_new(&config, &o, NULL), OK);
	httpd_set_tls(s->d, config);
	tls_config_unref(config);
	client(s, &t);
	get(s, HTTPS, "/who", &a);
	assert_int_equal(a.err, ERR_AUTH);
	assert_non_null(strstr(a.text, "role console is needed"));
	site_close(s);
}

struct bad {
	const char *what;
	struct pki_grant grant;
	bool foreign, admitted;
	const char *path;
	int status;                      /* 0: refused in the handshake */
};

static void
test_clients(void **state)
{
	int64_t now = clock_wall_ms();
	struct pki_grant agent = world_grant(PKI_AGENT, "a1"), old = agent, older = agent, young = agent, noeku = agent;
	struct site *s = site_open(true, TLS_AUTH_REQUIRED);
	size_t i;

	old.not_before = older.not_before = now - 400 * DAY;
	old.not_after = now - DAY;
	older.not_after = now - 200 * DAY;
	young.not_before = now + DAY;
	young.not_after = now + 2 * DAY;
	noeku.client_auth = false;
	{
		const struct bad cases[] = {
			{ "good", agent, false, true, "/agent", 200 },
			{ "other CA", agent, true, true, "/who", 0 },
			{ "expired within grace", old, false, true, "/agent", 403 },
			{ "expired for too long", older, false, true, "/who", 0 },
			{ "not yet valid", young, false, true, "/who", 0 },
			{ "no clientAuth", noeku, false, true, "/who", 0 },
			{ "not admitted", agent, false, false, "/who", 0 },
		};

		for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			struct world_cert c;
			struct httpc_tls t;
			struct answer a;
			uint64_t before = httpd_stats(s->d).requests;

			world_cert_new(&c, cases[i].foreign ? &s->other : &s->fleet, &cases[i].grant);
			t = as(&c, s->fleet.ca);
			s->admit = cases[i].admitted;
			s->client_closed = false;
			client(s, &t);
			get(s, HTTPS, cases[i].path, &a);
			if (a.status != cases[i].status || (a.status == 0) != (a.err != OK) || (a.status == 0 && httpd_stats(s->d).requests != before))
				fail_msg("%s: status %d err %d %s", cases[i].what, a.status, (int)a.err, a.text);
			httpc_close(s->c, on_client_closed, s);
			s->c = NULL;
			world_cert_free(&c);
		}
	}
	site_close(s);
}

static void
test_handshake_budget(void **state)
{
	struct site *s = site_open(true, TLS_AUTH_OPTIONAL);
	struct httpd_options o = { .name = "budget", .routes = routes, .n_routes = 1, .handshakes_per_s = 1, .handshake_burst = 2 };
	struct tls_options to = { .chain_pem = s->fleet.console.chain, .key_pem = s->fleet.console.key, .trust.ca_pem = s->fleet.ca };
	struct httpc_tls t = as(NULL, s->fleet.ca);
	struct httpc_request q = { .expect_name = "main" };
	struct tls_config *config;
	struct httpd *d;
	struct answer a;
	int i, good = 0;

	assert_int_equal(tls_config_new(&config, &to, NULL), OK);
	o.tls = config;
	assert_int_equal(httpd_new(&d, &s->loop, &o, NULL), OK);
	tls_config_unref(config);
	assert_int_equal(httpd_listen(d, "127.0.0.1", 0, &s->port, NULL), OK);
	client(s, &t);
	for (i = 0; i < 4; i++) {
		q.url = HTTPS;
		start(s, &q, &a, "/who");
		assert_true(world_run(&s->loop, is_done, &a));
		good += a.err == OK;
	}
	assert_true(good == 2 || good == 3);
	httpd_close(d, 0, NULL, NULL);
	site_close(s);
}

static void
test_unix(void **state)
{
	struct site *s = site_open(false, TLS_AUTH_NONE);
	char folder[] = "/tmp/atalaia-unix-XXXXXX", path[64];
	struct httpc_request q = { .url = "http://localhost", .unix_socket = path };
	struct httpd *second;
	struct httpd_options o = { .name = "second", .routes = routes, .n_routes = 1 };
	struct fault f = { 0 };
	struct answer a;

	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/s", folder);
	assert_int_equal(httpd_listen_unix(s->d, path, 0600, &f), OK);
	assert_int_equal(httpd_new(&second, &s->loop, &o, &f), OK);
	assert_int_equal(httpd_listen_unix(second, path, 0600, &f), ERR_BUSY);
	httpd_close(second, 0, NULL, NULL);
	client(s, NULL);
	start(s, &q, &a, "/who");
	assert_true(world_run(&s->loop, is_done, &a));
	assert_int_equal(a.status, 200);
	site_close(s);
	assert_int_equal(access(path, F_OK), -1);
	(void)rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain), cmocka_unit_test(test_wait_and_cancel), cmocka_unit_test(test_sse), cmocka_unit_test(test_tls),
		cmocka_unit_test(test_pin), cmocka_unit_test(test_wrong_server), cmocka_unit_test(test_clients), cmocka_unit_test(test_handshake_budget),
		cmocka_unit_test(test_unix), cmocka_unit_test(test_inside_done), cmocka_unit_test(test_no_such_host), cmocka_unit_test(test_expired_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
