#include "store/sql.h"

#include "base/clock.h"
#include "base/inject.h"
#include "base/log.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATEMENTS 256 /* more would mean texts made at run time, which must not be */

struct sql_stmt {
	struct sql *db;
	const char *text;
	sqlite3_stmt *stmt;
	int bind_error;
};

struct sql {
	sqlite3 *db;
	char *path;
	struct sql_stmt stmts[STATEMENTS];
	size_t used;
};

static enum err
code_of(int sqlite)
{
	switch (sqlite & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return OK;
	case SQLITE_FULL:
		return ERR_NOSPACE;
	case SQLITE_NOMEM:
		return ERR_NOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ERR_PARSE;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_BUSY;
	case SQLITE_CONSTRAINT:
		return ERR_EXISTS;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_READONLY:
		return ERR_DENIED;
	case SQLITE_TOOBIG:
		return ERR_TOOBIG;
	case SQLITE_ERROR: /* the schema or the format is not what the statement expects */
	case SQLITE_MISMATCH:
		return ERR_STATE;
	default:
		return ERR_IO;
	}
}

static enum err
sql_fault(struct sql *db, int sqlite, struct fault *f)
{
	return fault_set(f, code_of(sqlite), "%s: %s", db->path,
	    db->db != NULL ? sqlite3_errmsg(db->db) : sqlite3_errstr(sqlite));
}

enum err
sql_exec(struct sql *db, const char *text, struct fault *f)
{
	int k = sqlite3_exec(db->db, text, NULL, NULL, NULL);

	return k == SQLITE_OK ? OK : sql_fault(db, k, f);
}

static enum err
user_version(struct sql *db, int *version, struct fault *f)
{
	sqlite3_stmt *s = NULL;
	int k = sqlite3_prepare_v2(db->db, "PRAGMA user_version", -1, &s, NULL);

	if (k == SQLITE_OK)
		k = sqlite3_step(s);
	if (k == SQLITE_ROW)
		*version = sqlite3_column_int(s, 0);
	(void)sqlite3_finalize(s);
	return k == SQLITE_ROW ? OK : sql_fault(db, k, f);
}

static enum err
migrate(struct sql *db, const char *const *steps, struct fault *f)
{
	int version = 0, count = 0;
	char mark[48];
	enum err e;

	while (steps[count] != NULL)
		count++;
	e = user_version(db, &version, f);
	if (e == OK && version < 0)
		return fault_set(f, ERR_PARSE, "%s is damaged: schema %d", db->path, version);
	if (e == OK && version > count)
		return fault_set(f, ERR_UNSUPPORTED,
		    "%s was written by a newer program (schema %d, this one knows %d); upgrade",
		    db->path, version, count);
	for (; e == OK && version < count; version++) {
		(void)snprintf(mark, sizeof mark, "PRAGMA user_version = %d", version + 1);
		e = sql_begin(db, f);
		if (e != OK)
			break;
		e = sql_exec(db, steps[version], f);
		if (e == OK)
			e = sql_exec(db, mark, f);
		e = sql_end(db, e, f);
	}
	return e;
}

static const char pragmas[] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
			      "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF;";

/* Else each pager takes room for twenty pages at once, and a daemon has several. Refused, without
 * harm, when the library is in use already; no other thread may be in it meanwhile. */
static void
take_pages_one_by_one(void)
{
	(void)sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
}

static enum err
open_once(struct sql *db, const struct sql_options *o, struct fault *f)
{
	int flags =
	    o->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	enum err e;
	int k;

	(void)pthread_once(&once, take_pages_one_by_one);
	k = sqlite3_open_v2(db->path, &db->db, flags | SQLITE_OPEN_NOMUTEX, NULL);

	if (k != SQLITE_OK)
		return sql_fault(db, k, f);
	(void)sqlite3_extended_result_codes(db->db, 1);
	(void)sqlite3_busy_timeout(db->db, 5000);
	e = o->extra != NULL ? sql_exec(db, o->extra, f) : OK;
	if (e == OK && !o->read_only)
		e = sql_exec(db, pragmas, f);
	if (e == OK && o->steps != NULL && !o->read_only)
		e = migrate(db, o->steps, f);
	if (e == OK && !o->unchecked)
		e = sql_check(db, f);
	return e;
}

