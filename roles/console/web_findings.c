/* web_findings.c - why a computer is not protected, as far as the server sees it: the same chain
 * that `atalaia why-old` walks on the PC, first broken link first. */
#include "base/clock.h"
#include "finding.h"
#include "fleet.h"
#include "web_routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static enum err
say_contact(struct findings *x, const struct fleet_row *r, int64_t now)
{
	static const struct finding revoked = { "identity", "revoked", false,
		"this computer is revoked", "enrol it anew with a new token" };
	static const struct finding ended = { "identity", "certificate-ended", false,
		"its certificate has ended",
		"it renews by itself when it comes back within 180 days" };
	static const struct finding away = { "contact", "away", false,
		"it was heard of last at {when}",
		"is it switched on? run atalaia doctor there: it tests the way to port 2225" };
	static const struct finding near = { "contact", "heard-of", true,
		"it was heard of at {when}", NULL };
	char when[CLOCK_TEXT];

	clock_format(when, r->a.seen);
	if (r->revoked != 0)
		return finding_add(x, &revoked, NULL);
	if (r->a.not_after < now)
		return finding_add(x, &ended, NULL);
	return finding_add(
	    x, r->a.seen < now - FLEET_AWAY_MS ? &away : &near, FINDING_VALUES({ "when", when }));
}

/* One feed: what it holds beside what there is. */
static enum err
say_feed(struct findings *x, struct db *db, const struct fleet_row *r, const struct fleet_set *new)
{
	static const struct finding none = { "set", "no-set", false,
		"it has reported no set of {feed} yet; the newest is {newest}",
		"look at the events of the computer for what was refused" };
	static const struct finding rejected = { "rejected", "set-refused", false,
		"it refused a set of {feed}: {why}",
		"the set before goes on protecting; look at the event" };
	static const struct finding stale = { "stale", "past-its-time", false,
		"what it reaches of {feed} is past its time: {why}",
		"the mirror that it reaches has old metadata" };
	static const struct finding old = { "set", "set-old", false,
		"it has {version} of {feed}; the newest is {newest}",
		"send it the task update.now" };
	static const struct finding waits = { "set", "set-waits", false,
		"it has {version} of {feed}; the newest is {newest}; it waits: {why}",
		"send it the task update.now" };
	static const struct finding good = { "set", "set-newest", true,
		"it has the newest set of {feed}, {newest}", NULL };
	struct sql_stmt *s = db_prepare(db, "SELECT version, stale, waiting, rejected FROM sets"
					    " WHERE agent = ? AND feed = ?");
	char newest[24], version[24] = "";
	const struct finding *f = &none;
	const char *why = "";
	enum err e = db_bind(s, "tt", r->a.agent, new->feed);

	if (e == OK)
		e = db_step(s);
	if (e == OK) {
		(void)snprintf(version, sizeof(version), "%" PRId64, sql_i64(s, 0));
		f = !sql_is_null(s, 3)		    ? &rejected
		    : sql_i64(s, 1) != 0	    ? &stale
		    : sql_i64(s, 0) >= new->version ? &good
		    : sql_is_null(s, 2)		    ? &old
						    : &waits;
		why = sql_text(s, f == &rejected ? 3 : 2);
	}
	(void)snprintf(newest, sizeof(newest), "%" PRId64, new->version);
	if (e == OK || e == ERR_NOTFOUND)
		e = finding_add(x, f,
		    FINDING_VALUES({ "feed", new->feed }, { "version", version },
			{ "newest", newest }, { "why", why }));
	db_end(s);
	return e;
}

static enum err
say_rest(struct findings *x, const struct fleet_row *r)
{
	static const struct finding up = { "engine", "engine-up", true, "the engine is up", NULL };
	static const struct finding down = { "engine", "engine-down", false, "the engine is down",
		"look at the engine's own log on the computer" };
	static const struct finding found = { "detections", "not-dealt-with", false,
		"detections since they were cleared last: {count}",
		"deal with them, then clear them here" };
	char count[24];
	enum err e = OK;

	if (r->engine[0] != '\0')
		e = finding_add(x, strcmp(r->engine, "up") == 0 ? &up : &down, NULL);
	(void)snprintf(count, sizeof(count), "%" PRId64, r->detections);
	if (e == OK && r->detections > 0)
		e = finding_add(x, &found, FINDING_VALUES({ "count", count }));
	return e;
}

enum err
web_findings(
    struct buf *out, struct db *db, const struct fleet_row *r, const struct fleet_newest *newest)
{
	static const struct finding clone = { "clone", "cloned", false,
		"two machines use this identity", "enrol one of the two anew" };
	static const struct finding fenced = { "child", "part-fenced", false,
		"a part of the agent crashed again and again and is not started any more",
		"look at the event child.fenced and at its log" };
	struct findings x = { out, false };
	enum err e = buf_puts(out, ",\"findings\":[");

	if (e == OK)
		e = say_contact(&x, r, clock_wall_ms());
	if (e == OK && r->clone != 0)
		e = finding_add(&x, &clone, NULL);
	if (e == OK && r->fenced != 0)
		e = finding_add(&x, &fenced, NULL);
	for (size_t i = 0; e == OK && i < newest->n; i++)
		e = say_feed(&x, db, r, &newest->feeds[i]);
	if (e == OK)
		e = say_rest(&x, r);
	return e == OK ? buf_puts(out, "]") : e;
}
