#include "store/spool_round.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

struct spool_op *
spool_op_new(enum spool_op_kind kind)
{
	struct spool_op *op = calloc(1, sizeof *op);

	if (op == NULL)
		return NULL;
	op->kind = kind;
	buf_init(&op->bytes, LIMIT_SPOOL_MEMORY);
	return op;
}

enum err
spool_op_append(struct spool_op **out, const struct spool_event *events, size_t n, size_t bytes)
{
	struct spool_op *op = spool_op_new(SPOOL_OP_APPEND);
	enum err e = ERR_NOMEM;
	size_t i;

	*out = NULL;
	if (op == NULL)
		return ERR_NOMEM;
	op->events = calloc(n > 0 ? n : 1, sizeof *op->events);
	op->seq = calloc(n > 0 ? n : 1, sizeof *op->seq);
	if (op->events != NULL && op->seq != NULL)
		e = buf_reserve(&op->bytes, bytes); /* it does not move from here on */
	for (i = 0; e == OK && i < n; i++) {
		op->events[i] = events[i];
		op->events[i].p = op->bytes.data + op->bytes.len;
		e = buf_append(&op->bytes, events[i].p, events[i].n);
	}
	if (e != OK) {
		spool_op_free(op);
		return e;
	}
	op->n = n;
	*out = op;
	return OK;
}

void
spool_op_free(struct spool_op *op)
{
	buf_free(&op->bytes);
	free(op->events);
	free(op->seq);
	spool_batch_free(op->batch);
	free(op);
}

struct spool_batch *
spool_batch_new(size_t max_events, size_t max_bytes)
{
	struct spool_batch *b = calloc(1, sizeof *b);

	if (b == NULL)
		return NULL;
	b->items = calloc(max_events, sizeof *b->items);
	/* The first event is always taken, however long. */
	buf_init(&b->bytes, max_bytes + 8 * (size_t)LIMIT_EVENT_BYTES);
	if (b->items == NULL || buf_reserve(&b->bytes, b->bytes.max) != OK) {
		spool_batch_free(b);
		return NULL;
	}
	return b;
}

void
spool_batch_free(struct spool_batch *b)
{
	if (b == NULL)
		return;
	free(b->items);
	buf_free(&b->bytes);
	free(b);
}

static enum err
run_append(struct spool_worker *w, struct spool_op *op, struct fault *f)
{
	int64_t now = clock_wall_ms();
	enum err e = OK;

	for (size_t i = 0; e == OK && i < op->n; i++) {
		const struct spool_event *ev = &op->events[i];

		e = spool_db_append(
		    w->db, ev->class, w->held[ev->class], now, ev->p, ev->n, &op->seq[i], f);
	}
	return e;
}

static void
release(struct spool_worker *w)
{
	memset(w->held, 0, sizeof w->held);
}

static enum err
run_ack(struct spool_worker *w, struct spool_op *op, struct fault *f)
{
	struct spool_state state;
	enum err e = OK;

	spool_db_state(w->db, &state);
	if (op->of_epoch[0] != '\0' && strcmp(op->of_epoch, state.epoch) != 0)
		return ERR_NOTFOUND;
	for (unsigned class = 0; e == OK && class < SPOOL_CLASSES; class ++)
		if (op->upto[class] > 0)
			e = spool_db_ack(w->db, class, op->upto[class], f);
	return e;
}

static enum err
run_op(struct spool_worker *w, struct spool_op *op, struct fault *f)
{
	switch (op->kind) {
	case SPOOL_OP_APPEND:
		return run_append(w, op, f);
	case SPOOL_OP_ACK:
		return run_ack(w, op, f);
	case SPOOL_OP_DEAD:
		return spool_db_dead(w->db, op->class, op->upto[op->class], fault_text(&op->note),
		    clock_wall_ms(), f);
	case SPOOL_OP_EPOCH:
		return spool_db_new_epoch(w->db, f);
	case SPOOL_OP_LOST:
		return spool_db_lost(
		    w->db, op->class, op->count, op->lost_bytes, clock_wall_ms(), f);
	case SPOOL_OP_QUOTA:
		spool_db_quota(w->db, op->quota);
		return OK;
	case SPOOL_OP_CARE:
	case SPOOL_OP_RELEASE:
	case SPOOL_OP_READ:
	case SPOOL_OP_VISIT:
		return OK;
	}
	return ERR_STATE;
}

/* The record goes before the report comes: appending the report may drop events again. */
static enum err
report_class(struct spool_worker *w, unsigned class, struct fault *f)
{
	struct spool_drop d;
	struct buf body;
	uint32_t seq;
	enum err e = spool_db_drops(w->db, class, &d, f);

	if (e != OK || d.count == 0)
		return e;
	buf_init(&body, LIMIT_EVENT_BYTES);
	e = w->report(w->ctx, class, &d, &body);
	if (e == OK)
		e = spool_db_drop_reported(w->db, class, &d, f);
	if (e == OK)
		e = spool_db_append(w->db, w->report_class, w->held[w->report_class],
		    clock_wall_ms(), body.data, body.len, &seq, f);
	buf_free(&body);
	w->told = w->told || e == OK;
	return e;
}

