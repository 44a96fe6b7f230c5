#include "fleet.h"

#include "base/clock.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

static const char *const state_words[] = { "revoked", "infected", "unreachable", "engine-down",
	"outdated", "protected" };

const char *
fleet_state_word(enum fleet_state s)
{
	return s < FLEET_STATES ? state_words[s] : "";
}

static void
take_text(char *dst, size_t size, struct sql_stmt *s, int column)
{
	const char *t = sql_text(s, column);

	if (text_copy(dst, size, t, strlen(t)) != OK)
		dst[0] = '\0';
}

enum err
fleet_newest(struct db *db, struct fleet_newest *out)
{
	struct sql_stmt *s = db_prepare(db,
	    "SELECT feed, max(v) FROM (SELECT feed, max(version) AS v FROM sets GROUP BY feed "
	    "UNION ALL"
	    " SELECT feed, max(version) FROM mirrors GROUP BY feed) WHERE feed <> 'policies'"
	    " GROUP BY feed ORDER BY feed");
	enum err e = db_bind(s, "");

	out->n = 0;
	while (e == OK && out->n < FLEET_FEEDS && (e = db_step(s)) == OK) {
		take_text(out->feeds[out->n].feed, sizeof(out->feeds[0].feed), s, 0);
		out->feeds[out->n++].version = sql_i64(s, 1);
	}
	db_end(s);
	return e == ERR_NOTFOUND ? OK : e;
}

/* ---- rows ---- */

#define AGENT_ROW                                                                                  \
	"SELECT a.agent, a.host, a.grp, a.machine, a.version, a.address, a.serial, a.task_port,"   \
	" a.enrolled, a.seen, a.not_after, a.revoked, a.clone, f.rev, f.role, f.engine,"           \
	" f.detections, f.detected, f.policy, f.fenced FROM agents a LEFT JOIN facts f"            \
	" ON f.agent = a.agent WHERE (?1 IS NULL OR a.grp IN (SELECT value FROM json_each(?1)))"
#define SET_ROW "SELECT agent, feed, version, applied, stale, rejected IS NOT NULL FROM sets"

static void
read_agent(struct sql_stmt *s, struct fleet_row *r)
{
	memset(r, 0, sizeof(*r));
	take_text(r->a.agent, sizeof(r->a.agent), s, 0);
	take_text(r->a.host, sizeof(r->a.host), s, 1);
	take_text(r->a.group, sizeof(r->a.group), s, 2);
	take_text(r->a.machine, sizeof(r->a.machine), s, 3);
	take_text(r->a.version, sizeof(r->a.version), s, 4);
	take_text(r->a.address, sizeof(r->a.address), s, 5);
	take_text(r->a.serial, sizeof(r->a.serial), s, 6);
	r->a.task_port = (uint16_t)sql_i64(s, 7);
	r->a.enrolled = sql_i64(s, 8);
	r->a.seen = sql_i64(s, 9);
	r->a.not_after = sql_i64(s, 10);
	r->revoked = sql_i64(s, 11);
	r->a.revoked = r->revoked != 0;
	r->clone = sql_i64(s, 12);
	r->rev = sql_i64(s, 13);
	take_text(r->role, sizeof(r->role), s, 14);
	take_text(r->engine, sizeof(r->engine), s, 15);
	r->detections = sql_i64(s, 16);
	r->detected = sql_i64(s, 17);
	r->policy = sql_i64(s, 18);
	r->fenced = sql_i64(s, 19);
}

static void
read_set(struct sql_stmt *s, struct fleet_row *r)
{
	struct fleet_set *x = &r->sets[r->n_sets];

	if (r->n_sets == FLEET_FEEDS)
		return;
	take_text(x->feed, sizeof(x->feed), s, 1);
	x->version = sql_i64(s, 2);
	x->applied = sql_i64(s, 3);
	r->stale = r->stale || sql_i64(s, 4) != 0;
	r->rejected = r->rejected || sql_i64(s, 5) != 0;
	r->n_sets++;
}

static bool
is_outdated(const struct fleet_row *r, const struct fleet_newest *newest)
{
	for (size_t i = 0; i < newest->n; i++) {
		int64_t has = 0;

		for (size_t k = 0; k < r->n_sets; k++)
			if (strcmp(r->sets[k].feed, newest->feeds[i].feed) == 0)
				has = r->sets[k].version;
		if (has < newest->feeds[i].version)
			return true;
	}
	return false;
}

static void
judge(struct fleet_row *r, const struct fleet_newest *newest, int64_t now)
{
	r->state = r->revoked != 0			? FLEET_REVOKED
		   : r->detections > 0			? FLEET_INFECTED
		   : r->a.seen < now - FLEET_AWAY_MS	? FLEET_UNREACHABLE
		   : strcmp(r->engine, "down") == 0	? FLEET_ENGINE_DOWN
		   : r->stale || is_outdated(r, newest) ? FLEET_OUTDATED
							: FLEET_PROTECTED;
}

