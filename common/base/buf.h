/* buf.h - a byte buffer with a maximum at birth. Not thread-safe; the owner frees. `data` is always
 * followed by a NUL that is not counted, so text can be handed to C functions; data may be NULL
 * while len is 0 (buf_text never returns NULL). */
#ifndef ATALAIA_BASE_BUF_H
#define ATALAIA_BASE_BUF_H

#include "base/err.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;
	size_t len, cap, max;
};

void buf_init(struct buf *b, size_t max); /* allocates nothing */
void buf_free(struct buf *b);		  /* frees and keeps max: usable again; NULL is fine */
void buf_wipe(struct buf *b);		  /* as buf_free, memory zeroed first: for secrets */
void buf_reset(struct buf *b);		  /* len = 0, memory kept */
MUST_CHECK enum err buf_reserve(
    struct buf *b, size_t extra); /* room for extra more bytes; ERR_TOOBIG past max, ERR_NOMEM */
MUST_CHECK enum err buf_append(struct buf *b, const void *p, size_t n); /* all or nothing */
MUST_CHECK enum err buf_puts(struct buf *b, const char *s);
MUST_CHECK enum err buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
MUST_CHECK enum err buf_vprintf(struct buf *b, const char *fmt, va_list ap);
/* Decimal digits: a fraction of what buf_printf costs, for lists of thousands. */
MUST_CHECK enum err buf_u64(struct buf *b, uint64_t v);
void buf_consume(struct buf *b, size_t n); /* drops n bytes from the front (n <= len) */
const char *buf_text(const struct buf *b);

#endif
