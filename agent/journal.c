/* journal.c - see journal.h. */
#include "journal.h"

#include "base/clock.h"
#include "base/inject.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "journal_sql.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS 2000u

static const char *const state_words[] = {
#define X(name, word) word,
	TASK_STATES(X)
#undef X
};

/* One change on its way to the disk: a copy, so that the record can change meanwhile. */
struct change {
	struct change *next;
	struct journal_record *copy; /* NULL: a deletion */
	char id[UUID_TEXT];
	bool insert;
	journal_cb cb;
	void *ctx;
};

struct journal {
	uv_loop_t *loop;
	struct journal_db *db;
	int64_t created;
	struct journal_record **rows;
	size_t n, cap;
	struct change *head, **tail; /* waiting */
	struct change *batch;	     /* in the worker */
	enum err batch_err;
	struct fault batch_fault;
	uv_work_t work;
	uv_timer_t retry;
	bool busy, closing, retry_wait;
	void (*committed)(void *ctx);
	void *committed_ctx;
	void (*closed)(void *ctx);
	void *closed_ctx;
};

static void pump(struct journal *j);

const char *
task_state_word(enum task_state s)
{
	return (unsigned)s < TASK_STATE_COUNT ? state_words[s] : "unknown";
}

enum err
task_state_parse(const char *word, enum task_state *out)
{
	for (unsigned i = 0; i < TASK_STATE_COUNT; i++)
		if (strcmp(word, state_words[i]) == 0) {
			*out = (enum task_state)i;
			return OK;
		}
	return ERR_PARSE;
}

bool
task_state_final(enum task_state s)
{
	return s != TASK_ACCEPTED && s != TASK_RUNNING;
}

struct journal_record *
journal_record_new(void)
{
	return calloc(1, sizeof(struct journal_record));
}

void
journal_record_free(struct journal_record *r)
{
	if (r == NULL)
		return;
	free(r->args);
	free(r->result);
	free(r);
}

enum err
journal_set_text(char **dst, const char *text)
{
	char *copy = NULL;

	if (text != NULL && (copy = strdup(text)) == NULL)
		return ERR_NOMEM;
	free(*dst);
	*dst = copy;
	return OK;
}

static struct journal_record *
record_copy(const struct journal_record *r)
{
	struct journal_record *c = journal_record_new();

	if (c == NULL)
		return NULL;
	*c = *r;
	c->args = c->result = NULL;
	if (journal_set_text(&c->args, r->args) != OK ||
	    journal_set_text(&c->result, r->result) != OK) {
		journal_record_free(c);
		return NULL;
	}
	return c;
}

static enum err
rows_add(struct journal *j, struct journal_record *r)
{
	if (j->n == j->cap) {
		size_t cap = j->cap == 0 ? 64 : j->cap * 2;
		struct journal_record **rows;

		if (j->n >= LIMIT_JOURNAL_ROWS)
			return ERR_TOOBIG;
		rows = realloc(j->rows, cap * sizeof *rows);
		if (rows == NULL)
			return ERR_NOMEM;
		j->rows = rows;
		j->cap = cap;
	}
	j->rows[j->n++] = r;
	return OK;
}

static void
rows_drop(struct journal *j, size_t i)
{
	journal_record_free(j->rows[i]);
	memmove(&j->rows[i], &j->rows[i + 1], (j->n - i - 1) * sizeof j->rows[0]);
	j->n--;
}

static enum err
load_row(void *ctx, struct journal_record *r)
{
	enum err e = rows_add(ctx, r);

	if (e != OK)
		journal_record_free(r);
	return e;
}