static void
finalize_all(struct sql *db)
{
	size_t i;

	for (i = 0; i < db->used; i++)
		(void)sqlite3_finalize(db->stmts[i].stmt);
	db->used = 0;
	(void)sqlite3_close(db->db);
	db->db = NULL;
}

enum err
sql_open(struct sql **out, const char *path, const struct sql_options *o, struct fault *f)
{
	struct sql *db = calloc(1, sizeof *db);
	struct fault first = { OK, "" };
	enum err e;

	*out = NULL;
	if (o->replaced != NULL)
		*o->replaced = false;
	if (db == NULL || strlen(path) > 4096 || (db->path = strdup(path)) == NULL) {
		free(db);
		return fault_set(f, ERR_NOMEM, "%.60s: no memory to open it", path);
	}
	e = open_once(db, o, &first);
	if (e == ERR_PARSE && o->replace_damaged) {
		log_error(
		    "store.damaged", "path=%s why=%s", log_q(path), log_q(fault_text(&first)));
		finalize_all(db);
		fault_reset(&first);
		e = sql_move_aside(db->path, NULL, 0, &first);
		if (e == OK)
			e = open_once(db, o, &first);
		if (o->replaced != NULL)
			*o->replaced = e == OK;
	}
	if (e != OK) {
		sql_close(db);
		return fault_set(f, e, "%s", fault_text(&first));
	}
	*out = db;
	return OK;
}

void
sql_close(struct sql *db)
{
	if (db == NULL)
		return;
	finalize_all(db);
	free(db->path);
	free(db);
}

enum err
sql_begin(struct sql *db, struct fault *f)
{
	return sql_exec(db, "BEGIN IMMEDIATE", f);
}

enum err
sql_end(struct sql *db, enum err e, struct fault *f)
{
	if (e == OK && inject("sql.commit"))
		e = fault_set(f, ERR_NOSPACE, "%s: injected", db->path);
	if (e == OK)
		e = sql_exec(db, "COMMIT", f);
	if (e != OK && sqlite3_get_autocommit(db->db) == 0)
		(void)sqlite3_exec(db->db, "ROLLBACK", NULL, NULL, NULL);
	return e;
}

enum err
sql_prepare(struct sql *db, const char *text, struct sql_stmt **out, struct fault *f)
{
	struct sql_stmt *s;
	size_t i;
	int k;

	*out = NULL;
	for (i = 0; i < db->used; i++)
		if (db->stmts[i].text == text || strcmp(db->stmts[i].text, text) == 0) {
			*out = &db->stmts[i];
			sql_reset(*out);
			return OK;
		}
	if (db->used == STATEMENTS)
		return fault_set(f, ERR_TOOBIG, "%s: too many statements", db->path);
	s = &db->stmts[db->used];
	*s = (struct sql_stmt){ .db = db, .text = text };
	k = sqlite3_prepare_v3(db->db, text, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt, NULL);
	if (k != SQLITE_OK)
		return sql_fault(db, k, f);
	db->used++;
	*out = s;
	return OK;
}

void
sql_reset(struct sql_stmt *s)
{
	(void)sqlite3_reset(s->stmt);
	(void)sqlite3_clear_bindings(s->stmt);
	s->bind_error = SQLITE_OK;
}

static void
note(struct sql_stmt *s, int k)
{
	if (s->bind_error == SQLITE_OK)
		s->bind_error = k;
}

void
sql_bind_text(struct sql_stmt *s, int i, const char *text)
{
	note(s, text == NULL ? sqlite3_bind_null(s->stmt, i)
			     : sqlite3_bind_text(s->stmt, i, text, -1, SQLITE_STATIC));
}

void
sql_bind_blob(struct sql_stmt *s, int i, const void *p, size_t n)
{
	note(s, sqlite3_bind_blob64(s->stmt, i, p != NULL ? p : "", n, SQLITE_STATIC));
}

