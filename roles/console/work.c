#include "work.h"

#include "base/log.h"

#include <string.h>

static const struct work_hooks no_hooks;

void
work_init(struct work *w, uv_loop_t *loop, const struct work_hooks *hooks, void *ctx)
{
	memset(w, 0, sizeof(*w));
	w->loop = loop;
	w->hooks = hooks != NULL ? hooks : &no_hooks;
	w->ctx = ctx;
	w->tail = &w->head;
	w->req.data = w;
}

static void
run_one(struct work *w, struct job *j)
{
	const struct work_hooks *h = w->hooks;
	enum err e = h->before != NULL ? h->before(w->ctx) : OK;

	j->result = e == OK ? j->run(j, w->ctx) : e;
	if (e == OK && h->after != NULL) {
		e = h->after(w->ctx, j->result);
		if (j->result == OK)
			j->result = e;
	}
}

static void
on_work(uv_work_t *req)
{
	struct work *w = req->data;
	enum err e = w->hooks->begin != NULL ? w->hooks->begin(w->ctx) : OK;

	for (struct job *j = w->batch; j != NULL; j = j->next) {
		if (e == OK)
			run_one(w, j);
		else
			j->result = e;
	}
	if (e == OK && w->hooks->commit != NULL)
		e = w->hooks->commit(w->ctx);
	if (e == OK)
		return;
	for (struct job *j = w->batch; j != NULL; j = j->next)
		j->result = e;
}

static void start(struct work *w);

static void
on_done(uv_work_t *req, int status)
{
	struct work *w = req->data;
	struct job *j = w->batch;

	w->batch = NULL;
	while (j != NULL) {
		struct job *next = j->next;
		j->done(j, status == 0 ? j->result : ERR_CANCELED);
		j = next;
	}
	w->busy = false;
	start(w);
}

/* Moves up to WORK_BATCH jobs from the queue to the worker. */
static void
start(struct work *w)
{
	struct job **end = &w->batch;

	if (w->busy)
		return;
	if (w->head == NULL) {
		void (*closed)(void *) = w->closed;
		if (w->closing && closed != NULL) {
			w->closed = NULL;
			closed(w->closed_arg);
		}
		return;
	}
	for (int n = 0; n < WORK_BATCH && w->head != NULL; n++) {
		*end = w->head;
		w->head = w->head->next;
		end = &(*end)->next;
		w->queued--;
	}
	*end = NULL;
	if (w->head == NULL)
		w->tail = &w->head;
	w->busy = true;
	if (uv_queue_work(w->loop, &w->req, on_work, on_done) != 0)
		on_done(&w->req, UV_ENOMEM);
}

void
work_add(struct work *w, struct job *j)
{
	j->next = NULL;
	j->result = OK;
	*w->tail = j;
	w->tail = &j->next;
	w->queued++;
	start(w);
}

void
work_close(struct work *w, void (*closed)(void *arg), void *arg)
{
	w->closing = true;
	w->closed = closed;
	w->closed_arg = arg;
	start(w);
}
