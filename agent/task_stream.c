/* task_stream.c - see task_stream.h. */
#include "task_stream.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

struct stream {
	struct stream *next;
	struct streams *owner;
	struct http_req *req;
	char id[UUID_TEXT];
	bool hungry; /* the connection takes more */
	bool dirty;  /* something to tell */
};

struct streams {
	struct agent *agent;
	struct task_watch watch; /* first member that tasks.c links */
	struct stream *list;
	size_t n;
};

static void
send_state(struct stream *st)
{
	struct agent *a = st->owner->agent;
	const struct journal_record *r = journal_find(a->journal, st->id);
	cJSON *o = r == NULL ? NULL : tasks_json(a->tasks, r);
	bool last = r == NULL || task_state_final(r->state);
	struct buf text;
	enum err e;

	buf_init(&text, 2 * LIMIT_TASK_RESULT);
	e = buf_puts(&text, "event: state\ndata: ");
	if (e == OK)
		e = o == NULL ? buf_puts(&text, "{}") : json_print(o, &text);
	if (e == OK)
		e = buf_puts(&text, "\n\n");
	cJSON_Delete(o);
	st->hungry = st->dirty = false;
	if (e != OK || http_stream_write(st->req, text.data, text.len, last) != OK)
		http_stream_abort(st->req);
	buf_free(&text);
}

static void
proceed(struct http_req *r, void *ctx)
{
	struct stream *st = ctx;

	st->hungry = true;
	if (st->dirty)
		send_state(st);
}

static void
stop(struct http_req *r, void *ctx)
{
	struct stream *st = ctx, **p = &st->owner->list;

	while (*p != NULL && *p != st)
		p = &(*p)->next;
	if (*p == st)
		*p = st->next;
	st->owner->n--;
	free(st);
}

static void
changed(struct task_watch *w, const struct journal_record *r)
{
	struct streams *s = (struct streams *)((char *)w - offsetof(struct streams, watch));
	struct stream *st = s->list, *next;

	for (; st != NULL; st = next) {
		next = st->next;
		if (strcmp(st->id, r->id) != 0)
			continue;
		st->dirty = true;
		if (st->hungry)
			send_state(st);
	}
}

enum err
streams_new(struct streams **out, struct agent *a)
{
	struct streams *s = calloc(1, sizeof *s);

	if (s == NULL)
		return ERR_NOMEM;
	s->agent = a;
	s->watch.changed = changed;
	tasks_watch(a->tasks, &s->watch);
	*out = s;
	return OK;
}

void
streams_free(struct streams *s)
{
	free(s);
}

void
streams_end(struct streams *s)
{
	struct stream *st, *next;

	if (s == NULL)
		return;
	tasks_unwatch(s->agent->tasks, &s->watch);
	for (st = s->list; st != NULL; st = next) {
		next = st->next;
		http_stream_abort(st->req);
	}
}

void
streams_add(struct streams *s, struct http_req *r, const struct journal_record *rec)
{
	static const struct http_source source = { proceed, stop };
	struct stream *st;

	if (s->n >= LIMIT_TASK_WATCHERS || (st = calloc(1, sizeof *st)) == NULL) {
		http_problem(r, 503, "too-many-streams", "too many progress streams are open");
		return;
	}
	st->owner = s;
	st->req = r;
	st->dirty = true;
	memcpy(st->id, rec->id, sizeof st->id);
	st->next = s->list;
	s->list = st;
	s->n++;
	http_set(r, "Cache-Control", "no-store");
	http_stream(r, 200, "text/event-stream", HTTP_LENGTH_UNKNOWN, &source, st);
}
