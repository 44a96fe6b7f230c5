/* web_overview.c - the first page: counts by state, versions, bytes, what needs attention first. */
#include "base/clock.h"
#include "base/text.h"
#include "fleet.h"
#include "web_routes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DAYS 30
#define NAMED 5 /* computers that a line of attention names */

enum kind {
	K_DETECTION,
	K_CLONE,
	K_ENGINE,
	K_FENCED,
	K_REJECTED,
	K_STALE,
	K_UNREACHABLE,
	K_OUTDATED,
	KINDS
};

static const struct {
	const char *name, *text;
} kinds[KINDS] = {
	{ "detection", "malware was found and is not dealt with" },
	{ "clone", "two machines use one identity" },
	{ "engine-down", "the engine is down" },
	{ "child-fenced", "a part of the agent keeps crashing" },
	{ "rejected", "a set was refused or taken back" },
	{ "stale", "only old metadata can be reached" },
	{ "unreachable", "nothing was heard for ten minutes" },
	{ "outdated", "an older set than the newest is in use" },
};

struct attention {
	uint64_t count;
	int64_t since;
	char agents[NAMED][UUID_TEXT], hosts[NAMED][STORE_HOST];
};

struct overview {
	const struct fleet_newest *newest;
	uint64_t states[FLEET_STATES], total;
	struct attention at[KINDS];
};

static void
name(struct attention *a, const struct fleet_row *r, int64_t since)
{
	if (a->count < NAMED) {
		memcpy(a->agents[a->count], r->a.agent, sizeof(a->agents[0]));
		memcpy(a->hosts[a->count], r->a.host, sizeof(a->hosts[0]));
	}
	if (since > 0 && (a->since == 0 || since < a->since))
		a->since = since;
	a->count++;
}

static enum err
count_row(void *arg, const struct fleet_row *r)
{
	struct overview *o = arg;

	o->total++;
	o->states[r->state]++;
	if (r->state == FLEET_REVOKED)
		return OK;
	if (r->detections > 0)
		name(&o->at[K_DETECTION], r, r->detected);
	if (r->clone != 0)
		name(&o->at[K_CLONE], r, r->clone);
	if (r->fenced != 0)
		name(&o->at[K_FENCED], r, r->fenced);
	if (strcmp(r->engine, "down") == 0)
		name(&o->at[K_ENGINE], r, 0);
	if (r->rejected)
		name(&o->at[K_REJECTED], r, 0);
	if (r->stale)
		name(&o->at[K_STALE], r, 0);
	if (r->state == FLEET_UNREACHABLE)
		name(&o->at[K_UNREACHABLE], r, r->a.seen);
	if (r->state == FLEET_OUTDATED && !r->stale)
		name(&o->at[K_OUTDATED], r, 0);
	return OK;
}

static enum err
put_states(struct buf *out, const struct overview *o)
{
	return buf_printf(out,
	    "{\"computers\":{\"total\":%" PRIu64 ",\"protected\":%" PRIu64 ",\"outdated\":%" PRIu64
	    ",\"unreachable\":%" PRIu64 ",\"infected\":%" PRIu64 ",\"engine_down\":%" PRIu64
	    ",\"revoked\":%" PRIu64 "}",
	    o->total, o->states[FLEET_PROTECTED], o->states[FLEET_OUTDATED],
	    o->states[FLEET_UNREACHABLE], o->states[FLEET_INFECTED], o->states[FLEET_ENGINE_DOWN],
	    o->states[FLEET_REVOKED]);
}

/* Tasks that somebody has to sign. */
static enum err
put_waiting(struct buf *out, struct db *db, const char *scope, const char *comma)
{
	struct sql_stmt *s = db_prepare(db,
	    "SELECT count(*), min(created) FROM waiting WHERE canceled IS NULL AND expires > ?1 AND"
	    " (?2 IS NULL OR target IN (SELECT 'group:' || value FROM json_each(?2)) OR target IN"
	    " (SELECT agent FROM agents WHERE grp IN (SELECT value FROM json_each(?2))))");
	char when[CLOCK_TEXT];
	enum err e = db_bind(s, "it", clock_wall_ms(), scope);

	if (e == OK)
		e = db_step(s);
	if (e == OK && sql_i64(s, 0) > 0) {
		clock_format(when, sql_i64(s, 1));
		e = buf_printf(out,
		    "%s{\"kind\":\"waiting-signature\",\"count\":%" PRId64
		    ",\"text\":\"a task waits for a signature\",\"since\":\"%s\","
		    "\"agents\":[],\"hosts\":[]}",
		    comma, sql_i64(s, 0), when);
	}
	db_end(s);
	return e;
}

static enum err
put_attention(struct buf *out, struct db *db, const char *scope, const struct overview *o)
{
	const char *comma = "";
	char when[CLOCK_TEXT];
	enum err e = buf_puts(out, ",\"attention\":[");

	for (int k = 0; e == OK && k < KINDS; k++) {
		const struct attention *a = &o->at[k];
		uint64_t n = a->count < NAMED ? a->count : NAMED;

		if (a->count == 0)
			continue;
		e = buf_printf(out, "%s{\"kind\":\"%s\",\"count\":%" PRIu64 ",\"text\":\"%s\"",
		    comma, kinds[k].name, a->count, kinds[k].text);
		if (e == OK && a->since > 0) {
			clock_format(when, a->since);
			e = buf_printf(out, ",\"since\":\"%s\"", when);
		}
		for (uint64_t i = 0; e == OK && i < n; i++)
			e = buf_printf(
			    out, "%s\"%s\"", i == 0 ? ",\"agents\":[" : ",", a->agents[i]);
		for (uint64_t i = 0; e == OK && i < n; i++) {
			e = buf_puts(out, i == 0 ? "],\"hosts\":[" : ",");
			if (e == OK)
				e = json_quote(out, a->hosts[i], strlen(a->hosts[i]));
		}
		if (e == OK)
			e = buf_puts(out, "]}");
		comma = ",";
	}
	if (e == OK)
		e = put_waiting(out, db, scope, comma);
	return e == OK ? buf_puts(out, "]") : e;
}

