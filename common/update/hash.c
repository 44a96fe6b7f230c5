#include "update/hash.h"

#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>
#include <mbedtls/version.h>
#include <string.h>

/* mbedTLS 2.28 has the int-returning forms under another name; 3.x dropped the suffix. With the
 * software implementation none of them can fail. */
#if MBEDTLS_VERSION_MAJOR < 3
#define sha256_starts mbedtls_sha256_starts_ret
#define sha256_update mbedtls_sha256_update_ret
#define sha256_finish mbedtls_sha256_finish_ret
#define sha512_starts mbedtls_sha512_starts_ret
#define sha512_update mbedtls_sha512_update_ret
#define sha512_finish mbedtls_sha512_finish_ret
#else
#define sha256_starts mbedtls_sha256_starts
#define sha256_update mbedtls_sha256_update
#define sha256_finish mbedtls_sha256_finish
#define sha512_starts mbedtls_sha512_starts
#define sha512_update mbedtls_sha512_update
#define sha512_finish mbedtls_sha512_finish
#endif

_Static_assert(sizeof(mbedtls_sha256_context) <= sizeof(((struct hash *)0)->state),
    "the state in hash.h is too small for SHA-256");
_Static_assert(sizeof(mbedtls_sha512_context) <= sizeof(((struct hash *)0)->state),
    "the state in hash.h is too small for SHA-512");

static mbedtls_sha256_context *
ctx256(struct hash *h)
{
	return (mbedtls_sha256_context *)(void *)&h->state;
}

static mbedtls_sha512_context *
ctx512(struct hash *h)
{
	return (mbedtls_sha512_context *)(void *)&h->state;
}

void
hash_init(struct hash *h, enum hash_kind kind)
{
	h->kind = kind;
	if (kind == HASH_SHA256) {
		mbedtls_sha256_init(ctx256(h));
		(void)sha256_starts(ctx256(h), 0);
	} else {
		mbedtls_sha512_init(ctx512(h));
		(void)sha512_starts(ctx512(h), 0);
	}
}

void
hash_update(struct hash *h, const void *p, size_t n)
{
	if (n == 0)
		return;
	if (h->kind == HASH_SHA256)
		(void)sha256_update(ctx256(h), p, n);
	else
		(void)sha512_update(ctx512(h), p, n);
}

void
hash_final(struct hash *h, uint8_t *out)
{
	if (h->kind == HASH_SHA256)
		(void)sha256_finish(ctx256(h), out);
	else
		(void)sha512_finish(ctx512(h), out);
	mbedtls_platform_zeroize(&h->state, sizeof(h->state));
}

size_t
hash_len(enum hash_kind kind)
{
	return kind == HASH_SHA256 ? HASH_SHA256_LEN : HASH_SHA512_LEN;
}

void
hash_once(enum hash_kind kind, const void *p, size_t n, uint8_t *out)
{
	struct hash h;

	hash_init(&h, kind);
	hash_update(&h, p, n);
	hash_final(&h, out);
}

void
hash_sha256_text(const void *p, size_t n, char out[HASH_SHA256_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t sum[HASH_SHA256_LEN];
	size_t i;

	hash_once(HASH_SHA256, p, n, sum);
	for (i = 0; i < sizeof(sum); i++) {
		out[2 * i] = digits[sum[i] >> 4];
		out[2 * i + 1] = digits[sum[i] & 15];
	}
	out[2 * sizeof(sum)] = '\0';
}

void
hash_hmac_sha256(const void *key, size_t key_len, const void *p, size_t n,
    uint8_t out[HASH_SHA256_LEN])
{
	uint8_t block[64] = { 0 }, pad[64], inner[HASH_SHA256_LEN];
	struct hash h;
	size_t i;

	if (key_len > sizeof(block))
		hash_once(HASH_SHA256, key, key_len, block);
	else if (key_len > 0)
		memcpy(block, key, key_len);

	for (i = 0; i < sizeof(pad); i++)
		pad[i] = block[i] ^ 0x36;
	hash_init(&h, HASH_SHA256);
	hash_update(&h, pad, sizeof(pad));
	hash_update(&h, p, n);
	hash_final(&h, inner);

	for (i = 0; i < sizeof(pad); i++)
		pad[i] = block[i] ^ 0x5c;
	hash_init(&h, HASH_SHA256);
	hash_update(&h, pad, sizeof(pad));
	hash_update(&h, inner, sizeof(inner));
	hash_final(&h, out);
	mbedtls_platform_zeroize(block, sizeof(block));
	mbedtls_platform_zeroize(pad, sizeof(pad));
}

int
hash_equal(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a, *y = b;
	unsigned diff = 0;
	size_t i;

	for (i = 0; i < n; i++)
		diff |= (unsigned)(x[i] ^ y[i]);
	return diff == 0;
}
