#include "store.h"

#include "base/clock.h"
#include "base/text.h"
#include "os/rand.h"

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

#define EVENT_WHERE                                                                                \
	" WHERE n > ?1 AND (?2 = '' OR class = ?2) AND (?3 = '' OR (type >= ?3 AND type <= ?4))"   \
	" AND (?5 = '' OR source = ?5)"

enum err
store_events_list(struct db *db, const struct event_query *q, struct buf *out, uint64_t *found)
{
	static const char forward[] =
	    "SELECT n, received, body FROM events" EVENT_WHERE " ORDER BY n LIMIT ?6";
	static const char newest[] =
	    "SELECT n, received, body FROM (SELECT n, received, body FROM events" EVENT_WHERE
	    " ORDER BY n DESC LIMIT ?6) ORDER BY n";
	char low[128], high[128], when[CLOCK_TEXT];
	struct sql_stmt *s = db_prepare(db, q->last ? newest : forward);
	uint64_t last = q->after;
	enum err e;

	type_range(q->type, low, high);
	e = db_bind(
	    s, "itttti", (int64_t)q->after, q->cls, low, high, q->source, (int64_t)q->limit);
	*found = 0;
	if (e == OK)
		e = buf_puts(out, "{\"events\":[");
	while (e == OK && (e = db_step(s)) == OK) {
		last = (uint64_t)sql_i64(s, 0);
		clock_format(when, sql_i64(s, 1));
		e = buf_printf(out, "%s{\"n\":%" PRIu64 ",\"received\":\"%s\",\"event\":%s}",
		    *found > 0 ? "," : "", last, when, sql_text(s, 2));
		(*found)++;
	}
	db_end(s);
	if (e == ERR_NOTFOUND)
		e = buf_printf(out, "],\"last\":%" PRIu64 "}", last);
	return e;
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
