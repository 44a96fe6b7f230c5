/* repo_priv.h - between the repo_*.c files only. */
#ifndef ATALAIA_UPDATE_REPO_PRIV_H
#define ATALAIA_UPDATE_REPO_PRIV_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "update/key.h"
#include "update/repo.h"
#include "update/sign.h"
#include "update/signed.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPO_PATH 4096
#define REPO_SPEC "1.0.31"
#define REPO_PACK_ABOVE 16 /* files: DESIGN section 4 */
#define REPO_MARKER "atalaia-marker.hsb"

/* One target of the document that is published, or about to be. */
struct repo_entry {
	char *path;     /* owned */
	uint64_t length;
	char sha256[65];
	cJSON *custom;  /* owned; NULL when none */
};

struct repo_entries {
	struct repo_entry *list; /* sorted by path */
	size_t count, cap;
};

/* A change that waits for repo_publish. */
struct repo_pending {
	char *name;
	char *path;          /* file to take; NULL: bytes */
	struct buf bytes;
	bool pack;
};

struct repo_counters {
	uint64_t root, targets, snapshot, timestamp; /* highest numbers ever used */
	uint64_t published;                          /* timestamp that was published last */
	cJSON *roles;                                /* {"role": N} */
};

struct repo {
	char dir[REPO_PATH], pub[REPO_PATH], meta[REPO_PATH], targets_dir[REPO_PATH];
	char feed[65];
	char *passphrase;
	int lock;
	struct repo_days days;
	uint32_t keep_deltas;
	bool marker;
	struct repo_counters used;
	/* what is public; trees are NULL when nothing is */
	struct signed_doc root, targets, snapshot, timestamp;
	struct repo_entries entries;
	/* what is about to change */
	struct repo_pending *pending;
	size_t pending_count, pending_cap;
	char **removed;
	size_t removed_count;
	bool whole;          /* pending is all there shall be */
	cJSON *delegations;  /* new ones; NULL = as published */
	bool needs_version;  /* repo_release: a delegated role is ready and targets is not new */
};

/* ---- repo_files.c ---- */
MUST_CHECK enum err repo_join(char out[REPO_PATH], const char *dir, const char *name,
    struct fault *f);
/* N.<role>.json of the public folder. */
MUST_CHECK enum err repo_meta_path(const struct repo *r, char out[REPO_PATH], uint64_t version,
    const char *role, struct fault *f);
MUST_CHECK enum err repo_load_doc(struct signed_doc *d, const char *path, size_t limit,
    struct fault *f);
/* Copies a file to targets/<sha256>.<name>: temporary name, fsync, rename, fsync of the folder. */
MUST_CHECK enum err repo_store(struct repo *r, const char *name, const char *from,
    uint64_t *length, char sha256[65], struct fault *f);
/* Where the content of a target lies. */
MUST_CHECK enum err repo_target_path(const struct repo *r, char out[REPO_PATH], const char *name,
    const char *sha256, struct fault *f);
MUST_CHECK enum err repo_hash_file(const char *path, uint64_t *length, char sha256[65],
    struct fault *f);
MUST_CHECK enum err repo_save_counters(struct repo *r, struct fault *f);
MUST_CHECK enum err repo_load_counters(struct repo *r, struct fault *f);
MUST_CHECK enum err repo_save_config(const struct repo *r, struct fault *f);
MUST_CHECK enum err repo_load_config(struct repo *r, struct fault *f);

/* ---- repo_keys.c ---- */
struct repo_keys {
	struct sign_private **list;
	size_t count;
};
/* Private keys in keys/ that are named by a {"keyids":[..]} role. */
MUST_CHECK enum err repo_keys_of(const struct repo *r, const cJSON *role, struct repo_keys *k,
    struct fault *f);
MUST_CHECK enum err repo_keys_file(const char *path, const char *passphrase, struct repo_keys *k,
    struct fault *f);
void repo_keys_free(struct repo_keys *k);
/* The TUF key in a PEM file, public or private. */
MUST_CHECK enum err repo_key_object(const char *path, const char *passphrase, cJSON **object,
    char id[KEY_ID_TEXT], struct fault *f);
MUST_CHECK enum err repo_key_make(const char *dir, const char *passphrase, cJSON **object,
    char id[KEY_ID_TEXT], struct fault *f);

/* ---- repo_docs.c ---- */
/* {"_type","spec_version","version","expires"} */
MUST_CHECK enum err repo_body(cJSON **out, const char *type, uint64_t version, uint32_t days,
    struct fault *f);
/* Document text of body with the signatures in `signatures` (array, may be NULL) and of the keys.
 */
MUST_CHECK enum err repo_document(const cJSON *body, const cJSON *signatures,
    const struct repo_keys *keys, struct buf *out, struct fault *f);
/* {"version","length","hashes":{"sha256"}} for a document's bytes. */
MUST_CHECK enum err repo_meta_entry(cJSON **out, uint64_t version, const struct buf *bytes);
/* Who signs a role: the object in root or among the delegations of the targets body; NULL. */
const cJSON *repo_role(const cJSON *root_body, const cJSON *targets_body, const char *role,
    const cJSON **keys);
/* How many of a role's keys signed the document. */
MUST_CHECK enum err repo_signed_by(const struct signed_doc *d, const cJSON *keys,
    const cJSON *role, uint64_t *have, uint64_t *need, struct fault *f);

/* ---- repo_targets.c ---- */
void repo_entries_free(struct repo_entries *l);
MUST_CHECK enum err repo_entries_read(struct repo_entries *l, const cJSON *targets_body,
    struct fault *f);
MUST_CHECK enum err repo_entries_json(const struct repo_entries *l, cJSON **out);
struct repo_entry *repo_entry_find(const struct repo_entries *l, const char *path);
/* Adds or replaces; custom is taken, also on failure. */
MUST_CHECK enum err repo_entry_put(struct repo_entries *l, const char *path, uint64_t length,
    const char *sha256, cJSON *custom);
void repo_entry_drop(struct repo_entries *l, const char *path);
bool repo_is_helper(const char *path); /* delta/ or full/ */
void repo_pending_clear(struct repo *r);

/* ---- repo_helpers.c: deltas and full copies ---- */
MUST_CHECK enum err repo_make_delta(struct repo *r, struct repo_entries *l, const char *name,
    const char *old_sha256, const struct repo_publish *how, struct repo_report *report,
    struct fault *f);
MUST_CHECK enum err repo_make_full(struct repo *r, struct repo_entries *l, const char *name,
    const struct repo_publish *how, struct repo_report *report, struct fault *f);
/* Drops deltas past keep_deltas and those that lead nowhere, and unused full copies. */
MUST_CHECK enum err repo_drop_helpers(struct repo *r, struct repo_entries *l, struct fault *f);

/* ---- repo_release.c ---- */
MUST_CHECK enum err repo_stage(struct repo *r, const char *role, const cJSON *body,
    const char *const *key_files, size_t key_count, struct fault *f);
/* Publishes every staged document that has its signatures. *waiting: a role that still needs some,
 * "" when none. With r->needs_version nothing was published: a new version of targets comes first.
 */
MUST_CHECK enum err repo_release(struct repo *r, bool resign, char waiting[65], struct fault *f);
/* As repo_release, with a new version of targets when that is needed. */
MUST_CHECK enum err repo_release_all(struct repo *r, char waiting[65], struct fault *f);
MUST_CHECK enum err repo_reload(struct repo *r, struct fault *f);
MUST_CHECK enum err repo_sweep(struct repo *r, struct fault *f); /* repo_sweep.c: old files go */

#endif
