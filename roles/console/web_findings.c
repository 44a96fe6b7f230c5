/* web_findings.c - why a computer is not protected, as far as the server sees it: the same chain
 * that `atalaia why-old` walks on the PC, first broken link first. */
#include "base/clock.h"
#include "fleet.h"
#include "web_routes.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

struct findings {
	struct buf *out;
	const char *comma;
};

static enum err say(struct findings *x, const char *name, bool good, const char *remedy,
    const char *fmt, ...) PRINTF_LIKE(5, 6);

static enum err
say(struct findings *x, const char *name, bool good, const char *remedy, const char *fmt, ...)
{
	struct buf text;
	va_list ap;
	enum err e;

	buf_init(&text, 2048);
	va_start(ap, fmt);
	e = buf_vprintf(&text, fmt, ap);
	va_end(ap);
	if (e == OK)
		e = buf_printf(x->out, "%s{\"name\":\"%s\",\"good\":%s,\"text\":", x->comma, name,
		    good ? "true" : "false");
	if (e == OK)
		e = json_quote(x->out, buf_text(&text), text.len);
	buf_free(&text);
	if (e == OK)
		e = buf_printf(x->out, ",\"remedy\":\"%s\"}", good ? "" : remedy);
	x->comma = ",";
	return e;
}

static enum err
say_contact(struct findings *x, const struct fleet_row *r, int64_t now)
{
	char when[CLOCK_TEXT];

	clock_format(when, r->a.seen);
	if (r->revoked != 0)
		return say(x, "identity", false, "enrol it anew with a new token",
		    "this computer is revoked");
	if (r->a.not_after < now)
		return say(x, "identity", false,
		    "it renews by itself when it comes back within 180 days",
		    "its certificate has ended");
	if (r->a.seen < now - FLEET_AWAY_MS)
		return say(x, "contact", false,
		    "is it switched on? run atalaia doctor there: it tests the way to port 2225",
		    "it was heard of last at %s", when);
	return say(x, "contact", true, "", "it was heard of at %s", when);
}

/* One feed: what it holds beside what there is. */
static enum err
say_feed(struct findings *x, struct db *db, const struct fleet_row *r, const struct fleet_set *new)
{
	struct sql_stmt *s = db_prepare(db, "SELECT version, stale, waiting, rejected FROM sets"
					    " WHERE agent = ? AND feed = ?");
	enum err e = db_bind(s, "tt", r->a.agent, new->feed);

	if (e == OK)
		e = db_step(s);
	if (e == ERR_NOTFOUND)
		e = say(x, "set", false, "look at the events of the computer for what was refused",
		    "it has reported no set of %s yet; the newest is %" PRId64, new->feed,
		    new->version);
	else if (e == OK && !sql_is_null(s, 3))
		e = say(x, "rejected", false,
		    "the set before goes on protecting; look at the event",
		    "it refused a set of %s: %s", new->feed, sql_text(s, 3));
	else if (e == OK && sql_i64(s, 1) != 0)
		e = say(x, "stale", false, "the mirror that it reaches has old metadata",
		    "what it reaches of %s is past its time: %s", new->feed, sql_text(s, 2));
	else if (e == OK && sql_i64(s, 0) < new->version)
		e = say(x, "set", false, "send it the task update.now",
		    "it has %" PRId64 " of %s; the newest is %" PRId64 "%s%s", sql_i64(s, 0),
		    new->feed, new->version,
		    sql_is_null(s, 2) ? "" : "; it waits: ", sql_text(s, 2));
	else if (e == OK)
		e = say(x, "set", true, "", "it has the newest set of %s, %" PRId64, new->feed,
		    new->version);
	db_end(s);
	return e;
}

enum err
web_findings(
    struct buf *out, struct db *db, const struct fleet_row *r, const struct fleet_newest *newest)
{
	struct findings x = { out, "" };
	enum err e = buf_puts(out, ",\"findings\":[");

	if (e == OK)
		e = say_contact(&x, r, clock_wall_ms());
	if (e == OK && r->clone != 0)
		e = say(&x, "clone", false, "enrol one of the two anew",
		    "two machines use this identity");
	if (e == OK && r->fenced != 0)
		e = say(&x, "child", false, "look at the event child.fenced and at its log",
		    "a part of the agent crashed again and again and is not started any more");
	for (size_t i = 0; e == OK && i < newest->n; i++)
		e = say_feed(&x, db, r, &newest->feeds[i]);
	if (e == OK && r->engine[0] != '\0')
		e = say(&x, "engine", strcmp(r->engine, "up") == 0,
		    "look at the engine's own log on the computer", "the engine is %s", r->engine);
	if (e == OK && r->detections > 0)
		e = say(&x, "detections", false, "deal with them, then clear them here",
		    "%" PRId64 " detections since they were cleared last", r->detections);
	return e == OK ? buf_puts(out, "]") : e;
}
