#include "store.h"

#include "base/text.h"
#include "facts.h"

#include <string.h>

#define SEEN_EVERY_MS 60000
#define AGENT_COLUMNS                                                                              \
	"agent, host, grp, machine, version, address, serial, task_port, enrolled, seen, "         \
	"not_after,"                                                                               \
	" revoked, clone"

enum err
store_add_time(cJSON *o, const char *name, int64_t ms)
{
	return ms <= 0 ? OK : json_add_time(o, name, ms);
}

enum err
store_agent_add(struct db *db, const struct agent_row *a)
{
	enum err e = db_run(db,
	    "INSERT INTO agents(agent, host, grp, machine, version, address, serial, task_port,"
	    " enrolled, seen, not_after) VALUES(?,?,?,?,?,?,?,?,?,?,?)",
	    "tttttttiiii", a->agent, a->host, a->group, a->machine, a->version, a->address,
	    a->serial, (int64_t)a->task_port, a->enrolled, a->seen, a->not_after);

	return e == OK ? facts_touch(db, a->agent) : e;
}

static void
column_copy(char *dst, size_t size, struct sql_stmt *s, int column)
{
	const char *t = sql_text(s, column);

	if (text_copy(dst, size, t, strlen(t)) != OK)
		dst[0] = '\0';
}

static void
agent_read(struct sql_stmt *s, struct agent_row *a)
{
	memset(a, 0, sizeof(*a));
	column_copy(a->agent, sizeof(a->agent), s, 0);
	column_copy(a->host, sizeof(a->host), s, 1);
	column_copy(a->group, sizeof(a->group), s, 2);
	column_copy(a->machine, sizeof(a->machine), s, 3);
	column_copy(a->version, sizeof(a->version), s, 4);
	column_copy(a->address, sizeof(a->address), s, 5);
	column_copy(a->serial, sizeof(a->serial), s, 6);
	a->task_port = (uint16_t)sql_i64(s, 7);
	a->enrolled = sql_i64(s, 8);
	a->seen = sql_i64(s, 9);
	a->not_after = sql_i64(s, 10);
	a->revoked = !sql_is_null(s, 11);
}

enum err
store_agent_get(struct db *db, const char *agent, struct agent_row *out)
{
	struct sql_stmt *s = db_prepare(db, "SELECT " AGENT_COLUMNS " FROM agents WHERE agent = ?");
	enum err e = db_bind(s, "t", agent);

	if (e == OK)
		e = db_step(s);
	if (e == OK)
		agent_read(s, out);
	db_end(s);
	return e;
}

enum err
store_agent_renewed(struct db *db, const char *agent, const char *serial, int64_t not_after)
{
	return db_run(db, "UPDATE agents SET serial = ?, not_after = ? WHERE agent = ?", "tit",
	    serial, not_after, agent);
}

enum err
store_agent_seen(
    struct db *db, const char *agent, const char *address, int64_t task_port_or_minus1, int64_t now)
{
	int64_t away = 0;
	enum err e = db_number(db, &away, "SELECT 1 FROM agents WHERE agent = ? AND seen < ?", "ti",
	    agent, now - FLEET_AWAY_MS);

	if (e == OK)
		e = facts_touch(db, agent); /* it was unreachable, and is back */
	if (e != OK && e != ERR_NOTFOUND)
		return e;
	return db_run(db,
	    "UPDATE agents SET address = ?2, seen = ?4,"
	    " task_port = CASE WHEN ?3 < 0 THEN task_port ELSE ?3 END WHERE agent = ?1 AND"
	    " (address <> ?2 OR (?3 >= 0 AND task_port <> ?3) OR seen < ?5)",
	    "ttiii", agent, address, task_port_or_minus1, now, now - SEEN_EVERY_MS);
}

enum err
store_agent_revoke(struct db *db, const char *agent, int64_t now)
{
	enum err e = db_run(
	    db, "UPDATE agents SET revoked = ifnull(revoked, ?) WHERE agent = ?", "it", now, agent);

	if (e == OK && db_changes(db) == 0)
		return ERR_NOTFOUND;
	return e == OK ? facts_touch(db, agent) : e;
}

