/* pack.h - many small files as one target: a strict subset of POSIX ustar. Regular files only,
 * names as text_is_target_path, strictly ascending (so no name comes twice), no owner, no time,
 * no executable bit, ended by exactly two zero blocks. The writer is deterministic: equal names
 * and bytes give equal packs. Readers refuse everything that the writer does not write.
 * POSIX.1-2017 pax, section "ustar Interchange Format". */
#ifndef ATALAIA_UPDATE_PACK_H
#define ATALAIA_UPDATE_PACK_H

#include "base/err.h"
#include "base/fault.h"

#include <stddef.h>
#include <stdint.h>

#define PACK_NAME_MAX 255 /* 155 of prefix, '/', 100 of name */

/* ---- reader: pure, bytes in, members out ---- */

struct pack_sink {
	enum err (*begin)(void *arg, const char *name, uint64_t size);
	enum err (*data)(void *arg, const uint8_t *p, size_t n);
	enum err (*end)(void *arg);
};

struct pack_reader;

/* max_bytes bounds the sum of the members, max_files their number. */
MUST_CHECK enum err pack_reader_new(struct pack_reader **out, uint64_t max_bytes,
    uint32_t max_files, const struct pack_sink *sink, void *arg);
MUST_CHECK enum err pack_reader_feed(struct pack_reader *r, const void *p, size_t n,
    struct fault *f);
MUST_CHECK enum err pack_reader_end(struct pack_reader *r, struct fault *f);
void pack_reader_free(struct pack_reader *r); /* NULL is fine */

/* True when the writer can hold this name. */
int pack_name_fits(const char *name);

/* ---- files: blocking ---- */

struct pack_member {
	const char *name; /* inside the pack */
	const char *path; /* on disk, a regular file */
};

/* Sorts members by name and writes the pack: temporary name, fsync, rename. ERR_INVAL for a name
 * that does not fit, ERR_EXISTS for one that comes twice. */
MUST_CHECK enum err pack_write(const char *out_path, struct pack_member *members, size_t count,
    struct fault *f);

#endif
