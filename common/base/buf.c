#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void
buf_free(struct buf *b)
{
	if (b == NULL)
		return;
	free(b->data);
	*b = (struct buf){ .max = b->max };
}

void
buf_wipe(struct buf *b)
{
	if (b != NULL && b->data != NULL)
		explicit_bzero(b->data, b->cap);
	buf_free(b);
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	if (b->data != NULL)
		b->data[0] = '\0';
}

enum err
buf_reserve(struct buf *b, size_t extra)
{
	size_t need, cap;
	uint8_t *p;

	if (extra > b->max || b->len > b->max - extra)
		return ERR_TOOBIG;
	need = b->len + extra + 1;
	if (need <= b->cap)
		return OK;
	cap = b->cap < 64 ? 64 : b->cap;
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	if (cap > b->max + 1) /* max + 1 cannot wrap: need fits */
		cap = b->max + 1;
	p = realloc(b->data, cap);
	if (p == NULL)
		return ERR_NOMEM;
	b->data = p;
	b->cap = cap;
	b->data[b->len] = '\0'; /* also when nothing is appended afterwards */
	return OK;
}

enum err
buf_append(struct buf *b, const void *p, size_t n)
{
	enum err e = buf_reserve(b, n);

	if (e != OK)
		return e;
	if (n > 0)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
	return OK;
}

enum err
buf_puts(struct buf *b, const char *s)
{
	return buf_append(b, s, strlen(s));
}

/* Mostly the text fits into what is allocated: then it is formatted once. */
enum err
buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	size_t room = b->cap > b->len ? b->cap - b->len : 0;
	va_list again;
	enum err e;
	int n;

	va_copy(again, ap);
	n = vsnprintf(room > 0 ? (char *)b->data + b->len : NULL, room, fmt, again);
	va_end(again);
	if (n < 0 || (size_t)n >= room) {
		if (room > 0)
			b->data[b->len] = '\0'; /* nothing was appended yet */
		if (n < 0)
			return ERR_INVAL;
		e = buf_reserve(b, (size_t)n);
		if (e != OK)
			return e;
		(void)vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, ap);
	}
	b->len += (size_t)n;
	return OK;
}

enum err
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	enum err e;

	va_start(ap, fmt);
	e = buf_vprintf(b, fmt, ap);
	va_end(ap);
	return e;
}

enum err
buf_u64(struct buf *b, uint64_t v)
{
	char text[20], *p = text + sizeof(text);

	do {
		*--p = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	return buf_append(b, p, (size_t)(text + sizeof(text) - p));
}

void
buf_consume(struct buf *b, size_t n)
{
	if (n == 0)
		return;
	if (n >= b->len) {
		buf_reset(b);
		return;
	}
	memmove(b->data, b->data + n, b->len - n + 1);
	b->len -= n;
}

const char *
buf_text(const struct buf *b)
{
	return b->data != NULL ? (const char *)b->data : "";
}
