/* delta_priv.h - between the delta_*.c files only. */
#ifndef ATALAIA_UPDATE_DELTA_PRIV_H
#define ATALAIA_UPDATE_DELTA_PRIV_H

#include "base/err.h"
#include "base/fault.h"
#include "update/delta.h"

#include <stddef.h>
#include <stdint.h>

#define DELTA_MAGIC "ATD1"
#define DELTA_MAGIC_LEN 4
#define DELTA_VARINT_MAX 9 /* bytes of a 63-bit number */

/* ---- varints and control: delta_plan.c ---- */

/* Bytes used, 0 when more are needed, -1 when the form is wrong. */
int delta_varint_get(const uint8_t *p, size_t n, uint64_t *out);
size_t delta_varint_put(uint8_t *dst, uint64_t value); /* room for DELTA_VARINT_MAX */

#define DELTA_HEX 1u          /* flag */
#define DELTA_CONTEXT_MAX 65536
#define DELTA_SKIP_SEEN 4096  /* of skipped old bytes, this many are context */

struct delta_record {
	uint64_t insert, copy;
	uint64_t from;   /* of copy */
	uint64_t cursor; /* in the old file, before the record */
};

/* A control frame's content, borrowed. */
struct delta_plan {
	uint64_t flags, old_len, new_len, context, count;
	uint64_t literals;       /* sum of all inserts */
	const uint8_t *inserts, *copies, *skips, *end;
	/* where reading stands */
	uint64_t next, cursor;
};

/* Checks everything; on success the plan stands before the first record. */
MUST_CHECK enum err delta_plan_open(struct delta_plan *p, const uint8_t *control, size_t n,
    uint64_t old_len, uint64_t new_len, struct fault *f);
bool delta_plan_next(struct delta_plan *p, struct delta_record *r); /* false at the end */
/* Reads the prefix through `read`; at most LIMIT_DELTA_PREFIX bytes into out. Takes a copy of the
 * plan that stands before the first record. */
MUST_CHECK enum err delta_plan_prefix(struct delta_plan p, uint8_t *out, size_t *len,
    enum err (*read)(void *arg, uint64_t from, uint8_t *p, size_t n), void *arg);

/* ---- hexadecimal packing: delta_hex.c ---- */

struct delta_unhex; /* chunks in, literals out */
MUST_CHECK enum err delta_unhex_new(struct delta_unhex **out,
    enum err (*put)(void *arg, const uint8_t *p, size_t n), void *arg);
/* ERR_PARSE: the form is wrong; else what put answers. */
MUST_CHECK enum err delta_unhex_feed(struct delta_unhex *u, const uint8_t *p, size_t n);
bool delta_unhex_done(const struct delta_unhex *u); /* at the end of a chunk */
void delta_unhex_free(struct delta_unhex *u);
/* Packs up to one chunk from p; *used bytes of n are taken. hex and text have room for
 * LIMIT_DELTA_CHUNK bytes. */
void delta_hex_chunk(const uint8_t *p, size_t n, size_t *used, uint8_t *hex, size_t *hex_len,
    uint8_t *text, size_t *text_len);
/* Bytes of p that are digits in runs worth packing. */
size_t delta_hex_count(const uint8_t *p, size_t n);

/* ---- matching: delta_lines.c, delta_blocks.c ---- */

struct delta_match {
	uint64_t at;   /* in the new file */
	uint64_t from; /* in the old file */
	uint64_t len;
};

struct delta_matches {
	struct delta_match *list; /* ascending in `at`, not overlapping */
	size_t count, cap;
};

struct delta_text {
	const uint8_t *p;
	size_t n;
};

MUST_CHECK enum err delta_matches_add(struct delta_matches *m, uint64_t at, uint64_t from,
    uint64_t len);
/* Runs of equal lines. */
MUST_CHECK enum err delta_match_lines(struct delta_matches *out, struct delta_text old,
    struct delta_text new);
/* Fills the gaps between `lines` with equal byte strings of at least 32 bytes. */
MUST_CHECK enum err delta_match_blocks(struct delta_matches *out, const struct delta_matches *lines,
    struct delta_text old, struct delta_text new);

/* ---- chains: delta_chain.c ---- */

struct delta_piece {
	uint64_t at;   /* in the new file; ends where the next piece begins */
	uint64_t from; /* in the old file, or in the pool when DELTA_POOL is set */
};
#define DELTA_POOL (1ull << 63)

struct delta_chain {
	struct delta_piece *pieces;
	size_t count, cap;
	uint64_t old_len, new_len;
};

struct delta_pool {
	int fd;
	uint64_t len;
	uint8_t *buf; /* not yet written */
	size_t fill;
};

MUST_CHECK enum err delta_pool_open(struct delta_pool *p, const char *prefix, struct fault *f);
MUST_CHECK enum err delta_pool_flush(struct delta_pool *p);
void delta_pool_close(struct delta_pool *p);
/* Composes the delta in `path` behind `chain` (count 0: starts it). ERR_TOOBIG: too many pieces,
 * chain as before. */
MUST_CHECK enum err delta_chain_add(struct delta_chain *chain, struct delta_pool *pool,
    int old_fd, const char *path, uint64_t old_len, uint64_t new_len, const atomic_bool *cancel,
    struct fault *f);
void delta_chain_free(struct delta_chain *chain);

/* n bytes at `at`, all of them; ERR_VERIFY when the file ends before. */
MUST_CHECK enum err delta_pread(int fd, uint8_t *p, size_t n, uint64_t at);
/* Feeds a whole file to a reader: delta_apply.c. */
MUST_CHECK enum err delta_read_file(const char *path, uint64_t old_len, uint64_t new_len,
    const struct delta_sink *sink, void *arg, const atomic_bool *cancel, struct fault *f);

#endif
