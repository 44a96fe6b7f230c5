/* spool_db.c - opening the spool's file, transactions, epochs. */
#include "store/spool_db_internal.h"

#include "base/clock.h"
#include "base/inject.h"
#include "base/log.h"
#include "base/text.h"
#include "os/file.h"
#include "os/rand.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAL_BYTES (4u << 20) /* 1 MiB before a checkpoint, and the largest transaction twice */

const char *const spool_steps[] = {
	"CREATE TABLE event0 (seq INTEGER PRIMARY KEY, added INTEGER NOT NULL, body BLOB NOT NULL);"
	"CREATE TABLE event1 (seq INTEGER PRIMARY KEY, added INTEGER NOT NULL, body BLOB NOT NULL);"
	"CREATE TABLE event2 (seq INTEGER PRIMARY KEY, added INTEGER NOT NULL, body BLOB NOT NULL);"
	"CREATE TABLE class (class INTEGER PRIMARY KEY, base INTEGER NOT NULL, next INTEGER NOT "
	"NULL,"
	" dropped INTEGER NOT NULL, dead INTEGER NOT NULL);"
	"INSERT INTO class VALUES (0,0,1,0,0),(1,0,1,0,0),(2,0,1,0,0);"
	"CREATE TABLE spool (one INTEGER PRIMARY KEY CHECK (one = 1), epoch TEXT NOT NULL);"
	"CREATE TABLE dropped (class INTEGER, epoch TEXT, first INTEGER, last INTEGER, count "
	"INTEGER,"
	" bytes INTEGER, since INTEGER, until INTEGER, PRIMARY KEY (class, epoch));"
	"CREATE TABLE dead (id INTEGER PRIMARY KEY, class INTEGER, epoch TEXT, seq INTEGER,"
	" added INTEGER, died INTEGER, why TEXT, body BLOB);",
	NULL,
};

static void
random_epoch(char epoch[SPOOL_EPOCH])
{
	uint8_t bytes[16];

	rand_bytes(bytes, sizeof bytes);
	text_hex(epoch, bytes, sizeof bytes);
}

static enum err
load_epoch(struct spool_db *db, struct fault *f)
{
	struct sql_stmt *s;
	bool row;
	enum err e = sql_prepare(db->sql, "SELECT epoch FROM spool", &s, f);

	if (e == OK)
		e = sql_step(s, &row, f);
	if (e != OK)
		return e;
	if (row && strlen(sql_text(s, 0)) == SPOOL_EPOCH - 1) {
		(void)snprintf(db->live.epoch, sizeof db->live.epoch, "%s", sql_text(s, 0));
		sql_reset(s);
		return OK;
	}
	sql_reset(s);
	random_epoch(db->live.epoch);
	e = sql_prepare(db->sql, "INSERT OR REPLACE INTO spool VALUES (1, ?)", &s, f);
	if (e != OK)
		return e;
	sql_bind_text(s, 1, db->live.epoch);
	return sql_run(s, f);
}

static enum err
load_counts(struct spool_db *db, unsigned class, struct fault *f)
{
	static const char *const text[] = SPOOL_EACH(
	    "SELECT count(*), total(length(body)), coalesce(max(seq), 0) FROM event", "");
	struct spool_class *c = &db->live.class[class];
	struct sql_stmt *s;
	int64_t last;
	bool row;
	enum err e = sql_prepare(db->sql, text[class], &s, f);

	if (e == OK)
		e = sql_step(s, &row, f);
	if (e != OK)
		return e;
	c->depth = sql_u64(s, 0);
	c->bytes = sql_u64(s, 1) + c->depth * SPOOL_ROW_COST;
	last = sql_i64(s, 2);
	sql_reset(s);
	if (last >= c->next) /* cannot be unless the file was edited; never number twice */
		c->next = last + 1;
	return spool_refresh_first(db, class, f);
}

