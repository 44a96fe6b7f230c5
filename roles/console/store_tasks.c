#include "store.h"

#include "base/limits.h"
#include "base/text.h"
#include "facts.h"
#include "proto/enroll.h"

#include <string.h>

/* A task whose answer was lost, or that the agent could not take yet, is offered again after this.
 */
#define OFFER_AGAIN_MS 10000
#define LIMIT_PULL_TASKS 16 /* the rest comes with the next pull */

enum err
store_task_add(struct db *db, const struct task_row *t)
{
	return db_run(db,
	    "INSERT INTO tasks(id, target, type, created, not_before, expires, envelope)"
	    " VALUES(?,?,?,?,?,?,?)",
	    "tttiiit", t->id, t->target, t->type, t->created, t->not_before, t->expires,
	    t->envelope);
}

enum err
store_delivery_add(struct db *db, const char *task, const char *agent, int64_t now)
{
	return db_run(db,
	    "INSERT INTO deliveries(task, agent, state, final, updated) VALUES(?,?,'queued',0,?)",
	    "tti", task, agent, now);
}

static enum err
pull_tasks(struct db *db, const char *agent, int64_t now, struct buf *out, size_t *n)
{
	struct sql_stmt *s = db_prepare(db,
	    "SELECT t.envelope FROM deliveries d JOIN tasks t ON t.id = d.task WHERE d.agent = ?1 "
	    "AND"
	    " d.final = 0 AND d.state = 'queued' AND t.canceled IS NULL AND t.expires > ?2 AND"
	    " ifnull(d.offered, 0) < ?3 ORDER BY t.id LIMIT ?4");
	enum err e =
	    db_bind(s, "tiii", agent, now, now - OFFER_AGAIN_MS, (int64_t)LIMIT_PULL_TASKS);

	while (e == OK && (e = db_step(s)) == OK) {
		e = buf_puts(out, *n == 0 ? "{\"tasks\":[" : ",");
		if (e == OK)
			e = buf_puts(out, sql_text(s, 0));
		(*n)++;
	}
	db_end(s);
	if (e != ERR_NOTFOUND)
		return e;
	if (*n > 0)
		e = buf_puts(out, "]");
	else
		e = OK;
	if (e == OK && *n > 0)
		e = db_run(db,
		    "UPDATE deliveries SET offered = ?3 WHERE agent = ?1 AND final = 0 AND"
		    " state = 'queued' AND ifnull(offered, 0) < ?4 AND task IN (SELECT d.task FROM"
		    " deliveries d JOIN tasks t ON t.id = d.task WHERE d.agent = ?1 AND d.final = "
		    "0 AND"
		    " d.state = 'queued' AND t.canceled IS NULL AND t.expires > ?3 AND"
		    " ifnull(d.offered, 0) < ?4 ORDER BY t.id LIMIT ?2)",
		    "tiii", agent, (int64_t)LIMIT_PULL_TASKS, now, now - OFFER_AGAIN_MS);
	return e;
}

/* Running tasks that the administrator wants to end. */
static enum err
pull_cancels(struct db *db, const char *agent, struct buf *out, bool first)
{
	struct sql_stmt *s = db_prepare(db,
	    "SELECT d.task FROM deliveries d JOIN tasks t ON t.id = d.task WHERE d.agent = ? AND"
	    " d.final = 0 AND d.state <> 'queued' AND t.canceled IS NOT NULL AND"
	    " ifnull(d.push, '') <> 'cancel-told'");
	enum err e = db_bind(s, "t", agent);
	size_t n = 0;

	while (e == OK && (e = db_step(s)) == OK) {
		e = buf_puts(out, n > 0	  ? ",\""
				  : first ? "{\"tasks\":[],\"cancel\":[\""
					  : ",\"cancel\":[\"");
		if (e == OK)
			e = buf_puts(out, sql_text(s, 0));
		if (e == OK)
			e = buf_puts(out, "\"");
		n++;
	}
	db_end(s);
	if (e != ERR_NOTFOUND || n == 0)
		return e == ERR_NOTFOUND ? OK : e;
	e = buf_puts(out, "]");
	if (e == OK)
		e = db_run(db,
		    "UPDATE deliveries SET push = 'cancel-told' WHERE agent = ? AND final = 0 AND"
		    " state <> 'queued' AND task IN (SELECT id FROM tasks WHERE canceled IS NOT "
		    "NULL)",
		    "t", agent);
	return e;
}

