/* text_code.c - hexadecimal and base64 (RFC 4648). */
#include "base/text.h"

#include <string.h>

static const char hex_digits[] = "0123456789abcdef";
static const char std_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void
text_hex(char *dst, const uint8_t *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		dst[2 * i] = hex_digits[p[i] >> 4];
		dst[2 * i + 1] = hex_digits[p[i] & 15];
	}
	dst[2 * n] = '\0';
}

int
text_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

enum err
text_unhex(uint8_t *dst, size_t size, const char *p, size_t n, size_t *out_len)
{
	size_t i;

	if (n % 2 != 0)
		return ERR_PARSE;
	if (n / 2 > size)
		return ERR_TOOBIG;
	for (i = 0; i < n / 2; i++) {
		int hi = text_hex_digit(p[2 * i]), lo = text_hex_digit(p[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return ERR_PARSE;
		dst[i] = (uint8_t)(hi << 4 | lo);
	}
	if (out_len != NULL)
		*out_len = n / 2;
	return OK;
}

static enum err
encode(struct buf *out, const uint8_t *p, size_t n, const char *alphabet, bool pad)
{
	enum err e = buf_reserve(out, n / 3 * 4 + 4);
	size_t i;

	if (e != OK && n > 0)
		return e;
	for (i = 0; i < n; i += 3) {
		size_t have = n - i < 3 ? n - i : 3;
		uint32_t v = (uint32_t)p[i] << 16;
		char four[4];

		if (have > 1)
			v |= (uint32_t)p[i + 1] << 8;
		if (have > 2)
			v |= p[i + 2];
		four[0] = alphabet[v >> 18];
		four[1] = alphabet[v >> 12 & 63];
		four[2] = have > 1 ? alphabet[v >> 6 & 63] : '=';
		four[3] = have > 2 ? alphabet[v & 63] : '=';
		e = buf_append(out, four, pad ? 4 : have + 1);
		if (e != OK)
			return e;
	}
	return OK;
}

static int
value_of(char c, bool url)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (url ? '-' : '+'))
		return 62;
	if (c == (url ? '_' : '/'))
		return 63;
	return -1;
}

/* p holds n characters of the alphabet without padding. */
static enum err
decode(struct buf *out, const char *p, size_t n, bool url)
{
	uint32_t acc = 0;
	unsigned bits = 0;
	size_t i;

	if (n % 4 == 1)
		return ERR_PARSE;
	for (i = 0; i < n; i++) {
		int v = value_of(p[i], url);
		uint8_t byte;
		enum err e;

		if (v < 0)
			return ERR_PARSE;
		acc = (acc << 6 | (uint32_t)v) & 0xffffff;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		byte = (uint8_t)(acc >> bits);
		e = buf_append(out, &byte, 1);
		if (e != OK)
			return e;
	}
	return (acc & ((1u << bits) - 1)) == 0 ? OK : ERR_PARSE;
}

enum err
text_b64(struct buf *out, const uint8_t *p, size_t n)
{
	return encode(out, p, n, std_alphabet, true);
}

enum err
text_b64url(struct buf *out, const uint8_t *p, size_t n)
{
	return encode(out, p, n, url_alphabet, false);
}

enum err
text_unb64(struct buf *out, const char *p, size_t n)
{
	size_t pad = 0;

	if (n % 4 != 0)
		return ERR_PARSE;
	while (pad < 2 && pad < n && p[n - 1 - pad] == '=')
		pad++;
	return decode(out, p, n - pad, false);
}

enum err
text_unb64url(struct buf *out, const char *p, size_t n)
{
	return decode(out, p, n, true);
}
