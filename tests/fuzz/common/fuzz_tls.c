/* fuzz_tls.c - a TLS server that strangers feed. Without a handshake not one plain byte comes out.
 * Keys are new in each run, so inputs that depend on them do not repeat exactly; the ones that
 * matter are seen before any key is used. */
#include "net/tls.h"

#include "base/clock.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tls_config *config;

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
make_config(void)
{
	struct buf ca, ca_key, key, csr, cert;
	struct pki_grant g = {
		.role = PKI_CONSOLE, .org = "fuzz", .name = "main", .server_auth = true
	};
	struct tls_options o = { .auth = TLS_AUTH_OPTIONAL };

	buf_init(&ca, 65536);
	buf_init(&ca_key, 65536);
	buf_init(&key, 65536);
	buf_init(&csr, 65536);
	buf_init(&cert, 65536);
	g.not_before = clock_wall_ms() - 60000;
	g.not_after = g.not_before + 86400000;
	must(pki_ca_new(&ca, &ca_key, "fuzz", g.not_before, g.not_after, NULL) == OK &&
	     pki_key_new(&key) == OK);
	must(pki_csr_new(&csr, buf_text(&key), "x", NULL) == OK);
	must(pki_issue(&cert, buf_text(&csr), csr.len, buf_text(&ca), buf_text(&ca_key), &g, NULL,
		 NULL) == OK);
	o.chain_pem = buf_text(&cert);
	o.key_pem = buf_text(&key);
	o.trust.ca_pem = buf_text(&ca);
	must(tls_config_new(&config, &o, NULL) == OK);
	buf_free(&ca);
	buf_free(&ca_key);
	buf_free(&key);
	buf_free(&csr);
	buf_free(&cert);
}

static void
on_plain(void *ctx, const uint8_t *p, size_t n)
{
	abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls *t;
	size_t half = size / 2;

	if (config == NULL)
		make_config();
	must(tls_new(&t, config) == OK);
	if (tls_feed(t, data, half, on_plain, NULL) == OK)
		(void)!tls_feed(t, data + half, size - half, on_plain, NULL);
	must(tls_peer(t) == NULL);
	tls_free(t);
	return 0;
}
