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

/* ---- varints: delta_read.c ---- */

/* Bytes used, 0 when more are needed, -1 when the form is wrong. */
int delta_varint_get(const uint8_t *p, size_t n, uint64_t *out);
size_t delta_varint_put(uint8_t *dst, uint64_t value); /* room for DELTA_VARINT_MAX */

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
    const char *path, uint64_t old_len, uint64_t new_len, const atomic_bool *cancel,
    struct fault *f);
void delta_chain_free(struct delta_chain *chain);

/* Feeds a whole file to a reader: delta_apply.c. */
MUST_CHECK enum err delta_read_file(const char *path, uint64_t old_len, uint64_t new_len,
    const struct delta_sink *sink, void *arg, const atomic_bool *cancel, struct fault *f);

#endif
