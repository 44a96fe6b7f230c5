/* delta_hex.c - hashes in hexadecimal as bytes: delta-format.md, "Hexadecimal packing". Pure. */
#include "update/delta_priv.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define MARK 1
#define RUN_MIN 16     /* digits; shorter runs are numbers and words */
#define RUN_MAX 131072 /* digits in one mark: it must fit into an empty chunk */
#define OUT 4096

/* ---- unpacking ---- */

enum state { AT_HEX_LEN, AT_TEXT_LEN, AT_HEX, AT_TEXT, AT_COUNT };

struct delta_unhex {
	enum err (*put)(void *arg, const uint8_t *p, size_t n);
	void *arg;
	enum state state;
	uint8_t number[DELTA_VARINT_MAX];
	size_t number_len;
	size_t hex_len, hex_have, hex_used, text_left;
	size_t out_len;
	uint8_t out[OUT];
	uint8_t hex[LIMIT_DELTA_CHUNK];
};

enum err
delta_unhex_new(struct delta_unhex **out, enum err (*put)(void *arg, const uint8_t *p, size_t n),
    void *arg)
{
	struct delta_unhex *u = malloc(sizeof *u);

	*out = u;
	if (u == NULL)
		return ERR_NOMEM;
	memset(u, 0, offsetof(struct delta_unhex, out));
	u->put = put;
	u->arg = arg;
	return OK;
}

void
delta_unhex_free(struct delta_unhex *u)
{
	free(u);
}

bool
delta_unhex_done(const struct delta_unhex *u)
{
	return u->state == AT_HEX_LEN && u->number_len == 0;
}

/* Collects a varint; 1 when it is whole, 0 when not, -1 when malformed or above max. */
static int
number(struct delta_unhex *u, uint8_t byte, size_t max, size_t *out)
{
	uint64_t v;
	int n;

	u->number[u->number_len++] = byte;
	n = delta_varint_get(u->number, u->number_len, &v);
	if (n == 0)
		return 0;
	u->number_len = 0;
	if (n < 0 || v > max)
		return -1;
	*out = (size_t)v;
	return 1;
}

static enum err
flush(struct delta_unhex *u)
{
	size_t n = u->out_len;

	u->out_len = 0;
	return n > 0 ? u->put(u->arg, u->out, n) : OK;
}

static enum err
emit(struct delta_unhex *u, uint8_t byte)
{
	enum err e = u->out_len == OUT ? flush(u) : OK;

	u->out[u->out_len++] = byte;
	return e;
}

static enum err
emit_digits(struct delta_unhex *u, size_t count)
{
	static const char digits[] = "0123456789abcdef";
	enum err e = OK;

	if (count > u->hex_len - u->hex_used)
		return ERR_PARSE;
	while (e == OK && count-- > 0) {
		uint8_t b = u->hex[u->hex_used++];

		e = emit(u, (uint8_t)digits[b >> 4]);
		if (e == OK)
			e = emit(u, (uint8_t)digits[b & 15]);
	}
	return e;
}

/* After a byte of text: a chunk that is used up must have used its hex. */
static enum err
end_of_text(struct delta_unhex *u)
{
	if (u->text_left > 0)
		return OK;
	u->state = AT_HEX_LEN;
	return u->hex_used == u->hex_len ? OK : ERR_PARSE;
}

static enum err
take_text(struct delta_unhex *u, uint8_t byte)
{
	size_t count = 0;
	enum err e = OK;
	int n;

	u->text_left--;
	if (u->state == AT_COUNT) {
		n = number(u, byte, RUN_MAX, &count);
		if (n < 0 || (n == 0 && u->text_left == 0))
			return ERR_PARSE;
		if (n == 0)
			return OK;
		u->state = AT_TEXT;
		e = count == 0 ? emit(u, MARK) : emit_digits(u, count);
	} else if (byte == MARK) {
		u->state = AT_COUNT;
		return u->text_left == 0 ? ERR_PARSE : OK;
	} else {
		e = emit(u, byte);
	}
	return e == OK ? end_of_text(u) : e;
}

static enum err
take_length(struct delta_unhex *u, uint8_t byte)
{
	int n;

	if (u->state == AT_HEX_LEN) {
		n = number(u, byte, LIMIT_DELTA_CHUNK, &u->hex_len);
		if (n > 0)
			u->state = AT_TEXT_LEN;
		return n < 0 ? ERR_PARSE : OK;
	}
	n = number(u, byte, LIMIT_DELTA_CHUNK, &u->text_left);
	if (n == 0)
		return OK;
	u->hex_have = u->hex_used = 0;
	u->state = u->hex_len > 0 ? AT_HEX : AT_TEXT;
	return n < 0 || u->text_left == 0 ? ERR_PARSE : OK; /* hex without text would be unused */
}

enum err
delta_unhex_feed(struct delta_unhex *u, const uint8_t *p, size_t n)
{
	enum err e = OK;

	while (e == OK && n > 0) {
		if (u->state == AT_HEX) {
			size_t need = u->hex_len - u->hex_have, take = n < need ? n : need;

			memcpy(u->hex + u->hex_have, p, take);
			u->hex_have += take;
			p += take;
			n -= take;
			if (u->hex_have == u->hex_len)
				u->state = AT_TEXT;
			continue;
		}
		e = u->state == AT_HEX_LEN || u->state == AT_TEXT_LEN ? take_length(u, *p) :
		    take_text(u, *p);
		p++;
		n--;
	}
	return e == OK ? flush(u) : e;
}

/* ---- packing ---- */

static int
digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Length of the run of digits at p, even. */
static size_t
run(const uint8_t *p, size_t n)
{
	size_t k = 0;

	while (k < n && k < RUN_MAX && digit(p[k]) >= 0)
		k++;
	return k & ~(size_t)1;
}

size_t
delta_hex_count(const uint8_t *p, size_t n)
{
	size_t i = 0, sum = 0;

	while (i < n) {
		size_t k = run(p + i, n - i);

		if (k >= RUN_MIN)
			sum += k;
		i += k > 0 ? k : 1;
	}
	return sum;
}

void
delta_hex_chunk(const uint8_t *p, size_t n, size_t *used, uint8_t *hex, size_t *hex_len,
    uint8_t *text, size_t *text_len)
{
	size_t i = 0, k, j;

	*hex_len = *text_len = 0;
	while (i < n && *text_len + 1 + DELTA_VARINT_MAX <= LIMIT_DELTA_CHUNK) {
		k = run(p + i, n - i);
		if (k >= RUN_MIN) {
			if (k / 2 > LIMIT_DELTA_CHUNK - *hex_len)
				break;
			text[(*text_len)++] = MARK;
			*text_len += delta_varint_put(text + *text_len, k / 2);
			for (j = 0; j < k; j += 2)
				hex[(*hex_len)++] =
				    (uint8_t)((unsigned)digit(p[i + j]) << 4 |
					      (unsigned)digit(p[i + j + 1]));
			i += k;
			continue;
		}
		/* a short run and the byte behind it, whatever that is */
		for (k++; k > 0 && i < n && *text_len + 2 <= LIMIT_DELTA_CHUNK; k--, i++) {
			text[(*text_len)++] = p[i];
			if (p[i] == MARK)
				text[(*text_len)++] = 0;
		}
	}
	*used = i;
}