static enum err
report_drops(struct spool_worker *w, struct fault *f)
{
	uint64_t now = clock_mono_ms();
	struct spool_state state;
	enum err e = OK;

	if (w->report == NULL)
		return OK;
	spool_db_state(w->db, &state);
	for (unsigned class = 0; e == OK && class < SPOOL_CLASSES; class ++) {
		if (!state.class[class].unreported)
			continue;
		if (w->reported[class] != 0 && now - w->reported[class] < w->report_ms)
			continue;
		e = report_class(w, class, f);
		w->reported[class] = now;
	}
	return e;
}

static enum err
run_transaction(
    struct spool_worker *w, struct spool_op *first, struct spool_op *end, struct fault *f)
{
	enum err e = spool_db_begin(w->db, f);

	if (e != OK)
		return e;
	for (struct spool_op *op = first; e == OK && op != end; op = op->next)
		if ((e = run_op(w, op, f)) ==
		    ERR_NOTFOUND) { /* a letter or an epoch that is gone: no harm done */
			op->err = e;
			e = OK;
		}
	if (e == OK)
		e = report_drops(w, f);
	e = spool_db_end(w->db, e, f);
	w->commits += e == OK;
	w->errors += e != OK;
	return e;
}

static void
run_writes(struct spool_worker *w, struct spool_op *ops)
{
	struct spool_state state;
	struct fault f = { OK, "" };

	if (run_transaction(w, ops, NULL, &f) != OK) {
		log_warn("spool.commit", "why=%s", log_q(fault_text(&f)));
		for (struct spool_op *op = ops; op != NULL; op = op->next) {
			op->err = run_transaction(w, op, op->next, &op->fault);
			spool_db_state(w->db, &state);
			memcpy(op->epoch, state.epoch, sizeof op->epoch);
		}
		return;
	}
	spool_db_state(w->db, &state);
	for (struct spool_op *op = ops; op != NULL; op = op->next)
		memcpy(op->epoch, state.epoch, sizeof op->epoch);
}

struct pick {
	struct spool_worker *w;
	struct spool_batch *batch;
	unsigned class;
};

static enum err
pick_row(void *ctx, const struct spool_row *r)
{
	struct pick *p = ctx;
	struct spool_batch *b = p->batch;
	struct spool_picked *item = &b->items[b->n];
	enum err e;

	*item = (struct spool_picked){ p->class, r->seq, r->added_ms, b->bytes.data + b->bytes.len,
		r->n };
	e = buf_append(&b->bytes, r->p, r->n); /* reserved: it does not move */
	if (e != OK)
		return b->n > 0 ? ERR_CANCELED : e;
	b->n++;
	p->w->held[p->class] = r->seq;
	return OK;
}

static void
run_read(struct spool_worker *w, struct spool_op *op)
{
	struct pick p = { w, op->batch, 0 };
	struct spool_state state;

	release(w);
	for (p.class = 0; op->err == OK && p.class < SPOOL_CLASSES; p.class ++) {
		size_t used = op->batch->bytes.len;

		if (op->batch->n == op->max_events || used >= op->max_bytes)
			break;
		/* A class may always add its first event only when it is the first of all. */
		op->err = spool_db_read(w->db, p.class, 0, op->max_events - op->batch->n,
		    op->max_bytes - used, pick_row, &p, &op->fault);
	}
	spool_db_state(w->db, &state);
	memcpy(op->batch->epoch, state.epoch, sizeof state.epoch);
}

static void
take_room(struct spool_worker *w)
{
	uint64_t now = clock_mono_ms();
	struct spool_state state;
	struct fault f = { OK, "" };

	spool_db_state(w->db, &state);
	if (state.reserved || (w->reserve_tried != 0 && now - w->reserve_tried < w->reserve_ms))
		return;
	if (spool_db_reserve(w->db, &f) != OK) {
		log_warn("spool.room", "why=%s", log_q(fault_text(&f)));
		w->reserve_tried = now;
		return;
	}
	spool_db_state(w->db, &state);
	w->more_room = !state.reserved;
}

void
spool_round_run(struct spool_worker *w, struct spool_op *ops)
{
	if (ops->kind == SPOOL_OP_READ) {
		run_read(w, ops);
		return;
	}
	if (ops->kind == SPOOL_OP_VISIT) {
		ops->err = ops->visit(ops->ctx, w->db, &ops->fault);
		return;
	}
	for (struct spool_op *op = ops; op != NULL; op = op->next) {
		if (op->kind == SPOOL_OP_ACK || op->kind == SPOOL_OP_DEAD ||
		    op->kind == SPOOL_OP_EPOCH || op->kind == SPOOL_OP_RELEASE)
			release(w);
		if (op->kind == SPOOL_OP_CARE)
			take_room(w);
	}
	run_writes(w, ops);
}
