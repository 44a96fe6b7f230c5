#include "facts.h"

#include "base/clock.h"
#include "base/text.h"
#include "proto/event.h"

#include <string.h>

#define LIMIT_FEED_NAME 64

struct note {
	struct db *db;
	const char *agent;
	const cJSON *data;
	int64_t now;
};

static const char *
word(const struct note *n, const char *name)
{
	const cJSON *item = json_get(n->data, name);

	return cJSON_IsString(item) ? item->valuestring : "";
}

static int64_t
number(const struct note *n, const char *name)
{
	uint64_t v;

	return json_get_u64(n->data, name, JSON_MAX_INT, &v, NULL) == OK ? (int64_t)v : 0;
}

/* NULL: the event names none that could be one. */
static const char *
feed_of(const struct note *n)
{
	const char *feed = word(n, "feed");

	return text_is_role_name(feed, strlen(feed)) ? feed : NULL;
}

enum err
facts_touch(struct db *db, const char *agent)
{
	return db_run(db,
	    "INSERT INTO facts(agent, rev) VALUES(?, (SELECT ifnull(max(rev), 0) + 1 FROM facts))"
	    " ON CONFLICT(agent) DO UPDATE SET rev = excluded.rev",
	    "t", agent);
}

static enum err
ensure_set(const struct note *n, const char *feed)
{
	return db_run(
	    n->db, "INSERT OR IGNORE INTO sets(agent, feed) VALUES(?,?)", "tt", n->agent, feed);
}

/* taker "": some PC; else the update agent that mirrors. */
static enum err
add_traffic(const struct note *n, const char *feed, const char *taker)
{
	int64_t wire = number(n, "bytes_wire"), delta = number(n, "bytes_delta");
	int64_t full = number(n, "bytes_full"), size = 0, saved = 0;
	enum err e = OK;

	if (full > 0)
		e = db_run(n->db,
		    "INSERT INTO set_sizes(feed, full) VALUES(?,?) ON CONFLICT(feed) DO UPDATE SET "
		    "full ="
		    " excluded.full",
		    "ti", feed, full);
	else if (delta > 0)
		e = db_number(n->db, &size, "SELECT full FROM set_sizes WHERE feed = ?", "t", feed);
	if (e == ERR_NOTFOUND)
		e = OK;
	if (size > wire)
		saved = size - wire;
	if (e != OK)
		return e;
	return db_run(n->db,
	    "INSERT INTO traffic(day, feed, mirror, taker, wire, saved, full, updates, last)"
	    " VALUES(?,?,?,?,?,?,?,1,?) ON CONFLICT(day, feed, mirror, taker) DO UPDATE SET"
	    " wire = wire + excluded.wire, saved = saved + excluded.saved,"
	    " full = full + excluded.full, updates = updates + 1, last = excluded.last",
	    "itttiiii", n->now / DAY_MS_64, feed, word(n, "mirror"), taker, wire, saved, full,
	    n->now);
}

static enum err
on_applied(const struct note *n)
{
	const char *feed = feed_of(n);
	enum err e = feed == NULL ? OK : ensure_set(n, feed);

	if (feed == NULL || e != OK)
		return e;
	e = db_run(n->db,
	    "UPDATE sets SET version = ?3, from_version = ?4, applied = ?5, mirror = ?6, url = ?7,"
	    " wire = ?8, delta = ?9, full = ?10, stale = 0, waiting = NULL, rejected = NULL"
	    " WHERE agent = ?1 AND feed = ?2",
	    "ttiiittiii", n->agent, feed, number(n, "version"), number(n, "from"), n->now,
	    word(n, "mirror"), word(n, "url"), number(n, "bytes_wire"), number(n, "bytes_delta"),
	    number(n, "bytes_full"));
	if (e == OK)
		e = db_run(n->db,
		    "INSERT INTO spread(day, feed, version, computers) VALUES(?,?,?,1)"
		    " ON CONFLICT(day, feed, version) DO UPDATE SET computers = computers + 1",
		    "iti", n->now / DAY_MS_64, feed, number(n, "version"));
	return e == OK ? add_traffic(n, feed, "") : e;
}

static enum err
on_mirrored(const struct note *n)
{
	const char *feed = feed_of(n);
	enum err e;

	if (feed == NULL)
		return OK;
	e = db_run(n->db,
	    "INSERT INTO mirrors(agent, feed, version, published, mirror, wire) VALUES(?,?,?,?,?,?)"
	    " ON CONFLICT(agent, feed) DO UPDATE SET version = excluded.version,"
	    " published = excluded.published, mirror = excluded.mirror, wire = excluded.wire",
	    "ttiiti", n->agent, feed, number(n, "version"), n->now, word(n, "mirror"),
	    number(n, "bytes_wire"));
	return e == OK ? add_traffic(n, feed, n->agent) : e;
}

static enum err
on_reverted(const struct note *n)
{
	const char *feed = feed_of(n);
	enum err e = feed == NULL ? OK : ensure_set(n, feed);

	if (feed == NULL || e != OK)
		return e;
	return db_run(n->db,
	    "UPDATE sets SET version = ?, from_version = ?, rejected = ?, rejected_at = ?"
	    " WHERE agent = ? AND feed = ?",
	    "iititt", number(n, "to"), number(n, "from"), word(n, "why"), n->now, n->agent, feed);
}

static enum err
on_rejected(const struct note *n)
{
	const char *feed = feed_of(n);
	enum err e = feed == NULL ? OK : ensure_set(n, feed);

	if (feed == NULL || e != OK)
		return e;
	return db_run(n->db,
	    "UPDATE sets SET rejected = ?, rejected_at = ? WHERE agent = ? AND feed = ?", "titt",
	    word(n, "why"), n->now, n->agent, feed);
}

