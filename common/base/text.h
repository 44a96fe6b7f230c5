/* text.h - numbers, names and encodings out of hostile bytes. Pure; pointer + length; nothing here
 * reads past length or needs a NUL. */
#ifndef ATALAIA_BASE_TEXT_H
#define ATALAIA_BASE_TEXT_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal, digits only (no sign, space, leading zero except "0"), value <= max. ERR_PARSE or
 * ERR_TOOBIG. */
MUST_CHECK enum err text_u32(const char *p, size_t n, uint32_t max, uint32_t *out);
MUST_CHECK enum err text_u64(const char *p, size_t n, uint64_t max, uint64_t *out);
/* "64", "64k", "20M", "4G" with binary multiples, or the same with B behind: bytes. */
MUST_CHECK enum err text_size(const char *p, size_t n, uint64_t *out);
/* "250ms", "30s", "10m", "8h", "30d" or plain seconds: milliseconds. */
MUST_CHECK enum err text_duration_ms(const char *p, size_t n, uint64_t *out);
MUST_CHECK enum err text_bool(
    const char *p, size_t n, bool *out); /* yes no true false on off 1 0 */

bool text_eq(const char *p, size_t n, const char *literal); /* exact */
bool text_eq_nocase(
    const char *p, size_t n, const char *literal); /* ASCII case only, locale-free */
bool text_starts(const char *s, const char *prefix);
bool text_ends(const char *s, const char *suffix);
bool text_utf8_valid(const uint8_t *p,
    size_t n); /* RFC 3629: no overlong forms, surrogates, or values past U+10FFFF */
/* Bounded copy that always terminates; ERR_TOOBIG when it does not fit (dst then holds ""). */
MUST_CHECK enum err text_copy(char *dst, size_t size, const char *src, size_t n);

/* Names that we publish: [A-Za-z0-9._-] components joined by '/', no empty, "." or ".." component,
 * no leading or trailing '/', n <= 255 each. */
bool text_is_target_path(const char *p, size_t n);
bool text_is_file_name(const char *p, size_t n); /* one such component */
bool text_is_role_name(const char *p, size_t n); /* [a-z0-9-], 1..64 */
bool text_is_uuid(const char *p, size_t n);	 /* 8-4-4-4-12 lower-case hexadecimal */

/* 0..15 for a hexadecimal digit of either case, else -1. */
int text_hex_digit(char c);
void text_hex(char *dst, const uint8_t *p, size_t n); /* writes 2n lower-case digits and a NUL */
MUST_CHECK enum err text_unhex(uint8_t *dst, size_t size, const char *p, size_t n,
    size_t *out_len); /* either case; even length */

/* RFC 4648. Encoders append; decoders refuse white space, wrong padding and non-zero trailing bits.
 * url: section 5 alphabet, no padding. */
MUST_CHECK enum err text_b64(struct buf *out, const uint8_t *p, size_t n);
MUST_CHECK enum err text_unb64(struct buf *out, const char *p, size_t n);
MUST_CHECK enum err text_b64url(struct buf *out, const uint8_t *p, size_t n);
MUST_CHECK enum err text_unb64url(struct buf *out, const char *p, size_t n);

/* How many bytes at p do something else on a terminal than be seen: control characters (C0, DEL,
 * C1) and those that turn the direction of text, by which a name shows another one. */
size_t text_unseen(const uint8_t *p, size_t n);
/* Appends s with such bytes, quotes and backslash written as \xHH, cut at max bytes with
 * "...": safe in a log line or on a terminal. */
MUST_CHECK enum err text_printable(struct buf *out, const uint8_t *p, size_t n, size_t max);

#endif
