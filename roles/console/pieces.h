/* pieces.h - a file that comes in pieces by PUT, resumable, stored once (proto/upload.h). */
#ifndef CONSOLE_PIECES_H
#define CONSOLE_PIECES_H

#include "call.h"
#include "update/hash.h"

struct pieces {
	char sha256[HASH_SHA256_TEXT]; /* of the whole file */
	uint64_t offset, total;
};

/* offset, total and sha256 of the query; false when one is not as it must be. */
bool pieces_read_query(struct http_req *req, struct pieces *p);
/* Worker of files: takes the body of call into path.part; the answer is in call. *whole: path holds
 * the complete file now, whether it came with this piece or before. */
MUST_CHECK enum err pieces_take(
    struct call *call, const struct pieces *p, const char *path, bool *whole);

#endif
