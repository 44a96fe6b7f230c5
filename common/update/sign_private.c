/* The private half: making, loading, saving and using our own P-256 keys. */
#include "update/sign.h"

#include "os/rand.h"
#include "update/hash.h"
#include "update/sign_pkcs8.h"

#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/version.h>
#include <stdlib.h>
#include <string.h>

#define PEM_MAX 4096
#define ECDSA_SIG_MAX 80 /* DER of two 33-byte integers is 72 */

struct sign_private {
	mbedtls_pk_context pk;
};

static int
from_kernel(void *ctx, unsigned char *out, size_t n)
{
	(void)ctx;
	rand_bytes(out, n);
	return 0;
}

static struct sign_private *
private_new(void)
{
	struct sign_private *k = calloc(1, sizeof(*k));

	if (k != NULL)
		mbedtls_pk_init(&k->pk);
	return k;
}

void
sign_private_free(struct sign_private *k)
{
	if (k == NULL)
		return;
	mbedtls_pk_free(&k->pk); /* zeroizes the key */
	free(k);
}

enum err
sign_generate(struct sign_private **out, struct fault *f)
{
	struct sign_private *k = private_new();
	int r;

	*out = NULL;
	if (k == NULL)
		return ERR_NOMEM;
	r = mbedtls_pk_setup(&k->pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
	if (r == 0)
		r = mbedtls_ecp_gen_key(
		    MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(k->pk), from_kernel, NULL);
	if (r != 0) {
		sign_private_free(k);
		return fault_set(f, ERR_NOMEM, "a P-256 key could not be made (mbedTLS %d)", -r);
	}
	*out = k;
	return OK;
}

static int
parse_key(mbedtls_pk_context *pk, const uint8_t *p, size_t n, const char *passphrase)
{
	const unsigned char *pwd = (const unsigned char *)passphrase;
	size_t pwd_len = passphrase != NULL ? strlen(passphrase) : 0;

#if MBEDTLS_VERSION_MAJOR >= 3
	return mbedtls_pk_parse_key(pk, p, n, pwd, pwd_len, from_kernel, NULL);
#else
	return mbedtls_pk_parse_key(pk, p, n, pwd, pwd_len);
#endif
}

static enum err
decrypt_pem(struct sign_private *k, const char *pem, const char *passphrase, struct fault *f)
{
	mbedtls_pem_context m;
	struct buf info;
	size_t used;
	enum err e;

	if (passphrase == NULL)
		return fault_set(
		    f, ERR_AUTH, "the private key is encrypted: a passphrase is needed");
	buf_init(&info, PKCS8_DER_MAX);
	mbedtls_pem_init(&m);
	if (mbedtls_pem_read_buffer(&m, "-----BEGIN ENCRYPTED PRIVATE KEY-----",
		"-----END ENCRYPTED PRIVATE KEY-----", (const unsigned char *)pem, NULL, 0,
		&used) != 0)
		e = ERR_PARSE;
	else
#if MBEDTLS_VERSION_MAJOR >= 3
		e = pkcs8_decrypt(
		    m.MBEDTLS_PRIVATE(buf), m.MBEDTLS_PRIVATE(buflen), passphrase, &info);
#else
		e = pkcs8_decrypt(m.buf, m.buflen, passphrase, &info);
#endif
	mbedtls_pem_free(&m);
	/* A wrong passphrase passes the padding check once in 256 times. */
	if (e == OK && parse_key(&k->pk, info.data, info.len, NULL) != 0)
		e = ERR_AUTH;
	buf_wipe(&info);
	if (e == ERR_AUTH)
		return fault_set(f, e, "the passphrase does not open the private key");
	if (e == ERR_UNSUPPORTED)
		return fault_set(f, e,
		    "the private key is encrypted in another way than "
		    "PBKDF2-HMAC-SHA-256 with AES-CBC");
	return e == OK ? OK
		       : fault_set(f, e, "the encrypted private key has not the form of PKCS#8");
}

static enum err
check_p256(const struct sign_private *k, struct fault *f)
{
	if (mbedtls_pk_get_type(&k->pk) != MBEDTLS_PK_ECKEY || mbedtls_pk_get_bitlen(&k->pk) != 256
#if MBEDTLS_VERSION_MAJOR >= 3
	    || mbedtls_pk_ec(k->pk)->MBEDTLS_PRIVATE(grp).id != MBEDTLS_ECP_DP_SECP256R1)
#else
	    || mbedtls_pk_ec(k->pk)->grp.id != MBEDTLS_ECP_DP_SECP256R1)
#endif
		return fault_set(f, ERR_UNSUPPORTED, "the private key is not an EC key on P-256");
	return OK;
}

