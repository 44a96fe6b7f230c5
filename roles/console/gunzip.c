#include "gunzip.h"

#include <string.h>
#include <zlib.h>

#define PIECE 16384

static enum err
inflate_all(z_stream *z, struct buf *out)
{
	uint8_t piece[PIECE];
	enum err e = OK;
	int rc = Z_OK;

	while (e == OK && rc == Z_OK) {
		z->next_out = piece;
		z->avail_out = sizeof(piece);
		rc = inflate(z, Z_NO_FLUSH);
		if (rc == Z_OK || rc == Z_STREAM_END)
			e = buf_append(out, piece, sizeof(piece) - z->avail_out);
	}
	if (e != OK)
		return e;
	if (rc == Z_MEM_ERROR)
		return ERR_NOMEM;
	return rc == Z_STREAM_END && z->avail_in == 0 ? OK : ERR_PARSE;
}

enum err
gunzip(struct buf *out, const void *p, size_t n)
{
	z_stream z;
	enum err e;

	memset(&z, 0, sizeof(z));
	if (n > UINT32_MAX)
		return ERR_TOOBIG;
	if (inflateInit2(&z, MAX_WBITS + 16) != Z_OK) /* 16: gzip only */
		return ERR_NOMEM;
	z.next_in = (Bytef *)(uintptr_t)p;
	z.avail_in = (uInt)n;
	e = inflate_all(&z, out);
	(void)inflateEnd(&z);
	return e;
}
