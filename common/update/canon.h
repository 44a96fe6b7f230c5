/* canon.h - OLPC canonical JSON (TUF section 4.2), what signatures and key ids are computed over.
 * Members sorted by the bytes of their UTF-8 names, no white space, only '"' and '\' escaped,
 * integers only. Pure. */
#ifndef ATALAIA_UPDATE_CANON_H
#define ATALAIA_UPDATE_CANON_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"

#include <cjson/cJSON.h>

/* Appends the canonical form of tree. ERR_PARSE for numbers that are not integers 0..2^53-1, for
 * nesting past JSON_MAX_DEPTH and for raw nodes; ERR_TOOBIG, ERR_NOMEM from out. */
MUST_CHECK enum err canon_json(const cJSON *tree, struct buf *out, struct fault *f);

#endif
