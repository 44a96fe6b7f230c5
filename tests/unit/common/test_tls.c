/* test_tls.c - client and server transforms wired together in memory: good and wrong certificates,
 * resumption, cuts at every byte, garbage. */
#include "net/tls.h"

#include "net_world.h"

#include <stdio.h>

struct side {
	struct tls *t;
	struct buf plain;
	enum err e;
};

struct pair {
	struct side c, s;
};

static struct world_fleet fleet, other;
static bool admitted = true;
static size_t admissions;
static int64_t wall_shift;

static int64_t
shifted_wall(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + wall_shift;
}

static bool
admit(void *ctx, const struct pki_identity *peer)
{
	admissions++;
	return admitted;
}

static struct tls_config *
server_config(const struct world_cert *cert, enum tls_auth auth, const struct pki_trust *trust)
{
	struct tls_options o = { .chain_pem = cert->chain,
		.key_pem = cert->key,
		.auth = auth,
		.trust = *trust,
		.admit = admit };
	struct tls_config *c;
	struct fault f = { 0 };

	o.expect.role = PKI_AGENT;
	if (tls_config_new(&c, &o, &f) != OK)
		fail_msg("%s", fault_text(&f));
	return c;
}

static struct tls_config *
client_config(const struct world_cert *cert, enum pki_role expect)
{
	struct tls_options o = { .client = true, .trust.ca_pem = fleet.ca, .expect.role = expect };
	struct tls_config *c;
	struct fault f = { 0 };

	if (cert != NULL) {
		o.chain_pem = cert->chain;
		o.key_pem = cert->key;
	}
	if (tls_config_new(&c, &o, &f) != OK)
		fail_msg("%s", fault_text(&f));
	return c;
}

static void
on_plain(void *ctx, const uint8_t *p, size_t n)
{
	assert_int_equal(buf_append(ctx, p, n), OK);
}

static void
feed(struct side *to, const void *p, size_t n)
{
	char *copy = test_copy(p, n);
	enum err e = tls_feed(to->t, (const uint8_t *)copy, n, on_plain, &to->plain);

	free(copy);
	if (to->e == OK)
		to->e = e;
}

/* Carries bytes over in pieces of at most step until both are silent. */
static void
carry(struct pair *p, size_t step)
{
	bool moved = true;

	while (moved) {
		struct side *from[2] = { &p->c, &p->s }, *to[2] = { &p->s, &p->c };
		int i;

		moved = false;
		for (i = 0; i < 2; i++) {
			struct buf *out = tls_out(from[i]->t);

			while (out->len > 0) {
				size_t n = out->len < step ? out->len : step;

				feed(to[i], out->data, n);
				buf_consume(out, n);
				moved = true;
			}
		}
	}
}

static void
pair_open(struct pair *p, struct tls_config *c, struct tls_config *s,
    const struct tls_session *session, size_t step)
{
	memset(p, 0, sizeof(*p));
	buf_init(&p->c.plain, 1 << 24);
	buf_init(&p->s.plain, 1 << 24);
	assert_int_equal(tls_new(&p->c.t, c), OK);
	assert_int_equal(tls_new(&p->s.t, s), OK);
	if (session != NULL)
		assert_int_equal(tls_session_set(p->c.t, session), OK);
	feed(&p->c, NULL, 0);
	carry(p, step);
}

static void
pair_close(struct pair *p)
{
	tls_free(p->c.t);
	tls_free(p->s.t);
	buf_free(&p->c.plain);
	buf_free(&p->s.plain);
}

static void
test_talk(void **state)
{
	static const size_t steps[] = { SIZE_MAX, 1, 1000 };
	struct pki_trust trust = { .ca_pem = fleet.ca };
	struct tls_config *c = client_config(&fleet.agent, PKI_CONSOLE),
			  *s = server_config(&fleet.console, TLS_AUTH_REQUIRED, &trust);
	char *big = calloc(1, 200000);
	struct pair p;
	size_t i;

	assert_non_null(big);
	for (i = 0; i < 3; i++) {
		pair_open(&p, c, s, NULL, steps[i]);
		assert_int_equal(tls_state(p.c.t), TLS_OPEN);
		assert_int_equal(tls_state(p.s.t), TLS_OPEN);
		assert_int_equal(tls_peer(p.s.t)->role, PKI_AGENT);
		assert_string_equal(tls_peer(p.c.t)->name, "main");
		assert_false(tls_resumed(p.s.t));
		assert_int_equal(tls_write(p.c.t, (const uint8_t *)big, 200000), OK);
		assert_int_equal(tls_write(p.s.t, (const uint8_t *)"yes", 3), OK);
		carry(&p, steps[i]);
		assert_int_equal(p.s.plain.len, 200000);
		assert_string_equal(buf_text(&p.c.plain), "yes");
		tls_bye(p.c.t);
		carry(&p, steps[i]);
		assert_int_equal(p.s.e, ERR_CLOSED);
		assert_int_equal(tls_state(p.s.t), TLS_CLOSED);
		assert_int_equal(tls_write(p.s.t, (const uint8_t *)"x", 1), ERR_STATE);
		pair_close(&p);
	}
	free(big);
	tls_config_unref(c);
	tls_config_unref(s);
}

