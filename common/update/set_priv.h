/* set_priv.h - between the set_*.c files only. */
#ifndef ATALAIA_UPDATE_SET_PRIV_H
#define ATALAIA_UPDATE_SET_PRIV_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "update/set.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SET_PATH 4096
#define SET_DEPTH 64 /* folders within folders: a target path has at most this many parts */

/* The manifest: what was asked for, then what there is, each sorted by path.
 *   target <sha256> <size> <path>      a target that is a file of the set
 *   pack <sha256> <size> <path>        a target that was unpacked; kept as <version>.meta/<sha256>
 *   file <sha256> <size> <path>        a file of the set
 * The identity of a set is the SHA-256 of this text. */
enum set_kind { SET_TARGET, SET_PACK, SET_FILE };

struct set_entry {
	enum set_kind kind;
	uint64_t size;
	uint8_t sha256[SET_SHA];
	char *path; /* owned */
};

struct set_manifest {
	struct set_entry *list;
	size_t count, cap;
};

MUST_CHECK enum err set_manifest_add(struct set_manifest *m, enum set_kind kind, const char *path,
    uint64_t size, const uint8_t sha256[SET_SHA]);
/* Sorts by kind and path and writes the text; ERR_INVAL when a path comes twice or is also a
 * folder. */
MUST_CHECK enum err set_manifest_text(struct set_manifest *m, struct buf *out, struct fault *f);
/* Pure and strict: accepts only what set_manifest_text writes. */
MUST_CHECK enum err set_manifest_parse(
    struct set_manifest *m, const char *p, size_t n, struct fault *f);
/* Is there an entry of this kind and path? The list is sorted (set_manifest_text, ..._parse). */
bool set_manifest_has(const struct set_manifest *m, enum set_kind kind, const char *path);
void set_manifest_free(struct set_manifest *m);
MUST_CHECK enum err set_manifest_load(const char *feed_dir, uint64_t version,
    struct set_manifest *m, uint8_t identity[SET_SHA], struct fault *f);

/* Everything that kept sets hold, by content. */
struct set_known {
	struct known_file {
		uint8_t sha256[SET_SHA];
		uint64_t size, version;
		bool pack;
		char *path;
	} * list; /* by hash, then newest first */
	size_t count, cap;
};
MUST_CHECK enum err set_known_load(const char *feed_dir, struct set_known *k, struct fault *f);
void set_known_free(struct set_known *k);
const struct known_file *set_known_find(
    const struct set_known *k, const uint8_t sha256[SET_SHA], uint64_t size); /* NULL */
MUST_CHECK enum err set_known_path(
    const char *feed_dir, const struct known_file *x, char *out, size_t size);

/* <feed>/sets/<version><tail> */
MUST_CHECK enum err set_path(
    char *out, size_t size, const char *feed_dir, uint64_t version, const char *tail);
/* SHA-256 of a regular file that has exactly `size` bytes. ERR_VERIFY: another length. */
MUST_CHECK enum err set_hash_file(const char *path, uint64_t size, uint8_t out[SET_SHA],
    const atomic_bool *cancel, struct fault *f);

/* ---- building: set_files.c, set_unpack.c, set_build.c ---- */

#define SET_CHUNK (256u << 10)

struct building {
	struct set_build *b;
	struct set_known known;
	bool mend; /* a damaged set of this version is there: mend it, do not publish */
	struct set_manifest manifest;
	char root[SET_PATH]; /* sets/<version>.tmp */
	char meta[SET_PATH]; /* sets/<version>.meta.tmp */
	uint8_t *buf;	     /* SET_CHUNK bytes */
};

bool set_canceled(const struct building *x);
/* Makes the folders above root/name and writes the whole path to out. */
MUST_CHECK enum err set_place(
    const struct building *x, const char *name, char out[SET_PATH], struct fault *f);
/* The sentence for a name that could not be made. */
MUST_CHECK enum err set_bad_place(const char *name, int sys, struct fault *f);
/* Hard link, or copy where the file system will not link; fsynced, mode 0644. */
MUST_CHECK enum err set_link_or_copy(
    const struct building *x, const char *from, const char *to, struct fault *f);
/* True when a kept set has this content, read again and right; `path` is where. */
bool set_kept_source(
    const struct building *x, const uint8_t sha256[SET_SHA], uint64_t size, char path[SET_PATH]);
/* The verified file behind a target, in a kept set or where the caller says. */
MUST_CHECK enum err set_target_source(const struct building *x, const struct set_file *t,
    char path[SET_PATH], bool *kept, struct fault *f);
MUST_CHECK enum err set_add_member(struct building *x, const char *path, uint64_t size,
    const uint8_t sha256[SET_SHA], bool linked, struct fault *f);
MUST_CHECK enum err set_put_target(struct building *x, const struct set_file *t, struct fault *f);
MUST_CHECK enum err set_put_pack(struct building *x, const struct set_file *t, struct fault *f);

/* Fsyncs a folder and every folder below it. */
MUST_CHECK enum err set_sync_folders(const char *path, unsigned depth, struct fault *f);
/* set_mend.c: what was built takes the places of the damaged set of this version. */
MUST_CHECK enum err set_mend(struct building *x, struct fault *f);

#endif
