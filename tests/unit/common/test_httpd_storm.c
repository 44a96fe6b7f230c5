/* test_httpd_storm.c - clients that do anything at any moment, from a fixed seed: requests of every
 * kind cut at a random byte, sockets that do not read, half-closed or dropped, answers given late
 * or never, calls cancelled; then the server closes in the middle of it. Everything must be given
 * back. */
#include "httpd_site.h"

#include "net/httpc.h"

#define CLIENTS 60
#define ROUNDS 700
#define SERVED 100	  /* requests at least: a busy machine needs more rounds for them, */
#define ROUNDS_MAX 100000 /* for deadlines end most of its connections */

static uint32_t seed;

static uint32_t
dice(uint32_t sides)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % sides;
}

static const char *const scripts[] = {
	"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /hello HTTP/1.0\r\n\r\n",
	"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /stream?known=1 HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /files/x HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /files/x?length=9000000 HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /files/x?length=100 HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: "
	"x\r\n\r\nGET /wait HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789GET /none "
	"HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
	"chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"PUT /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
	"chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"PUT /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX",
	"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\nxx",
	"HEAD /files/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
	"garbage\r\n\r\n",
};

/* Answers some waiter, or forgets it to be cancelled later. */
static void
poke_waiters(struct site *s)
{
	if (s->n_waiting == 0 || dice(3) != 0)
		return;
	http_reply(s->waiting[--s->n_waiting], 200, "text/plain", "late", 4);
}

/* A waiter that is gone must leave the list. */
static void
storm_cancel(struct http_req *r, void *ctx)
{
	struct site *s = ctx;
	size_t i;

	s->canceled++;
	for (i = 0; i < s->n_waiting; i++)
		if (s->waiting[i] == r)
			s->waiting[i] = s->waiting[--s->n_waiting];
}

static void
storm_wait(struct http_req *r, void *ctx)
{
	struct site *s = ctx;

	if (dice(2) == 0)
		http_may_wait(r);
	http_on_cancel(r, storm_cancel, s);
	s->waiting[s->n_waiting++] = r;
}

static void
storm_proceed(struct http_req *r, void *ctx)
{
	static const char piece[40000];

	if (dice(10) == 0)
		http_stream_abort(r);
	else
		(void)!http_stream_write(r, piece, dice(sizeof(piece)), dice(12) == 0);
}

static void
storm_stream(struct http_req *r, void *ctx)
{
	static const struct http_source source = { storm_proceed, stream_stop };
	uint64_t known;

	assert_int_equal(http_query_u64(r, "known", 1, 0, &known), OK);
	http_stream(r, 200, "text/plain", known ? 150000 : HTTP_LENGTH_UNKNOWN, &source, ctx);
}

static void
act(struct raw *r, uv_loop_t *loop, uint16_t port)
{
	const char *script = scripts[dice(sizeof(scripts) / sizeof(scripts[0]))];
	size_t n = strlen(script);

	if (r->tcp.loop == NULL) {
		raw_open(r, loop, port);
		return;
	}
	switch (dice(8)) {
	case 0:
		raw_free(r);
		memset(r, 0, sizeof(*r));
		break;
	case 1:
		(void)uv_read_stop((uv_stream_t *)&r->tcp);
		break;
	case 2:
		if (r->connected && !r->eof)
			raw_send(r, script, dice((uint32_t)n));
		break;
	default:
		if (r->connected && !r->eof)
			raw_send(r, script, n);
		break;
	}
}

