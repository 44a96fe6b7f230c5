/* tuf_meta.h - one TUF document in memory: read in two steps, because nothing of it may be
 * interpreted before its signatures are verified. Private to common/update/tuf*. */
#ifndef ATALAIA_UPDATE_TUF_META_H
#define ATALAIA_UPDATE_TUF_META_H

#include "base/buf.h"
#include "update/signed.h"
#include "update/tuf_fail.h"

enum tuf_type { TUF_ROOT, TUF_TIMESTAMP, TUF_SNAPSHOT, TUF_TARGETS, TUF_TYPES };

extern const char *const tuf_type_names[TUF_TYPES]; /* also the top-level role names */
size_t tuf_type_limit(enum tuf_type type);          /* bytes of the largest document */

struct tuf_hashes {
	bool has_sha256, has_sha512;
	uint8_t sha256[HASH_SHA256_LEN], sha512[HASH_SHA512_LEN];
};

/* What timestamp says of snapshot, and snapshot of targets roles. */
struct tuf_metafile {
	const char *name; /* "targets.json": role name and ".json" */
	uint64_t version;
	bool has_length, has_hashes;
	uint64_t length;
	struct tuf_hashes hashes;
};

struct tuf_entry {
	const char *path;
	const cJSON *item;
};

struct tuf_delegation {
	const char *role;
	struct signers signers;
	bool terminating;
	const cJSON *paths, *prefixes; /* exactly one is set */
};

struct tuf_meta {
	enum tuf_type type;
	struct buf bytes;      /* as they came */
	struct signed_doc doc;
	uint64_t version;
	int64_t expires_ms;
	bool fresh;            /* came from the source since the client was opened */

	struct keyring ring;                 /* root and targets */
	struct signers roles[TUF_TYPES];     /* root */
	bool consistent;                     /* root */
	struct tuf_metafile *files;          /* timestamp and snapshot, sorted by name */
	size_t n_files;
	struct tuf_entry *entries;           /* targets, sorted by path */
	size_t n_entries;
	struct tuf_delegation *delegations;  /* targets, in their order */
	size_t n_delegations;
};

/* Step one: strict JSON, {signed, signatures}, _type, spec_version, version, expires. Takes the
 * bytes out of `bytes` on success. */
MUST_CHECK enum err tuf_meta_read(struct tuf_meta **out, enum tuf_type type, struct buf *bytes,
    struct tuf_failure *w);
/* Signatures by a threshold of signers. */
MUST_CHECK enum err tuf_meta_verify(const struct tuf_meta *m, const struct signers *s,
    struct tuf_failure *w);
/* Step two: what the type holds. */
MUST_CHECK enum err tuf_meta_fill(struct tuf_meta *m, struct tuf_failure *w);
void tuf_meta_free(struct tuf_meta *m);

MUST_CHECK enum err tuf_meta_check_expiry(const struct tuf_meta *m, int64_t now_ms,
    struct tuf_failure *w);
const struct tuf_metafile *tuf_meta_file(const struct tuf_meta *m, const char *name);
/* "<role>.json" among the files of snapshot. */
const struct tuf_metafile *tuf_meta_role(const struct tuf_meta *snapshot, const char *role);
const cJSON *tuf_meta_target(const struct tuf_meta *m, const char *path);
/* Length and hashes that the delegating document names; before anything is parsed. */
MUST_CHECK enum err tuf_meta_check_bytes(const struct tuf_metafile *file, const struct buf *bytes,
    struct tuf_failure *w);

/* "hashes" of a metafile or target: lower or upper case, unknown algorithms are passed over; none
 * known is ERR_UNSUPPORTED. */
MUST_CHECK enum err tuf_hashes_parse(struct tuf_hashes *h, const cJSON *object, struct fault *f);
/* expected and got are written as "sha256:..." for the failure. */
MUST_CHECK enum err tuf_hashes_compare(const struct tuf_hashes *want,
    const uint8_t sha256[HASH_SHA256_LEN], const uint8_t sha512[HASH_SHA512_LEN],
    struct tuf_failure *w);

/* tuf_meta_targets.c: the type with the most in it. */
MUST_CHECK enum err tuf_meta_fill_targets(struct tuf_meta *m, struct tuf_failure *w);
void tuf_meta_free_targets(struct tuf_meta *m);

#endif
