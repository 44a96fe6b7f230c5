/* web_feed.c - the one query that feeds all live streams: new events, agents whose facts changed,
 * tasks that were heard of. In the database worker; frames are made here, once for everybody. */
#include "base/clock.h"
#include "base/text.h"
#include "fleet.h"
#include "task_view.h"
#include "web_ring.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_AT_START 1000 /* for browsers that come back after a restart */
#define EVENTS_MAX 2000
#define AGENTS_MAX 500

void
live_feed_task(struct live_feed *f, const char *id)
{
	for (size_t i = 0; i < f->n_tasks; i++)
		if (strcmp(f->tasks[i], id) == 0)
			return;
	if (f->n_tasks < LIVE_TASKS &&
	    text_copy(f->tasks[f->n_tasks], UUID_TEXT, id, strlen(id)) == OK)
		f->n_tasks++;
}

struct reading {
	struct ring_list *out;
	struct live_feed *feed;
	struct buf frame;
	uint64_t count;
};

static void
copy(char *dst, size_t size, const char *src)
{
	if (text_copy(dst, size, src, strlen(src)) != OK)
		dst[0] = '\0';
}

/* The frame in r->frame becomes a message; NULL: no memory. */
static struct ring_message *
add(struct reading *r, unsigned kind)
{
	struct ring_message *m = calloc(1, sizeof(*m) + r->frame.len);

	if (m == NULL)
		return NULL;
	m->kind = kind;
	m->len = r->frame.len;
	memcpy(m->frame, r->frame.data, m->len);
	*r->out->tail = m;
	r->out->tail = &m->next;
	buf_reset(&r->frame);
	return m;
}

static enum err
read_event(void *arg, const struct event_view *v)
{
	struct reading *r = arg;
	struct ring_message *m;
	enum err e = buf_printf(&r->frame, "id: %" PRIu64 "\nevent: event\ndata: ", v->n);

	if (e == OK)
		e = store_event_write(&r->frame, v);
	if (e == OK)
		e = buf_puts(&r->frame, "\n\n");
	if (e != OK)
		return e;
	m = add(r, RING_EVENT);
	if (m == NULL)
		return ERR_NOMEM;
	m->n = v->n;
	copy(m->group, sizeof(m->group), v->group);
	copy(m->cls, sizeof(m->cls), v->cls);
	copy(m->agent, sizeof(m->agent), v->agent);
	copy(m->type, sizeof(m->type), v->type);
	r->feed->last_n = v->n;
	r->count++;
	return OK;
}

static enum err
read_events(struct reading *r, const struct console *c, struct db *db)
{
	struct event_query q = { .cls = "", .type = "", .source = "", .org = c->o->org };
	enum err e = OK;

	q.after = r->feed->last_n;
	q.last = !r->feed->started;
	q.limit = q.last ? EVENTS_AT_START : EVENTS_MAX;
	if (!q.last)
		return store_events_each(db, &q, read_event, r);
	e = store_events_newest(db, &r->feed->last_n);
	q.after = 0;
	return e == OK ? store_events_each(db, &q, read_event, r) : e;
}

static enum err
read_agent(struct reading *r, struct db *db, const char *agent, const struct fleet_newest *newest)
{
	struct fleet_row row;
	struct ring_message *m;
	enum err e = fleet_one(db, NULL, agent, newest, clock_wall_ms(), &row);

	if (e == OK)
		e = buf_puts(&r->frame, "event: agent\ndata: ");
	if (e == OK)
		e = fleet_write(&r->frame, &row, true);
	if (e == OK)
		e = buf_puts(&r->frame, "\n\n");
	if (e != OK)
		return e == ERR_NOTFOUND ? OK : e;
	m = add(r, RING_AGENT);
	if (m == NULL)
		return ERR_NOMEM;
	copy(m->group, sizeof(m->group), row.a.group);
	copy(m->agent, sizeof(m->agent), row.a.agent);
	return OK;
}

/* Ids first: a statement must not run while others of the same text do. */
static enum err
read_agents(struct reading *r, struct db *db)
{
	char(*ids)[UUID_TEXT] = calloc(AGENTS_MAX, sizeof(*ids));
	struct sql_stmt *s =
	    db_prepare(db, "SELECT agent, rev FROM facts WHERE rev > ? ORDER BY rev LIMIT ?");
	struct fleet_newest newest;
	size_t n = 0;
	enum err e =
	    ids == NULL ? ERR_NOMEM : db_bind(s, "ii", r->feed->last_rev, (int64_t)AGENTS_MAX);

	while (e == OK && (e = db_step(s)) == OK) {
		copy(ids[n++], UUID_TEXT, sql_text(s, 0));
		r->feed->last_rev = sql_i64(s, 1);
	}
	db_end(s);
	if (e == ERR_NOTFOUND)
		e = n > 0 ? fleet_newest(db, &newest) : OK;
	for (size_t i = 0; e == OK && i < n; i++)
		e = read_agent(r, db, ids[i], &newest);
	free(ids);
	r->feed->more = r->feed->more || n == AGENTS_MAX;
	return e;
}

/* The group that may see a task: that of its target. */
static enum err
group_of(struct db *db, const char *target, char *out, size_t size)
{
	struct agent_row a;
	enum err e;

	if (text_starts(target, "group:")) {
		copy(out, size, target + strlen("group:"));
		return OK;
	}
	e = store_agent_get(db, target, &a);
	if (e == OK)
		copy(out, size, a.group);
	return e == ERR_NOTFOUND ? OK : e;
}

static enum err
read_task(struct reading *r, struct db *db, const struct task_context *x, const char *id)
{
	const char *target;
	struct ring_message *m;
	cJSON *o;
	enum err e = task_one(db, x, NULL, id, &o);

	if (e != OK)
		return e == ERR_NOTFOUND ? OK : e;
	e = buf_puts(&r->frame, "event: task\ndata: ");
	if (e == OK)
		e = json_print(o, &r->frame);
	if (e == OK)
		e = buf_puts(&r->frame, "\n\n");
	m = e == OK ? add(r, RING_TASK) : NULL;
	if (e == OK && m == NULL)
		e = ERR_NOMEM;
	if (e == OK && json_get_string(o, "target", &target, NULL) == OK)
		e = group_of(db, target, m->group, sizeof(m->group));
	cJSON_Delete(o);
	return e;
}

static enum err
read_tasks(struct reading *r, const struct console *c, struct db *db)
{
	struct task_context x;
	enum err e = r->feed->n_tasks > 0 ? task_context_load(&x, c) : OK;

	if (r->feed->n_tasks == 0 || e != OK)
		return e;
	for (size_t i = 0; e == OK && i < r->feed->n_tasks; i++)
		e = read_task(r, db, &x, r->feed->tasks[i]);
	task_context_free(&x);
	return e;
}

enum err
live_feed_read(struct live_feed *f, const struct console *c, struct db *db, struct ring_list *out)
{
	struct reading r = { .out = out, .feed = f };
	enum err e;

	out->head = NULL;
	out->tail = &out->head;
	f->more = false;
	buf_init(&r.frame, LIMIT_FRAME);
	e = read_events(&r, c, db);
	f->more = r.count == EVENTS_MAX;
	if (e == OK && !f->started)
		e = db_number(db, &f->last_rev, "SELECT ifnull(max(rev), 0) FROM facts", "");
	if (e == OK)
		e = read_agents(&r, db);
	if (e == OK)
		e = read_tasks(&r, c, db);
	buf_free(&r.frame);
	return e;
}
