/* spool_db.h - the spool's file: what spool.h does in its worker. Blocking; one thread at a time.
 * Each class is a queue with its own quota and its own sequence, which begins at 1 with each epoch
 * and has no gaps. All changes since spool_db_begin become durable together in spool_db_end. */
#ifndef ATALAIA_STORE_SPOOL_DB_H
#define ATALAIA_STORE_SPOOL_DB_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPOOL_CLASSES 3
#define SPOOL_EPOCH 33 /* 32 hexadecimal digits and a NUL */
#define SPOOL_SEQ_MAX 2147483647u
#define SPOOL_DEAD_MAX 200 /* dead letters kept, and */
#define SPOOL_DEAD_BYTES 1048576u
#define SPOOL_ROW_COST 64 /* a row's bytes beside its body, for the quota */

struct spool_db;

struct spool_opened {
	bool damaged; /* the old file was set aside under `moved` */
	char moved[1200];
	char why[400];
	uint64_t salvaged; /* events that could still be read and were taken over */
};

/* dir/spool.db. A damaged file is set aside, what can be read of it is taken over, and a new epoch
 * begins. ERR_BUSY: another process has it. */
MUST_CHECK enum err spool_db_open(struct spool_db **out, const char *dir,
    const uint64_t quota[SPOOL_CLASSES], struct spool_opened *opened, struct fault *f);
void spool_db_close(struct spool_db *db); /* NULL is fine */
/* One step (about 1 MiB) towards owning the disk room of the quotas; spool_state.reserved says when
 * it is done. ERR_NOSPACE: usable without. */
MUST_CHECK enum err spool_db_reserve(struct spool_db *db, struct fault *f);
void spool_db_quota(struct spool_db *db, const uint64_t quota[SPOOL_CLASSES]);

MUST_CHECK enum err spool_db_begin(struct spool_db *db, struct fault *f);
/* Durable when OK. After an error everything since begin is undone, counters too. */
MUST_CHECK enum err spool_db_end(struct spool_db *db, enum err e, struct fault *f);

/* Appends; *seq is its number. Events of the same class are dropped from the oldest on until it
 * fits, but for those up to held (sent and not yet answered: they may have arrived). */
MUST_CHECK enum err spool_db_append(struct spool_db *db, unsigned class, uint32_t held,
    int64_t now_ms, const void *p, size_t n, uint32_t *seq, struct fault *f);
/* Deletes up to and with seq. */
MUST_CHECK enum err spool_db_ack(
    struct spool_db *db, unsigned class, uint32_t seq, struct fault *f);
/* Moves one event to the dead letters. ERR_NOTFOUND: it is not there any more. */
MUST_CHECK enum err spool_db_dead(struct spool_db *db, unsigned class, uint32_t seq,
    const char *why, int64_t now_ms, struct fault *f);
/* A new random epoch; what waits is numbered from 1 again. */
MUST_CHECK enum err spool_db_new_epoch(struct spool_db *db, struct fault *f);

/* Losses that were not reported yet. They survive a crash until spool_db_drop_reported commits,
 * best in the transaction that stores the report. */
struct spool_drop {
	uint64_t count, bytes;
	uint64_t total; /* since the spool was made, for readers who missed a report */
	char epoch[SPOOL_EPOCH];
	uint32_t first, last;	    /* sequence numbers, both lost */
	int64_t since_ms, until_ms; /* when they were dropped */
};
/* The oldest record of the class; count 0: none. */
MUST_CHECK enum err spool_db_drops(
    struct spool_db *db, unsigned class, struct spool_drop *out, struct fault *f);
/* Forgets that record. Before the report is appended: that may drop events again. */
MUST_CHECK enum err spool_db_drop_reported(
    struct spool_db *db, unsigned class, const struct spool_drop *d, struct fault *f);
/* Counts a loss that never reached the file (memory or disk ran out). */
MUST_CHECK enum err spool_db_lost(struct spool_db *db, unsigned class, uint64_t count,
    uint64_t bytes, int64_t now_ms, struct fault *f);

/* Reads bodies after `after`, oldest first, until max_events or max_bytes (the first one always).
 * each may say anything but OK to stop; ERR_CANCELED is then no error. */
struct spool_row {
	uint32_t seq;
	int64_t added_ms;
	const void *p;
	size_t n;
};
MUST_CHECK enum err spool_db_read(struct spool_db *db, unsigned class, uint32_t after,
    size_t max_events, size_t max_bytes, enum err (*each)(void *ctx, const struct spool_row *r),
    void *ctx, struct fault *f);

struct spool_state {
	char epoch[SPOOL_EPOCH];
	struct {
		uint64_t depth, bytes; /* waiting */
		uint64_t dropped;      /* since the spool was made */
		uint64_t dead;	       /* moved to the dead letters since the spool was made */
		uint32_t first, next;  /* sequence numbers; first == next: nothing waits */
		int64_t oldest_ms;     /* 0: nothing waits */
		bool unreported;       /* spool_db_drops has something */
	} class[SPOOL_CLASSES];
	bool reserved;
};
void spool_db_state(const struct spool_db *db, struct spool_state *out);

#endif
