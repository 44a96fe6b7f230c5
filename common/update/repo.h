/* repo.h - the publisher's side of a feed: one TUF repository (specification 1.0, classic JSON,
 * consistent snapshots) with its keys. Used by atalaia-repo and by the console for `policies`.
 *   <repo>/repo.json               feed name, lifetimes, how many deltas to keep
 *   <repo>/versions.json           highest numbers ever used; written before they are used
 *   <repo>/keys/<keyid>.pem        private keys that are here (PKCS#8, 0600); others sign offline
 *   <repo>/staged/<role>.json      a root or delegated role that still needs signatures
 *   <repo>/public/<feed>/{metadata,targets}     what is published (DESIGN section 5)
 * Blocking: worker thread or a program without a loop. repo_open locks the folder.
 * A reader of public/ finds a complete, valid repository at any instant: targets first, then
 * delegated roles, N.targets, N.snapshot, N.root, timestamp.json last; each by temporary name,
 * fsync, rename, fsync of the folder. Nothing is overwritten but timestamp.json. */
#ifndef ATALAIA_UPDATE_REPO_H
#define ATALAIA_UPDATE_REPO_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPO_KEYID 65 /* 64 hexadecimal digits and a NUL */

struct repo_days {
	uint32_t root, targets, snapshot, timestamp; /* 0 = 365, 30, 7, 3 */
};

struct repo_init {
	const char *feed;
	struct repo_days days;
	const char *passphrase;           /* for the private keys; NULL = not encrypted */
	const char *const *root_keys; /* PEM files of public (or private) keys made elsewhere; */
	size_t root_key_count;            /* 0 = one key is made here */
	uint32_t root_threshold;          /* 0 = 1 */
	uint32_t keep_deltas;             /* 0 = LIMIT_DELTA_CHAIN */
};

/* Makes the folder with keys for the roles that have none, 1.root.json and an empty version 1. When
 * the root keys are elsewhere the root stays in staged/ and nothing is public before its signatures
 * are imported. ERR_EXISTS when dir holds a repository. */
MUST_CHECK enum err repo_init(const char *dir, const struct repo_init *init, struct fault *f);

struct repo;
/* ERR_BUSY: another process works on it. passphrase may be NULL and is copied. */
MUST_CHECK enum err repo_open(struct repo **out, const char *dir, const char *passphrase,
    struct fault *f);
void repo_close(struct repo *r);             /* NULL is fine */
const char *repo_feed(const struct repo *r);
uint64_t repo_version(const struct repo *r); /* of targets: the set version; 0 = nothing public */
const char *repo_public(const struct repo *r); /* <repo>/public/<feed> */

/* ---- changing targets: collected in memory, published by repo_publish ---- */

/* Adds or replaces a target. `path` must stay until repo_publish. Names as text_is_target_path;
 * delta/ and full/ are ours. */
MUST_CHECK enum err repo_put_file(struct repo *r, const char *name, const char *path,
    struct fault *f);
MUST_CHECK enum err repo_put(struct repo *r, const char *name, const void *p, size_t n,
    struct fault *f);
MUST_CHECK enum err repo_remove(struct repo *r, const char *name, struct fault *f); /* NOTFOUND */
/* The set becomes exactly the files below folder; more than 16 become one pack `<feed>.pack`. */
MUST_CHECK enum err repo_put_folder(struct repo *r, const char *folder, struct fault *f);
/* The set becomes exactly what was put so far; more than 16 files become one pack. */
MUST_CHECK enum err repo_put_whole(struct repo *r, struct fault *f);
/* Adds a ClamAV marker signature for the version that is about to be published;
 * remembered. */
void repo_clamav_marker(struct repo *r, bool on);

struct repo_report {
	uint64_t version, from;         /* of targets */
	uint32_t targets, changed, removed, deltas;
	uint64_t bytes;                 /* of all targets, without delta/ and full/ */
	uint64_t changed_bytes;         /* of changed targets: a download without deltas */
	uint64_t delta_bytes;           /* made for this version */
	uint64_t full_bytes;            /* compressed copies made for this version */
	uint64_t metadata_bytes;        /* what a client of the previous version fetches */
};

struct repo_publish {
	int full_level;                                   /* zstd level of full/ copies; 0 = none */
	bool allow_unchanged; /* publish a new version without changes */
	void (*progress)(
	    void *arg, const char *what, const char *name, uint64_t done, uint64_t total);
	void *arg;
};

/* Publishes the collected changes as a new version with deltas from its predecessor. No changes:
 * OK, report->version == report->from. */
MUST_CHECK enum err repo_publish(struct repo *r, const struct repo_publish *how,
    struct repo_report *report, struct fault *f);