static enum err
version_row(void *arg, struct sql_stmt *s, struct buf *out)
{
	char when[CLOCK_TEXT];

	(void)arg;
	clock_format(when, sql_i64(s, 2));
	return buf_printf(out,
	    "{\"version\":%" PRId64 ",\"computers\":%" PRId64 ",\"since\":\"%s\"}", sql_i64(s, 0),
	    sql_i64(s, 1), when);
}

/* Versions in use, per feed. */
static enum err
put_feed(struct buf *out, struct db *db, const char *scope, const struct fleet_set *feed)
{
	struct sql_stmt *s = db_prepare(db,
	    "SELECT s.version, count(*), min(s.applied) FROM sets s JOIN agents a ON a.agent = "
	    "s.agent"
	    " WHERE s.feed = ?1 AND a.revoked IS NULL AND s.version > 0 AND (?2 IS NULL OR a.grp IN"
	    " (SELECT value FROM json_each(?2))) GROUP BY s.version ORDER BY s.version DESC LIMIT "
	    "50");
	enum err e = db_bind(s, "tt", feed->feed, scope);

	if (e == OK)
		e = buf_printf(
		    out, "{\"feed\":\"%s\",\"newest\":%" PRId64, feed->feed, feed->version);
	return db_text(s, e, out, ",\"versions\":[", version_row, NULL, "]}");
}

static enum err
put_feeds(struct buf *out, struct db *db, const char *scope, const struct fleet_newest *newest)
{
	enum err e = buf_puts(out, ",\"feeds\":[");

	for (size_t i = 0; e == OK && i < newest->n; i++) {
		e = i > 0 ? buf_puts(out, ",") : OK;
		if (e == OK)
			e = put_feed(out, db, scope, &newest->feeds[i]);
	}
	return e == OK ? buf_puts(out, "]") : e;
}

static enum err
spread_row(void *arg, struct sql_stmt *s, struct buf *out)
{
	(void)arg;
	return buf_printf(out,
	    "{\"at\":%" PRId64 ",\"feed\":\"%s\",\"version\":%" PRId64 ",\"computers\":%" PRId64
	    "}",
	    (int64_t)(sql_i64(s, 0) * DAY_MS_64), sql_text(s, 1), sql_i64(s, 2), sql_i64(s, 3));
}

static enum err
put_spread(struct buf *out, struct db *db, int64_t first)
{
	struct sql_stmt *s = db_prepare(db,
	    "SELECT day, feed, version, computers FROM spread WHERE day >= ? AND feed <> 'policies'"
	    " ORDER BY day, feed, version");

	return db_text(s, db_bind(s, "i", first), out, ",\"spread\":[", spread_row, NULL, "]");
}

static enum err
day_row(void *arg, struct sql_stmt *s, struct buf *out)
{
	int64_t *sums = arg;

	for (int i = 0; i < 4; i++)
		sums[i] += sql_i64(s, i + 1);
	return buf_printf(out,
	    "{\"at\":%" PRId64 ",\"wire\":%" PRId64 ",\"from_mirrors\":%" PRId64 "}",
	    (int64_t)(sql_i64(s, 0) * DAY_MS_64), sql_i64(s, 1), sql_i64(s, 2));
}

/* What PCs took: from the server, or from update agents instead. */
static enum err
put_bytes(struct call *call, struct db *db, int64_t first)
{
	struct sql_stmt *s = db_prepare(db,
	    "SELECT day, sum(wire), sum(CASE WHEN mirror <> ?2 AND taker = '' THEN wire ELSE 0 "
	    "END),"
	    " sum(saved), sum(full) FROM traffic WHERE day >= ?1 GROUP BY day ORDER BY day");
	int64_t sums[4] = { 0 };
	struct buf *out = &call->out;
	enum err e = db_bind(s, "it", first, call->c->o->source_name);

	e = db_text(s, e, out, ",\"bytes_days\":[", day_row, sums, "]");
	return e != OK ? e
		       : buf_printf(out,
			     ",\"bytes\":{\"wire\":%" PRId64 ",\"from_mirrors\":%" PRId64
			     ",\"by_deltas\":%" PRId64 ",\"full\":%" PRId64 "}",
			     sums[0], sums[1], sums[2], sums[3]);
}

static enum err
work_overview(struct call *call, struct db *db)
{
	struct overview *o = call->extra;
	const char *scope = who_scope(&call->who);
	int64_t now = clock_wall_ms(), first = now / DAY_MS_64 - DAYS + 1;
	struct fleet_newest newest;
	enum err e = fleet_newest(db, &newest);

	if (e == OK)
		e = fleet_each(db, scope, &newest, now, count_row, o);
	if (e == OK)
		e = put_states(&call->out, o);
	if (e == OK)
		e = put_feeds(&call->out, db, scope, &newest);
	if (e == OK)
		e = put_spread(&call->out, db, first);
	if (e == OK)
		e = put_bytes(call, db, first);
	if (e == OK)
		e = put_attention(&call->out, db, scope, o);
	return e == OK ? buf_puts(&call->out, "}") : e;
}

void
web_overview(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call == NULL)
		return;
	call->extra = calloc(1, sizeof(struct overview));
	if (call->extra == NULL) {
		call_fail(call);
		return;
	}
	call->extra_free = free;
	call_start(call, work_overview, NULL);
}
