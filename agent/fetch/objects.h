/* objects.h - the work folder: what is being had, by hash. Blocking, one thread, one process.
 *   <work>/lock             held while the program runs
 *   <work>/objects/<sha256> whole, verified and synced files
 *   <work>/parts/<sha256>   received so far, not believed; resumed by later runs
 *   <work>/build/           output of deltas and zstd until it is verified; emptied at start */
#ifndef ATALAIA_FETCH_OBJECTS_H
#define ATALAIA_FETCH_OBJECTS_H

#include "catalog.h"

#include <stdatomic.h>

#define OBJECT_PATH 4400 /* longest folder of a configuration, and a hash behind it */

struct objects {
	char work[4096];
	int lock;
};

/* Makes the folders, takes the lock (ERR_BUSY), removes what a killed run left in build/. */
MUST_CHECK enum err objects_open(struct objects *o, const char *work, struct fault *f);
void objects_close(struct objects *o);

/* <work>/objects|parts|build/<hexadecimal hash> */
void objects_path(const struct objects *o, const char *kind, const uint8_t sha256[SHA_LEN],
    char out[OBJECT_PATH]);
bool objects_have(const struct objects *o, const uint8_t sha256[SHA_LEN]);

/* Reads `path` and compares: ERR_VERIFY with expected and got in *why. ERR_CANCELED. */
MUST_CHECK enum err objects_check(
    const char *path, const struct entry *e, const atomic_bool *cancel, struct tuf_failure *why);
/* Syncs a verified file and makes it an object (renames it). */
MUST_CHECK enum err objects_take(const struct objects *o, const char *path,
    const uint8_t sha256[SHA_LEN], struct fault *f);
/* <work>/parts/<hash>, open for writing, and how much it holds (at most `length`: else emptied). */
MUST_CHECK enum err objects_part(const struct objects *o, const struct entry *e, int *fd,
    uint64_t *have, struct fault *f);

/* Removes objects and parts that the catalog does not name; NULL: all of them. */
MUST_CHECK enum err objects_sweep(const struct objects *o, const struct catalog *keep,
    struct fault *f);

#endif
