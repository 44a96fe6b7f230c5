/* spool.c - the loop's side: a queue of operations, and rounds of them in a worker. */
#include "store/spool.h"

#include "base/clock.h"
#include "base/limits.h"
#include "store/spool_round.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RESERVE_AGAIN_MS 60000

struct spool {
	uv_loop_t *loop;
	uv_timer_t group, care; /* the end of a group's wait; reports and the disk room */
	uv_work_t work;
	struct spool_db *db; /* worker only while a round runs */
	struct spool_worker worker;
	struct spool_op *head, **tail;
	struct spool_op *round; /* with the worker */
	uint64_t pending, pending_bytes, commits, commit_errors;
	struct spool_state state;
	uint64_t quota[SPOOL_CLASSES];
	bool running, closing;
	unsigned open_handles;
	void (*reported)(void *ctx);
	void (*closed)(void *ctx);
	void *closed_ctx;
};

static void start_round(struct spool *sp);
static void enqueue(struct spool *sp, struct spool_op *op);

static void
handle_closed(uv_handle_t *h)
{
	struct spool *sp = h->data;

	if (--sp->open_handles > 0)
		return;
	spool_db_close(sp->db);
	if (sp->closed != NULL)
		sp->closed(sp->closed_ctx);
	free(sp);
}

static void
finish_close(struct spool *sp)
{
	if (uv_is_closing((uv_handle_t *)&sp->group))
		return;
	uv_close((uv_handle_t *)&sp->group, handle_closed);
	uv_close((uv_handle_t *)&sp->care, handle_closed);
}

static void
answer(struct spool *sp, struct spool_op *op)
{
	struct spool_answer a = { op->err, &op->fault, op->epoch, op->seq, op->n };

	if (op->kind == SPOOL_OP_READ) {
		op->batch->err = op->err;
		op->batch->fault = op->fault;
		op->read_cb(op->ctx, op->batch);
		op->batch = NULL;
	} else if (op->cb != NULL) {
		op->cb(op->ctx, &a);
	}
	spool_op_free(op);
}

static void
round_work(uv_work_t *w)
{
	struct spool *sp = w->data;

	spool_round_run(&sp->worker, sp->round);
}

static void
round_done(uv_work_t *w, int status)
{
	struct spool *sp = w->data;
	struct spool_op *op, *next, *done = sp->round;
	bool more = sp->worker.more_room && !sp->closing;
	bool told = sp->worker.told && !sp->closing;

	(void)status; /* never cancelled */
	sp->running = false;
	sp->round = NULL;
	sp->commits += sp->worker.commits;
	sp->commit_errors += sp->worker.errors;
	sp->worker.commits = sp->worker.errors = 0;
	sp->worker.more_room = sp->worker.told = false;
	spool_db_state(sp->db, &sp->state);
	for (op = done; op != NULL; op = next) {
		next = op->next;
		if (op->kind == SPOOL_OP_APPEND) {
			sp->pending -= op->n;
			sp->pending_bytes -= op->bytes.len;
		}
		answer(sp, op);
	}
	if (told && sp->reported != NULL)
		sp->reported(sp->worker.ctx);
	/* Behind what came meanwhile: events do not wait for the whole reserve. */
	op = more ? spool_op_new(SPOOL_OP_CARE) : NULL;
	if (op != NULL)
		enqueue(sp, op);
	else
		start_round(sp);
}

static bool
is_alone(const struct spool_op *op)
{
	return op->kind == SPOOL_OP_READ || op->kind == SPOOL_OP_VISIT;
}

/* Takes the next round from the queue: one reading operation, or writing ones up to the group's
 * size. */
static struct spool_op *
take_round(struct spool *sp)
{
	struct spool_op *first = sp->head, *op = first;
	size_t events = first->n, bytes = first->bytes.len;

	while (!is_alone(first) && op->next != NULL && !is_alone(op->next) &&
	       events + op->next->n <= SPOOL_GROUP &&
	       bytes + op->next->bytes.len <= LIMIT_SPOOL_GROUP_BYTES) {
		op = op->next;
		events += op->n;
		bytes += op->bytes.len;
	}
	sp->head = op->next;
	if (sp->head == NULL)
		sp->tail = &sp->head;
	op->next = NULL;
	return first;
}

