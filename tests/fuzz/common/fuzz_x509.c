/* fuzz_x509.c - certificates, chains and requests as a stranger would send them. Nothing random may
 * ever verify. */
#include "net/pki.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW 1795000000000ll

static char *ca;

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
make_ca(void)
{
	struct buf cert, key;

	buf_init(&cert, 65536);
	buf_init(&key, 65536);
	must(pki_ca_new(&cert, &key, "fuzz", NOW - 1000, NOW + 1000000, NULL) == OK);
	ca = (char *)cert.data; /* kept for all runs */
	buf_free(&key);
}

/* First byte: where the input is cut into leaf and the rest of the chain, in 256ths. */
static void
try_chain(const uint8_t *p, size_t n)
{
	struct pki_trust trust = { .ca_pem = ca };
	struct pki_expect expect = { .role = PKI_CONSOLE, .server = true };
	struct pki_identity id;
	struct pki_der chain[2];
	size_t cut;

	if (n < 2)
		return;
	cut = (n - 1) * p[0] / 256;
	chain[0] = (struct pki_der){ p + 1, cut };
	chain[1] = (struct pki_der){ p + 1 + cut, n - 1 - cut };
	must(pki_verify(&trust, &expect, chain, 2, NOW, &id, NULL) != OK);
	chain[0].n = n - 1;
	must(pki_verify(&trust, &expect, chain, 1, NOW, &id, NULL) != OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pki_identity id;
	struct pki_csr csr;
	uint8_t spki[PKI_SHA256];

	if (ca == NULL)
		make_ca();
	if (pki_identity_read(&id, data, size, NULL) == OK)
		must(pki_is_name(id.org, strlen(id.org)) && pki_is_name(id.name, strlen(id.name)) &&
		     (id.role == PKI_AGENT || id.role == PKI_CONSOLE));
	(void)!pki_spki_sha256(spki, data, size, NULL);
	(void)!pki_csr_read(&csr, (const char *)data, size, NULL);
	try_chain(data, size);
	return 0;
}
