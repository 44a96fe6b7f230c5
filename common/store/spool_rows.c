/* spool_rows.c - the rows of the spool: append with drops, ack, dead letters, reading. */
#include "store/spool_db_internal.h"

#include "base/inject.h"

#include <string.h>

enum err
spool_refresh_first(struct spool_db *db, unsigned class, struct fault *f)
{
	static const char *const text[] =
	    SPOOL_EACH("SELECT seq, added FROM event", " ORDER BY seq LIMIT 1");
	struct spool_class *c = &db->live.class[class];
	struct sql_stmt *s;
	bool row = false;
	enum err e = sql_prepare(db->sql, text[class], &s, f);

	if (e == OK)
		e = sql_step(s, &row, f);
	if (e != OK)
		return e;
	c->first = row ? sql_i64(s, 0) : c->next;
	c->oldest_ms = row ? sql_i64(s, 1) : 0;
	sql_reset(s);
	return OK;
}

static enum err
delete_row(struct spool_db *db, unsigned class, int64_t row, uint64_t body, struct fault *f)
{
	static const char *const text[] = SPOOL_EACH("DELETE FROM event", " WHERE seq = ?");
	struct spool_class *c = &db->live.class[class];
	struct sql_stmt *s;
	enum err e = sql_prepare(db->sql, text[class], &s, f);

	if (e != OK)
		return e;
	sql_bind_i64(s, 1, row);
	e = sql_run(s, f);
	if (e != OK)
		return e;
	c->depth -= c->depth > 0;
	c->bytes -= c->bytes > body + SPOOL_ROW_COST ? body + SPOOL_ROW_COST : c->bytes;
	return row == c->first ? spool_refresh_first(db, class, f) : OK;
}

static enum err
record_drop(struct spool_db *db, unsigned class, uint32_t seq, uint64_t count, uint64_t bytes,
    int64_t now, struct fault *f)
{
	struct spool_class *c = &db->live.class[class];
	struct sql_stmt *s;
	enum err e = sql_prepare(db->sql,
	    "INSERT INTO dropped VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?6) ON CONFLICT DO UPDATE SET"
	    " first = CASE WHEN first = 0 THEN ?3 ELSE first END,"
	    " last = max(last, ?3), count = count + ?4, bytes = bytes + ?5, until = ?6",
	    &s, f);

	if (e != OK)
		return e;
	sql_bind_u64(s, 1, class);
	sql_bind_text(s, 2, db->live.epoch);
	sql_bind_u64(s, 3, seq);
	sql_bind_u64(s, 4, count);
	sql_bind_u64(s, 5, bytes);
	sql_bind_i64(s, 6, now);
	e = sql_run(s, f);
	c->dropped += count;
	c->unreported = true;
	c->dirty = true;
	return e;
}

/* Drops the oldest event behind `held`. */
static enum err
drop_one(struct spool_db *db, unsigned class, uint32_t held, int64_t now, struct fault *f)
{
	static const char *const text[] = SPOOL_EACH(
	    "SELECT seq, length(body) FROM event", " WHERE seq > ? ORDER BY seq LIMIT 1");
	struct spool_class *c = &db->live.class[class];
	struct sql_stmt *s;
	uint64_t bytes;
	int64_t seq;
	bool row;
	enum err e = sql_prepare(db->sql, text[class], &s, f);

	if (e != OK)
		return e;
	sql_bind_i64(s, 1, c->base + held);
	e = sql_step(s, &row, f);
	if (e != OK)
		return e;
	seq = sql_i64(s, 0);
	bytes = sql_u64(s, 1);
	sql_reset(s);
	if (!row)
		return fault_set(f, ERR_NOSPACE,
		    "the quota of class %u is full of events that are under "
		    "way",
		    class);
	e = delete_row(db, class, seq, bytes, f);
	return e == OK ? record_drop(db, class, (uint32_t)(seq - c->base), 1, bytes, now, f) : e;
}

