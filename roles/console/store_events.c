#include "store.h"

#include "base/clock.h"
#include "base/text.h"
#include "os/rand.h"
#include "proto/event.h"

#include <inttypes.h>
#include <string.h>

/* Is the stored event under this key the same one? */
static enum err
compare_stored(struct db *db, const struct event_row *e)
{
	struct sql_stmt *s = db_prepare(db,
	    "SELECT id = ? FROM events WHERE source = ? AND epoch = ? AND class = ? AND seq = ?");
	enum err x = db_bind(s, "tttti", e->id, e->source, e->epoch, e->cls, (int64_t)e->seq);

	if (x == OK)
		x = db_step(s);
	if (x == OK)
		x = sql_i64(s, 0) != 0 ? ERR_EXISTS : ERR_STATE;
	db_end(s);
	return x;
}

enum err
store_event_add(struct db *db, const struct event_row *e)
{
	enum err x = db_run(db,
	    "INSERT OR IGNORE INTO events(source, epoch, class, seq, id, type, time, received, "
	    "body)"
	    " VALUES(?,?,?,?,?,?,?,?,?)",
	    "tttitttit", e->source, e->epoch, e->cls, (int64_t)e->seq, e->id, e->type, e->time,
	    e->received, e->body);

	if (x != OK || db_changes(db) == 1)
		return x;
	return compare_stored(db, e);
}

/* "org.atalaia.update.*" becomes a range of text, which needs no escaping. */
static void
type_range(const char *type, char low[128], char high[128])
{
	size_t n = strlen(type);
	bool prefix = n > 0 && type[n - 1] == '*';

	if (prefix)
		n--;
	low[0] = high[0] = '\0';
	if (text_copy(low, 127, type, n) != OK || text_copy(high, 127, type, n) != OK)
		return;
	if (prefix)
		memcpy(high + n, "\x7f", 2);
}

#define EVENT_COLUMNS                                                                              \
	"SELECT e.n AS n, e.received, e.body, e.class, e.type, e.time, a.agent, a.host, a.grp "    \
	"FROM"                                                                                     \
	" events e LEFT JOIN agents a ON a.agent = substr(e.source, ?6) WHERE e.n > ?1 AND"        \
	" (?2 = 0 OR e.n < ?2) AND (?3 = '' OR (e.type >= ?3 AND e.type <= ?4)) AND"               \
	" (?5 = '' OR e.source = ?5) AND e.received >= ?7 AND (?8 = 0 OR e.received < ?8) AND"     \
	" (?9 IS NULL OR instr(lower(e.body), lower(?9)) > 0) AND"                                 \
	" (?10 IS NULL OR a.grp IN (SELECT value FROM json_each(?10)))"
#define OF_CLASS EVENT_COLUMNS " AND e.class = ?12"
#define FORWARD " ORDER BY n LIMIT ?11"
#define NEWEST(select) "SELECT * FROM (" select " ORDER BY n DESC LIMIT ?11) ORDER BY n"

/* Two texts for one condition, because only "class = ?" lets the index of classes be used. */
static struct sql_stmt *
events_statement(struct db *db, const struct event_query *q)
{
	if (q->cls[0] == '\0')
		return db_prepare(db, q->last ? NEWEST(EVENT_COLUMNS) : EVENT_COLUMNS FORWARD);
	return db_prepare(db, q->last ? NEWEST(OF_CLASS) : OF_CLASS FORWARD);
}

enum err
store_events_newest(struct db *db, uint64_t *n)
{
	int64_t v = 0;
	enum err e = db_number(db, &v, "SELECT ifnull(max(n), 0) FROM events", "");

	*n = v > 0 ? (uint64_t)v : 0;
	return e;
}

static enum err
search_bound(struct db *db, const struct event_query *q, uint64_t *after)
{
	uint64_t top = q->before;
	enum err e = OK;

	*after = q->after;
	if (q->text == NULL || !q->last)
		return OK;
	if (top == 0)
		e = store_events_newest(db, &top);
	if (top > EVENTS_SEARCHED && top - EVENTS_SEARCHED > *after)
		*after = top - EVENTS_SEARCHED;
	return e;
}

static enum err
each_row(struct sql_stmt *s, enum err (*each)(void *arg, const struct event_view *e), void *arg)
{
	enum err e;

	while ((e = db_step(s)) == OK) {
		struct event_view v = { sql_u64(s, 0), sql_i64(s, 1), sql_text(s, 2),
			sql_text(s, 3), sql_text(s, 4), sql_text(s, 5), sql_text(s, 6),
			sql_text(s, 7), sql_text(s, 8) };

		e = each(arg, &v);
		if (e != OK)
			return e;
	}
	return e == ERR_NOTFOUND ? OK : e;
}

enum err
store_events_each(struct db *db, const struct event_query *q,
    enum err (*each)(void *arg, const struct event_view *e), void *arg)
{
	struct sql_stmt *s;
	char low[128], high[128];
	struct buf prefix;
	uint64_t after;
	enum err e = search_bound(db, q, &after);

