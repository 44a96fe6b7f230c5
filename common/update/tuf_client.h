/* tuf_client.h - the client's state, shared by the files that carry out its workflow.
 * Private to common/update/tuf*. */
#ifndef ATALAIA_UPDATE_TUF_CLIENT_H
#define ATALAIA_UPDATE_TUF_CLIENT_H

#include "base/limits.h"
#include "update/tuf.h"
#include "update/tuf_fail.h"
#include "update/tuf_meta.h"
#include "update/tuf_store.h"

/* A delegated document that was verified for this delegation, in this session. */
struct tuf_edge {
	const struct tuf_delegation *by;
	const struct tuf_meta *to;
};

struct tuf {
	struct tuf_store store;
	enum err (*accepted)(void *ctx, const struct tuf_document *d, struct fault *f);
	void *accepted_ctx;
	bool keep_floor;

	struct tuf_meta *top[TUF_TYPES]; /* what is trusted; NULL when nothing is */
	struct {
		char *role;
		struct tuf_meta *meta;
	} loaded[LIMIT_TUF_ROLES_LOADED];
	size_t n_loaded;
	struct tuf_edge *edges;
	size_t n_edges, max_edges;

	bool unchecked;      /* the root changed and top[] was not yet verified against it */
	bool refreshed;      /* the last refresh passed: targets may be looked up */
	int64_t now_ms;      /* the fixed update start time (section 5.1) */
	int64_t floor_ms, behind_ms;
	struct tuf_failure why, hint;
};

/* tuf.c */
MUST_CHECK enum err tuf_tell(struct tuf *t, const char *role, const char *file,
    const struct tuf_meta *m, bool fresh);
/* Repository name of a document: "7.snapshot.json", or "snapshot.json" when version is 0. */
MUST_CHECK enum err tuf_file_name(const char *role, uint64_t version, struct buf *out);
/* Fetches file into out (initialised here to max) and checks nothing. */
MUST_CHECK enum err tuf_fetch(struct tuf *t, const struct tuf_source *s, const char *file,
    size_t max, struct buf *out);
/* Fetches, checks against `file` (version, length, hashes), reads and verifies one document that
 * the snapshot or the timestamp names. */
MUST_CHECK enum err tuf_obtain(struct tuf *t, const struct tuf_source *s, enum tuf_type type,
    const char *role, const struct tuf_metafile *file, const struct signers *signers,
    struct tuf_meta **out);
/* Stores m and makes it the trusted document of its type. Takes m, also on failure. */
MUST_CHECK enum err tuf_adopt(struct tuf *t, struct tuf_meta *m);
void tuf_drop_top(struct tuf *t, enum tuf_type type);

/* tuf_roles.c */
void tuf_forget_roles(struct tuf *t);

#endif
