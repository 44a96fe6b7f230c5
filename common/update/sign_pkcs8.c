#include "update/sign_pkcs8.h"

#include <mbedtls/aes.h>
#include <mbedtls/asn1.h>
#include <mbedtls/asn1write.h>
#include <mbedtls/md.h>
#include <mbedtls/pkcs5.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/version.h>
#include <stdbool.h>
#include <string.h>

#define ITERATIONS 600000      /* OWASP's figure for PBKDF2-HMAC-SHA-256: about half a second */
#define ITERATIONS_MAX 5000000 /* a file cannot make us compute for minutes */
#define SEQUENCE (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE)

static const char oid_pbes2[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d";
static const char oid_pbkdf2[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c";
static const char oid_hmac_sha256[] = "\x2a\x86\x48\x86\xf7\x0d\x02\x09";
static const char oid_aes256_cbc[] = "\x60\x86\x48\x01\x65\x03\x04\x01\x2a";
static const char oid_aes128_cbc[] = "\x60\x86\x48\x01\x65\x03\x04\x01\x02";
static const char oid_ec_key[] = "\x2a\x86\x48\xce\x3d\x02\x01";
static const char oid_p256[] = "\x2a\x86\x48\xce\x3d\x03\x01\x07";
#define OID(o) (o), sizeof(o) - 1

static enum err
derive(const char *passphrase, const uint8_t *salt, size_t salt_len, unsigned iterations,
    uint8_t *key, size_t key_len)
{
	int r;
#if MBEDTLS_VERSION_MAJOR >= 3
	r = mbedtls_pkcs5_pbkdf2_hmac_ext(MBEDTLS_MD_SHA256, (const unsigned char *)passphrase,
	    strlen(passphrase), salt, salt_len, iterations, (uint32_t)key_len, key);
#else
	mbedtls_md_context_t md;

	mbedtls_md_init(&md);
	r = mbedtls_md_setup(&md, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 1);
	if (r == 0)
		r = mbedtls_pkcs5_pbkdf2_hmac(&md, (const unsigned char *)passphrase,
		    strlen(passphrase), salt, salt_len, iterations, (uint32_t)key_len, key);
	mbedtls_md_free(&md);
#endif
	return r == 0 ? OK : ERR_NOMEM;
}

/* The writers work from the end of the block to its start, as mbedTLS does. */
struct block {
	uint8_t bytes[PKCS8_DER_MAX];
	unsigned char *p;
	int failed;
};

static void
put(struct block *b, int r)
{
	if (r < 0)
		b->failed = 1;
}

static void
wrap(struct block *b, const unsigned char *end)
{
	size_t n = (size_t)(end - b->p);

	put(b, mbedtls_asn1_write_len(&b->p, b->bytes, n));
	put(b, mbedtls_asn1_write_tag(&b->p, b->bytes, SEQUENCE));
}

static enum err
take(struct block *b, struct buf *out)
{
	enum err e = ERR_TOOBIG;

	if (!b->failed)
		e = buf_append(out, b->p, (size_t)(b->bytes + sizeof(b->bytes) - b->p));
	mbedtls_platform_zeroize(b->bytes, sizeof(b->bytes));
	return e;
}

enum err
pkcs8_wrap(const uint8_t *sec1, size_t n, struct buf *out)
{
	struct block b = { .failed = 0 };
	unsigned char *end = b.bytes + sizeof(b.bytes), *alg;

	b.p = end;
	put(&b, mbedtls_asn1_write_octet_string(&b.p, b.bytes, sec1, n));
	alg = b.p;
	put(&b, mbedtls_asn1_write_oid(&b.p, b.bytes, OID(oid_p256)));
	put(&b, mbedtls_asn1_write_oid(&b.p, b.bytes, OID(oid_ec_key)));
	wrap(&b, alg);
	put(&b, mbedtls_asn1_write_int(&b.p, b.bytes, 0));
	wrap(&b, end);
	return take(&b, out);
}

/* SEQUENCE { oid, OCTET STRING or the SEQUENCE already written up to end } */
static void
write_parameters(struct block *b, const uint8_t *salt, const uint8_t *iv)
{
	unsigned char *all = b->p, *inner;

	put(b, mbedtls_asn1_write_octet_string(&b->p, b->bytes, iv, PKCS8_IV));
	put(b, mbedtls_asn1_write_oid(&b->p, b->bytes, OID(oid_aes256_cbc)));
	wrap(b, all);

	inner = b->p;
	put(b, mbedtls_asn1_write_null(&b->p, b->bytes));
	put(b, mbedtls_asn1_write_oid(&b->p, b->bytes, OID(oid_hmac_sha256)));
	wrap(b, inner);
	put(b, mbedtls_asn1_write_int(&b->p, b->bytes, ITERATIONS));
	put(b, mbedtls_asn1_write_octet_string(&b->p, b->bytes, salt, PKCS8_SALT));
	wrap(b, inner);
	put(b, mbedtls_asn1_write_oid(&b->p, b->bytes, OID(oid_pbkdf2)));
	wrap(b, inner);

	wrap(b, all);
	put(b, mbedtls_asn1_write_oid(&b->p, b->bytes, OID(oid_pbes2)));
	wrap(b, all);
}

static enum err
aes_cbc(int mode, const uint8_t *key, size_t key_len, const uint8_t iv[PKCS8_IV], uint8_t *data,
    size_t n)
{
	mbedtls_aes_context aes;
	uint8_t chain[PKCS8_IV];
	int r;

	memcpy(chain, iv, sizeof(chain));
	mbedtls_aes_init(&aes);
	if (mode == MBEDTLS_AES_ENCRYPT)
		r = mbedtls_aes_setkey_enc(&aes, key, (unsigned)key_len * 8);
	else
		r = mbedtls_aes_setkey_dec(&aes, key, (unsigned)key_len * 8);
	if (r == 0)
		r = mbedtls_aes_crypt_cbc(&aes, mode, n, chain, data, data);
	mbedtls_aes_free(&aes);
	return r == 0 ? OK : ERR_PARSE;
}

enum err
pkcs8_encrypt(const uint8_t *info, size_t n, const char *passphrase,
    const uint8_t salt[PKCS8_SALT], const uint8_t iv[PKCS8_IV], struct buf *out)
{
	struct block b = { .failed = 0 };
	uint8_t data[PKCS8_DER_MAX / 2], key[32];
	size_t pad = PKCS8_IV - n % PKCS8_IV;
	unsigned char *end = b.bytes + sizeof(b.bytes);
	enum err e;

	if (n + pad > sizeof(data))
		return ERR_TOOBIG;
	memcpy(data, info, n);
	memset(data + n, (int)pad, pad);
	e = derive(passphrase, salt, PKCS8_SALT, ITERATIONS, key, sizeof(key));
	if (e == OK)
		e = aes_cbc(MBEDTLS_AES_ENCRYPT, key, sizeof(key), iv, data, n + pad);
	if (e == OK) {
		b.p = end;
		put(&b, mbedtls_asn1_write_octet_string(&b.p, b.bytes, data, n + pad));
		write_parameters(&b, salt, iv);
		wrap(&b, end);
		e = take(&b, out);
	}
	mbedtls_platform_zeroize(data, sizeof(data));
	mbedtls_platform_zeroize(key, sizeof(key));
	return e;
}

static bool
is_oid(const mbedtls_asn1_buf *b, const char *oid, size_t n)
{
	return b->len == n && memcmp(b->p, oid, n) == 0;
}

struct envelope {
	const uint8_t *salt, *iv, *data;
	size_t salt_len, data_len, key_len;
	int iterations;
};

static int
read_octets(unsigned char **p, const unsigned char *end, const uint8_t **out, size_t *len)
{
	int r = mbedtls_asn1_get_tag(p, end, len, MBEDTLS_ASN1_OCTET_STRING);

	if (r == 0) {
		*out = *p;
		*p += *len;
	}
	return r;
}

/* { salt, iterations, [key length], { hmacWithSHA256, NULL } } */
static enum err
read_pbkdf2(unsigned char *p, const unsigned char *end, struct envelope *v)
{
	mbedtls_asn1_buf prf, none;
	int key_len;

	if (read_octets(&p, end, &v->salt, &v->salt_len) != 0
	    || mbedtls_asn1_get_int(&p, end, &v->iterations) != 0)
		return ERR_PARSE;
	if (v->iterations < 1 || v->iterations > ITERATIONS_MAX)
		return ERR_UNSUPPORTED;
	if (p < end && *p == MBEDTLS_ASN1_INTEGER && mbedtls_asn1_get_int(&p, end, &key_len) != 0)
		return ERR_PARSE;
	if (p == end) /* the default would be HMAC-SHA-1 */
		return ERR_UNSUPPORTED;
	if (mbedtls_asn1_get_alg(&p, end, &prf, &none) != 0 || p != end)
		return ERR_PARSE;
	return is_oid(&prf, OID(oid_hmac_sha256)) ? OK : ERR_UNSUPPORTED;
}

static enum err
read_envelope(const uint8_t *der, size_t n, struct envelope *v)
{
	unsigned char *p = (unsigned char *)(uintptr_t)der; /* mbedTLS's readers take no const */
	const unsigned char *end = p + n, *scheme_end;
	mbedtls_asn1_buf oid, params, kdf, kdf_params, cipher, iv;
	size_t len;
	enum err e;

	if (mbedtls_asn1_get_tag(&p, end, &len, SEQUENCE) != 0 || p + len != end)
		return ERR_PARSE;
	if (mbedtls_asn1_get_alg(&p, end, &oid, &params) != 0
	    || read_octets(&p, end, &v->data, &v->data_len) != 0)
		return ERR_PARSE;
	if (!is_oid(&oid, OID(oid_pbes2)) || params.tag != SEQUENCE)
		return ERR_UNSUPPORTED;
	p = params.p;
	scheme_end = p + params.len;
	if (mbedtls_asn1_get_alg(&p, scheme_end, &kdf, &kdf_params) != 0
	    || mbedtls_asn1_get_alg(&p, scheme_end, &cipher, &iv) != 0)
		return ERR_PARSE;
	if (!is_oid(&kdf, OID(oid_pbkdf2)) || kdf_params.tag != SEQUENCE)
		return ERR_UNSUPPORTED;
	if (is_oid(&cipher, OID(oid_aes256_cbc)))
		v->key_len = 32;
	else if (is_oid(&cipher, OID(oid_aes128_cbc)))
		v->key_len = 16;
	else
		return ERR_UNSUPPORTED;
	if (iv.tag != MBEDTLS_ASN1_OCTET_STRING || iv.len != PKCS8_IV)
		return ERR_PARSE;
	v->iv = iv.p;
	e = read_pbkdf2(kdf_params.p, kdf_params.p + kdf_params.len, v);
	if (e == OK && (v->data_len == 0 || v->data_len % PKCS8_IV != 0))
		e = ERR_PARSE;
	return e;
}

static enum err
unpad(const uint8_t *data, size_t *n)
{
	size_t pad = data[*n - 1], i;

	if (pad < 1 || pad > PKCS8_IV || pad > *n)
		return ERR_AUTH;
	for (i = 1; i <= pad; i++)
		if (data[*n - i] != pad)
			return ERR_AUTH;
	*n -= pad;
	return OK;
}

enum err
pkcs8_decrypt(const uint8_t *der, size_t n, const char *passphrase, struct buf *out)
{
	struct envelope v;
	uint8_t data[PKCS8_DER_MAX], key[32];
	size_t len;
	enum err e;

	e = read_envelope(der, n, &v);
	if (e != OK)
		return e;
	if (v.data_len > sizeof(data))
		return ERR_TOOBIG;
	len = v.data_len;
	memcpy(data, v.data, len);
	e = derive(passphrase, v.salt, v.salt_len, (unsigned)v.iterations, key, v.key_len);
	if (e == OK)
		e = aes_cbc(MBEDTLS_AES_DECRYPT, key, v.key_len, v.iv, data, len);
	if (e == OK)
		e = unpad(data, &len);
	if (e == OK)
		e = buf_append(out, data, len);
	mbedtls_platform_zeroize(data, sizeof(data));
	mbedtls_platform_zeroize(key, sizeof(key));
	return e;
}
