/* pki.h - keys, CSRs, certificates and identities of the fleet (DESIGN section 10). P-256 and
 * SHA-256 only. Pure: PEM or DER in, PEM or a struct out; callable from any thread; a key or
 * signature takes about a millisecond, so bulk work belongs in a worker. Times are wall
 * milliseconds. An identity is the one URI SAN of the leaf,
 * `atalaia://<org>/{agent,console}/<name>`; host names play no part. */
#ifndef ATALAIA_NET_PKI_H
#define ATALAIA_NET_PKI_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PKI_NAME 65   /* org and name: [A-Za-z0-9._-]{1,64} and a NUL */
#define PKI_SERIAL 41 /* up to 20 bytes in hexadecimal and a NUL */
#define PKI_SHA256 32

enum pki_role { PKI_NONE, PKI_AGENT, PKI_CONSOLE };

struct pki_identity {
	enum pki_role role;
	char org[PKI_NAME], name[PKI_NAME];
	char serial[PKI_SERIAL]; /* lower-case hexadecimal, no leading zero bytes */
	int64_t not_before, not_after;
	bool server_auth, client_auth;	 /* extended key usage */
	uint8_t spki_sha256[PKI_SHA256]; /* of this certificate's own key */
	uint8_t cert_sha256[PKI_SHA256]; /* of its DER */
};

const char *pki_role_word(enum pki_role r); /* "agent", "console", "none" */
bool pki_is_name(const char *p, size_t n);  /* may be an org or a name */

/* --- making --- */
MUST_CHECK enum err pki_key_new(struct buf *key_pem); /* PKCS#8 PEM; wipe it */
/* CSR for the key; cn is only for people. The signer ignores everything in it but the public key.
 */
MUST_CHECK enum err pki_csr_new(
    struct buf *csr_pem, const char *key_pem, const char *cn, struct fault *f);
struct pki_csr {
	uint8_t csr_sha256[PKI_SHA256]; /* of its DER: what an enrolment proof binds */
	uint8_t spki_sha256[PKI_SHA256];
};
/* Parses, requires P-256, checks the self-signature. ERR_PARSE / ERR_AUTH. */
MUST_CHECK enum err pki_csr_read(
    struct pki_csr *out, const char *csr_pem, size_t n, struct fault *f);

/* Self-signed CA of an organisation: path length 0, keyCertSign + cRLSign. */
MUST_CHECK enum err pki_ca_new(struct buf *ca_pem, struct buf *ca_key_pem, const char *org,
    int64_t not_before, int64_t not_after, struct fault *f);

struct pki_grant {
	enum pki_role role;
	const char *org, *name;
	bool server_auth, client_auth;
	const char *const *dns;	       /* extra DNS SANs, NULL-terminated, or NULL */
	const char *const *ip;	       /* extra IP SANs as literals, NULL-terminated, or NULL */
	int64_t not_before, not_after; /* not_after is cut to the CA's own end */
};
/* Certificate for the CSR's key (self-signature checked first). `identity` (may be NULL) gets what
 * was issued, with its random serial. */
MUST_CHECK enum err pki_issue(struct buf *cert_pem, const char *csr_pem, size_t csr_len,
    const char *ca_pem, const char *ca_key_pem, const struct pki_grant *g,
    struct pki_identity *identity, struct fault *f);

/* --- reading --- */
/* First certificate of a PEM text or one DER. ERR_PARSE; ERR_AUTH when it has no valid identity
 * SAN. Verifies nothing. */
MUST_CHECK enum err pki_identity_read(
    struct pki_identity *out, const uint8_t *p, size_t n, struct fault *f);
MUST_CHECK enum err pki_spki_sha256(uint8_t out[PKI_SHA256], const uint8_t *p, size_t n,
    struct fault *f); /* of a certificate, CA included */
MUST_CHECK enum err pki_public_pem(
    struct buf *out, const uint8_t *cert, size_t n, struct fault *f); /* its key, for sign.h */
MUST_CHECK enum err pki_key_matches(
    const char *key_pem, const char *cert_pem, struct fault *f); /* ERR_AUTH when they differ */
MUST_CHECK enum err pki_pem_to_der(
    struct buf *der, const char *cert_pem, size_t n, struct fault *f); /* first certificate */

/* --- verifying --- */
struct pki_der {
	const uint8_t *p;
	size_t n;
};
struct pki_trust {	    /* borrowed; CAs or pins or both */
	const char *ca_pem; /* one or more CA certificates, NUL-terminated, or NULL */
	const uint8_t (*pins)[PKI_SHA256]; /* SPKI hashes of CAs; such a CA must then be in the
					      peer's chain, so listeners send leaf + CA */
	size_t n_pins;
	const char *const *revoked; /* serials in pki_identity form */
	size_t n_revoked;
	int64_t expired_grace_ms; /* accept a leaf this long after its end (renewal only); callers
				     check not_after themselves */
};
struct pki_expect {
	enum pki_role role;	/* PKI_NONE: either role */
	const char *org, *name; /* NULL: any */
	bool server;		/* true: EKU serverAuth needed, false: clientAuth */
};
/* chain[0] is the leaf. On success *out is the leaf's identity. Faults: ERR_AUTH (wrong CA, role,
 * org, name, EKU, revoked), ERR_EXPIRED (expired or not yet valid, says by how long), ERR_PARSE;
 * each with a sentence that names the remedy. */
MUST_CHECK enum err pki_verify(const struct pki_trust *t, const struct pki_expect *x,
    const struct pki_der *chain, size_t n, int64_t now_ms, struct pki_identity *out,
    struct fault *f);

/* --- small crypto --- */
void pki_sha256(uint8_t out[PKI_SHA256], const void *p, size_t n);
void pki_hmac_sha256(
    uint8_t out[PKI_SHA256], const void *key, size_t key_len, const void *p, size_t n);
#define PKI_SHA1 20
/* Only for one-time codes (RFC 6238), where no authenticator takes anything better. */
void pki_hmac_sha1(
    uint8_t out[PKI_SHA1], const void *key, size_t key_len, const void *p, size_t n);
bool pki_equal(const void *a, const void *b, size_t n); /* constant time */
MUST_CHECK enum err pki_random(void *p, size_t n);	/* the system's generator */

#endif