/* Both statements run through their keys; sets of agents that the scope leaves out are skipped. */
static enum err
merge(struct sql_stmt *agents, struct sql_stmt *sets, const struct fleet_newest *newest,
    int64_t now, enum err (*each)(void *arg, const struct fleet_row *r), void *arg)
{
	struct fleet_row r;
	enum err more = db_step(sets), e;

	while ((e = db_step(agents)) == OK) {
		int order = 1;

		read_agent(agents, &r);
		while (more == OK && (order = strcmp(sql_text(sets, 0), r.a.agent)) <= 0) {
			if (order == 0)
				read_set(sets, &r);
			more = db_step(sets);
		}
		if (more != OK && more != ERR_NOTFOUND)
			return more;
		judge(&r, newest, now);
		e = each(arg, &r);
		if (e != OK)
			return e;
	}
	return e == ERR_NOTFOUND ? OK : e;
}

enum err
fleet_each(struct db *db, const char *scope, const struct fleet_newest *newest, int64_t now,
    enum err (*each)(void *arg, const struct fleet_row *r), void *arg)
{
	struct sql_stmt *agents = db_prepare(db, AGENT_ROW " ORDER BY a.agent");
	struct sql_stmt *sets = db_prepare(db, SET_ROW " ORDER BY agent, feed");
	enum err e = db_bind(agents, "t", scope);

	if (e == OK)
		e = db_bind(sets, "");
	if (e == OK)
		e = merge(agents, sets, newest, now, each, arg);
	db_end(agents);
	db_end(sets);
	return e;
}

static enum err
copy_row(void *arg, const struct fleet_row *r)
{
	*(struct fleet_row *)arg = *r;
	return OK;
}

enum err
fleet_one(struct db *db, const char *scope, const char *agent, const struct fleet_newest *newest,
    int64_t now, struct fleet_row *out)
{
	struct sql_stmt *agents = db_prepare(db, AGENT_ROW " AND a.agent = ?2");
	struct sql_stmt *sets = db_prepare(db, SET_ROW " WHERE agent = ?1 ORDER BY feed");
	enum err e = db_bind(agents, "tt", scope, agent);

	memset(out, 0, sizeof(*out));
	if (e == OK)
		e = db_bind(sets, "t", agent);
	if (e == OK)
		e = merge(agents, sets, newest, now, copy_row, out);
	db_end(agents);
	db_end(sets);
	return e == OK && out->a.agent[0] == '\0' ? ERR_NOTFOUND : e;
}

/* ---- as JSON ---- */

const char fleet_columns[] =
    "[\"agent\",\"host\",\"group\",\"address\",\"version\",\"enrolled\",\"seen\",\"state\","
    "\"revoked\",\"role\",\"engine\",\"feeds\",\"detections\",\"detected\",\"stale\",\"policy\"]";

static enum err
put_text(struct buf *out, const char *name, const char *value)
{
	enum err e = buf_puts(out, name);

	return e == OK ? json_quote(out, value, strlen(value)) : e;
}

static enum err
put_number(struct buf *out, const char *name, int64_t value)
{
	enum err e = buf_puts(out, name);

	return e == OK ? buf_u64(out, value < 0 ? 0 : (uint64_t)value) : e;
}

static enum err
put_sets(struct buf *out, const char *name, const struct fleet_row *r)
{
	enum err e = buf_puts(out, name);

	if (e == OK)
		e = buf_puts(out, "[");
	for (size_t i = 0; e == OK && i < r->n_sets; i++) {
		e = buf_puts(out, i > 0 ? ",[\"" : "[\"");
		if (e == OK)
			e = buf_puts(out, r->sets[i].feed);
		if (e == OK)
			e = put_number(out, "\",", r->sets[i].version);
		if (e == OK)
			e = put_number(out, ",", r->sets[i].applied);
		if (e == OK)
			e = buf_puts(out, "]");
	}
	return e == OK ? buf_puts(out, "]") : e;
}

#define NAME(n) (object ? ",\"" n "\":" : ",")

enum err
fleet_write(struct buf *out, const struct fleet_row *r, bool object)
{
	enum err e = put_text(out, object ? "{\"agent\":" : "[", r->a.agent);

	if (e == OK)
		e = put_text(out, NAME("host"), r->a.host);
	if (e == OK)
		e = put_text(out, NAME("group"), r->a.group);
	if (e == OK)
		e = put_text(out, NAME("address"), r->a.address);
	if (e == OK)
		e = put_text(out, NAME("version"), r->a.version);
	if (e == OK)
		e = put_number(out, NAME("enrolled"), r->a.enrolled);
	if (e == OK)
		e = put_number(out, NAME("seen"), r->a.seen);
	if (e == OK)
		e = put_text(out, NAME("state"), fleet_state_word(r->state));
	if (e == OK)
		e = put_number(out, NAME("revoked"), r->revoked);
	if (e == OK)
		e = put_text(out, NAME("role"), r->role);
	if (e == OK)
		e = put_text(out, NAME("engine"), r->engine);
	if (e == OK)
		e = put_sets(out, NAME("feeds"), r);
	if (e == OK)
		e = put_number(out, NAME("detections"), r->detections);
	if (e == OK)
		e = put_number(out, NAME("detected"), r->detected);
	if (e == OK)
		e = put_number(out, NAME("stale"), r->stale);
	if (e == OK)
		e = put_number(out, NAME("policy"), r->policy);
	return e == OK ? buf_puts(out, object ? "}" : "]") : e;
}
