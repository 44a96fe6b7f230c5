/* set.h - the folders an engine reads. A set is all targets of one feed version, packs unpacked.
 *   <feed>/sets/<version>/...          the files, exactly; mode 0644, folders 0755
 *   <feed>/sets/<version>.meta/        manifest, and <sha256> for each pack (base of its deltas)
 *   <feed>/current -> sets/<version>   the active one
 * Blocking: worker thread or a program without a loop. One writer per feed (the caller locks).
 * Kill, power cut or full disk at any instruction leaves each set whole or absent, and `current`
 * on the old or the new one. Names ending in .tmp or .rm are leftovers: set_clean removes them. */
#ifndef ATALAIA_UPDATE_SET_H
#define ATALAIA_UPDATE_SET_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SET_SHA 32

/* One target that belongs to the set, content verified by the caller. */
struct set_file {
	const char *path; /* target path; a pack unpacks into the folder of its own path */
	const char
	    *source; /* verified file to link or copy; NULL: it is in a kept set (set_find) */
	uint64_t size;
	uint8_t sha256[SET_SHA];
	bool pack;
};

struct set_build {
	const char *feed_dir;
	uint64_t version;
	const struct set_file *files;
	size_t count;
	const atomic_bool *cancel; /* NULL, or: ERR_CANCELED soon after it becomes true */
	/* answers */
	uint8_t manifest_sha256[SET_SHA]; /* the set's identity: rejected.json speaks of this */
	uint64_t bytes;			  /* sum of the files */
	uint32_t members, linked; /* files in the set; of these hard-linked from kept sets */
};

/* Builds sets/<version>, complete and fsynced. An identical set that is there already is success;
 * a different one under the same version is ERR_EXISTS unless it is not current: then it goes. A
 * damaged one (manifest unreadable, files not as it says) is mended where it lies: each right file
 * takes the place of a wrong one by one rename, so that `current` gets better with every step and
 * never worse, on any file system.
 * Sources are hashed again while they are copied or linked: ERR_VERIFY names the file. Names
 * outside [A-Za-z0-9._-] components, two files of one name, a name that is also a folder:
 * ERR_INVAL. */
MUST_CHECK enum err set_build(struct set_build *b, struct fault *f);

/* Path of a file with this content in any kept set (packs too), newest first: a base for deltas, a
 * source for links. Known from the manifests; the content is not read. ERR_NOTFOUND.
 * A delta names its base by hash alone: SET_ANY_SIZE. */
#define SET_ANY_SIZE UINT64_MAX
MUST_CHECK enum err set_find(const char *feed_dir, const uint8_t sha256[SET_SHA], uint64_t size,
    char *path, size_t path_size, struct fault *f);

/* Atomic: temporary symlink, rename, fsync of the folder. ERR_NOTFOUND when the set is not there.
 */
MUST_CHECK enum err set_activate(const char *feed_dir, uint64_t version, struct fault *f);
/* ERR_NOTFOUND when no set is active (or the link is damaged). */
MUST_CHECK enum err set_current(const char *feed_dir, uint64_t *version, struct fault *f);

/* Whole sets, ascending. *count is how many there are, at most max are written. */
MUST_CHECK enum err set_list(
    const char *feed_dir, uint64_t *versions, size_t max, size_t *count, struct fault *f);
/* Hash over the manifest of a kept set. */
MUST_CHECK enum err set_identity(
    const char *feed_dir, uint64_t version, uint8_t out[SET_SHA], struct fault *f);
/* Reads every file again and compares with the manifest; nothing may be missing or extra.
 * ERR_VERIFY names the first file. */
MUST_CHECK enum err set_check(const char *feed_dir, uint64_t version, struct fault *f);
/* Removes one set. ERR_STATE when it is current. Absent is OK. */
MUST_CHECK enum err set_remove(const char *feed_dir, uint64_t version, struct fault *f);
/* Removes the oldest sets until `keep` (at least 2) stay; current, the newest (it may wait for its
 * gate) and the n protected versions (a pin) always stay. */
MUST_CHECK enum err set_prune(
    const char *feed_dir, unsigned keep, const uint64_t *protect, size_t n, struct fault *f);
/* After a crash: removes leftovers of building and removing. */
MUST_CHECK enum err set_clean(const char *feed_dir, struct fault *f);

#endif