void
sql_bind_i64(struct sql_stmt *s, int i, int64_t v)
{
	note(s, sqlite3_bind_int64(s->stmt, i, v));
}

void
sql_bind_u64(struct sql_stmt *s, int i, uint64_t v)
{
	note(s, v > INT64_MAX ? SQLITE_TOOBIG : sqlite3_bind_int64(s->stmt, i, (int64_t)v));
}

void
sql_bind_null(struct sql_stmt *s, int i)
{
	note(s, sqlite3_bind_null(s->stmt, i));
}

enum err
sql_step(struct sql_stmt *s, bool *row, struct fault *f)
{
	int k = s->bind_error != SQLITE_OK ? s->bind_error : sqlite3_step(s->stmt);
	enum err e;

	*row = k == SQLITE_ROW;
	if (k == SQLITE_ROW || k == SQLITE_DONE)
		return OK;
	e = sql_fault(s->db, k, f);
	sql_reset(s);
	return e;
}

enum err
sql_run(struct sql_stmt *s, struct fault *f)
{
	bool row;
	enum err e = sql_step(s, &row, f);

	sql_reset(s);
	return e;
}

bool
sql_is_null(struct sql_stmt *s, int col)
{
	return sqlite3_column_type(s->stmt, col) == SQLITE_NULL;
}

const char *
sql_text(struct sql_stmt *s, int col)
{
	const unsigned char *p = sqlite3_column_text(s->stmt, col);

	return p != NULL ? (const char *)p : "";
}

const void *
sql_blob(struct sql_stmt *s, int col, size_t *n)
{
	const void *p = sqlite3_column_blob(s->stmt, col);

	*n = p != NULL ? (size_t)sqlite3_column_bytes(s->stmt, col) : 0;
	return p != NULL ? p : "";
}

int64_t
sql_i64(struct sql_stmt *s, int col)
{
	return sqlite3_column_int64(s->stmt, col);
}

uint64_t
sql_u64(struct sql_stmt *s, int col)
{
	int64_t v = sqlite3_column_int64(s->stmt, col);

	return v > 0 ? (uint64_t)v : 0;
}

uint64_t
sql_changes(struct sql *db)
{
	return (uint64_t)sqlite3_changes64(db->db);
}

int64_t
sql_last_id(struct sql *db)
{
	return sqlite3_last_insert_rowid(db->db);
}

/* The check writes what a page could not be read for into its complaint: a lack of memory or a
 * failing disk is no damage. */
static enum err
complaint(const struct sql *db, const char *said, struct fault *f)
{
	static const char why[] = "error code=";
	const char *at = said != NULL ? strstr(said, why) : NULL;
	long code = at != NULL ? strtol(at + sizeof why - 1, NULL, 10) & 0xff : SQLITE_CORRUPT;

	if (code == SQLITE_NOMEM)
		return fault_set(f, ERR_NOMEM, "%s: memory ran out", db->path);
	if (code == SQLITE_IOERR)
		return fault_set(f, ERR_IO, "%s cannot be read: %s", db->path, said);
	return fault_set(f, ERR_PARSE, "%s is damaged: %s", db->path, said != NULL ? said : "?");
}

enum err
sql_check(struct sql *db, struct fault *f)
{
	sqlite3_stmt *s = NULL;
	int k = sqlite3_prepare_v2(db->db, "PRAGMA quick_check(1)", -1, &s, NULL);
	const char *said = "";
	enum err e = OK;

	if (k == SQLITE_OK)
		k = sqlite3_step(s);
	if (k == SQLITE_ROW)
		said = (const char *)sqlite3_column_text(s, 0);
	if (k != SQLITE_ROW)
		e = sql_fault(db, k, f);
	else if (said == NULL || strcmp(said, "ok") != 0)
		e = complaint(db, said, f);
	(void)sqlite3_finalize(s);
	return e;
}

struct sqlite3 *
sql_handle(struct sql *db)
{
	return db->db;
}

const char *
sql_path(const struct sql *db)
{
	return db->path;
}
