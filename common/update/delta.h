/* delta.h - makes and applies differences between two versions of a file. Format: delta-format.md.
 * Blocking: call from a worker thread or a program without a loop. Every error leaves no output.
 * The decoder is pure and believes nothing; whatever is rebuilt is proven by the signed hash. */
#ifndef ATALAIA_UPDATE_DELTA_H
#define ATALAIA_UPDATE_DELTA_H

#include "base/err.h"
#include "base/fault.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- decoder: compressed bytes in, records out ---- */

/* Called in the order of the new file, after all of the control was checked. A record never leaves
 * the old or the new length; the sum of all lengths is the new length. Any result but OK ends the
 * decoding with it. */
struct delta_sink {
	enum err (*header)(void *arg, uint64_t old_len, uint64_t new_len); /* first; may be NULL */
	/* n bytes of the old file at `from`, which lie inside old_len: context for the literals */
	enum err (*read_old)(void *arg, uint64_t from, uint8_t *p, size_t n);
	enum err (*copy)(void *arg, uint64_t from, uint64_t len);  /* old[from, from + len) */
	enum err (*insert)(void *arg, const uint8_t *p, size_t n); /* a piece of new bytes */
};

struct delta_reader; /* at most 11 MiB, most of it the zstd window */

#define DELTA_ANY UINT64_MAX

/* old_len and new_len: what the file must say, DELTA_ANY = at most LIMIT_TARGET_BYTES. */
MUST_CHECK enum err delta_reader_new(struct delta_reader **out, uint64_t old_len, uint64_t new_len,
    const struct delta_sink *sink, void *arg);
/* Cut anywhere. ERR_PARSE (form, window), ERR_VERIFY (lengths), or the sink's result. */
MUST_CHECK enum err delta_reader_feed(struct delta_reader *r, const void *p, size_t n,
    struct fault *f);
/* The end of the file: ERR_PARSE when the delta is not complete. */
MUST_CHECK enum err delta_reader_end(struct delta_reader *r, struct fault *f);
void delta_reader_free(struct delta_reader *r); /* NULL is fine */

/* ---- applier ---- */

struct delta_apply {
	const char *old_path;
	const char *const *deltas; /* paths, first applied first; all verified by the caller */
	size_t delta_count;        /* 1..LIMIT_DELTA_CHAIN */
	const char *out_path;      /* made anew, fsynced; removed on any error */
	const char *work_path;     /* prefix of temporary names; NULL: out_path */
	uint64_t new_len;          /* signed length of the result */
	const uint8_t *new_sha256; /* signed hash of the result, 32 bytes */
	const atomic_bool *cancel; /* NULL, or: ERR_CANCELED soon after it becomes true */
	/* answers */
	unsigned passes; /* times a whole file was written: 1 when the chain was composed */
	uint64_t copied, inserted; /* bytes of the last pass */
};

/* Reads old files in place and writes the new one once, in order, hashing as it goes; at most
 * 16 MiB of memory at any size. A chain is composed into one pass while its records fit, else
 * applied in several. ERR_VERIFY: the result is not what was signed (wrong base, wrong delta). */
MUST_CHECK enum err delta_apply(struct delta_apply *a, struct fault *f);

/* ---- maker ---- */

struct delta_make {
	const char *old_path, *new_path;
	const char *out_path; /* made anew, fsynced; removed on any error */
	int level;            /* of zstd; 0 = 19, lower for very large inserts */
	/* answers */
	uint64_t old_len, new_len, delta_len;
	uint64_t copied, inserted;
};

/* Holds both files in memory: for the publisher. Deterministic for one version of zstd. */
MUST_CHECK enum err delta_make(struct delta_make *m, struct fault *f);

#endif