/* Eight certificates that must not get in, with required and with optional authentication. */
static void
test_wrong_clients(void **state)
{
	int64_t now = clock_wall_ms();
	struct pki_grant grants[8];
	const char *revoked[1];
	struct pki_trust trust = { .ca_pem = fleet.ca, .revoked = revoked, .n_revoked = 1 };
	struct world_cert rev;
	struct pki_identity id;
	struct tls_config *s[2];
	size_t i, k;

	world_cert_new(&rev, &fleet,
	    &(struct pki_grant){
		PKI_AGENT, "acme", "rev", true, true, NULL, NULL, now - DAY, now + DAY });
	assert_int_equal(
	    pki_identity_read(&id, (const uint8_t *)rev.cert, strlen(rev.cert), NULL), OK);
	revoked[0] = id.serial;
	s[0] = server_config(&fleet.console, TLS_AUTH_REQUIRED, &trust);
	s[1] = server_config(&fleet.console, TLS_AUTH_OPTIONAL, &trust);
	for (i = 0; i < 8; i++)
		grants[i] = world_grant(PKI_AGENT, "a1");
	grants[1].role = PKI_CONSOLE;
	grants[2].not_before = now - 3 * DAY;
	grants[2].not_after = now - 2 * DAY;
	grants[3].not_before = now + DAY;
	grants[3].not_after = now + 2 * DAY;
	grants[4].client_auth = false;
	for (i = 0; i < 8; i++) {
		static const char *const text[8] = {
			"not from a CA trusted",
			"role agent is needed",
			"expired 2 days ago",
			"not valid for another",
			"lacks the extended key usage clientAuth",
			"revoked",
			"not admitted",
			"",
		};
		struct world_cert made = { 0 };
		const struct world_cert *cert = &made;

		world_cert_new(&made, i == 0 ? &other : &fleet, &grants[i]);
		if (i == 5)
			cert = &rev;
		admitted = i != 6;
		if (i == 7) { /* somebody else's certificate without its key */
			struct tls_options o = {
				.client = true, .chain_pem = fleet.agent.chain, .key_pem = made.key
			};
			struct tls_config *none;

			assert_int_equal(tls_config_new(&none, &o, NULL), ERR_AUTH);
		}
		for (k = 0; k < 2 && i < 7; k++) {
			struct tls_config *c = client_config(cert, PKI_CONSOLE);
			struct pair p;

			pair_open(&p, c, s[k], NULL, SIZE_MAX);
			if (tls_state(p.s.t) != TLS_FAILED ||
			    strstr(fault_text(tls_fault(p.s.t)), text[i]) == NULL)
				fail_msg("case %zu/%zu: state %d '%s'", i, k, (int)tls_state(p.s.t),
				    fault_text(tls_fault(p.s.t)));
			assert_int_equal(tls_state(p.c.t), TLS_FAILED); /* it was told */
			assert_int_equal(p.s.plain.len, 0);
			assert_null(tls_peer(p.s.t));
			pair_close(&p);
			tls_config_unref(c);
		}
		admitted = true;
		world_cert_free(&made);
	}
	world_cert_free(&rev);
	tls_config_unref(s[0]);
	tls_config_unref(s[1]);
}

static void
test_no_certificate(void **state)
{
	struct pki_trust trust = { .ca_pem = fleet.ca };
	struct tls_config *c = client_config(NULL, PKI_CONSOLE);
	struct tls_config *required = server_config(&fleet.console, TLS_AUTH_REQUIRED, &trust),
			  *optional = server_config(&fleet.console, TLS_AUTH_OPTIONAL, &trust);
	struct pair p;

	pair_open(&p, c, required, NULL, SIZE_MAX);
	assert_int_equal(tls_state(p.s.t), TLS_FAILED);
	pair_close(&p);
	pair_open(&p, c, optional, NULL, SIZE_MAX);
	assert_int_equal(tls_state(p.s.t), TLS_OPEN);
	assert_null(tls_peer(p.s.t));
	pair_close(&p);
	tls_config_unref(c);
	tls_config_unref(required);
	tls_config_unref(optional);
}