static enum err
load_class(struct spool_db *db, unsigned class, struct fault *f)
{
	struct spool_class *c = &db->live.class[class];
	struct spool_drop drop;
	struct sql_stmt *s;
	bool row;
	enum err e;

	e = sql_prepare(
	    db->sql, "SELECT base, next, dropped, dead FROM class WHERE class = ?", &s, f);
	if (e != OK)
		return e;
	sql_bind_u64(s, 1, class);
	e = sql_step(s, &row, f);
	if (e != OK)
		return e;
	if (row) {
		c->base = sql_i64(s, 0);
		c->next = sql_i64(s, 1);
		c->dropped = sql_u64(s, 2);
		c->dead = sql_u64(s, 3);
	}
	sql_reset(s);
	if (!row || c->base < 0 || c->next <= c->base)
		return fault_set(
		    f, ERR_PARSE, "%s: class %u has no valid counters", sql_path(db->sql), class);
	e = load_counts(db, class, f);
	if (e == OK)
		e = spool_db_drops(db, class, &drop, f);
	if (e == OK)
		c->unreported = drop.count > 0;
	return e;
}

enum err
spool_load(struct spool_db *db, struct fault *f)
{
	enum err e = load_epoch(db, f);

	for (unsigned class = 0; e == OK && class < SPOOL_CLASSES; class ++)
		e = load_class(db, class, f);
	return e;
}

static enum err
open_file(struct spool_db *db, const char *path, struct fault *f)
{
	const struct sql_options o = { .steps = spool_steps, .extra = SQL_ROOM_PRAGMAS };
	enum err e = sql_open(&db->sql, path, &o, f);

	if (e == OK)
		e = sql_room_keep(db->sql, f);
	if (e == OK)
		e = spool_load(db, f);
	if (e != OK) {
		sql_close(db->sql);
		db->sql = NULL;
	}
	return e;
}

/* Whatever SQLite says about a file that it cannot use is damage, but for what the disk, the
 * memory, the permissions or another process explain. A schema that is newer than ours is set aside
 * as well: after a downgrade events must flow, and what the old rows still say is taken over. */
static bool
is_damage(enum err e)
{
	return e == ERR_PARSE || e == ERR_EXISTS || e == ERR_TOOBIG || e == ERR_STATE ||
	       e == ERR_UNSUPPORTED;
}

static enum err
replace_damaged(struct spool_db *db, const char *path, struct spool_opened *opened,
    const struct fault *why, struct fault *f)
{
	enum err e;

	log_error("spool.damaged", "path=%s why=%s", log_q(path), log_q(fault_text(why)));
	opened->damaged = true;
	(void)snprintf(opened->why, sizeof opened->why, "%s", fault_text(why));
	e = sql_move_aside(path, opened->moved, sizeof opened->moved, f);
	if (e == OK)
		e = open_file(db, path, f);
	if (e == OK)
		spool_salvage(db, opened->moved, &opened->salvaged);
	return e;
}

enum err
spool_db_open(struct spool_db **out, const char *dir, const uint64_t quota[SPOOL_CLASSES],
    struct spool_opened *opened, struct fault *f)
{
	struct spool_db *db = calloc(1, sizeof *db);
	struct fault first = { OK, "" };
	char path[1100];
	enum err e;

	*out = NULL;
	*opened = (struct spool_opened){ 0 };
	if (db == NULL)
		return fault_set(f, ERR_NOMEM, "memory ran out while the spool was opened");
	spool_db_quota(db, quota);
	e = file_join(path, sizeof path, dir, "spool.db");
	if (e == OK)
		e = open_file(db, path, &first);
	if (is_damage(e) && db->sql == NULL)
		e = replace_damaged(db, path, opened, &first, f);
	else if (e != OK)
		(void)fault_set(f, e, "%s", fault_text(&first));
	if (e != OK) {
		spool_db_close(db);
		return e;
	}
	*out = db;
	return OK;
}

void
spool_db_close(struct spool_db *db)
{
	if (db == NULL)
		return;
	sql_close(db->sql);
	free(db);
}

