/* gunzip.h - unpacks a batch that an agent compressed (RFC 1952). Pure. */
#ifndef CONSOLE_GUNZIP_H
#define CONSOLE_GUNZIP_H

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>

/* Appends to out; ERR_TOOBIG past out->max, ERR_PARSE for anything but one whole gzip member. */
MUST_CHECK enum err gunzip(struct buf *out, const void *p, size_t n);

#endif