enum err
sign_private_load(
    struct sign_private **out, const char *pem, size_t n, const char *passphrase, struct fault *f)
{
	struct sign_private *k;
	char text[PEM_MAX + 1];
	enum err e = OK;

	*out = NULL;
	if (n > PEM_MAX)
		return fault_set(f, ERR_TOOBIG, "a private key file has at most %d bytes", PEM_MAX);
	k = private_new();
	if (k == NULL)
		return ERR_NOMEM;
	memcpy(text, pem, n);
	text[n] = '\0';
	if (strstr(text, "-----BEGIN ENCRYPTED PRIVATE KEY-----") != NULL)
		e = decrypt_pem(k, text, passphrase, f);
	else if (parse_key(&k->pk, (const uint8_t *)text, n + 1, passphrase) != 0)
		e = fault_set(f, ERR_PARSE, "the private key is not PEM of PKCS#8 or SEC1");
	mbedtls_platform_zeroize(text, sizeof(text));
	if (e == OK)
		e = check_p256(k, f);
	if (e != OK) {
		sign_private_free(k);
		return e;
	}
	*out = k;
	return OK;
}

static enum err
write_pem(const char *begin, const char *end, const struct buf *der, struct buf *out)
{
	unsigned char text[PEM_MAX];
	size_t len;
	enum err e;

	if (mbedtls_pem_write_buffer(begin, end, der->data, der->len, text, sizeof(text), &len) !=
	    0)
		return ERR_TOOBIG;
	e = buf_append(out, text, len - 1); /* len counts the NUL */
	mbedtls_platform_zeroize(text, sizeof(text));
	return e;
}

enum err
sign_private_save(
    const struct sign_private *k, const char *passphrase, struct buf *out, struct fault *f)
{
	uint8_t sec1[256], salt[PKCS8_SALT], iv[PKCS8_IV];
	struct buf info, enc;
	int n;
	enum err e;

	buf_init(&info, PKCS8_DER_MAX);
	buf_init(&enc, PKCS8_DER_MAX);
	/* Writing does not change the key; 2.28 takes no const. */
	n = mbedtls_pk_write_key_der((mbedtls_pk_context *)(uintptr_t)&k->pk, sec1, sizeof(sec1));
	e = n <= 0 ? ERR_INVAL : pkcs8_wrap(sec1 + sizeof(sec1) - (size_t)n, (size_t)n, &info);
	if (e == OK && passphrase == NULL) {
		e = write_pem(
		    "-----BEGIN PRIVATE KEY-----\n", "-----END PRIVATE KEY-----\n", &info, out);
	} else if (e == OK) {
		rand_bytes(salt, sizeof(salt));
		rand_bytes(iv, sizeof(iv));
		e = pkcs8_encrypt(info.data, info.len, passphrase, salt, iv, &enc);
		if (e == OK)
			e = write_pem("-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
			    "-----END ENCRYPTED PRIVATE KEY-----\n", &enc, out);
	}
	mbedtls_platform_zeroize(sec1, sizeof(sec1));
	buf_wipe(&info);
	buf_wipe(&enc);
	return e == OK ? OK : fault_set(f, e, "the private key could not be written");
}

enum err
sign_private_public_pem(const struct sign_private *k, struct buf *out)
{
	unsigned char text[1024];

	if (mbedtls_pk_write_pubkey_pem(
		(mbedtls_pk_context *)(uintptr_t)&k->pk, text, sizeof(text)) != 0)
		return ERR_INVAL;
	return buf_puts(out, (const char *)text);
}

enum err
sign_make(const struct sign_private *k, const void *msg, size_t n, struct buf *out)
{
	uint8_t sum[HASH_SHA256_LEN], sig[ECDSA_SIG_MAX];
	size_t len = 0;
	int r;

	hash_once(HASH_SHA256, msg, n, sum);
#if MBEDTLS_VERSION_MAJOR >= 3
	r = mbedtls_ecdsa_write_signature(mbedtls_pk_ec(k->pk), MBEDTLS_MD_SHA256, sum, sizeof(sum),
	    sig, sizeof(sig), &len, from_kernel, NULL);
#else
	r = mbedtls_ecdsa_write_signature(mbedtls_pk_ec(k->pk), MBEDTLS_MD_SHA256, sum, sizeof(sum),
	    sig, &len, from_kernel, NULL);
#endif
	return r == 0 ? buf_append(out, sig, len) : ERR_INVAL;
}
