/* hash_file.h - SHA-256 of an open file, piece by piece. Blocking: in a worker. */
#ifndef ATALAIA_UPDATE_HASH_FILE_H
#define ATALAIA_UPDATE_HASH_FILE_H

#include "base/err.h"
#include "update/hash.h"

/* From `from` to its end, or max bytes; *n (may be NULL) says how many they were. The place where
 * the descriptor reads next stays as it is. */
MUST_CHECK enum err hash_file(
    int fd, uint64_t from, uint64_t max, char hex[HASH_SHA256_TEXT], uint64_t *n);

#endif
