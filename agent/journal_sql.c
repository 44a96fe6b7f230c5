/* journal_sql.c - see journal_sql.h. */
#include "journal_sql.h"

#include "base/clock.h"
#include "base/log.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct journal_db {
	sqlite3 *db;
	sqlite3_stmt *put, *del;
};

static const char schema[] =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS task (id TEXT PRIMARY KEY, type TEXT NOT NULL,"
    " issuer TEXT NOT NULL, via TEXT NOT NULL, state TEXT NOT NULL, args TEXT NOT NULL,"
    " result TEXT, error TEXT NOT NULL, detail TEXT NOT NULL, step TEXT NOT NULL,"
    " step_no INTEGER NOT NULL, runs INTEGER NOT NULL, not_before INTEGER NOT NULL,"
    " expires INTEGER NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL,"
    " reported INTEGER NOT NULL);";

#define COLUMNS                                                                                    \
	"id,type,issuer,via,state,args,result,error,detail,step,step_no,runs,not_before,"          \
	"expires,created,updated,reported"

static enum err
sql_fault(sqlite3 *db, struct fault *f, const char *what)
{
	int code = sqlite3_errcode(db) & 0xff;
	enum err e = code == SQLITE_FULL			       ? ERR_NOSPACE
		     : code == SQLITE_NOMEM			       ? ERR_NOMEM
		     : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? ERR_PARSE
		     : code == SQLITE_BUSY			       ? ERR_BUSY
								       : ERR_IO;

	return fault_set(f, e, "journal: %s: %s", what, sqlite3_errmsg(db));
}

static void
column_copy(char *dst, size_t size, sqlite3_stmt *s, int col)
{
	const unsigned char *p = sqlite3_column_text(s, col);

	(void)snprintf(dst, size, "%s", p == NULL ? "" : (const char *)p);
}

static enum err
read_row(sqlite3_stmt *s, struct journal_record *r)
{
	char word[32];

	column_copy(r->id, sizeof r->id, s, 0);
	column_copy(r->type, sizeof r->type, s, 1);
	column_copy(r->issuer, sizeof r->issuer, s, 2);
	column_copy(r->via, sizeof r->via, s, 3);
	column_copy(word, sizeof word, s, 4);
	column_copy(r->error, sizeof r->error, s, 7);
	column_copy(r->detail, sizeof r->detail, s, 8);
	column_copy(r->step, sizeof r->step, s, 9);
	r->step_no = (uint32_t)sqlite3_column_int64(s, 10);
	r->runs = (uint32_t)sqlite3_column_int64(s, 11);
	r->not_before = sqlite3_column_int64(s, 12);
	r->expires = sqlite3_column_int64(s, 13);
	r->created = sqlite3_column_int64(s, 14);
	r->updated = sqlite3_column_int64(s, 15);
	r->reported = sqlite3_column_int64(s, 16) != 0;
	if (task_state_parse(word, &r->state) != OK)
		return ERR_PARSE;
	if (journal_set_text(&r->args, (const char *)sqlite3_column_text(s, 5)) != OK)
		return ERR_NOMEM;
	return journal_set_text(&r->result, (const char *)sqlite3_column_text(s, 6));
}

static enum err
load_rows(struct journal_db *d, enum err (*load)(void *, struct journal_record *), void *ctx,
    struct fault *f)
{
	sqlite3_stmt *s = NULL;
	enum err e = OK;
	int rc;

	if (sqlite3_prepare_v2(d->db, "SELECT " COLUMNS " FROM task ORDER BY created, id", -1, &s,
		NULL) != SQLITE_OK)
		return sql_fault(d->db, f, "rows cannot be read");
	while (e == OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		struct journal_record *r = journal_record_new();

		e = r == NULL ? ERR_NOMEM : read_row(s, r);
		if (e == OK)
			e = load(ctx, r);
		else
			journal_record_free(r);
	}
	if (e == OK && rc != SQLITE_DONE)
		e = sql_fault(d->db, f, "rows cannot be read");
	sqlite3_finalize(s);
	return e;
}

static enum err
read_created(struct journal_db *d, int64_t now, int64_t *created, struct fault *f)
{
	sqlite3_stmt *s = NULL;
	char sql[160];

	(void)snprintf(sql, sizeof sql,
	    "INSERT OR IGNORE INTO meta (key, value) VALUES ('created', %lld)", (long long)now);
	if (sqlite3_exec(d->db, sql, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(
		d->db, "SELECT value FROM meta WHERE key = 'created'", -1, &s, NULL) != SQLITE_OK ||
	    sqlite3_step(s) != SQLITE_ROW) {
		sqlite3_finalize(s);
		return sql_fault(d->db, f, "creation time");
	}
	*created = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return OK;
}

static enum err
try_open(struct journal_db *d, const char *path, int64_t now, int64_t *created, struct fault *f)
{
	if (sqlite3_open_v2(path, &d->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
		NULL) != SQLITE_OK)
		return sql_fault(d->db, f, path);
	(void)sqlite3_busy_timeout(d->db, 2000);
	if (sqlite3_exec(d->db, schema, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(d->db,
		"INSERT OR REPLACE INTO task (" COLUMNS
		") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		-1, &d->put, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(d->db, "DELETE FROM task WHERE id = ?", -1, &d->del, NULL) !=
		SQLITE_OK)
		return sql_fault(d->db, f, path);
	return read_created(d, now, created, f);
}

static void
close_handles(struct journal_db *d)
{
	sqlite3_finalize(d->put);
	sqlite3_finalize(d->del);
	(void)sqlite3_close(d->db);
	memset(d, 0, sizeof *d);
}

static enum err
set_aside(const char *path)
{
	static const char *const tails[] = { "", "-wal", "-shm" };
	char from[4200], to[4200];

	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(from, sizeof from, "%s%s", path, tails[i]);
		(void)snprintf(to, sizeof to, "%s.damaged%s", path, tails[i]);
		if (rename(from, to) != 0 && i == 0)
			return ERR_IO;
	}
	return OK;
}

enum err
journal_db_open(struct journal_db **out, const char *path, int64_t now, int64_t *created,
    enum err (*load)(void *ctx, struct journal_record *r), void *ctx, struct fault *f)
{
	struct journal_db *d = calloc(1, sizeof *d);
	enum err e;

	if (d == NULL)
		return fault_set(f, ERR_NOMEM, "memory ran out");
	e = try_open(d, path, now, created, f);
	if (e == ERR_PARSE) {
		log_error("journal.damaged", "path=%s why=%s", log_q(path), log_q(fault_text(f)));
		close_handles(d);
		fault_reset(f);
		e = set_aside(path) != OK ? fault_set(f, ERR_IO,
						"%s is damaged and cannot be moved "
						"away; remove it",
						path)
					  : try_open(d, path, now, created, f);
	}
	if (e == OK)
		e = load_rows(d, load, ctx, f);
	if (e != OK) {
		close_handles(d);
		free(d);
		return fault_set(f, e, "journal %s cannot be read", path);
	}
	*out = d;
	return OK;
}

void
journal_db_close(struct journal_db *d)
{
	if (d == NULL)
		return;
	close_handles(d);
	free(d);
}

enum err
journal_db_begin(struct journal_db *d, struct fault *f)
{
	if (sqlite3_exec(d->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		return sql_fault(d->db, f, "begin");
	return OK;
}

static int
bind_text(sqlite3_stmt *s, int col, const char *text)
{
	return text == NULL ? sqlite3_bind_null(s, col)
			    : sqlite3_bind_text(s, col, text, -1, SQLITE_TRANSIENT);
}

enum err
journal_db_put(struct journal_db *d, const struct journal_record *r, struct fault *f)
{
	const char *const texts[] = { r->id, r->type, r->issuer, r->via, task_state_word(r->state),
		r->args == NULL ? "{}" : r->args, r->result, r->error, r->detail, r->step };
	const int64_t numbers[] = { r->step_no, r->runs, r->not_before, r->expires, r->created,
		r->updated, r->reported };
	bool ok = true;

	for (int i = 0; i < 10; i++)
		ok = ok && bind_text(d->put, i + 1, texts[i]) == SQLITE_OK;
	for (int i = 0; i < 7; i++)
		ok = ok && sqlite3_bind_int64(d->put, i + 11, numbers[i]) == SQLITE_OK;
	ok = ok && sqlite3_step(d->put) == SQLITE_DONE;
	ok = sqlite3_reset(d->put) == SQLITE_OK && ok;
	return ok ? OK : sql_fault(d->db, f, "put");
}

enum err
journal_db_delete(struct journal_db *d, const char *id, struct fault *f)
{
	bool ok = bind_text(d->del, 1, id) == SQLITE_OK && sqlite3_step(d->del) == SQLITE_DONE;

	ok = sqlite3_reset(d->del) == SQLITE_OK && ok;
	return ok ? OK : sql_fault(d->db, f, "delete");
}

enum err
journal_db_end(struct journal_db *d, enum err e, struct fault *f)
{
	if (e == OK && sqlite3_exec(d->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		e = sql_fault(d->db, f, "commit");
	if (e != OK)
		(void)sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
	return e;
}