enum err
journal_open(struct journal **out, uv_loop_t *loop, const char *path, int64_t now, struct fault *f)
{
	struct journal *j = calloc(1, sizeof *j);
	enum err e;

	if (j == NULL)
		return fault_set(f, ERR_NOMEM, "memory ran out");
	j->loop = loop;
	j->tail = &j->head;
	j->work.data = j->retry.data = j;
	e = journal_db_open(&j->db, path, now, &j->created, load_row, j, f);
	if (e != OK) {
		for (size_t i = 0; i < j->n; i++)
			journal_record_free(j->rows[i]);
		free(j->rows);
		free(j);
		return e;
	}
	(void)uv_timer_init(loop, &j->retry);
	*out = j;
	return OK;
}

static void
timer_closed(uv_handle_t *h)
{
	struct journal *j = h->data;

	for (size_t i = 0; i < j->n; i++)
		journal_record_free(j->rows[i]);
	free(j->rows);
	journal_db_close(j->db);
	if (j->closed != NULL)
		j->closed(j->closed_ctx);
	free(j);
}

static void
free_changes(struct change *c)
{
	while (c != NULL) {
		struct change *next = c->next;

		journal_record_free(c->copy);
		free(c);
		c = next;
	}
}

static void
try_close(struct journal *j)
{
	if (!j->closing || j->busy || uv_is_closing((uv_handle_t *)&j->retry))
		return;
	if (j->head != NULL && j->batch_err == OK)
		return;
	if (j->head != NULL)
		log_error("journal.lost", "why=%s", log_q(fault_text(&j->batch_fault)));
	free_changes(j->head);
	j->head = NULL;
	j->tail = &j->head;
	uv_close((uv_handle_t *)&j->retry, timer_closed);
}

void
journal_close(struct journal *j, void (*closed)(void *ctx), void *ctx)
{
	j->closing = true;
	j->closed = closed;
	j->closed_ctx = ctx;
	if (j->retry_wait) { /* one last try now */
		j->retry_wait = false;
		(void)uv_timer_stop(&j->retry);
	}
	pump(j);
	try_close(j);
}

static void
commit_work(uv_work_t *w)
{
	struct journal *j = w->data;
	enum err e;

	fault_reset(&j->batch_fault);
	e = journal_db_begin(j->db, &j->batch_fault);
	for (struct change *c = j->batch; e == OK && c != NULL; c = c->next)
		e = c->copy == NULL ? journal_db_delete(j->db, c->id, &j->batch_fault)
				    : journal_db_put(j->db, c->copy, &j->batch_fault);
	if (e == OK && inject("journal.commit"))
		e = fault_set(&j->batch_fault, ERR_NOSPACE, "commit failed (injected)");
	if (inject("journal.kill.before"))
		(void)raise(SIGKILL);
	j->batch_err = journal_db_end(j->db, e, &j->batch_fault);
	if (inject("journal.kill.after"))
		(void)raise(SIGKILL);
}

/* After a failure only first rows are given up; everything else waits in its order. */
static void
keep_failed(struct journal *j, struct change *list, struct change **refused)
{
	struct change *keep = NULL, **keep_tail = &keep, **refused_tail = refused;

	while (list != NULL) {
		struct change *next = list->next;

		list->next = NULL;
		if (list->insert) {
			*refused_tail = list;
			refused_tail = &list->next;
		} else {
			*keep_tail = list;
			keep_tail = &list->next;
		}
		list = next;
	}
	if (keep == NULL)
		return;
	*keep_tail = j->head;
	if (j->head == NULL)
		j->tail = keep_tail;
	j->head = keep;
}

static void
row_settled(struct journal *j, const struct change *c, enum err e)
{
	for (size_t i = 0; c->copy != NULL && i < j->n; i++) {
		if (strcmp(j->rows[i]->id, c->id) != 0)
			continue;
		if (e != OK && c->insert)
			rows_drop(j, i);
		else
			j->rows[i]->unwritten--;
		return;
	}
}

static void
call_back(struct journal *j, struct change *list, enum err e)
{
	while (list != NULL) {
		struct change *c = list;

		list = c->next;
		row_settled(j, c, e);
		if (c->cb != NULL)
			c->cb(c->ctx, e);
		journal_record_free(c->copy);
		free(c);
	}
}

