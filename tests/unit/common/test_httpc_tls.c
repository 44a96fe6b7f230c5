/* test_httpc_tls.c - client and server with the fleet's certificates: roles, pins, grace, kept
 * connections, budgets. */
#include "httpc_site.h"

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

	assert_int_equal(
	    pki_spki_sha256(pin[0], (const uint8_t *)s->fleet.ca, strlen(s->fleet.ca), NULL), OK);
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
	struct tls_options o = { .chain_pem = s->fleet.agent.chain,
		.key_pem = s->fleet.agent.key,
		.trust.ca_pem = s->fleet.ca };
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
	int status; /* 0: refused in the handshake */
};

static void
test_clients(void **state)
{
	int64_t now = clock_wall_ms();
	struct pki_grant agent = world_grant(PKI_AGENT, "a1"), old = agent, older = agent,
			 young = agent, noeku = agent;
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

			world_cert_new(
			    &c, cases[i].foreign ? &s->other : &s->fleet, &cases[i].grant);
			t = as(&c, s->fleet.ca);
			s->admit = cases[i].admitted;
			s->client_closed = false;
			client(s, &t);
			get(s, HTTPS, cases[i].path, &a);
			if (a.status != cases[i].status || (a.status == 0) != (a.err != OK) ||
			    (a.status == 0 && httpd_stats(s->d).requests != before))
				fail_msg("%s: status %d err %d %s", cases[i].what, a.status,
				    (int)a.err, a.text);
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
	struct httpd_options o = { .name = "budget",
		.routes = routes,
		.n_routes = 1,
		.handshakes_per_s = 1,
		.handshake_burst = 2 };
	struct tls_options to = { .chain_pem = s->fleet.console.chain,
		.key_pem = s->fleet.console.key,
		.trust.ca_pem = s->fleet.ca };
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expired_meanwhile),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_pin),
		cmocka_unit_test(test_wrong_server),
		cmocka_unit_test(test_clients),
		cmocka_unit_test(test_handshake_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