enum err
store_next_offer(struct db *db, const char *agent, int64_t now, uint64_t *wait_ms)
{
	int64_t offered = 0;
	enum err e = db_number(db, &offered,
	    "SELECT min(d.offered) FROM deliveries d JOIN tasks t ON t.id = d.task WHERE d.agent = "
	    "?"
	    " AND d.final = 0 AND d.state = 'queued' AND t.canceled IS NULL AND t.expires > ?",
	    "ti", agent, now);

	*wait_ms = UINT64_MAX;
	if (e == OK && offered > 0)
		*wait_ms =
		    offered + OFFER_AGAIN_MS > now ? (uint64_t)(offered + OFFER_AGAIN_MS - now) : 0;
	return e == ERR_NOTFOUND ? OK : e;
}

enum err
store_pull(struct db *db, const char *agent, int64_t now, struct buf *out)
{
	size_t n = 0, start = out->len;
	enum err e = pull_tasks(db, agent, now, out, &n);

	if (e == OK)
		e = pull_cancels(db, agent, out, n == 0);
	if (e == OK && out->len > start)
		e = buf_puts(out, "}");
	return e;
}

enum err
store_task_collects(struct db *db, const char *task, const char *agent)
{
	int64_t one;

	return db_number(db, &one,
	    "SELECT 1 FROM deliveries d JOIN tasks t ON t.id = d.task WHERE d.task = ? AND d.agent "
	    "= ? AND t.type = 'collect'",
	    "tt", task, agent);
}

/* Who carried out its move to another group belongs there: group tasks reach it from now on. */
static enum err
follow_move(struct db *db, const char *task, const char *agent)
{
	enum err e = db_run(db,
	    "UPDATE agents SET grp = (SELECT json_extract(envelope, '$.signed.args.group') FROM"
	    " tasks WHERE id = ?1) WHERE agent = ?2 AND EXISTS (SELECT 1 FROM tasks WHERE id = ?1"
	    " AND type = 'agent.group')",
	    "tt", task, agent);

	return e == OK && db_changes(db) > 0 ? facts_touch(db, agent) : e;
}

enum err
store_delivery_state(struct db *db, const char *task, const char *agent, const struct delivery *d)
{
	int64_t n;
	enum err e = db_number(
	    db, &n, "SELECT 1 FROM deliveries WHERE task = ? AND agent = ?", "tt", task, agent);

	if (e != OK)
		return e;
	e = db_run(db,
	    "UPDATE deliveries SET state = ?3, final = ?4, step = ?5, error = ?6, result = ?7,"
	    " way = coalesce(way, ?8, CASE WHEN offered IS NOT NULL THEN 'pull' END), updated = "
	    "?9, progress = ?10, rev = rev + 1"
	    " WHERE task = ?1 AND agent = ?2 AND final = 0",
	    "tttittttit", task, agent, d->state, (int64_t)(enroll_state_is_final(d->state) ? 1 : 0),
	    d->step, d->error, d->result, d->way, d->now, d->progress);
	if (e == OK && db_changes(db) > 0 && strcmp(d->state, "done") == 0)
		e = follow_move(db, task, agent);
	return e;
}

enum err
store_delivery_push(struct db *db, const char *task, const char *agent, const char *outcome,
    bool reached, int64_t now)
{
	return db_run(db,
	    "UPDATE deliveries SET push = ?3, way = CASE WHEN ?4 THEN coalesce(way, 'push') ELSE "
	    "way END,"
	    " state = CASE WHEN ?4 AND state = 'queued' THEN 'accepted' ELSE state END, updated = "
	    "?5,"
	    " rev = rev + 1"
	    " WHERE task = ?1 AND agent = ?2",
	    "tttii", task, agent, outcome, (int64_t)reached, now);
}

