/* The public half: reading keys and verifying. */
#include "update/sign.h"

#include "base/text.h"
#include "update/hash.h"

#include <mbedtls/asn1.h>
#include <mbedtls/bignum.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/rsa.h>
#include <mbedtls/version.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_SODIUM
#include <sodium.h>
#endif

#define RSA_MIN_BITS 2048
#define RSA_MAX_BITS 8192
#define PUBLIC_DER_MAX 1400 /* SPKI of RSA 8192 with a large exponent */
#define ED25519_KEY 32
#define ED25519_SIG 64

struct sign_public {
	enum sign_scheme scheme;
	mbedtls_pk_context pk;
	uint8_t ed25519[ED25519_KEY];
	uint8_t der[PUBLIC_DER_MAX]; /* SPKI written anew: one text per key material */
	size_t der_len;
};

/* Whether an error of mbedTLS, a high and a low part added up, says that memory ran out. It must
 * not pass for a wrong key or signature: trusted files would be given up for it. */
static bool
ran_out(int r)
{
	int low = -r & 0x7f, high = -r & ~0x7f;

	return r < 0 &&
	       (low == -MBEDTLS_ERR_MPI_ALLOC_FAILED || low == -MBEDTLS_ERR_ASN1_ALLOC_FAILED ||
		   high == -MBEDTLS_ERR_PK_ALLOC_FAILED || high == -MBEDTLS_ERR_ECP_ALLOC_FAILED ||
		   high == -MBEDTLS_ERR_PEM_ALLOC_FAILED);
}

static enum err
check_ec(mbedtls_pk_context *pk, struct fault *f)
{
	mbedtls_ecp_group_id id = MBEDTLS_ECP_DP_NONE;

	if (mbedtls_pk_get_type(pk) == MBEDTLS_PK_ECKEY)
#if MBEDTLS_VERSION_MAJOR >= 3
		id = mbedtls_pk_ec(*pk)->MBEDTLS_PRIVATE(grp).id;
#else
		id = mbedtls_pk_ec(*pk)->grp.id;
#endif
	if (id != MBEDTLS_ECP_DP_SECP256R1)
		return fault_set(f, ERR_PARSE, "the public key is not on the curve P-256");
	return OK;
}

static enum err
check_rsa(mbedtls_pk_context *pk, struct fault *f)
{
	size_t bits = 0;

	if (mbedtls_pk_get_type(pk) == MBEDTLS_PK_RSA)
		bits = mbedtls_pk_get_bitlen(pk);
	if (bits < RSA_MIN_BITS || bits > RSA_MAX_BITS)
		return fault_set(f, ERR_PARSE, "the public key is not RSA of %d to %d bits",
		    RSA_MIN_BITS, RSA_MAX_BITS);
#if MBEDTLS_VERSION_MAJOR >= 3
	if (mbedtls_rsa_set_padding(mbedtls_pk_rsa(*pk), MBEDTLS_RSA_PKCS_V21, MBEDTLS_MD_SHA256) !=
	    0)
		return fault_set(f, ERR_PARSE, "the RSA key cannot be used for PSS");
#else
	mbedtls_rsa_set_padding(mbedtls_pk_rsa(*pk), MBEDTLS_RSA_PKCS_V21, MBEDTLS_MD_SHA256);
#endif
	return OK;
}

static enum err
parse_pem(struct sign_public *k, const char *text, size_t n, struct fault *f)
{
	char *z;
	int r;
	enum err e;

	/* mbedTLS wants the NUL counted; text need not have one behind it. */
	z = malloc(n + 1);
	if (z == NULL)
		return ERR_NOMEM;
	memcpy(z, text, n);
	z[n] = '\0';
	if (strstr(z, "-----BEGIN PUBLIC KEY-----") == NULL)
		r = -1;
	else
		r = mbedtls_pk_parse_public_key(&k->pk, (const unsigned char *)z, n + 1);
	free(z);
	if (ran_out(r))
		return ERR_NOMEM;
	if (r != 0)
		return fault_set(f, ERR_PARSE, "the public key is not a PEM SubjectPublicKeyInfo");
	e = k->scheme == SIGN_ECDSA_P256 ? check_ec(&k->pk, f) : check_rsa(&k->pk, f);
	if (e != OK)
		return e;
	r = mbedtls_pk_write_pubkey_der(&k->pk, k->der, sizeof(k->der));
	if (ran_out(r))
		return ERR_NOMEM;
	if (r <= 0)
		return fault_set(f, ERR_PARSE, "the public key cannot be written as DER");
	memmove(k->der, k->der + sizeof(k->der) - (size_t)r, (size_t)r);
	k->der_len = (size_t)r;
	return OK;
}

