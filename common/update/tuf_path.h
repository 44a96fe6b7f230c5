/* tuf_path.h - names: which target paths a delegation covers, and how role names become file names.
 * Pure. Private to common/update/tuf*. */
#ifndef ATALAIA_UPDATE_TUF_PATH_H
#define ATALAIA_UPDATE_TUF_PATH_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Shell pattern per component (TUF section 4.5, PATHPATTERN): '*' any bytes, '?' one character,
 * '[a-z]' and '[!a-z]' sets; none of them matches '/'. No escapes. Time is at most the product of
 * the lengths. */
bool tuf_path_match(const char *pattern, const char *path);
/* Whether the hexadecimal SHA-256 of path begins with prefix (path_hash_prefixes). */
bool tuf_path_hash_prefix(const char *prefix, const char *path);
/* Appends name with everything but [A-Za-z0-9._~-] written as %XX: safe as one file name and as
 * one component of a URL. ERR_PARSE for "", "." and "..". */
MUST_CHECK enum err tuf_path_encode(const char *name, struct buf *out);
/* As above with '/' kept: for target paths below a URL. */
MUST_CHECK enum err tuf_path_encode_url(const char *path, struct buf *out);

#endif
