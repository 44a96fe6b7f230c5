/* pki_hash.c - small crypto of pki.h. */
#include "net/pki.h"

#include "net/tls_compat.h"

#include <mbedtls/md.h>
#include <string.h>

void
pki_sha256(uint8_t out[PKI_SHA256], const void *p, size_t n)
{
	/* Cannot fail for SHA-256; zeros would match nothing if it did. */
	if (mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), n > 0 ? p : (const void *)"",
		n, out) != 0)
		memset(out, 0, PKI_SHA256);
}

void
pki_hmac_sha256(uint8_t out[PKI_SHA256], const void *key, size_t key_len, const void *p, size_t n)
{
	const mbedtls_md_info_t *md = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);

	/* On a failure (memory) the result must not be a value that an attacker can predict. */
	if (mbedtls_md_hmac(md, key, key_len, n > 0 ? p : (const void *)"", n, out) != 0 &&
	    pki_random(out, PKI_SHA256) != OK)
		memset(out, 0, PKI_SHA256);
}

void
pki_hmac_sha1(uint8_t out[PKI_SHA1], const void *key, size_t key_len, const void *p, size_t n)
{
	const mbedtls_md_info_t *md = mbedtls_md_info_from_type(MBEDTLS_MD_SHA1);

	if (mbedtls_md_hmac(md, key, key_len, n > 0 ? p : (const void *)"", n, out) != 0 &&
	    pki_random(out, PKI_SHA1) != OK)
		memset(out, 0, PKI_SHA1);
}

bool
pki_equal(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t diff = 0;
	size_t i;

	for (i = 0; i < n; i++)
		diff |= (uint8_t)(x[i] ^ y[i]);
	return diff == 0;
}
