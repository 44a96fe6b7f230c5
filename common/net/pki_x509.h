/* pki_x509.h - private to tls* and pki*: the parts of pki.h in mbedTLS's own types, so that a
 * handshake and pki_verify judge by the same code. */
#ifndef ATALAIA_NET_PKI_X509_H
#define ATALAIA_NET_PKI_X509_H

#include "net/pki.h"
#include "net/tls_compat.h"

#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>

int pki_rng(void *unused, unsigned char *p,
    size_t n); /* mbedTLS's f_rng: the system's generator, thread-safe, no state */
extern const mbedtls_x509_crt_profile
    pki_profile; /* ECDSA P-256 with SHA-256 or better, nothing else */

/* "what: mbedTLS -0x1234" into f. */
enum err pki_mbed_fault(struct fault *f, enum err e, int ret, const char *what);
MUST_CHECK enum err pki_parse_chain(mbedtls_x509_crt *crt, const char *pem,
    struct fault *f); /* every certificate of the text must be good */
MUST_CHECK enum err pki_parse_key(
    mbedtls_pk_context *pk, const char *pem, struct fault *f); /* P-256 only */
MUST_CHECK enum err pki_parse_cert(
    mbedtls_x509_crt *crt, const uint8_t *p, size_t n, struct fault *f); /* one, PEM or DER */
bool pki_is_p256(const mbedtls_pk_context *pk);
int64_t pki_time_ms(const mbedtls_x509_time *t); /* INT64_MIN when it is no real date */
MUST_CHECK enum err pki_identity_of(
    struct pki_identity *out, const mbedtls_x509_crt *crt, struct fault *f);

/* A pki_trust, parsed and owned. */
struct pki_anchor {
	mbedtls_x509_crt cas;
	uint8_t (*pins)[PKI_SHA256];
	size_t n_pins;
	char (*revoked)[PKI_SERIAL];
	size_t n_revoked;
	int64_t grace_ms;
};
MUST_CHECK enum err pki_anchor_new(
    struct pki_anchor **out, const struct pki_trust *t, struct fault *f);
void pki_anchor_free(struct pki_anchor *);

/* One judgement. pki_judge_cert is an mbedTLS verify callback (ctx = struct pki_judge): it takes
 * the times out of mbedTLS's hands, notes what is left, and gives the verdict at the leaf; a
 * refusal is returned as a fatal error, so that optional client authentication cannot swallow it.
 */
struct pki_judge {
	const struct pki_anchor *anchor;
	struct pki_expect expect;
	int64_t now_ms;
	uint32_t flags;
	bool ca_expired, judged;
	enum err verdict; /* when judged */
	struct pki_identity *out;
	struct fault *fault;
};
int pki_judge_cert(void *judge, mbedtls_x509_crt *crt, int depth, uint32_t *flags);
/* Full verification of chain (leaf first) with its own judge. */
MUST_CHECK enum err pki_anchor_check(const struct pki_anchor *a, const struct pki_expect *x,
    mbedtls_x509_crt *chain, int64_t now_ms, struct pki_identity *out, struct fault *f);

#endif
