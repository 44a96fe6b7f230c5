/* catalog.h - the targets of the version in force, copied out of the TUF client and sorted by use:
 * content of the set, deltas, compressed full copies. Pure but for memory. */
#ifndef ATALAIA_FETCH_CATALOG_H
#define ATALAIA_FETCH_CATALOG_H

#include "base/err.h"
#include "base/fault.h"
#include "update/tuf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA_LEN HASH_SHA256_LEN

enum entry_kind { ENTRY_SET, ENTRY_DELTA, ENTRY_FULL };

struct entry {
	char *path;              /* name of the target */
	char *file;              /* below targets/: with the hash before the last component */
	enum entry_kind kind;
	uint64_t length;
	uint8_t sha256[SHA_LEN];
	bool pack;               /* ENTRY_SET: unpacked into the set */
	bool delta_known;        /* ENTRY_DELTA: from and to are set */
	uint8_t from[SHA_LEN], to[SHA_LEN];
	char *full_path;         /* ENTRY_SET: name of its compressed copy, or NULL */
	const struct entry *full;
};

struct catalog {
	struct entry *entries; /* sorted by path */
	size_t count;
};

/* Adds one target with its file name. Names that are no target paths, targets without SHA-256 and
 * lengths past LIMIT_TARGET_BYTES are ERR_INVAL; members of `custom` that cannot be used are passed
 * over, they are helpers only. */
MUST_CHECK enum err catalog_add(struct catalog *c, const struct tuf_target *t, const char *file,
    struct fault *f);
/* Sorts and joins deltas and full copies with their targets. Call once, after the last add. */
void catalog_finish(struct catalog *c);
void catalog_free(struct catalog *c); /* leaves it empty */
const struct entry *catalog_find(const struct catalog *c, const char *path); /* NULL when absent */

#endif