/* Publishes staged documents (a root, delegated roles) that have their signatures now; ERR_AGAIN
 * names the role that still waits. */
MUST_CHECK enum err repo_publish_staged(struct repo *r, struct repo_report *report,
    struct fault *f);
/* Signs timestamp anew; snapshot and targets too when less than a third of their life is left (or
 * force). *version = of timestamp. */
MUST_CHECK enum err repo_timestamp(struct repo *r, bool force, uint64_t *version, struct fault *f);
/* Copies what is missing in out_root/<feed>, in the same order (hard links where it can). Refuses a
 * folder whose timestamp is newer than ours: ERR_ROLLBACK. */
MUST_CHECK enum err repo_copy_out(struct repo *r, const char *out_root, struct fault *f);

/* ---- keys and roles ---- */

/* Makes a P-256 key in keys/ and answers its id; it serves once a role names it. */
MUST_CHECK enum err repo_key_new(struct repo *r, char keyid[REPO_KEYID], struct fault *f);
/* Key id of a PEM file, public or private. */
MUST_CHECK enum err repo_key_id(const char *path, const char *passphrase, char keyid[REPO_KEYID],
    struct fault *f);
/* Delegates paths (exact names or TUF patterns) to a role with its own keys (PEM files; a private
 * one is not copied). Takes effect with the next repo_publish, which is held back until the role
 * has a signed document (repo_role_put): a delegation without one would break every client. */
MUST_CHECK enum err repo_delegate(struct repo *r, const char *role, const char *const *key_files,
    size_t key_count, uint32_t threshold, const char *const *paths, size_t path_count,
    struct fault *f);
/* Stages a new version of a delegated role with this one target added or replaced, signed with
 * every key of it in keys/ and the PEM files given. */
MUST_CHECK enum err repo_role_put(struct repo *r, const char *role, const char *name,
    const void *p, size_t n, const char *const *key_files, size_t key_count, struct fault *f);
/* Stages the next root: keys added and removed per role ("root", "targets", "snapshot",
 * "timestamp"); thresholds 0 = as before. */
struct repo_rotate {
	const char *role;
	const char *const *add;     /* PEM files */
	size_t add_count;
	const char *const *remove;  /* key ids */
	size_t remove_count;
	uint32_t threshold;
};
MUST_CHECK enum err repo_root_rotate(struct repo *r, const struct repo_rotate *changes,
    size_t count, struct fault *f);
/* Signs staged/<role>.json with PEM files and with its keys in keys/. */
MUST_CHECK enum err repo_sign_staged(struct repo *r, const char *role,
    const char *const *key_files, size_t key_count, struct fault *f);
/* Takes signatures of the same `signed` bytes from a file that came back. *have of *need count. */
MUST_CHECK enum err repo_import_staged(struct repo *r, const char *role, const char *path,
    uint32_t *have, uint32_t *need, struct fault *f);
/* How many of the role's present keys signed this document, and how many must. */
MUST_CHECK enum err repo_count_signatures(struct repo *r, const char *role, const void *p, size_t n,
    uint32_t *have, uint32_t *need, struct fault *f);
/* The staged document as it is (to carry to another machine). ERR_NOTFOUND. */
MUST_CHECK enum err repo_export_staged(struct repo *r, const char *role, struct buf *out,
    struct fault *f);
/* On the other machine: adds signatures to an exported file, with nothing but the keys. */
MUST_CHECK enum err repo_sign_file(const char *path, const char *const *key_files,
    size_t key_count, const char *passphrase, struct fault *f);

/* ---- looking ---- */

/* {"feed","version","roles":[{"role","version","expires","threshold","keyids","keys_here"}],
 * "waiting":[role],"targets":[{"path","length","sha256"}]}; the caller frees. */
MUST_CHECK enum err repo_describe(struct repo *r, cJSON **out, struct fault *f);

struct repo_target {
	const char *path;
	uint64_t length;
	char sha256[65];
	bool pack, helper; /* helper: below delta/ or full/, no content of a set */
	const char *full;  /* path of its compressed copy, or NULL */
	char from[65], to[65]; /* of a delta: from which content to which; else "" */
};

/* Who looks on: members may be NULL. */
struct repo_visitor {
	enum err (*target)(void *arg, const struct repo_target *t);	  /* each good target */
	enum err (*document)(void *arg, const char *name); /* each document that was asked for */
	void *arg;
};

/* Verifies <root>/<feed> as a client with this initial root would now, every target read.
 * root_path NULL: 1.root.json of the folder itself. visitor may be NULL. */
MUST_CHECK enum err repo_verify(const char *feed_dir, const char *root_path,
    const struct repo_visitor *visitor, struct repo_report *report, struct fault *f);

#endif