/* Appends alone may wait for company; anything else, and a full group, begins at once. */
static uint64_t
wait_ms(const struct spool *sp)
{
	uint64_t now = uv_now(sp->loop), due;

	for (const struct spool_op *op = sp->head; op != NULL; op = op->next)
		if (op->kind != SPOOL_OP_APPEND)
			return 0;
	if (sp->closing || sp->pending >= SPOOL_GROUP ||
	    sp->pending_bytes >= LIMIT_SPOOL_GROUP_BYTES)
		return 0;
	due = sp->head->asked + SPOOL_GROUP_MS;
	return due > now ? due - now : 0;
}

static void
group_due(uv_timer_t *t)
{
	start_round(t->data);
}

static void
start_round(struct spool *sp)
{
	uint64_t wait;

	if (sp->running)
		return;
	(void)uv_timer_stop(&sp->group);
	if (sp->head == NULL) {
		if (sp->closing)
			finish_close(sp);
		return;
	}
	wait = wait_ms(sp);
	if (wait > 0) {
		(void)uv_timer_start(&sp->group, group_due, wait, 0);
		return;
	}
	sp->round = take_round(sp);
	sp->running = true;
	sp->work.data = sp;
	(void)uv_queue_work(
	    sp->loop, &sp->work, round_work, round_done); /* fails only without a function */
}

static void
enqueue(struct spool *sp, struct spool_op *op)
{
	uv_update_time(sp->loop);
	op->asked = uv_now(sp->loop);
	op->next = NULL;
	*sp->tail = op;
	sp->tail = &op->next;
	start_round(sp);
}

/* Now and then: a report that is due, disk room that was not to be had. */
static void
care_due(uv_timer_t *t)
{
	struct spool *sp = t->data;
	struct spool_op *op;
	bool wanted = !sp->state.reserved;

	for (unsigned class = 0; class < SPOOL_CLASSES; class ++)
		wanted = wanted || sp->state.class[class].unreported;
	if (!wanted || sp->closing)
		return;
	op = spool_op_new(SPOOL_OP_CARE);
	if (op != NULL)
		enqueue(sp, op);
}

enum err
spool_open(
    struct spool **out, const struct spool_options *o, struct spool_opened *opened, struct fault *f)
{
	struct spool *sp = calloc(1, sizeof *sp);
	uint32_t every = o->report_ms > 0 ? o->report_ms : SPOOL_REPORT_MS;
	enum err e;

	*out = NULL;
	if (sp == NULL)
		return fault_set(f, ERR_NOMEM, "memory ran out while the spool was opened");
	e = spool_db_open(&sp->db, o->dir, o->quota, opened, f);
	if (e != OK) {
		free(sp);
		return e;
	}
	sp->loop = o->loop;
	sp->reported = o->reported;
	sp->tail = &sp->head;
	memcpy(sp->quota, o->quota, sizeof sp->quota);
	sp->worker = (struct spool_worker){ .db = sp->db,
		.report = o->report,
		.ctx = o->ctx,
		.report_class = o->report_class,
		.report_ms = every,
		.reserve_ms = RESERVE_AGAIN_MS };
	spool_db_state(sp->db, &sp->state);
	(void)uv_timer_init(sp->loop, &sp->group);
	(void)uv_timer_init(sp->loop, &sp->care);
	sp->group.data = sp->care.data = sp;
	sp->open_handles = 2;
	(void)uv_timer_start(&sp->care, care_due, 0, every);
	*out = sp;
	return OK;
}

void
spool_close(struct spool *sp, void (*closed)(void *ctx), void *ctx)
{
	sp->closing = true;
	sp->closed = closed;
	sp->closed_ctx = ctx;
	start_round(sp);
}

enum err
spool_append(struct spool *sp, const struct spool_event *events, size_t n, spool_cb cb, void *ctx)
{
	struct spool_op *op;
	size_t bytes = 0;
	enum err e;

	for (size_t i = 0; i < n; i++) {
		bytes += events[i].n;
		if (events[i].n + SPOOL_ROW_COST > sp->quota[events[i].class])
			return ERR_TOOBIG;
	}
	if (sp->closing)
		return ERR_STATE;
	if (sp->pending_bytes + bytes > LIMIT_SPOOL_MEMORY)
		return ERR_BUSY;
	e = spool_op_append(&op, events, n, bytes);
	if (e != OK)
		return e;
	op->cb = cb;
	op->ctx = ctx;
	sp->pending += n;
	sp->pending_bytes += bytes;
	enqueue(sp, op);
	return OK;
}