static enum err
parse_ed25519(struct sign_public *k, const char *text, size_t n, struct fault *f)
{
#ifdef HAVE_SODIUM
	size_t len;

	if (n != 2 * ED25519_KEY ||
	    text_unhex(k->ed25519, sizeof(k->ed25519), text, n, &len) != OK || len != ED25519_KEY)
		return fault_set(f, ERR_PARSE, "the Ed25519 key is not 64 hexadecimal digits");
	memcpy(k->der, k->ed25519, ED25519_KEY);
	k->der_len = ED25519_KEY;
	return OK;
#else
	(void)k, (void)text, (void)n;
	return fault_set(f, ERR_UNSUPPORTED, "Ed25519 needs a build with libsodium");
#endif
}

enum err
sign_public_parse(
    struct sign_public **out, enum sign_scheme scheme, const char *text, size_t n, struct fault *f)
{
	struct sign_public *k = calloc(1, sizeof(*k));
	enum err e;

	*out = NULL;
	if (k == NULL)
		return ERR_NOMEM;
	k->scheme = scheme;
	mbedtls_pk_init(&k->pk);
	if (scheme == SIGN_ED25519)
		e = parse_ed25519(k, text, n, f);
	else
		e = parse_pem(k, text, n, f);
	if (e != OK) {
		sign_public_free(k);
		return e;
	}
	*out = k;
	return OK;
}

void
sign_public_free(struct sign_public *k)
{
	if (k == NULL)
		return;
	mbedtls_pk_free(&k->pk);
	free(k);
}

/* 0 when the signature is right, else mbedTLS's error. */
static int
verify_pss(const struct sign_public *k, const uint8_t *sum, const uint8_t *sig, size_t sig_len)
{
	mbedtls_rsa_context *rsa = mbedtls_pk_rsa(k->pk);

	if (sig_len != mbedtls_rsa_get_len(rsa))
		return MBEDTLS_ERR_RSA_VERIFY_FAILED;
#if MBEDTLS_VERSION_MAJOR >= 3
	return mbedtls_rsa_rsassa_pss_verify(rsa, MBEDTLS_MD_SHA256, HASH_SHA256_LEN, sum, sig);
#else
	return mbedtls_rsa_rsassa_pss_verify(
	    rsa, NULL, NULL, MBEDTLS_RSA_PUBLIC, MBEDTLS_MD_SHA256, HASH_SHA256_LEN, sum, sig);
#endif
}

static int
verify_ed25519(
    const struct sign_public *k, const void *msg, size_t n, const uint8_t *sig, size_t sig_len)
{
#ifdef HAVE_SODIUM
	if (sig_len != ED25519_SIG || sodium_init() < 0)
		return -1;
	return crypto_sign_verify_detached(sig, msg, n, k->ed25519);
#else
	(void)k, (void)msg, (void)n, (void)sig, (void)sig_len;
	return -1;
#endif
}

enum err
sign_verify(
    const struct sign_public *k, const void *msg, size_t n, const uint8_t *sig, size_t sig_len)
{
	uint8_t sum[HASH_SHA256_LEN];
	int r = -1;

	if (sig_len == 0)
		return ERR_AUTH;
	hash_once(HASH_SHA256, msg, n, sum);
	switch (k->scheme) {
	case SIGN_ECDSA_P256:
		/* The context is not changed by verifying; mbedTLS takes no const here. */
		r = mbedtls_ecdsa_read_signature(
		    mbedtls_pk_ec(k->pk), sum, sizeof(sum), sig, sig_len);
		break;
	case SIGN_RSA_PSS_SHA256:
		r = verify_pss(k, sum, sig, sig_len);
		break;
	case SIGN_ED25519:
		r = verify_ed25519(k, msg, n, sig, sig_len);
		break;
	}
	if (k->scheme != SIGN_ED25519 && ran_out(r))
		return ERR_NOMEM;
	return r == 0 ? OK : ERR_AUTH;
}

bool
sign_public_same(const struct sign_public *a, const struct sign_public *b)
{
	return a->der_len == b->der_len && memcmp(a->der, b->der, a->der_len) == 0;
}
