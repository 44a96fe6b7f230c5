#include "sigform.h"

#include "base/text.h"

#include <string.h>

#define HALF 32

/* INTEGER: no leading zero bytes, but one when the highest bit is set. */
static size_t
put_integer(uint8_t *out, const uint8_t *p)
{
	size_t n = HALF, at = 0;

	while (n > 1 && *p == 0) {
		p++;
		n--;
	}
	out[at++] = 0x02;
	out[at++] = (uint8_t)(n + (*p >> 7));
	if ((*p & 0x80) != 0)
		out[at++] = 0;
	memcpy(out + at, p, n);
	return at + n;
}

enum err
sigform_der(const uint8_t *raw, size_t n, uint8_t out[SIGFORM_DER], size_t *out_len)
{
	static const uint8_t zero[HALF];
	size_t at = 2;

	if (n != SIGFORM_RAW || memcmp(raw, zero, HALF) == 0 || memcmp(raw + HALF, zero, HALF) == 0)
		return ERR_PARSE;
	at += put_integer(out + at, raw);
	at += put_integer(out + at, raw + HALF);
	out[0] = 0x30;
	out[1] = (uint8_t)(at - 2);
	*out_len = at;
	return OK;
}

enum err
sigform_text(const char *text, uint8_t *out, size_t max, size_t *out_len)
{
	size_t n = strlen(text);
	struct buf b;
	enum err e;

	if (n % 2 == 0 && strspn(text, "0123456789abcdefABCDEF") == n)
		return text_unhex(out, max, text, n, out_len) == OK ? OK : ERR_PARSE;
	buf_init(&b, max);
	e = text_unb64(&b, text, n);
	if (e != OK) {
		buf_reset(&b);
		e = text_unb64url(&b, text, n);
	}
	if (e == OK) {
		memcpy(out, b.data, b.len);
		*out_len = b.len;
	}
	buf_free(&b);
	return e == OK ? OK : ERR_PARSE;
}
