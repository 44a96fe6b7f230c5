/* spool_round.h - operations of the spool and how a worker carries a round of them out. Shared by
 * spool.c and spool_round.c only. */
#ifndef ATALAIA_STORE_SPOOL_ROUND_H
#define ATALAIA_STORE_SPOOL_ROUND_H

#include "store/spool.h"

enum spool_op_kind {
	SPOOL_OP_APPEND,
	SPOOL_OP_ACK,
	SPOOL_OP_DEAD,
	SPOOL_OP_EPOCH,
	SPOOL_OP_LOST,
	SPOOL_OP_QUOTA,
	SPOOL_OP_CARE,
	SPOOL_OP_RELEASE,
	SPOOL_OP_READ,
	SPOOL_OP_VISIT,
};

struct spool_op {
	struct spool_op *next;
	enum spool_op_kind kind;
	uint64_t asked;
	spool_cb cb;
	void (*read_cb)(void *ctx, struct spool_batch *take);
	void *ctx;
	/* append */
	struct buf bytes;
	struct spool_event *events; /* point into bytes */
	uint32_t *seq;
	size_t n;
	/* the others */
	enum err (*visit)(void *ctx, struct spool_db *db, struct fault *f);
	char of_epoch[SPOOL_EPOCH]; /* an ack for this epoch alone; "": any */
	uint32_t upto[SPOOL_CLASSES];
	unsigned class;
	struct fault note; /* why a letter is dead */
	uint64_t count, lost_bytes, quota[SPOOL_CLASSES];
	size_t max_events, max_bytes;
	struct spool_batch *batch;
	/* outcome */
	enum err err;
	struct fault fault;
	char epoch[SPOOL_EPOCH];
};

struct spool_op *spool_op_new(enum spool_op_kind kind); /* NULL on no memory */
MUST_CHECK enum err spool_op_append(
    struct spool_op **out, const struct spool_event *events, size_t n, size_t bytes);
void spool_op_free(struct spool_op *op);
struct spool_batch *spool_batch_new(size_t max_events, size_t max_bytes);

struct spool_worker {
	struct spool_db *db;
	enum err (*report)(void *ctx, unsigned class, const struct spool_drop *d, struct buf *out);
	void *ctx;
	unsigned report_class;
	uint32_t report_ms, reserve_ms;
	uint64_t reported[SPOOL_CLASSES], reserve_tried; /* monotonic ms, 0: never */
	uint32_t held[SPOOL_CLASSES];			 /* read and not yet answered */
	uint64_t commits, errors;
	bool more_room; /* the reserve has another step to go */
	bool told;	/* a report was appended */
};

/* Carries out the list; sets err, fault and results of each. One transaction; when that fails each
 * operation gets one of its own, so that an ack passes while the disk takes no new event. */
void spool_round_run(struct spool_worker *w, struct spool_op *ops);

#endif