enum err
spool_db_append(struct spool_db *db, unsigned class, uint32_t held, int64_t now_ms, const void *p,
    size_t n, uint32_t *seq, struct fault *f)
{
	static const char *const text[] = SPOOL_EACH("INSERT INTO event", " VALUES (?, ?, ?)");
	struct spool_class *c = &db->live.class[class];
	struct sql_stmt *s;
	enum err e = OK;

	if (n + SPOOL_ROW_COST > db->quota[class])
		return fault_set(
		    f, ERR_TOOBIG, "an event of %zu bytes is larger than its class's quota", n);
	if (inject("spool.append"))
		return fault_set(f, ERR_IO, "injected");
	while (e == OK && c->bytes + n + SPOOL_ROW_COST > db->quota[class])
		e = drop_one(db, class, held, now_ms, f);
	if (e == OK)
		e = sql_prepare(db->sql, text[class], &s, f);
	if (e != OK)
		return e;
	sql_bind_i64(s, 1, c->next);
	sql_bind_i64(s, 2, now_ms);
	sql_bind_blob(s, 3, p, n);
	e = sql_run(s, f);
	if (e != OK)
		return e;
	if (c->depth++ == 0) {
		c->first = c->next;
		c->oldest_ms = now_ms;
	}
	c->bytes += n + SPOOL_ROW_COST;
	c->dirty = true;
	*seq = (uint32_t)(c->next++ - c->base);
	return OK;
}

enum err
spool_db_ack(struct spool_db *db, unsigned class, uint32_t seq, struct fault *f)
{
	static const char *const sums[] =
	    SPOOL_EACH("SELECT count(*), total(length(body)) FROM event", " WHERE seq <= ?");
	static const char *const text[] = SPOOL_EACH("DELETE FROM event", " WHERE seq <= ?");
	struct spool_class *c = &db->live.class[class];
	uint64_t count, bytes;
	struct sql_stmt *s;
	bool row;
	enum err e = sql_prepare(db->sql, sums[class], &s, f);

	if (e != OK)
		return e;
	sql_bind_i64(s, 1, c->base + seq);
	e = sql_step(s, &row, f);
	if (e != OK)
		return e;
	count = sql_u64(s, 0);
	bytes = sql_u64(s, 1) + count * SPOOL_ROW_COST;
	sql_reset(s);
	e = sql_prepare(db->sql, text[class], &s, f);
	if (e != OK)
		return e;
	sql_bind_i64(s, 1, c->base + seq);
	e = sql_run(s, f);
	if (e != OK)
		return e;
	c->depth -= count < c->depth ? count : c->depth;
	c->bytes -= bytes < c->bytes ? bytes : c->bytes;
	return spool_refresh_first(db, class, f);
}

/* The oldest dead letters go when there are too many. */
static enum err
bound_dead(struct spool_db *db, struct fault *f)
{
	struct sql_stmt *s;
	enum err e = sql_prepare(db->sql,
	    "DELETE FROM dead WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER"
	    " (ORDER BY id DESC) AS n, sum(length(body)) OVER (ORDER BY id DESC) AS b FROM dead)"
	    " WHERE n > ?1 OR (b > ?2 AND n > 1))",
	    &s, f);

	if (e != OK)
		return e;
	sql_bind_u64(s, 1, SPOOL_DEAD_MAX);
	sql_bind_u64(s, 2, SPOOL_DEAD_BYTES);
	return sql_run(s, f);
}

static enum err
bury(struct spool_db *db, unsigned class, uint32_t seq, const char *why, int64_t now,
    uint64_t *bytes, struct fault *f)
{
	static const char *const copy[] =
	    SPOOL_EACH("INSERT INTO dead (class, epoch, seq, added, died,"
		       " why, body) SELECT ?1, ?2, ?3, added, ?4, ?5, body FROM event",
		" WHERE seq = ?6");
	static const char *const size[] =
	    SPOOL_EACH("SELECT length(body) FROM event", " WHERE seq = ?");
	struct spool_class *c = &db->live.class[class];
	struct sql_stmt *s;
	bool row;
	enum err e = sql_prepare(db->sql, size[class], &s, f);

	if (e != OK)
		return e;
	sql_bind_i64(s, 1, c->base + seq);
	e = sql_step(s, &row, f);
	if (e != OK)
		return e;
	*bytes = sql_u64(s, 0);
	sql_reset(s);
	if (!row)
		return ERR_NOTFOUND;
	e = sql_prepare(db->sql, copy[class], &s, f);
	if (e != OK)
		return e;
	sql_bind_u64(s, 1, class);
	sql_bind_text(s, 2, db->live.epoch);
	sql_bind_u64(s, 3, seq);
	sql_bind_i64(s, 4, now);
	sql_bind_text(s, 5, why);
	sql_bind_i64(s, 6, c->base + seq);
	return sql_run(s, f);
}