	buf_init(&prefix, 256);
	if (e == OK && q->org != NULL)
		e = event_source(&prefix, q->org, "");
	if (e != OK) {
		buf_free(&prefix);
		return e;
	}
	type_range(q->type, low, high);
	s = events_statement(db, q);
	e = db_bind(s, "iitttiiitti", (int64_t)after, (int64_t)q->before, low, high, q->source,
	    (int64_t)prefix.len + 1, q->since, q->until, q->text, q->scope, (int64_t)q->limit);
	if (e == OK && q->cls[0] != '\0')
		sql_bind_text(s, 12, q->cls);
	if (e == OK)
		e = each_row(s, each, arg);
	db_end(s);
	buf_free(&prefix);
	return e;
}

/* Then only heads follow: fat events must not hide others. */
#define LIMIT_EVENTS_ANSWER (8u << 20)

struct listing {
	struct buf *out;
	uint64_t last, found;
};

static enum err
put_member(struct buf *out, const char *name, const char *text)
{
	enum err e = text[0] == '\0' ? OK : buf_puts(out, name);

	return text[0] == '\0' || e != OK ? e : json_quote(out, text, strlen(text));
}

enum err
store_event_write(struct buf *out, const struct event_view *v)
{
	char when[CLOCK_TEXT];
	enum err e;

	clock_format(when, v->received);
	e = buf_printf(out, "{\"n\":%" PRIu64 ",\"received\":\"%s\"", v->n, when);
	if (e == OK)
		e = put_member(out, ",\"agent\":", v->agent);
	if (e == OK)
		e = put_member(out, ",\"host\":", v->host);
	if (e == OK)
		e = put_member(out, ",\"group\":", v->group);
	if (e == OK && out->len > LIMIT_EVENTS_ANSWER) {
		e = put_member(out, ",\"cut\":true,\"event\":{\"type\":", v->type);
		return e == OK ? buf_puts(out, "}}") : e;
	}
	if (e == OK)
		e = buf_puts(out, ",\"event\":");
	if (e == OK)
		e = buf_puts(out, v->body);
	return e == OK ? buf_puts(out, "}") : e;
}

static enum err
list_one(void *arg, const struct event_view *v)
{
	struct listing *l = arg;
	enum err e = l->found++ > 0 ? buf_puts(l->out, ",") : OK;

	l->last = v->n;
	return e == OK ? store_event_write(l->out, v) : e;
}

enum err
store_events_list(struct db *db, const struct event_query *q, struct buf *out, uint64_t *found)
{
	struct listing l = { .out = out, .last = q->after };
	enum err e = buf_puts(out, "{\"events\":[");

	if (e == OK)
		e = store_events_each(db, q, list_one, &l);
	*found = l.found;
	return e == OK ? buf_printf(out, "],\"last\":%" PRIu64 "}", l.last) : e;
}

enum err
store_events_prune(struct db *db, int64_t before, uint64_t limit)
{
	return db_run(db,
	    "DELETE FROM events WHERE n IN (SELECT n FROM events WHERE received < ? ORDER BY "
	    "received"
	    " LIMIT ?)",
	    "ii", before, (int64_t)limit);
}

static enum err
own_body(struct buf *out, const struct event_row *e, cJSON *data)
{
	cJSON *o = cJSON_CreateObject();
	enum err x = o == NULL ? ERR_NOMEM : json_add_string(o, "specversion", "1.0");

	if (x == OK)
		x = json_add_string(o, "id", e->id);
	if (x == OK)
		x = json_add_string(o, "source", e->source);
	if (x == OK)
		x = json_add_string(o, "type", e->type);
	if (x == OK)
		x = json_add_string(o, "time", e->time);
	if (x == OK)
		x = json_add_string(o, "datacontenttype", "application/json");
	if (x == OK)
		x = json_add_string(o, "atalaiaclass", e->cls);
	if (x == OK && data != NULL) {
		if (cJSON_AddItemToObject(o, "data", data))
			data = NULL;
		else
			x = ERR_NOMEM;
	}
	cJSON_Delete(data);
	if (x == OK)
		x = json_print(o, out);
	cJSON_Delete(o);
	return x;
}

enum err
store_own_event(
    struct db *db, const char *org, const char *console, const char *type, cJSON *data, int64_t now)
{
	struct event_row e = { .epoch = "0", .cls = "audit", .type = type, .received = now };
	char id[UUID_TEXT], time[CLOCK_TEXT];
	struct buf source, body;
	int64_t seq = 0;
	enum err x;

	rand_uuid_v7(id);
	clock_format(time, now);
	buf_init(&source, 256);
	buf_init(&body, 65536);
	e.id = id;
	e.time = time;
	x = buf_printf(&source, "atalaia://%s/console/%s", org, console);
	e.source = buf_text(&source);
	if (x == OK)
		x = own_body(&body, &e, data);
	else
		cJSON_Delete(data);
	if (x == OK)
		x = db_number(db, &seq,
		    "SELECT ifnull(max(seq), 0) + 1 FROM events WHERE source = ? AND epoch = '0' "
		    "AND"
		    " class = 'audit'",
		    "t", e.source);
	e.seq = (uint64_t)seq;
	e.body = buf_text(&body);
	if (x == OK)
		x = store_event_add(db, &e);
	buf_free(&source);
	buf_free(&body);
	return x;
}