static enum err
ask(struct spool *sp, enum spool_op_kind kind, spool_cb cb, void *ctx, struct spool_op **op)
{
	if (sp->closing)
		return ERR_STATE;
	*op = spool_op_new(kind);
	if (*op == NULL)
		return ERR_NOMEM;
	(*op)->cb = cb;
	(*op)->ctx = ctx;
	return OK;
}

enum err
spool_ack(struct spool *sp, const uint32_t seq[SPOOL_CLASSES], spool_cb cb, void *ctx)
{
	struct spool_op *op;
	enum err e = ask(sp, SPOOL_OP_ACK, cb, ctx, &op);

	if (e != OK)
		return e;
	memcpy(op->upto, seq, sizeof op->upto);
	enqueue(sp, op);
	return OK;
}

enum err
spool_ack_of(
    struct spool *sp, const char *epoch, const uint32_t seq[SPOOL_CLASSES], spool_cb cb, void *ctx)
{
	struct spool_op *op;
	enum err e = ask(sp, SPOOL_OP_ACK, cb, ctx, &op);

	if (e != OK)
		return e;
	(void)snprintf(op->of_epoch, sizeof op->of_epoch, "%s", epoch);
	memcpy(op->upto, seq, sizeof op->upto);
	enqueue(sp, op);
	return OK;
}

enum err
spool_visit(struct spool *sp, enum err (*visit)(void *ctx, struct spool_db *db, struct fault *f),
    spool_cb cb, void *ctx)
{
	struct spool_op *op;
	enum err e = ask(sp, SPOOL_OP_VISIT, cb, ctx, &op);

	if (e != OK)
		return e;
	op->visit = visit;
	enqueue(sp, op);
	return OK;
}

enum err
spool_dead(struct spool *sp, unsigned class, uint32_t seq, const char *why, spool_cb cb, void *ctx)
{
	struct spool_op *op;
	enum err e = ask(sp, SPOOL_OP_DEAD, cb, ctx, &op);

	if (e != OK)
		return e;
	op->class = class;
	op->upto[class] = seq;
	(void)fault_set(&op->note, OK, "%s", why);
	enqueue(sp, op);
	return OK;
}

enum err
spool_new_epoch(struct spool *sp, spool_cb cb, void *ctx)
{
	struct spool_op *op;
	enum err e = ask(sp, SPOOL_OP_EPOCH, cb, ctx, &op);

	if (e == OK)
		enqueue(sp, op);
	return e;
}

enum err
spool_lost(struct spool *sp, unsigned class, uint64_t count, uint64_t bytes)
{
	struct spool_op *op;
	enum err e = ask(sp, SPOOL_OP_LOST, NULL, NULL, &op);

	if (e != OK)
		return e;
	op->class = class;
	op->count = count;
	op->lost_bytes = bytes;
	enqueue(sp, op);
	return OK;
}

enum err
spool_read(struct spool *sp, size_t max_events, size_t max_bytes,
    void (*cb)(void *ctx, struct spool_batch *take), void *ctx)
{
	struct spool_op *op;
	enum err e = ask(sp, SPOOL_OP_READ, NULL, ctx, &op);

	if (e != OK)
		return e;
	op->read_cb = cb;
	op->max_events = max_events;
	op->max_bytes = max_bytes;
	op->batch = spool_batch_new(max_events, max_bytes);
	if (op->batch == NULL) {
		spool_op_free(op);
		return ERR_NOMEM;
	}
	enqueue(sp, op);
	return OK;
}

void
spool_release(struct spool *sp)
{
	struct spool_op *op = sp->closing ? NULL : spool_op_new(SPOOL_OP_RELEASE);

	if (op != NULL)
		enqueue(sp, op);
}

void
spool_quota(struct spool *sp, const uint64_t quota[SPOOL_CLASSES])
{
	struct spool_op *op = spool_op_new(SPOOL_OP_QUOTA);

	if (op == NULL)
		return; /* no memory: the old quota stays until the next policy */
	memcpy(sp->quota, quota, sizeof sp->quota);
	memcpy(op->quota, quota, sizeof op->quota);
	enqueue(sp, op);
}

struct spool_stats
spool_stats(const struct spool *sp)
{
	return (struct spool_stats){ sp->state, sp->commits, sp->commit_errors, sp->pending,
		sp->pending_bytes };
}
