/* web_computers.c - the list of computers, one computer, groups. */
#include "audit.h"
#include "base/clock.h"
#include "base/text.h"
#include "fleet.h"
#include "proto/event.h"
#include "task_view.h"
#include "web_routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- GET /computers ---- */

static enum err
put_newest(struct buf *out, const struct fleet_newest *newest)
{
	enum err e = buf_puts(out, "],\"feeds\":[");

	for (size_t i = 0; e == OK && i < newest->n; i++)
		e = buf_printf(out, "%s\"%s\"", i > 0 ? "," : "", newest->feeds[i].feed);
	if (e == OK)
		e = buf_puts(out, "],\"newest\":{");
	for (size_t i = 0; e == OK && i < newest->n; i++)
		e = buf_printf(out, "%s\"%s\":%" PRId64, i > 0 ? "," : "", newest->feeds[i].feed,
		    newest->feeds[i].version);
	return e == OK ? buf_puts(out, "}") : e;
}

struct rows {
	struct buf *out;
	size_t n;
};

static enum err
add_row(void *arg, const struct fleet_row *r)
{
	struct rows *x = arg;
	enum err e = x->n++ > 0 ? buf_puts(x->out, ",") : OK;

	return e == OK ? fleet_write(x->out, r, false) : e;
}

static enum err
work_list(struct call *call, struct db *db)
{
	struct fleet_newest newest;
	struct rows rows = { .out = &call->out };
	uint64_t n = 0;
	enum err e = fleet_newest(db, &newest);

	if (e == OK)
		e = store_events_newest(db, &n);
	if (e == OK)
		e = buf_printf(
		    &call->out, "{\"n\":%" PRIu64 ",\"columns\":%s,\"rows\":[", n, fleet_columns);
	if (e == OK)
		e = fleet_each(db, who_scope(&call->who), &newest, clock_wall_ms(), add_row, &rows);
	if (e == OK)
		e = put_newest(&call->out, &newest);
	return e == OK ? buf_puts(&call->out, "}") : e;
}

void
web_computers(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_list, NULL);
}

/* ---- GET /computers/{id}: written member by member ---- */

static enum err
put_time(struct buf *out, const char *name, int64_t ms)
{
	char text[CLOCK_TEXT];

	if (ms <= 0)
		return OK;
	clock_format(text, ms);
	return buf_printf(out, ",\"%s\":\"%s\"", name, text);
}

static enum err
put_text(struct buf *out, const char *name, const char *text)
{
	enum err e = text[0] == '\0' ? OK : buf_printf(out, ",\"%s\":", name);

	return text[0] == '\0' || e != OK ? e : json_quote(out, text, strlen(text));
}

static enum err
put_computer(struct buf *out, const struct fleet_row *r)
{
	enum err e = buf_puts(out, "{\"computer\":");

	if (e == OK)
		e = fleet_write(out, r, true);
	if (e == OK) {
		out->data[--out->len] = 0; /* its members go on */
		e = put_text(out, "machine", r->a.machine);
	}
	if (e == OK)
		e = put_text(out, "serial", r->a.serial);
	if (e == OK)
		e = put_time(out, "certificate_ends", r->a.not_after);
	if (e == OK)
		e = put_time(out, "clone_seen", r->clone);
	if (e == OK)
		e = put_time(out, "fenced", r->fenced);
	return e == OK ? buf_printf(out, ",\"task_port\":%u}", r->a.task_port) : e;
}

