/* test_pki.c - keys, requests, certificates, and every reason to refuse one. */
#include "net/pki.h"

#include "base/text.h"
#include "net_world.h"

#include <stdio.h>

struct world {
	struct world_fleet fleet, other;
};

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	world_fleet_new(&w->fleet, "acme");
	world_fleet_new(&w->other, "acme");
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	world_fleet_free(&w->fleet);
	world_fleet_free(&w->other);
	free(w);
	return 0;
}

static void
test_names(void **state)
{
	assert_true(pki_is_name("a", 1) && pki_is_name("A-z_0.9", 7));
	assert_false(pki_is_name("", 0) || pki_is_name(".a", 2) || pki_is_name("a/b", 3) ||
		     pki_is_name("a b", 3) || pki_is_name("a\0b", 3) || pki_is_name("a,CN=b", 6));
	assert_true(
	    pki_is_name("0123456789012345678901234567890123456789012345678901234567890123", 64));
	assert_false(
	    pki_is_name("01234567890123456789012345678901234567890123456789012345678901234", 65));
}

/* RFC 4231, cases 1, 2 and 6 (a key longer than a block). */
static void
hmac_vectors(void)
{
	static const char big_key_text[] = "Test Using Larger Than Block-Size Key - Hash Key First";
	uint8_t out[PKI_SHA256], key[131];
	char hex[2 * PKI_SHA256 + 1];

	memset(key, 0x0b, 20);
	pki_hmac_sha256(out, key, 20, "Hi There", 8);
	text_hex(hex, out, PKI_SHA256);
	assert_string_equal(
	    hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	pki_hmac_sha256(out, "Jefe", 4, "what do ya want for nothing?", 28);
	text_hex(hex, out, PKI_SHA256);
	assert_string_equal(
	    hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof key);
	pki_hmac_sha256(out, key, sizeof key, big_key_text, strlen(big_key_text));
	text_hex(hex, out, PKI_SHA256);
	assert_string_equal(
	    hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	assert_true(pki_equal("same", "same", 4));
	assert_false(pki_equal("same", "sami", 4));
}

static void
test_hashes(void **state)
{
	static const uint8_t abc[4] = { 0xba, 0x78, 0x16, 0xbf };
	static const uint8_t rfc4231_2[4] = { 0x5b, 0xdc, 0xc1, 0x46 };
	uint8_t h[PKI_SHA256], g[PKI_SHA256];

	pki_sha256(h, "abc", 3);
	assert_memory_equal(h, abc, 4);
	pki_hmac_sha256(h, "Jefe", 4, "what do ya want for nothing?", 28);
	assert_memory_equal(h, rfc4231_2, 4);
	hmac_vectors();
	pki_sha256(g, NULL, 0);
	assert_int_equal(g[0], 0xe3);
	assert_true(pki_equal(h, h, 32));
	assert_false(pki_equal(h, g, 32));
	assert_true(pki_equal(h, g, 0));
}

static void
test_csr(void **state)
{
	struct buf key, csr, bad;
	struct pki_csr a, b;
	struct fault f = { 0 };
	size_t i, taken = 0;
	char *p;

	buf_init(&key, 65536);
	buf_init(&csr, 65536);
	buf_init(&bad, 65536);
	assert_int_equal(pki_key_new(&key), OK);
	assert_true(strncmp(buf_text(&key), "-----BEGIN PRIVATE KEY-----\n", 28) == 0);
	assert_int_equal(pki_csr_new(&csr, buf_text(&key), "a host, with commas", &f), OK);
	assert_int_equal(pki_csr_read(&a, buf_text(&csr), csr.len, &f), OK);
	buf_reset(&csr);
	assert_int_equal(pki_csr_new(&csr, buf_text(&key), "pc1", &f), OK);
	assert_int_equal(pki_csr_read(&b, buf_text(&csr), csr.len, &f), OK);
	assert_memory_equal(a.spki_sha256, b.spki_sha256, PKI_SHA256);
	assert_memory_not_equal(a.csr_sha256, b.csr_sha256, PKI_SHA256);
	/* every changed character of the base64 text must be refused */
	p = test_copy(buf_text(&csr), csr.len);
	for (i = 40; i + 40 < csr.len; i++) {
		char keep = p[i];

		p[i] = keep == 'A' ? 'B' : 'A';
		taken += keep != '\n' && pki_csr_read(&b, p, csr.len, NULL) == OK;
		p[i] = keep;
	}
	assert_true(taken <= 2); /* the spare bits of the last base64 digit */
	free(p);
	assert_int_not_equal(pki_csr_read(&b, "", 0, NULL), OK);
	assert_int_not_equal(pki_csr_new(&bad, "no key", "x", &f), OK);
	buf_free(&key);
	buf_free(&csr);
	buf_free(&bad);
}

static void
test_issue(void **state)
{
	struct world *w = *state;
	static const char *const dns[] = { "console.example", "pc1", NULL };
	static const char *const ip[] = { "10.0.0.1", "fd00::1", NULL };
	struct pki_grant g = world_grant(PKI_CONSOLE, "main");
	struct pki_identity id;
	struct world_cert c;
	struct fault f = { 0 };
	uint8_t spki[PKI_SHA256];

	g.dns = dns;
	g.ip = ip;
	g.client_auth = false;
	world_cert_new(&c, &w->fleet, &g);
	assert_int_equal(pki_identity_read(&id, (const uint8_t *)c.cert, strlen(c.cert), &f), OK);
	assert_int_equal(id.role, PKI_CONSOLE);
	assert_string_equal(id.org, "acme");
	assert_string_equal(id.name, "main");
	assert_true(id.server_auth);
	assert_false(id.client_auth);
	assert_int_equal(strlen(id.serial), 32);
	assert_int_equal(id.not_after, g.not_after / 1000 * 1000);
	assert_int_equal(id.not_before, g.not_before / 1000 * 1000);
	assert_int_equal(pki_spki_sha256(spki, (const uint8_t *)c.cert, strlen(c.cert), &f), OK);
	assert_memory_equal(spki, id.spki_sha256, PKI_SHA256);
	assert_int_equal(pki_key_matches(c.key, c.cert, &f), OK);
	assert_int_equal(pki_key_matches(w->fleet.agent.key, c.cert, &f), ERR_AUTH);
	assert_int_equal(
	    pki_identity_read(&id, (const uint8_t *)w->fleet.ca, strlen(w->fleet.ca), NULL),
	    ERR_AUTH);
	world_cert_free(&c);
}

static void
test_issue_refused(void **state)
{
	struct world *w = *state;
	static const char *const bad_dns[] = { "a b", NULL };
	static const char *const bad_ip[] = { "1.2.3", NULL };
	struct pki_grant good = world_grant(PKI_AGENT, "a1"), g;
	struct buf key, csr, cert;
	size_t i;

	buf_init(&key, 65536);
	buf_init(&csr, 65536);
	buf_init(&cert, 65536);
	assert_int_equal(pki_key_new(&key), OK);
	assert_int_equal(pki_csr_new(&csr, buf_text(&key), "x", NULL), OK);
	for (i = 0; i < 8; i++) {
		struct fault f = { 0 };
		const char *ca = w->fleet.ca, *ca_key = w->fleet.ca_key;

		g = good;
		switch (i) {
		case 0:
			g.name = "a/b";
			break;
		case 1:
			g.org = "";
			break;
		case 2:
			g.role = PKI_NONE;
			break;
		case 3:
			g.server_auth = g.client_auth = false;
			break;
		case 4:
			g.dns = bad_dns;
			break;
		case 5:
			g.ip = bad_ip;
			break;
		case 6:
			ca_key = w->other.ca_key;
			break;
		default:
			ca = w->fleet.agent.cert, ca_key = w->fleet.agent.key;
			break;
		}
		if (pki_issue(&cert, buf_text(&csr), csr.len, ca, ca_key, &g, NULL, &f) == OK)
			fail_msg("case %zu was issued", i);
		assert_int_equal(cert.len, 0);
		assert_true(f.text[0] != '\0');
	}
	buf_free(&key);
	buf_free(&csr);
	buf_free(&cert);
}

static enum err
verify(const struct pki_trust *t, const struct pki_expect *x, const char *leaf, const char *ca,
    int64_t now, struct pki_identity *id, struct fault *f)
{
	struct pki_der chain[2];
	struct buf a, b;
	enum err e;

	buf_init(&a, 65536);
	buf_init(&b, 65536);
	assert_int_equal(pki_pem_to_der(&a, leaf, strlen(leaf), NULL), OK);
	chain[0] = (struct pki_der){ a.data, a.len };
	if (ca != NULL)
		assert_int_equal(pki_pem_to_der(&b, ca, strlen(ca), NULL), OK);
	chain[1] = (struct pki_der){ b.data, b.len };
	e = pki_verify(t, x, chain, ca != NULL ? 2 : 1, now, id, f);
	buf_free(&a);
	buf_free(&b);
	return e;
}

/* One wrong thing at a time; the sentence names it. */
static void
test_verify(void **state)
{
	struct world *w = *state;
	int64_t now = clock_wall_ms();
	struct pki_identity id;
	const char *revoked[] = { "00", NULL };
	struct pki_expect console = { .role = PKI_CONSOLE, .server = true }, x;
	struct pki_trust trust = { .ca_pem = w->fleet.ca }, t;
	struct fault f;
	size_t i;

	assert_int_equal(pki_identity_read(&id, (const uint8_t *)w->fleet.console.cert,
			     strlen(w->fleet.console.cert), NULL),
	    OK);
	revoked[0] = id.serial;
	for (i = 0; i <= 11; i++) {
		static const struct {
			enum err e;
			const char *text;
		} want[] = {
			{ OK, "" },
			{ ERR_AUTH, "not from a CA trusted here" },
			{ ERR_EXPIRED, "expired 2 days ago" },
			{ ERR_EXPIRED, "not valid for another" },
			{ ERR_AUTH, "role agent is needed" },
			{ ERR_AUTH, "organisation 'acme', not to 'umbrella'" },
			{ ERR_AUTH, "'main', not 'backup'" },
			{ ERR_AUTH, "revoked" },
			{ ERR_AUTH, "no fleet identity" },
			{ OK, "" },
			{ ERR_AUTH, "no CA is trusted" },
			{ ERR_EXPIRED, "CA's own certificate" },
		};
		const char *leaf = w->fleet.console.cert;
		int64_t when = now;
		struct pki_identity out;
		enum err e;

		x = console;
		t = trust;
		memset(&f, 0, sizeof(f));
		switch (i) {
		case 1:
			t.ca_pem = w->other.ca;
			break;
		case 2:
			when = now + 3 * DAY + 60000;
			break;
		case 3:
			when = now - DAY;
			break;
		case 4:
			x.role = PKI_AGENT;
			break;
		case 5:
			x.org = "umbrella";
			break;
		case 6:
			x.name = "backup";
			break;
		case 7:
			t.revoked = revoked, t.n_revoked = 1;
			break;
		case 8:
			leaf = w->fleet.ca;
			break;
		case 9:
			when = now + 3 * DAY, t.expired_grace_ms = 3 * DAY;
			break;
		case 10:
			t.ca_pem = NULL;
			break;
		case 11:
			when = now + 4000 * DAY, t.expired_grace_ms = 5000 * DAY;
			break;
		default:
			break;
		}
		e = verify(&t, &x, leaf, NULL, when, &out, &f);
		if (i == 8) { /* a CA as a leaf: refused, whichever rule comes first */
			assert_int_equal(e, ERR_AUTH);
			continue;
		}
		if (e != want[i].e || strstr(f.text, want[i].text) == NULL)
			fail_msg("case %zu: %d '%s'", i, (int)e, f.text);
		if (e == OK)
			assert_string_equal(out.name, "main");
	}
}

static void
test_pins(void **state)
{
	struct world *w = *state;
	struct pki_expect x = { .role = PKI_CONSOLE, .server = true };
	uint8_t pins[2][PKI_SHA256];
	struct pki_trust t = { .pins = (const uint8_t(*)[PKI_SHA256])pins, .n_pins = 2 };
	struct pki_identity id;
	struct fault f = { 0 };
	int64_t now = clock_wall_ms();

	memset(pins, 7, sizeof(pins));
	assert_int_equal(
	    pki_spki_sha256(pins[1], (const uint8_t *)w->fleet.ca, strlen(w->fleet.ca), NULL), OK);
	if (verify(&t, &x, w->fleet.console.cert, w->fleet.ca, now, &id, &f) != OK)
		fail_msg("%s", f.text);
	assert_int_equal(verify(&t, &x, w->fleet.console.cert, NULL, now, &id, &f), ERR_AUTH);
	assert_non_null(strstr(f.text, "pins"));
	memset(&f, 0, sizeof(f));
	/* the pinned CA is shown, but did not sign the leaf */
	assert_int_equal(
	    verify(&t, &x, w->other.console.cert, w->fleet.ca, now, &id, &f), ERR_AUTH);
	/* an agent of the pinned CA cannot act as a CA: the pin names the CA, and a leaf with the
	 * pinned key is no help either */
	assert_int_equal(pki_spki_sha256(pins[0], (const uint8_t *)w->fleet.agent.cert,
			     strlen(w->fleet.agent.cert), NULL),
	    OK);
	pins[1][0] ^= 1;
	assert_int_equal(
	    verify(&t, &x, w->fleet.console.cert, w->fleet.agent.cert, now, &id, NULL), ERR_AUTH);
}

static void
test_usage(void **state)
{
	struct world *w = *state;
	struct pki_grant g = world_grant(PKI_AGENT, "a1");
	struct pki_expect x = { .role = PKI_AGENT, .server = true };
	struct pki_trust t = { .ca_pem = w->fleet.ca };
	struct pki_identity id;
	struct world_cert c;
	struct fault f = { 0 };

	g.server_auth = false;
	world_cert_new(&c, &w->fleet, &g);
	assert_int_equal(verify(&t, &x, c.cert, NULL, clock_wall_ms(), &id, &f), ERR_AUTH);
	assert_non_null(strstr(f.text, "serverAuth"));
	x.server = false;
	assert_int_equal(verify(&t, &x, c.cert, NULL, clock_wall_ms(), &id, NULL), OK);
	world_cert_free(&c);
}

static void
test_rotation(void **state)
{
	struct world *w = *state;
	struct pki_expect x = { .role = PKI_AGENT };
	struct pki_trust t = { 0 };
	struct pki_identity id;
	struct buf both;

	buf_init(&both, 65536);
	assert_int_equal(buf_printf(&both, "%s%s", w->fleet.ca, w->other.ca), OK);
	t.ca_pem = buf_text(&both);
	assert_int_equal(verify(&t, &x, w->fleet.agent.cert, NULL, clock_wall_ms(), &id, NULL), OK);
	assert_int_equal(verify(&t, &x, w->other.agent.cert, NULL, clock_wall_ms(), &id, NULL), OK);
	assert_int_equal(
	    buf_puts(&both, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), OK);
	t.ca_pem = buf_text(&both);
	assert_int_equal(
	    verify(&t, &x, w->fleet.agent.cert, NULL, clock_wall_ms(), &id, NULL), ERR_PARSE);
	buf_free(&both);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_hashes),
		cmocka_unit_test(test_csr),
		cmocka_unit_test(test_issue),
		cmocka_unit_test(test_issue_refused),
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_pins),
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_rotation),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
