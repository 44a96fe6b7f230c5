/* spool_salvage.c - what can still be read of a damaged spool. Reads each class from the front
 * until an error, then from the back until it meets the first part or another error. */
#include "store/spool_db_internal.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

#include <string.h>

#define ROWS_EACH 200 /* appended in one transaction */

struct salvage {
	struct spool_db *to;
	struct sql *from;
	unsigned class;
	uint64_t count;
	int64_t last; /* newest row that was taken from the front */
};

/* A body that we wrote begins like this; anything else is garbage in a page that still hangs
 * together. */
static bool
plausible(const char *p, size_t n)
{
	static const char begin[] = "\"id\":\"";

	return n > sizeof begin && n <= 4 * (size_t)LIMIT_EVENT_BYTES &&
	       memcmp(p, begin, sizeof begin - 1) == 0 && memchr(p, '\0', n) == NULL;
}

static enum err
take_row(struct salvage *g, struct sql_stmt *s)
{
	struct fault f = { OK, "" };
	uint32_t seq;
	size_t n;
	const void *p = sql_blob(s, 2, &n);

	if (!plausible(p, n))
		return OK;
	g->count++;
	return spool_db_append(g->to, g->class, 0, sql_i64(s, 1), p, n, &seq, &f);
}

static enum err
take_from(struct salvage *g, const char *text, int64_t after, size_t *rows)
{
	struct fault f = { OK, "" };
	struct sql_stmt *s;
	bool row;
	enum err e = sql_prepare(g->from, text, &s, &f);

	*rows = 0;
	if (e != OK)
		return e;
	sql_bind_i64(s, 1, after);
	sql_bind_u64(s, 2, ROWS_EACH);
	while ((e = sql_step(s, &row, &f)) == OK && row) {
		int64_t seq = sql_i64(s, 0);

		if (take_row(g, s) != OK)
			break;
		(*rows)++;
		if (seq > g->last)
			g->last = seq;
	}
	if (e == OK)
		sql_reset(s);
	return e;
}

static void
take_class(struct salvage *g)
{
	static const char *const front[] =
	    SPOOL_EACH("SELECT seq, added, body FROM event", " WHERE seq > ? ORDER BY seq LIMIT ?");
	static const char *const back[] = SPOOL_EACH(
	    "SELECT seq, added, body FROM event", " WHERE seq > ? ORDER BY seq DESC LIMIT ?");
	struct fault f = { OK, "" };
	enum err read, kept;
	size_t rows;

	g->last = INT64_MIN;
	do {
		uint64_t before = g->count;

		if (spool_db_begin(g->to, &f) != OK)
			return;
		read = take_from(g, front[g->class], g->last, &rows);
		if (read != OK)
			read = take_from(g, back[g->class], g->last, &rows) == OK ? OK : ERR_IO,
			rows = 0;
		kept = spool_db_end(g->to, OK, &f);
		if (kept != OK)
			g->count = before;
	} while (read == OK && kept == OK && rows == ROWS_EACH);
}

void
spool_salvage(struct spool_db *db, const char *moved, uint64_t *count)
{
	const struct sql_options o = { .extra = SQL_ROOM_PRAGMAS, .unchecked = true };
	struct salvage g = { .to = db };
	struct fault f = { OK, "" };

	*count = 0;
	if (sql_open(&g.from, moved, &o, &f) != OK) {
		log_warn("spool.salvage", "path=%s why=%s", log_q(moved), log_q(fault_text(&f)));
		return;
	}
	for (g.class = 0; g.class < SPOOL_CLASSES; g.class ++)
		take_class(&g);
	sql_close(g.from);
	*count = g.count;
}