static enum err
on_stale(const struct note *n)
{
	const char *feed = feed_of(n);
	enum err e = feed == NULL ? OK : ensure_set(n, feed);

	if (feed == NULL || e != OK)
		return e;
	return db_run(n->db, "UPDATE sets SET stale = 1, waiting = ? WHERE agent = ? AND feed = ?",
	    "ttt", word(n, "why"), n->agent, feed);
}

static enum err
on_waiting(const struct note *n)
{
	const char *feed = feed_of(n);
	enum err e = feed == NULL ? OK : ensure_set(n, feed);

	if (feed == NULL || e != OK)
		return e;
	return db_run(n->db, "UPDATE sets SET waiting = ? WHERE agent = ? AND feed = ?", "ttt",
	    word(n, "why"), n->agent, feed);
}

static enum err
on_role(const struct note *n)
{
	bool on = strcmp(word(n, "state"), "on") == 0;
	enum err e = db_run(n->db, "UPDATE facts SET role = ?, mode = ? WHERE agent = ?", "ttt",
	    on ? "update-agent" : "", on ? word(n, "mode") : "", n->agent);

	if (e == OK && !on)
		e = db_run(n->db, "DELETE FROM mirrors WHERE agent = ?", "t", n->agent);
	return e;
}

static enum err
on_engine_up(const struct note *n)
{
	return db_run(n->db, "UPDATE facts SET engine = 'up' WHERE agent = ?", "t", n->agent);
}

static enum err
on_engine_down(const struct note *n)
{
	return db_run(n->db, "UPDATE facts SET engine = 'down' WHERE agent = ?", "t", n->agent);
}

static enum err
on_detection(const struct note *n)
{
	return db_run(n->db,
	    "UPDATE facts SET detections = detections + 1, detected = ? WHERE agent = ?", "it",
	    n->now, n->agent);
}

static enum err
on_policy(const struct note *n)
{
	return db_run(n->db, "UPDATE facts SET policy = ? WHERE agent = ?", "it", n->now, n->agent);
}

static enum err
on_started(const struct note *n)
{
	return db_run(n->db, "UPDATE facts SET started = ?, fenced = 0 WHERE agent = ?", "it",
	    n->now, n->agent);
}

static enum err
on_fenced(const struct note *n)
{
	return db_run(n->db, "UPDATE facts SET fenced = ? WHERE agent = ?", "it", n->now, n->agent);
}

static const struct {
	const char *type;
	enum err (*run)(const struct note *n);
} kinds[] = {
	{ "update.applied", on_applied },
	{ "update.reverted", on_reverted },
	{ "update.rejected", on_rejected },
	{ "update.stale", on_stale },
	{ "update.waiting", on_waiting },
	{ "mirror.published", on_mirrored },
	{ "role.changed", on_role },
	{ "engine.up", on_engine_up },
	{ "engine.down", on_engine_down },
	{ "detection", on_detection },
	{ "policy.applied", on_policy },
	{ "agent.started", on_started },
	{ "child.fenced", on_fenced },
};

enum err
facts_note(struct db *db, const char *agent, const char *type, const cJSON *data, int64_t now)
{
	struct note n = { db, agent, data, now };
	enum err e;

	if (!text_starts(type, EVENT_TYPE_PREFIX))
		return OK;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].type, type + strlen(EVENT_TYPE_PREFIX)) != 0)
			continue;
		e = facts_touch(db, agent);
		return e == OK ? kinds[i].run(&n) : e;
	}
	return OK;
}

static int64_t
moment(const cJSON *o, const char *name)
{
	const char *text;
	int64_t ms;

	if (json_get_string(o, name, &text, NULL) != OK ||
	    clock_parse(text, strlen(text), &ms) != OK)
		return 0;
	return ms;
}

static enum err
receipt_rejected(const struct note *n, const char *feed)
{
	const cJSON *item;
	enum err e = OK;

	cJSON_ArrayForEach(item, json_get(n->data, "rejected"))
	{
		struct note one = { n->db, n->agent, item, 0 };

		if (e == OK)
			e = db_run(n->db,
			    "UPDATE sets SET rejected = ?1, rejected_at = ?2 WHERE agent = ?3 AND"
			    " feed = ?4 AND rejected_at < ?2 AND applied < ?2",
			    "titt", word(&one, "why"), moment(item, "at"), n->agent, feed);
	}
	return e;
}

enum err
facts_receipt(struct db *db, const char *agent, const cJSON *receipt)
{
	struct note n = { db, agent, receipt, 0 };
	const char *feed = feed_of(&n);
	enum err e = feed == NULL ? OK : ensure_set(&n, feed);

	if (feed == NULL || e != OK)
		return e;
	e = db_run(db,
	    "UPDATE sets SET version = ?1, applied = ?2 WHERE agent = ?3 AND feed = ?4 AND"
	    " applied < ?2",
	    "iitt", number(&n, "version"), moment(receipt, "activated"), agent, feed);
	if (e == OK)
		e = receipt_rejected(&n, feed);
	return e == OK ? facts_touch(db, agent) : e;
}

enum err
facts_clear(struct db *db, const char *agent)
{
	enum err e = db_run(db, "UPDATE facts SET detections = 0 WHERE agent = ?", "t", agent);

	if (e == OK && db_changes(db) == 0)
		return ERR_NOTFOUND;
	return e == OK ? facts_touch(db, agent) : e;
}

enum err
facts_prune(struct db *db, int64_t before)
{
	enum err e = db_run(db, "DELETE FROM traffic WHERE day < ?", "i", before / DAY_MS_64);

	return e == OK ? db_run(db, "DELETE FROM spread WHERE day < ?", "i", before / DAY_MS_64)
		       : e;
}
