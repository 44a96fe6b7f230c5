#include "store/sql_room.h"

#include "os/file.h"

#include <sqlite3.h>
#include <stdio.h>

#define STEP (1u << 20) /* bytes written by one transaction: bounds the WAL meanwhile */

enum err
sql_room_keep(struct sql *db, struct fault *f)
{
	int on = 1;

	if (sqlite3_file_control(sql_handle(db), "main", SQLITE_FCNTL_PERSIST_WAL, &on) !=
	    SQLITE_OK)
		return fault_set(
		    f, ERR_UNSUPPORTED, "%s: SQLite does not keep its WAL", sql_path(db));
	return sql_exec(db, "CREATE TABLE IF NOT EXISTS filler (b BLOB)", f);
}

static enum err
number(struct sql *db, const char *pragma, uint64_t *out, struct fault *f)
{
	struct sql_stmt *s;
	bool row;
	enum err e = sql_prepare(db, pragma, &s, f);

	if (e == OK)
		e = sql_step(s, &row, f);
	if (e == OK) {
		*out = sql_u64(s, 0);
		sql_reset(s);
	}
	return e;
}

static enum err
main_bytes_now(struct sql *db, uint64_t *out, struct fault *f)
{
	uint64_t pages = 0, size = 0;
	enum err e = number(db, "PRAGMA page_count", &pages, f);

	if (e == OK)
		e = number(db, "PRAGMA page_size", &size, f);
	*out = pages * size;
	return e;
}

static enum err
fill(struct sql *db, uint64_t bytes, struct fault *f)
{
	struct sql_stmt *s;
	enum err e = sql_prepare(db, "INSERT INTO filler VALUES (zeroblob(?))", &s, f);

	if (e != OK)
		return e;
	sql_bind_u64(s, 1, bytes);
	return sql_run(s, f);
}

static enum err
checkpoint(struct sql *db, struct fault *f)
{
	int k = sqlite3_wal_checkpoint_v2(sql_handle(db), NULL, SQLITE_CHECKPOINT_FULL, NULL, NULL);

	if (k == SQLITE_OK || k == SQLITE_BUSY)
		return OK;
	return fault_set(f, (k & 0xff) == SQLITE_FULL ? ERR_NOSPACE : ERR_IO, "%s: checkpoint: %s",
	    sql_path(db), sqlite3_errstr(k));
}

static enum err
grow_main(struct sql *db, struct fault *f)
{
	enum err e = fill(db, STEP, f);

	return e == OK ? checkpoint(db, f) : e;
}

/* One transaction that writes so many pages leaves the WAL file that long. */
static enum err
grow_wal(struct sql *db, uint64_t want, struct fault *f)
{
	char path[4400];
	uint64_t have = 0;
	enum err e;

	(void)snprintf(path, sizeof path, "%s-wal", sql_path(db));
	if (file_size(path, &have) == OK && have >= want)
		return OK;
	e = fill(db, want, f);
	return e == OK ? checkpoint(db, f) : e;
}

/* The pages of the filler become free pages, which new rows take before the file grows. */
static enum err
free_filler(struct sql *db, struct fault *f)
{
	return sql_exec(db, "DELETE FROM filler", f);
}

enum err
sql_room_step(struct sql *db, uint64_t main_bytes, uint64_t wal_bytes, bool *done, struct fault *f)
{
	struct fault second = { OK, "" };
	uint64_t have = 0;
	enum err e = main_bytes_now(db, &have, f);

	*done = false;
	if (e == OK && have < main_bytes) {
		e = grow_main(db, f);
		if (e == OK)
			return OK;
	} else if (e == OK) {
		e = free_filler(db, f);
		if (e == OK)
			e = grow_wal(db, wal_bytes, f);
	}
	/* Also when the disk is full: what was gained is of use. */
	if (free_filler(db, &second) != OK && e == OK)
		e = fault_set(f, second.code, "%s", fault_text(&second));
	*done = e == OK;
	if (*done) /* megabytes of zeroes passed through the page cache: an idle PC need not keep
		      them */
		(void)sqlite3_db_release_memory(sql_handle(db));
	return e;
}