static void
on_retry(uv_timer_t *t)
{
	struct journal *j = t->data;

	j->retry_wait = false;
	pump(j);
}

static void
commit_done(uv_work_t *w, int status)
{
	struct journal *j = w->data;
	struct change *batch = j->batch, *refused = NULL;
	enum err e = j->batch_err;

	j->busy = false;
	j->batch = NULL;
	if (e == OK) {
		call_back(j, batch, OK);
		if (j->committed != NULL)
			j->committed(j->committed_ctx);
	} else {
		log_error("journal.failed", "why=%s", log_q(fault_text(&j->batch_fault)));
		keep_failed(j, batch, &refused);
		call_back(j, refused, e);
		if (!j->closing && j->head != NULL) {
			j->retry_wait = true;
			(void)uv_timer_start(&j->retry, on_retry, RETRY_MS, 0);
		}
	}
	pump(j);
	try_close(j);
}

static void
pump(struct journal *j)
{
	if (j->busy || j->head == NULL || j->retry_wait)
		return;
	if (j->closing && j->batch_err != OK)
		return;
	j->batch = j->head;
	j->head = NULL;
	j->tail = &j->head;
	j->busy = true;
	(void)uv_queue_work(j->loop, &j->work, commit_work, commit_done);
}

static void
enqueue(struct journal *j, struct journal_record *r, const char *id, bool insert, journal_cb cb,
    void *ctx)
{
	struct change *c = calloc(1, sizeof *c);

	if (c != NULL && r != NULL && (c->copy = record_copy(r)) == NULL) {
		free(c);
		c = NULL;
	}
	if (c == NULL) { /* the row in memory stands; a later change of it writes all of it */
		log_error("journal.failed", "why=no-memory id=%s", id);
		if (cb != NULL)
			cb(ctx, ERR_NOMEM);
		return;
	}
	(void)snprintf(c->id, sizeof c->id, "%s", id);
	c->insert = insert;
	c->cb = cb;
	c->ctx = ctx;
	if (r != NULL)
		r->unwritten++;
	*j->tail = c;
	j->tail = &c->next;
	pump(j);
}

void
journal_insert(struct journal *j, struct journal_record *r, journal_cb cb, void *ctx)
{
	enum err e = rows_add(j, r);

	if (e != OK) {
		journal_record_free(r);
		if (cb != NULL)
			cb(ctx, e);
		return;
	}
	enqueue(j, r, r->id, true, cb, ctx);
}

void
journal_update(struct journal *j, struct journal_record *r, journal_cb cb, void *ctx)
{
	enqueue(j, r, r->id, false, cb, ctx);
}

bool
journal_is_written(const struct journal_record *r)
{
	return r->unwritten == 0;
}

void
journal_watch(struct journal *j, void (*committed)(void *ctx), void *ctx)
{
	j->committed = committed;
	j->committed_ctx = ctx;
}

void
journal_prune(struct journal *j, int64_t floor)
{
	for (size_t i = 0; i < j->n;) {
		struct journal_record *r = j->rows[i];

		if (!task_state_final(r->state) || !r->reported || r->expires >= floor) {
			i++;
			continue;
		}
		enqueue(j, NULL, r->id, false, NULL, NULL);
		rows_drop(j, i);
	}
}

int64_t
journal_created(const struct journal *j)
{
	return j->created;
}

struct journal_record *
journal_find(struct journal *j, const char *id)
{
	for (size_t i = 0; i < j->n; i++)
		if (strcmp(j->rows[i]->id, id) == 0)
			return j->rows[i];
	return NULL;
}

size_t
journal_count(const struct journal *j)
{
	return j->n;
}

struct journal_record *
journal_at(struct journal *j, size_t i)
{
	return i < j->n ? j->rows[i] : NULL;
}