enum err
spool_db_dead(struct spool_db *db, unsigned class, uint32_t seq, const char *why, int64_t now_ms,
    struct fault *f)
{
	struct spool_class *c = &db->live.class[class];
	uint64_t bytes = 0;
	enum err e = bury(db, class, seq, why, now_ms, &bytes, f);

	if (e == OK)
		e = delete_row(db, class, c->base + seq, bytes, f);
	if (e != OK)
		return e;
	c->dead++;
	c->dirty = true;
	return bound_dead(db, f);
}

enum err
spool_db_drops(struct spool_db *db, unsigned class, struct spool_drop *out, struct fault *f)
{
	struct sql_stmt *s;
	bool row;
	enum err e = sql_prepare(db->sql,
	    "SELECT epoch, first, last, count, bytes, since, until"
	    " FROM dropped WHERE class = ? ORDER BY until LIMIT 1",
	    &s, f);

	*out = (struct spool_drop){ 0 };
	if (e != OK)
		return e;
	sql_bind_u64(s, 1, class);
	e = sql_step(s, &row, f);
	if (e != OK)
		return e;
	if (row) {
		size_t n = strlen(sql_text(s, 0));

		memcpy(out->epoch, sql_text(s, 0), n < SPOOL_EPOCH ? n : SPOOL_EPOCH - 1);
		out->first = (uint32_t)sql_u64(s, 1);
		out->last = (uint32_t)sql_u64(s, 2);
		out->count = sql_u64(s, 3);
		out->bytes = sql_u64(s, 4);
		out->since_ms = sql_i64(s, 5);
		out->until_ms = sql_i64(s, 6);
		out->total = db->live.class[class].dropped;
	}
	sql_reset(s);
	return OK;
}

enum err
spool_db_drop_reported(
    struct spool_db *db, unsigned class, const struct spool_drop *d, struct fault *f)
{
	struct spool_drop next;
	struct sql_stmt *s;
	enum err e =
	    sql_prepare(db->sql, "DELETE FROM dropped WHERE class = ? AND epoch = ?", &s, f);

	if (e != OK)
		return e;
	sql_bind_u64(s, 1, class);
	sql_bind_text(s, 2, d->epoch);
	e = sql_run(s, f);
	if (e == OK)
		e = spool_db_drops(db, class, &next, f);
	if (e == OK)
		db->live.class[class].unreported = next.count > 0;
	return e;
}

enum err
spool_db_lost(struct spool_db *db, unsigned class, uint64_t count, uint64_t bytes, int64_t now_ms,
    struct fault *f)
{
	return record_drop(db, class, 0, count, bytes, now_ms, f);
}

enum err
spool_db_read(struct spool_db *db, unsigned class, uint32_t after, size_t max_events,
    size_t max_bytes, enum err (*each)(void *ctx, const struct spool_row *r), void *ctx,
    struct fault *f)
{
	static const char *const text[] =
	    SPOOL_EACH("SELECT seq, added, body FROM event", " WHERE seq > ? ORDER BY seq LIMIT ?");
	const struct spool_class *c = &db->live.class[class];
	size_t used = 0;
	struct sql_stmt *s;
	bool row = true;
	enum err e = sql_prepare(db->sql, text[class], &s, f);

	if (e != OK)
		return e;
	sql_bind_i64(s, 1, c->base + after);
	sql_bind_u64(s, 2, max_events);
	while (e == OK && (e = sql_step(s, &row, f)) == OK && row) {
		struct spool_row r = { .seq = (uint32_t)(sql_i64(s, 0) - c->base),
			.added_ms = sql_i64(s, 1) };

		r.p = sql_blob(s, 2, &r.n);
		if (used > 0 && used + r.n > max_bytes)
			break;
		used += r.n;
		e = each(ctx, &r);
	}
	sql_reset(s);
	return e == ERR_CANCELED ? OK : e;
}