static enum err
set_row(void *arg, struct sql_stmt *s, struct buf *out)
{
	enum err e = buf_printf(out,
	    "{\"feed\":\"%s\",\"version\":%" PRId64 ",\"from\":%" PRId64 ",\"bytes_wire\":%" PRId64
	    ",\"bytes_delta\":%" PRId64 ",\"bytes_full\":%" PRId64 ",\"stale\":%s",
	    sql_text(s, 0), sql_i64(s, 1), sql_i64(s, 2), sql_i64(s, 3), sql_i64(s, 4),
	    sql_i64(s, 5), sql_i64(s, 6) != 0 ? "true" : "false");

	(void)arg;
	if (e == OK)
		e = put_time(out, "applied", sql_i64(s, 7));
	if (e == OK)
		e = put_text(out, "mirror", sql_text(s, 8));
	if (e == OK)
		e = put_text(out, "url", sql_text(s, 9));
	if (e == OK)
		e = put_text(out, "waiting", sql_text(s, 10));
	if (e == OK)
		e = put_text(out, "rejected", sql_text(s, 11));
	if (e == OK)
		e = put_time(out, "rejected_at", sql_i64(s, 12));
	return e == OK ? buf_puts(out, "}") : e;
}

static enum err
put_sets(struct buf *out, struct db *db, const char *agent)
{
	struct sql_stmt *s = db_prepare(db,
	    "SELECT feed, version, from_version, wire, delta, full, stale, applied, mirror, url,"
	    " waiting, rejected, rejected_at FROM sets WHERE agent = ? ORDER BY feed");

	return db_text(s, db_bind(s, "t", agent), out, ",\"sets\":[", set_row, NULL, "]");
}

static enum err
mirror_row(void *arg, struct sql_stmt *s, struct buf *out)
{
	enum err e =
	    buf_printf(out, "{\"feed\":\"%s\",\"version\":%" PRId64 ",\"bytes_wire\":%" PRId64,
		sql_text(s, 0), sql_i64(s, 1), sql_i64(s, 4));

	(void)arg;
	if (e == OK)
		e = put_time(out, "published", sql_i64(s, 2));
	if (e == OK)
		e = put_text(out, "mirror", sql_text(s, 3));
	return e == OK ? buf_puts(out, "}") : e;
}

static enum err
put_mirror(struct buf *out, struct db *db, const char *agent)
{
	struct sql_stmt *s = db_prepare(db, "SELECT feed, version, published, mirror, wire FROM"
					    " mirrors WHERE agent = ? ORDER BY feed");

	return db_text(s, db_bind(s, "t", agent), out, ",\"mirror\":[", mirror_row, NULL, "]");
}

/* What the newest task of a type that was done brought back, and when: members "status" and
 * "status_at". */
static enum err
put_result(struct buf *out, struct db *db, const char *agent, const char *type)
{
	struct sql_stmt *s = db_prepare(db,
	    "SELECT d.result, d.updated FROM deliveries d JOIN tasks t ON t.id = d.task WHERE"
	    " d.agent = ? AND t.type = ? AND d.state = 'done' AND d.result IS NOT NULL"
	    " ORDER BY d.task DESC LIMIT 1");
	char at[32];
	enum err e = db_bind(s, "tt", agent, type);

	(void)snprintf(at, sizeof(at), "%s_at", type);
	if (e == OK)
		e = db_step(s);
	if (e == OK &&
	    json_scan(sql_text(s, 0), strlen(sql_text(s, 0)), JSON_EVENT, NULL, NULL) == OK) {
		e = buf_printf(out, ",\"%s\":%s", type, sql_text(s, 0));
		if (e == OK)
			e = put_time(out, at, sql_i64(s, 1));
	}
	db_end(s);
	return e == ERR_NOTFOUND ? OK : e;
}

static enum err
add_event(void *arg, const struct event_view *v)
{
	struct rows *x = arg;
	enum err e = x->n++ > 0 ? buf_puts(x->out, ",") : OK;

	return e == OK ? store_event_write(x->out, v) : e;
}

static enum err
put_events(struct call *call, struct db *db, const char *agent)
{
	struct event_query q = {
		.limit = 50, .cls = "", .type = "", .last = true, .org = call->c->o->org
	};
	struct rows rows = { .out = &call->out };
	struct buf source;
	enum err e = buf_puts(&call->out, ",\"events\":[");

	buf_init(&source, 256);
	if (e == OK)
		e = event_source(&source, call->c->o->org, agent);
	q.source = buf_text(&source);
	if (e == OK)
		e = store_events_each(db, &q, add_event, &rows);
	buf_free(&source);
	return e == OK ? buf_puts(&call->out, "]") : e;
}

