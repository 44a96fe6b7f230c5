/* unzip.h - one zstd frame in a file, out to a file, never more than was signed. Blocking. */
#ifndef ATALAIA_FETCH_UNZIP_H
#define ATALAIA_FETCH_UNZIP_H

#include "base/err.h"
#include "base/fault.h"

#include <stdatomic.h>
#include <stdint.h>

/* Writes out_path anew. ERR_PARSE: not zstd, or cut; ERR_TOOBIG: more than max bytes, or a window
 * past LIMIT_DELTA_WINDOW_LOG; ERR_CANCELED; errors of the disk. */
MUST_CHECK enum err unzip_file(const char *in_path, const char *out_path, uint64_t max,
    const atomic_bool *cancel, struct fault *f);

#endif