enum err
store_agent_clone(struct db *db, const char *agent, int64_t now)
{
	enum err e = db_run(db, "UPDATE agents SET clone = ? WHERE agent = ?", "it", now, agent);

	return e == OK ? facts_touch(db, agent) : e;
}

static enum err
agent_json(void *arg, struct sql_stmt *s, cJSON *list)
{
	struct agent_row a;
	cJSON *o = cJSON_CreateObject();
	enum err e;

	agent_read(s, &a);
	e = o == NULL ? ERR_NOMEM : json_add_string(o, "agent", a.agent);
	if (e == OK)
		e = json_add_string(o, "host", a.host);
	if (e == OK)
		e = json_add_string(o, "group", a.group);
	if (e == OK)
		e = json_add_string(o, "address", a.address);
	if (e == OK)
		e = json_add_u64(o, "task_port", a.task_port);
	if (e == OK)
		e = json_add_string(o, "version", a.version);
	if (e == OK)
		e = json_add_string(o, "serial", a.serial);
	if (e == OK)
		e = store_add_time(o, "enrolled", a.enrolled);
	if (e == OK)
		e = store_add_time(o, "seen", a.seen);
	if (e == OK)
		e = store_add_time(o, "certificate_ends", a.not_after);
	if (e == OK)
		e = store_add_time(o, "revoked", sql_i64(s, 11));
	if (e == OK)
		e = store_add_time(o, "clone_seen", sql_i64(s, 12));
	if (e != OK) {
		cJSON_Delete(o);
		return e;
	}
	return json_append(list, o);
}

enum err
store_agents_list(struct db *db, const char *group, cJSON **out)
{
	struct sql_stmt *s = db_prepare(db,
	    "SELECT " AGENT_COLUMNS " FROM agents WHERE ?1 IS NULL OR ?1 = '' OR grp = ?1"
	    " ORDER BY host, agent");

	return db_array(s, db_bind(s, "t", group), agent_json, NULL, out);
}

enum err
store_agents_each(struct db *db, const char *target,
    enum err (*each)(void *arg, const struct agent_row *a), void *arg)
{
	const char *group = text_starts(target, "group:") ? target + strlen("group:") : NULL;
	struct sql_stmt *s =
	    db_prepare(db, "SELECT " AGENT_COLUMNS " FROM agents WHERE revoked IS NULL AND"
			   " (?1 = '*' OR agent = ?1 OR grp = ?2)");
	struct agent_row a;
	enum err e = db_bind(s, "tt", target, group);

	while (e == OK && (e = db_step(s)) == OK) {
		agent_read(s, &a);
		e = each(arg, &a);
	}
	db_end(s);
	return e == ERR_NOTFOUND ? OK : e;
}

enum err
store_agent_resolve(struct db *db, const char *word, char agent[UUID_TEXT])
{
	struct sql_stmt *s = db_prepare(db,
	    "SELECT agent FROM agents WHERE (agent = ?1 OR host = ?1) AND revoked IS NULL LIMIT 2");
	enum err e = db_bind(s, "t", word);

	if (e == OK)
		e = db_step(s);
	if (e == OK) {
		column_copy(agent, UUID_TEXT, s, 0);
		e = db_step(s);
		e = e == ERR_NOTFOUND ? OK : e == OK ? ERR_EXISTS : e;
	}
	db_end(s);
	return e;
}

enum err
store_revoked_each(struct db *db, enum err (*each)(void *arg, const char *agent), void *arg)
{
	struct sql_stmt *s = db_prepare(db, "SELECT agent FROM agents WHERE revoked IS NOT NULL");
	enum err e = db_bind(s, "");

	while (e == OK && (e = db_step(s)) == OK)
		e = each(arg, sql_text(s, 0));
	db_end(s);
	return e == ERR_NOTFOUND ? OK : e;
}