/* Who has not heard of it never will; who has is told. */
enum err
store_task_cancel(struct db *db, const char *id, int64_t now)
{
	enum err e = db_run(
	    db, "UPDATE tasks SET canceled = ifnull(canceled, ?) WHERE id = ?", "it", now, id);

	if (e == OK && db_changes(db) == 0)
		return ERR_NOTFOUND;
	if (e == OK)
		e = db_run(db,
		    "UPDATE deliveries SET state = 'canceled', final = 1, updated = ?, rev = rev + "
		    "1"
		    " WHERE task = ? AND state = 'queued' AND offered IS NULL",
		    "it", now, id);
	return e;
}

enum err
store_tasks_expire(struct db *db, int64_t now)
{
	return db_run(db,
	    "UPDATE deliveries SET state = 'expired', final = 1, updated = ?1, rev = rev + 1 WHERE "
	    "final = 0 AND"
	    " state = 'queued' AND task IN (SELECT id FROM tasks WHERE expires <= ?1)",
	    "i", now);
}

enum err
store_tasks_prune(struct db *db, int64_t before, uint64_t limit)
{
#define OLD "(SELECT id FROM tasks WHERE created < ?1 AND expires < ?1 ORDER BY created LIMIT ?2)"
	static const char *const steps[] = { "DELETE FROM deliveries WHERE task IN " OLD,
		"DELETE FROM task_people WHERE task IN " OLD,
		"DELETE FROM tasks WHERE id IN " OLD };
#undef OLD
	enum err e = OK;

	for (size_t i = 0; e == OK && i < sizeof(steps) / sizeof(steps[0]); i++)
		e = db_run(db, steps[i], "ii", before, (int64_t)limit);
	return e;
}

static enum err
add_column(cJSON *o, const char *name, struct sql_stmt *s, int column)
{
	if (sql_is_null(s, column))
		return OK;
	return json_add_string(o, name, sql_text(s, column));
}

static enum err
add_document(cJSON *o, const char *name, struct sql_stmt *s, int column)
{
	const char *text = sql_text(s, column);
	cJSON *document;
	enum err e;

	if (text[0] == '\0')
		return OK;
	e = json_parse(&document, text, strlen(text), JSON_EVENT, NULL);
	if (e == OK && !cJSON_AddItemToObject(o, name, document)) {
		cJSON_Delete(document);
		e = ERR_NOMEM;
	}
	return e;
}

static enum err
delivery_json(struct sql_stmt *s, cJSON *list)
{
	static const char *const names[] = { "agent", "host", "state", "way", "step", "error",
		"push" };
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : OK;

	for (int i = 0; e == OK && i < 7; i++)
		e = add_column(o, names[i], s, i);
	if (e == OK)
		e = add_document(o, "result", s, 7);
	if (e == OK)
		e = store_add_time(o, "updated", sql_i64(s, 8));
	if (e == OK)
		e = add_document(o, "progress", s, 9);
	if (e != OK) {
		cJSON_Delete(o);
		return e;
	}
	return json_append(list, o);
}

/* A task for one agent shows that agent's outcome at the top as well. */
static enum err
lift_single(cJSON *o, const cJSON *list)
{
	static const char *const names[] = { "state", "way", "step", "error", "result" };

	if (cJSON_GetArraySize(list) != 1)
		return OK;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const cJSON *item = json_get(list->child, names[i]);
		cJSON *copy = item != NULL ? cJSON_Duplicate(item, 1) : NULL;

		if (item != NULL && (copy == NULL || !cJSON_AddItemToObject(o, names[i], copy))) {
			cJSON_Delete(copy);
			return ERR_NOMEM;
		}
	}
	return OK;
}