static enum err
put_tasks(struct call *call, struct db *db, const char *agent)
{
	struct task_query q = { .id = "", .before = "", .agent = agent, .limit = 20 };
	struct task_context x;
	cJSON *list = NULL;
	enum err e = task_context_load(&x, call->c);

	if (e == OK)
		e = task_list(db, &x, &q, &list);
	task_context_free(&x);
	if (e == OK)
		e = buf_puts(&call->out, ",\"tasks\":");
	if (e == OK)
		e = json_print(list, &call->out);
	cJSON_Delete(list);
	return e;
}

static enum err
work_one(struct call *call, struct db *db)
{
	struct fleet_newest newest;
	struct fleet_row r;
	enum err e = fleet_newest(db, &newest);

	if (e == OK)
		e = fleet_one(db, who_scope(&call->who), call->param, &newest, clock_wall_ms(), &r);
	if (e == ERR_NOTFOUND)
		return call_refuse(call, 404, "not-found", "there is no such computer");
	if (e == OK)
		e = put_computer(&call->out, &r);
	if (e == OK)
		e = put_sets(&call->out, db, r.a.agent);
	if (e == OK)
		e = put_mirror(&call->out, db, r.a.agent);
	if (e == OK)
		e = put_result(&call->out, db, r.a.agent, "status");
	if (e == OK)
		e = put_result(&call->out, db, r.a.agent, "doctor");
	if (e == OK)
		e = put_tasks(call, db, r.a.agent);
	if (e == OK)
		e = put_events(call, db, r.a.agent);
	if (e == OK)
		e = web_findings(&call->out, db, &r, &newest);
	return e == OK ? buf_puts(&call->out, "}") : e;
}

void
web_computer(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_one, NULL);
}

/* ---- POST /computers/{id}/clear ---- */

static enum err
work_clear(struct call *call, struct db *db)
{
	struct agent_row a;
	cJSON *data;
	enum err e = store_agent_get(db, call->param, &a);

	if (e == ERR_NOTFOUND || (e == OK && !who_may_group(&call->who, a.group)))
		return call_refuse(call, 404, "not-found", "there is no such computer");
	if (e == OK)
		e = facts_clear(db, a.agent);
	if (e != OK && e != ERR_NOTFOUND)
		return e;
	data = cJSON_CreateObject();
	e = data == NULL ? ERR_NOMEM : json_add_string(data, "agent", a.agent);
	if (e == OK)
		e = json_add_string(data, "user", call->who.name);
	if (e == OK)
		return audit_done(call->c, db, "cleared", data);
	cJSON_Delete(data);
	return e;
}

static void
finish_clear(struct call *call)
{
	if (call->code == NULL)
		(void)waiters_wake(call->c->waiters, "events");
}

void
web_computer_clear(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_clear, finish_clear);
}

/* ---- GET /groups ---- */

static enum err
group_row(void *arg, struct sql_stmt *s, struct buf *out)
{
	(void)arg;
	return buf_printf(
	    out, "{\"group\":\"%s\",\"computers\":%" PRId64 "}", sql_text(s, 0), sql_i64(s, 1));
}

static enum err
work_groups(struct call *call, struct db *db)
{
	struct sql_stmt *s = db_prepare(db,
	    "SELECT grp, count(*) FROM agents WHERE revoked IS NULL AND (?1 IS NULL OR grp IN"
	    " (SELECT value FROM json_each(?1))) GROUP BY grp ORDER BY grp");
	enum err e = db_bind(s, "t", who_scope(&call->who));

	return db_text(s, e, &call->out, "{\"groups\":[", group_row, NULL, "]}");
}

void
web_groups(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_groups, NULL);
}
