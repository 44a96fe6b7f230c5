/* spool.h - durable queues of events, one a class, class 0 first. Loop's thread; the file is
 * touched in a worker only, one round at a time. Appends are grouped: a round of at most
 * SPOOL_GROUP events begins when that many wait or the oldest has waited SPOOL_GROUP_MS; one append
 * is never split. Callbacks come from the loop, never from inside the call, in the order of the
 * calls. */
#ifndef ATALAIA_STORE_SPOOL_H
#define ATALAIA_STORE_SPOOL_H

#include "store/spool_db.h"

#include <uv.h>

#define SPOOL_GROUP 100
#define SPOOL_GROUP_MS 50
#define SPOOL_REPORT_MS 5000 /* between two reports of drops of one class */

struct spool;

struct spool_options {
	uv_loop_t *loop;
	const char *dir;
	uint64_t quota[SPOOL_CLASSES];
	/* Writes the body of an event that reports dropped events. Runs in the worker: touches
	 * nothing of the loop's. NULL: drops are not reported. */
	enum err (*report)(void *ctx, unsigned class, const struct spool_drop *d, struct buf *out);
	/* Loop's thread: a report was stored, which no append of the caller's tells. May be NULL.
	 */
	void (*reported)(void *ctx);
	unsigned report_class;
	void *ctx;
	uint32_t report_ms; /* 0: SPOOL_REPORT_MS */
};

/* Blocks: before the loop runs. opened says whether a damaged file was replaced. */
MUST_CHECK enum err spool_open(struct spool **out, const struct spool_options *o,
    struct spool_opened *opened, struct fault *f);
/* Finishes what was asked, then frees and calls closed. */
void spool_close(struct spool *sp, void (*closed)(void *ctx), void *ctx);

struct spool_event {
	unsigned class;
	const void *p;
	size_t n;
};
struct spool_answer {		   /* valid during the callback */
	enum err err;		   /* OK: durable */
	const struct fault *fault; /* never NULL */
	const char *epoch;
	const uint32_t *seq; /* of an append: one for each event */
	size_t n;
};
typedef void (*spool_cb)(void *ctx, const struct spool_answer *a);

/* Copies. All events of one call become durable together or none does. ERR_BUSY: LIMIT_SPOOL_MEMORY
 * bytes are waiting already; ERR_TOOBIG. cb may be NULL. */
MUST_CHECK enum err spool_append(
    struct spool *sp, const struct spool_event *events, size_t n, spool_cb cb, void *ctx);
MUST_CHECK enum err spool_ack(struct spool *sp, const uint32_t seq[SPOOL_CLASSES], spool_cb cb,
    void *ctx); /* seq 0: nothing of that class */
/* The same, but only while the epoch is this one: an acknowledgement that took weeks. The answer is
 * ERR_NOTFOUND otherwise. */
MUST_CHECK enum err spool_ack_of(
    struct spool *sp, const char *epoch, const uint32_t seq[SPOOL_CLASSES], spool_cb cb, void *ctx);
MUST_CHECK enum err spool_dead(
    struct spool *sp, unsigned class, uint32_t seq, const char *why, spool_cb cb, void *ctx);
MUST_CHECK enum err spool_new_epoch(struct spool *sp, spool_cb cb, void *ctx);
/* Counts events that never reached the file as dropped. */
MUST_CHECK enum err spool_lost(struct spool *sp, unsigned class, uint64_t count, uint64_t bytes);

struct spool_picked {
	unsigned class;
	uint32_t seq;
	int64_t added_ms;
	const uint8_t *p;
	size_t n;
};
struct spool_batch { /* the receiver's, until spool_batch_free */
	enum err err;
	struct fault fault;
	char epoch[SPOOL_EPOCH];
	struct spool_picked *items;
	size_t n;
	struct buf bytes; /* private: what items point into */
};
/* Nothing is under way any more: what spool_read gave may be dropped again. */
void spool_release(struct spool *sp);
/* Reads the oldest events, class 0 first. What was read is not dropped for want of room until the
 * next spool_read, spool_release, spool_ack, spool_dead or spool_new_epoch. */
MUST_CHECK enum err spool_read(struct spool *sp, size_t max_events, size_t max_bytes,
    void (*cb)(void *ctx, struct spool_batch *take), void *ctx);
void spool_batch_free(struct spool_batch *b);

/* Runs visit in the worker between two commits; it reads and changes nothing. Events wait. */
MUST_CHECK enum err spool_visit(struct spool *sp,
    enum err (*visit)(void *ctx, struct spool_db *db, struct fault *f), spool_cb cb, void *ctx);

void spool_quota(struct spool *sp, const uint64_t quota[SPOOL_CLASSES]);
struct spool_stats {
	struct spool_state state; /* as of the last round */
	uint64_t commits, commit_errors;
	uint64_t pending, pending_bytes; /* events in memory that are not durable yet */
};
struct spool_stats spool_stats(const struct spool *sp);

#endif