static enum err
show_deliveries(struct db *db, const char *id, cJSON *list)
{
	struct sql_stmt *s = db_prepare(db,
	    "SELECT d.agent, a.host, d.state, d.way, d.step, d.error, d.push, d.result, d.updated, "
	    "d.progress"
	    " FROM deliveries d LEFT JOIN agents a ON a.agent = d.agent WHERE d.task = ? ORDER BY "
	    "a.host");
	enum err e = db_bind(s, "t", id);

	while (e == OK && (e = db_step(s)) == OK)
		e = delivery_json(s, list);
	db_end(s);
	return e == ERR_NOTFOUND ? OK : e;
}

/* id, type, target, times and counts of one row of: id, target, type, created, expires, canceled,
 * number of agents, of final ones, of done ones. */
static enum err
task_json(struct sql_stmt *s, cJSON *o)
{
	enum err e = json_add_string(o, "id", sql_text(s, 0));

	if (e == OK)
		e = json_add_string(o, "target", sql_text(s, 1));
	if (e == OK)
		e = json_add_string(o, "type", sql_text(s, 2));
	if (e == OK)
		e = store_add_time(o, "created", sql_i64(s, 3));
	if (e == OK)
		e = store_add_time(o, "expires", sql_i64(s, 4));
	if (e == OK)
		e = store_add_time(o, "canceled", sql_i64(s, 5));
	if (e == OK)
		e = json_add_u64(o, "agents_total", (uint64_t)sql_i64(s, 6));
	if (e == OK)
		e = json_add_u64(o, "agents_final", (uint64_t)sql_i64(s, 7));
	if (e == OK)
		e = json_add_u64(o, "agents_done", (uint64_t)sql_i64(s, 8));
	return e;
}

#define TASK_SELECT                                                                                \
	"SELECT t.id, t.target, t.type, t.created, t.expires, t.canceled, count(d.agent),"         \
	" ifnull(sum(d.final), 0), ifnull(sum(d.state = 'done'), 0), ifnull(sum(d.rev), 0),"       \
	" t.envelope FROM tasks t LEFT JOIN deliveries d ON d.task = t.id "

enum err
store_task_show(struct db *db, const char *id, cJSON **out, int64_t *rev, int64_t *open)
{
	struct sql_stmt *s = db_prepare(db, TASK_SELECT "WHERE t.id = ? GROUP BY t.id");
	cJSON *o = cJSON_CreateObject(), *list, *envelope = NULL;
	enum err e = o == NULL ? ERR_NOMEM : db_bind(s, "t", id);

	if (e == OK)
		e = db_step(s);
	if (e == OK)
		e = task_json(s, o);
	if (e == OK) {
		*rev = sql_i64(s, 9);
		*open = sql_i64(s, 6) - sql_i64(s, 7);
		e = json_parse(
		    &envelope, sql_text(s, 10), strlen(sql_text(s, 10)), JSON_SIGNED, NULL);
	}
	db_end(s);
	if (e == OK && !cJSON_AddItemToObject(o, "envelope", envelope)) {
		cJSON_Delete(envelope);
		e = ERR_NOMEM;
	}
	if (e == OK)
		e = json_add_array(o, "agents", &list);
	if (e == OK)
		e = show_deliveries(db, id, list);
	if (e == OK)
		e = lift_single(o, list);
	if (e != OK) {
		cJSON_Delete(o);
		return e;
	}
	*out = o;
	return OK;
}

static enum err
add_task(void *arg, struct sql_stmt *s, cJSON *list)
{
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : task_json(s, o);

	if (e == OK)
		return json_append(list, o);
	cJSON_Delete(o);
	return e;
}

enum err
store_tasks_list(struct db *db, uint64_t limit, cJSON **out)
{
	struct sql_stmt *s =
	    db_prepare(db, TASK_SELECT "GROUP BY t.id ORDER BY t.created DESC LIMIT ?");

	return db_array(s, db_bind(s, "i", (int64_t)limit), add_task, NULL, out);
}
