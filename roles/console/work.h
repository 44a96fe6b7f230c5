/* work.h - a queue of blocking jobs that run one after the other in libuv's thread pool, so that
 * the loop never waits for a disk. All jobs that wait when the thread becomes free form one batch:
 * the database opens one transaction for it, and one fsync serves many agents. work_add from the
 * loop thread only; run in a worker, done on the loop in the order of adding. */
#ifndef CONSOLE_WORK_H
#define CONSOLE_WORK_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#define WORK_BATCH 64 /* jobs in one transaction: bounds how long an answer waits for others */

/* Embedded at the start of the caller's own struct. */
struct job {
	enum err (*run)(struct job *, void *ctx); /* worker thread */
	void (*done)(
	    struct job *, enum err result); /* loop thread; the job is the caller's again */
	struct job *next;
	enum err result;
};

struct work_hooks { /* worker thread; all may be NULL */
	enum err (*begin)(void *ctx);
	enum err (*before)(void *ctx);		/* one job starts */
	enum err (*after)(void *ctx, enum err); /* it ended; what it did is undone unless OK */
	enum err (*commit)(void *ctx);		/* not OK: every job of the batch gets that error */
};

struct work {
	uv_loop_t *loop;
	uv_work_t req;
	const struct work_hooks *hooks;
	void *ctx;
	struct job *head, **tail;
	struct job *batch;
	bool busy, closing;
	void (*closed)(void *arg);
	void *closed_arg;
	size_t queued;
};

void work_init(struct work *w, uv_loop_t *loop, const struct work_hooks *hooks, void *ctx);
void work_add(struct work *w, struct job *j);
/* `closed` runs when every job has been done; jobs may still be added until then. */
void work_close(struct work *w, void (*closed)(void *arg), void *arg);

#endif
