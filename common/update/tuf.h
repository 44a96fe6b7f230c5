/* tuf.h - the TUF client (specification 1.0.x, section 5) for everybody who follows a feed.
 * Blocking: disk and the caller's source; use it from a worker thread or a program without a loop.
 * One thread at a time per client; two clients (also in two processes) on one folder exclude each
 * other. The folder holds the trusted files byte for byte as they came: root.json timestamp.json
 * snapshot.json targets.json <percent-encoded role>.json, each replaced atomically, and no other
 * *.json. What is refused never gets there. */
#ifndef ATALAIA_UPDATE_TUF_H
#define ATALAIA_UPDATE_TUF_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "update/hash.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tuf; /* opaque */

/* Where bytes come from. fetch appends the file `name` (a name in the metadata folder, percent-
 * encoded already: "timestamp.json", "2.root.json", "7.a%2Fb.json") to out, never more than max
 * bytes (out->max is max as well). ERR_NOTFOUND means that this source does not have it (HTTP
 * 404/410/403, FTP 550) and nothing else does; ERR_TOOBIG that there was more. The sentence goes
 * to f. */
struct tuf_source {
	enum err (*fetch)(
	    void *ctx, const char *name, size_t max, struct buf *out, struct fault *f);
	void *ctx;
};

/* One accepted document, as it is told to the observer: borrowed for the call. */
struct tuf_document {
	const char *role; /* "root", "timestamp", "snapshot", "targets" or a delegated role */
	const char *file; /* its name in the repository, as fetch would ask for it */
	uint64_t version;
	const uint8_t *bytes;
	size_t len;
	bool fresh; /* came from the source now; false: was in the folder already */
};

struct tuf_options {
	const char *dir; /* the store; made when absent */
	/* Initial root, used when dir holds no usable root.json. NULL: then that is an error. */
	const void *root;
	size_t root_len;
	/* Called after a document was verified and stored, in this order: roots as they come, then
	 * timestamp, snapshot, targets, delegated roles. Anything but OK ends the call with that
	 * error. May be NULL. */
	enum err (*accepted)(void *ctx, const struct tuf_document *d, struct fault *f);
	void *accepted_ctx;
	/* Keep the newest verified time in dir (file "verified-time") and never judge expiry by an
	 * earlier one. Off for tuf-client, whose clock is libc's alone. */
	bool keep_floor;
};

MUST_CHECK enum err tuf_open(struct tuf **out, const struct tuf_options *o, struct fault *f);
void tuf_close(struct tuf *t); /* NULL is fine */
/* Stores an initial root in dir after checking that it is a root signed by itself. */
MUST_CHECK enum err tuf_init(const char *dir, const void *root, size_t len, struct fault *f);

/* Section 5.3 to 5.6 for the top-level roles. After an error the client keeps what was trusted
 * before (roots accepted on the way stay) and may be asked again, with another source too.
 * timestamp: NULL, or bytes that came by another way (port 3333); treated exactly as downloaded,
 * and when they do not pass, timestamp.json is fetched and tuf_hint_failure says why. */
MUST_CHECK enum err tuf_refresh(struct tuf *t, const struct tuf_source *s, const void *timestamp,
    size_t timestamp_len, struct fault *f);

/* A target, borrowed from t until the next refresh or close. */
struct tuf_target {
	const char *path;
	const char *role; /* the role that signed for it */
	uint64_t length;
	bool has_sha256, has_sha512; /* at least one */
	uint8_t sha256[HASH_SHA256_LEN];
	uint8_t sha512[HASH_SHA512_LEN];
	const cJSON *custom; /* may be NULL */
};

/* Section 5.6.7: pre-order search through the delegations, fetching delegated metadata as needed.
 * ERR_NOTFOUND: no role that may sign for path has it. ERR_STATE before a successful refresh.
 * s NULL: only what is in the folder already. */
MUST_CHECK enum err tuf_find(struct tuf *t, const struct tuf_source *s, const char *path,
    struct tuf_target *out, struct fault *f);
/* Every target that tuf_find would find, each once, with the role that it would find it in; loads
 * every delegated role on the way. An error of `each` ends the walk. */
MUST_CHECK enum err tuf_each(struct tuf *t, const struct tuf_source *s,
    enum err (*each)(void *ctx, const struct tuf_target *target, struct fault *f), void *ctx,
    struct fault *f);

/* Name of the target's file under the targets folder: with consistent snapshots the hash prefix on
 * its last component. Not percent-encoded. */
MUST_CHECK enum err tuf_target_file(
    const struct tuf *t, const struct tuf_target *target, struct buf *out);

/* Verifies the bytes of a target as they stream by. */
struct tuf_check {
	uint64_t length, seen;
	bool has_sha256, has_sha512;
	uint8_t sha256[HASH_SHA256_LEN], sha512[HASH_SHA512_LEN];
	struct hash h256, h512;
};
void tuf_check_init(struct tuf_check *c, const struct tuf_target *target);
/* ERR_TOOBIG as soon as there are more bytes than signed. */
MUST_CHECK enum err tuf_check_update(struct tuf_check *c, const void *p, size_t n);
/* ERR_VERIFY with expected and got in f (and in *why, may be NULL). */
struct tuf_failure;
MUST_CHECK enum err tuf_check_final(struct tuf_check *c, struct tuf_failure *why, struct fault *f);

/* What went wrong, for the event update.rejected. */
enum tuf_rule {
	TUF_RULE_NONE,
	TUF_RULE_FETCH, /* the source did not deliver: nothing was refused */
	TUF_RULE_LENGTH,
	TUF_RULE_HASH,
	TUF_RULE_JSON, /* not strict JSON, or not of the form that the specification gives */
	TUF_RULE_TYPE,
	TUF_RULE_SPEC, /* spec_version */
	TUF_RULE_KEYID,
	TUF_RULE_SIGNATURES,
	TUF_RULE_VERSION, /* not the version that was asked for */
	TUF_RULE_ROLLBACK,
	TUF_RULE_EXPIRED,
	TUF_RULE_DELEGATION, /* more roles than the cap, or a role that snapshot does not list */
	TUF_RULE_STORE,	     /* our own disk */
};
struct tuf_failure {
	enum err code;
	enum tuf_rule rule;
	char file[256]; /* name in the repository, or path of the target */
	char expected[160];
	char got[160];
	char text[400]; /* the sentence that f got */
};
const char *tuf_rule_word(enum tuf_rule rule); /* "fetch", "length", ... */
/* Of the last call that failed; rule is TUF_RULE_NONE when none did. Never NULL. */
const struct tuf_failure *tuf_failure(const struct tuf *t);
/* Why timestamp bytes given to the last tuf_refresh were not used; rule NONE when they were. */
const struct tuf_failure *tuf_hint_failure(const struct tuf *t);

/* What is trusted now. Versions are 0 while the role has no trusted document. */
uint64_t tuf_version(const struct tuf *t, const char *role);
int64_t tuf_expires_ms(const struct tuf *t, const char *role); /* wall ms; 0 when none */
bool tuf_consistent(const struct tuf *t);
const void *tuf_bytes(const struct tuf *t, const char *role, size_t *len); /* NULL when none */
/* Keys and threshold of a role as its delegator (root, or the top-level targets role) names them:
 * for authority.json, whose signatures are those of a role. NULL when it is not delegated. */
struct signers;
const struct signers *tuf_signers(const struct tuf *t, const char *role);
/* Newest time at which a whole refresh passed (0: never), and how far the clock is behind it. */
int64_t tuf_verified_ms(const struct tuf *t);
int64_t tuf_clock_behind_ms(const struct tuf *t);

#endif
