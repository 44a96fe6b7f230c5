/* hash.h - SHA-256 and SHA-512 (FIPS 180-4) over a stream, and HMAC-SHA-256 (RFC 2104).
 * No allocation; cannot fail. Not thread-safe per struct. The struct may be copied before
 * hash_final to keep a running state. */
#ifndef ATALAIA_UPDATE_HASH_H
#define ATALAIA_UPDATE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_SHA256_LEN 32
#define HASH_SHA512_LEN 64
#define HASH_MAX_LEN 64
#define HASH_SHA256_TEXT 65 /* lower-case hexadecimal and the NUL */

enum hash_kind { HASH_SHA256, HASH_SHA512 };

struct hash {
	enum hash_kind kind;
	union {
		uint64_t align;
		unsigned char bytes[256];
	} state;
};

void hash_init(struct hash *h, enum hash_kind kind);
void hash_update(struct hash *h, const void *p, size_t n);
void hash_final(struct hash *h, uint8_t *out); /* writes hash_len(kind) bytes and wipes the state */
size_t hash_len(enum hash_kind kind);

void hash_once(enum hash_kind kind, const void *p, size_t n, uint8_t *out);
void hash_sha256_text(const void *p, size_t n, char out[HASH_SHA256_TEXT]);

#endif