static void
test_wrong_server(void **state)
{
	struct pki_trust trust = { .ca_pem = fleet.ca };
	struct tls_config *c = client_config(&fleet.agent, PKI_CONSOLE),
			  *s = server_config(&fleet.agent, TLS_AUTH_REQUIRED, &trust);
	struct pair p;

	pair_open(&p, c, s, NULL, SIZE_MAX); /* an agent's certificate poses as the console */
	assert_int_equal(tls_state(p.c.t), TLS_FAILED);
	assert_non_null(strstr(fault_text(tls_fault(p.c.t)), "role console is needed"));
	pair_close(&p);
	tls_config_unref(s);
	s = server_config(&other.console, TLS_AUTH_OPTIONAL, &trust);
	pair_open(&p, c, s, NULL, SIZE_MAX);
	assert_int_equal(tls_state(p.c.t), TLS_FAILED);
	pair_close(&p);
	tls_config_unref(c);
	tls_config_unref(s);
}

/* A resumed session is judged as a new one: the hook is asked, and a certificate that expired
 * meanwhile is refused. */
static void
test_resumption(void **state)
{
	struct pki_trust trust = { .ca_pem = fleet.ca };
	struct tls_config *c = client_config(&fleet.agent, PKI_CONSOLE),
			  *s = server_config(&fleet.console, TLS_AUTH_REQUIRED, &trust), *fresh;
	struct tls_session *session;
	struct pair p;

	pair_open(&p, c, s, NULL, SIZE_MAX);
	assert_int_equal(tls_session_get(&session, p.c.t), OK);
	pair_close(&p);
	admissions = 0;
	pair_open(&p, c, s, session, SIZE_MAX);
	assert_int_equal(tls_state(p.s.t), TLS_OPEN);
	assert_true(tls_resumed(p.s.t));
	assert_string_equal(tls_peer(p.s.t)->name, "0193a4f0-7b1c-7000-8000-0000000000aa");
	assert_int_equal(admissions, 1);
	pair_close(&p);
	admitted = false;
	pair_open(&p, c, s, session, SIZE_MAX);
	assert_int_equal(tls_state(p.s.t), TLS_FAILED);
	assert_int_equal(p.s.plain.len, 0);
	pair_close(&p);
	admitted = true;
	wall_shift = 2 * DAY;
	clock_replace(shifted_wall, NULL);
	pair_open(&p, c, s, session, SIZE_MAX);
	assert_int_equal(tls_state(p.s.t), TLS_FAILED);
	assert_non_null(strstr(fault_text(tls_fault(p.s.t)), "expired"));
	pair_close(&p);
	clock_replace(NULL, NULL);
	/* another configuration does not take the ticket: a full handshake happens */
	fresh = server_config(&fleet.console, TLS_AUTH_REQUIRED, &trust);
	pair_open(&p, c, fresh, session, SIZE_MAX);
	assert_int_equal(tls_state(p.s.t), TLS_OPEN);
	assert_false(tls_resumed(p.s.t));
	pair_close(&p);
	tls_session_free(session);
	tls_config_unref(c);
	tls_config_unref(s);
	tls_config_unref(fresh);
}

/* Every byte of the client's flights changed once: never open with a wrong peer, never a crash. */
static void
test_garbage(void **state)
{
	struct pki_trust trust = { .ca_pem = fleet.ca };
	struct tls_config *s = server_config(&fleet.console, TLS_AUTH_OPTIONAL, &trust),
			  *c = client_config(NULL, PKI_CONSOLE);
	static const char http[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	struct pair p;
	size_t at;

	for (at = 0; at < 400; at += 3) {
		struct buf *out;
		struct pair q;

		memset(&q, 0, sizeof(q));
		buf_init(&q.c.plain, 1 << 20);
		buf_init(&q.s.plain, 1 << 20);
		assert_int_equal(tls_new(&q.c.t, c), OK);
		assert_int_equal(tls_new(&q.s.t, s), OK);
		feed(&q.c, NULL, 0);
		out = tls_out(q.c.t);
		if (at < out->len)
			out->data[at] ^= 0x55;
		carry(&q, SIZE_MAX);
		pair_close(&q);
	}
	pair_open(&p, c, s, NULL, SIZE_MAX);
	pair_close(&p);
	memset(&p, 0, sizeof(p));
	buf_init(&p.s.plain, 100);
	assert_int_equal(tls_new(&p.s.t, s), OK);
	feed(&p.s, http, sizeof(http) - 1);
	assert_int_equal(tls_state(p.s.t), TLS_FAILED);
	pair_close(&p);
	tls_config_unref(c);
	tls_config_unref(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_talk),
		cmocka_unit_test(test_wrong_clients),
		cmocka_unit_test(test_no_certificate),
		cmocka_unit_test(test_wrong_server),
		cmocka_unit_test(test_resumption),
		cmocka_unit_test(test_garbage),
	};
	int failed;

	world_fleet_new(&fleet, "acme");
	world_fleet_new(&other, "acme");
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	world_fleet_free(&fleet);
	world_fleet_free(&other);
	return failed;
}