void
spool_db_quota(struct spool_db *db, const uint64_t quota[SPOOL_CLASSES])
{
	memcpy(db->quota, quota, sizeof db->quota);
	db->reserved = false;
}

enum err
spool_db_reserve(struct spool_db *db, struct fault *f)
{
	uint64_t bytes = WAL_BYTES + 2 * SPOOL_DEAD_BYTES;
	enum err e;

	for (unsigned class = 0; class < SPOOL_CLASSES; class ++)
		bytes +=
		    db->quota[class] + db->quota[class] / 4; /* pages are not filled to the end */
	e = inject("spool.reserve") ? fault_set(f, ERR_NOSPACE, "injected")
				    : sql_room_step(db->sql, bytes, WAL_BYTES, &db->reserved, f);
	return e;
}

enum err
spool_save(struct spool_db *db, struct fault *f)
{
	enum err e = OK;

	for (unsigned class = 0; e == OK && class < SPOOL_CLASSES; class ++) {
		struct spool_class *c = &db->live.class[class];
		struct sql_stmt *s;

		if (!c->dirty)
			continue;
		e = sql_prepare(db->sql,
		    "UPDATE class SET base = ?, next = ?, dropped = ?, dead = ? WHERE class = ?",
		    &s, f);
		if (e != OK)
			break;
		sql_bind_i64(s, 1, c->base);
		sql_bind_i64(s, 2, c->next);
		sql_bind_u64(s, 3, c->dropped);
		sql_bind_u64(s, 4, c->dead);
		sql_bind_u64(s, 5, class);
		e = sql_run(s, f);
		if (e == OK)
			c->dirty = false;
	}
	return e;
}

enum err
spool_db_begin(struct spool_db *db, struct fault *f)
{
	enum err e;

	db->before = db->live;
	e = sql_begin(db->sql, f);
	/* Sequence numbers are CloudEvents integers of 31 bits: begin anew long before they end. */
	for (unsigned class = 0; e == OK && class < SPOOL_CLASSES; class ++)
		if (db->live.class[class].next - db->live.class[class].base >
		    SPOOL_SEQ_MAX - 100000)
			e = spool_db_new_epoch(db, f);
	if (e != OK)
		e = sql_end(db->sql, e, f);
	return e;
}

enum err
spool_db_end(struct spool_db *db, enum err e, struct fault *f)
{
	if (e == OK)
		e = spool_save(db, f);
	if (e == OK && inject("spool.commit"))
		e = fault_set(f, ERR_IO, "injected");
	e = sql_end(db->sql, e, f);
	if (e != OK)
		db->live = db->before;
	return e;
}

enum err
spool_db_new_epoch(struct spool_db *db, struct fault *f)
{
	struct sql_stmt *s;
	enum err e;

	random_epoch(db->live.epoch);
	for (unsigned class = 0; class < SPOOL_CLASSES; class ++) {
		db->live.class[class].base = db->live.class[class].first - 1;
		db->live.class[class].dirty = true;
	}
	e = sql_prepare(db->sql, "UPDATE spool SET epoch = ?", &s, f);
	if (e != OK)
		return e;
	sql_bind_text(s, 1, db->live.epoch);
	return sql_run(s, f);
}

void
spool_db_state(const struct spool_db *db, struct spool_state *out)
{
	*out = (struct spool_state){ .reserved = db->reserved };
	memcpy(out->epoch, db->live.epoch, sizeof out->epoch);
	for (unsigned class = 0; class < SPOOL_CLASSES; class ++) {
		const struct spool_class *c = &db->live.class[class];

		out->class[class].depth = c->depth;
		out->class[class].bytes = c->bytes;
		out->class[class].dropped = c->dropped;
		out->class[class].dead = c->dead;
		out->class[class].first = (uint32_t)(c->first - c->base);
		out->class[class].next = (uint32_t)(c->next - c->base);
		out->class[class].oldest_ms = c->depth > 0 ? c->oldest_ms : 0;
		out->class[class].unreported = c->unreported;
	}
}