static void
test_storm(void **state)
{
	struct httpd_options o = { .name = "storm",
		.head_ms = 400,
		.body_ms = 400,
		.idle_ms = 400,
		.write_ms = 400,
		.max_connections = 50 };
	struct http_route mine[sizeof(routes) / sizeof(routes[0])];
	struct site *s = site_open(&o);
	struct raw *rs = calloc(CLIENTS, sizeof(*rs));
	size_t i;

	/* the same routes with less predictable handlers */
	httpd_close(s->d, 0, NULL, NULL);
	memcpy(mine, routes, sizeof(routes));
	for (i = 0; i < sizeof(mine) / sizeof(mine[0]); i++) {
		mine[i].run = mine[i].run == on_wait ? storm_wait : mine[i].run;
		mine[i].run = mine[i].run == on_stream ? storm_stream : mine[i].run;
	}
	o.routes = mine;
	o.n_routes = sizeof(mine) / sizeof(mine[0]);
	o.ctx = s;
	assert_int_equal(httpd_new(&s->d, &s->loop, &o, NULL), OK);
	assert_int_equal(httpd_listen(s->d, "127.0.0.1", 0, &s->port, NULL), OK);
	assert_non_null(rs);
	make_file(s, 8 << 20);
	seed = 20261124;
	for (i = 0; i < ROUNDS || (i < ROUNDS_MAX && httpd_stats(s->d).requests <= SERVED); i++) {
		act(&rs[dice(CLIENTS)], &s->loop, s->port);
		poke_waiters(s);
		(void)uv_run(&s->loop, UV_RUN_NOWAIT);
	}
	assert_true(httpd_stats(s->d).requests > SERVED);
	httpd_close(s->d, 300, on_site_closed, s);
	for (i = 0; i < CLIENTS; i++)
		if (rs[i].tcp.loop != NULL)
			raw_free(&rs[i]);
	assert_true(world_end(&s->loop));
	assert_true(s->closed);
	(void)unlink(s->file);
	free(rs);
	free(s);
}

/* --- the client's side, over TLS --- */

struct swarm;
struct bee {
	struct swarm *swarm;
	struct httpc_call *call;
};
struct swarm {
	struct httpc *c;
	struct bee bees[50];
	size_t ends;
};

static void
on_bee(void *ctx, const struct httpc_response *r)
{
	struct bee *b = ctx;

	b->call = NULL;
	b->swarm->ends++;
}

static void
fly(struct swarm *w, size_t i, uint16_t port)
{
	static const char *const paths[] = { "/hello", "/stream", "/wait", "/files/x", "/none" };
	struct bee *b = &w->bees[i];
	char url[64];
	struct httpc_request q = { .url = url,
		.max_body = 16 << 20,
		.total_ms = 1 + dice(300),
		.done = on_bee,
		.ctx = b };

	b->swarm = w;
	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%u%s", port, paths[dice(5)]);
	q.expect_name = dice(4) == 0 ? "main" : NULL;
	assert_int_equal(httpc_start(w->c, &q, &b->call, NULL), OK);
}

static void
test_swarm(void **state)
{
	struct world_fleet fleet;
	struct tls_options t = { .auth = TLS_AUTH_OPTIONAL };
	struct httpc_tls ct = { .expect.role = PKI_CONSOLE };
	struct httpd_options o = { .name = "swarm" };
	struct tls_config *config;
	struct swarm w = { 0 };
	struct site *s;
	size_t i, k;

	world_fleet_new(&fleet, "acme");
	t.chain_pem = fleet.console.chain;
	t.key_pem = fleet.console.key;
	t.trust.ca_pem = ct.trust.ca_pem = fleet.ca;
	ct.cert_pem = fleet.agent.chain;
	ct.key_pem = fleet.agent.key;
	assert_int_equal(tls_config_new(&config, &t, NULL), OK);
	o.tls = config;
	s = site_open(&o);
	make_file(s, 8 << 20);
	assert_int_equal(httpc_new(&w.c, &s->loop, &ct, NULL), OK);
	seed = 7;
	for (i = 0; i < 250; i++) {
		k = dice(50);
		if (w.bees[k].call == NULL) {
			fly(&w, k, s->port);
		} else if (dice(3) == 0) {
			httpc_cancel(w.bees[k].call);
			w.bees[k].call = NULL;
			w.ends++;
		}
		(void)uv_run(&s->loop, UV_RUN_NOWAIT);
	}
	httpc_close(w.c, NULL, NULL);
	httpd_close(s->d, 200, on_site_closed, s);
	assert_true(world_end(&s->loop));
	assert_true(s->closed);
	assert_true(w.ends > 50);
	tls_config_unref(config);
	world_fleet_free(&fleet);
	(void)unlink(s->file);
	free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_storm),
		cmocka_unit_test(test_swarm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
