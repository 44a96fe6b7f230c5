/* sql.h - SQLite behind few calls: one connection, prepared statements kept by text, transactions,
 * schema steps by user_version. Blocking: a worker thread or a program without a loop; one thread
 * at a time per connection. Every failure is a sentence that names the file. */
#ifndef ATALAIA_STORE_SQL_H
#define ATALAIA_STORE_SQL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sql;	 /* a connection */
struct sql_stmt; /* a prepared statement, owned by its connection */

struct sql_options {
	const char *const *steps; /* steps[i] brings user_version i to i + 1; NULL-terminated */
	bool read_only;
	/* Damaged file: moved aside as PATH.damaged-<ms> with its -wal and -shm, then begun anew;
	 * *replaced says so. Without it: ERR_PARSE. */
	bool replace_damaged;
	bool *replaced;	   /* may be NULL */
	const char *extra; /* pragmas run right after opening, before all others, or NULL */
	bool unchecked;	   /* no quick_check: to read what is left of a damaged file */
};

/* WAL, synchronous=FULL, foreign keys on, busy time-out 5 s, trusted_schema off. A file of a newer
 * schema is ERR_UNSUPPORTED. */
MUST_CHECK enum err sql_open(
    struct sql **out, const char *path, const struct sql_options *o, struct fault *f);
void sql_close(struct sql *db); /* NULL is fine; finalizes everything */
/* Renames a closed database with its -wal and -shm to PATH.damaged-<ms>; moved (may be NULL) gets
 * the new name. */
MUST_CHECK enum err sql_move_aside(const char *path, char *moved, size_t size, struct fault *f);

MUST_CHECK enum err sql_exec(struct sql *db, const char *text, struct fault *f);
MUST_CHECK enum err sql_begin(struct sql *db, struct fault *f); /* IMMEDIATE */
/* Commits when e is OK, else rolls back. Returns e, or why the commit failed. */
MUST_CHECK enum err sql_end(struct sql *db, enum err e, struct fault *f);

/* The statement for this text (a literal: compared by address and content), reset and without
 * bindings. At most 256 per connection. */
MUST_CHECK enum err sql_prepare(
    struct sql *db, const char *text, struct sql_stmt **out, struct fault *f);
/* Bindings count from 1; text and blobs must live until the next sql_step or reset. A failure shows
 * at sql_step. NULL text binds NULL. */
void sql_bind_text(struct sql_stmt *s, int i, const char *text);
void sql_bind_blob(struct sql_stmt *s, int i, const void *p, size_t n);
void sql_bind_i64(struct sql_stmt *s, int i, int64_t v);
void sql_bind_u64(struct sql_stmt *s, int i, uint64_t v); /* <= INT64_MAX */
void sql_bind_null(struct sql_stmt *s, int i);
/* *row: a row is there. ERR_EXISTS for a broken unique rule, ERR_NOSPACE for a full disk. */
MUST_CHECK enum err sql_step(struct sql_stmt *s, bool *row, struct fault *f);
/* Step that must give no row; resets. */
MUST_CHECK enum err sql_run(struct sql_stmt *s, struct fault *f);
void sql_reset(struct sql_stmt *s);

/* Columns count from 0 and are borrowed until the next step or reset. */
bool sql_is_null(struct sql_stmt *s, int col);
const char *sql_text(struct sql_stmt *s, int col); /* never NULL */
const void *sql_blob(struct sql_stmt *s, int col, size_t *n);
int64_t sql_i64(struct sql_stmt *s, int col);
uint64_t sql_u64(struct sql_stmt *s, int col); /* negative: 0 */

uint64_t sql_changes(struct sql *db); /* rows of the last statement */
int64_t sql_last_id(struct sql *db);
/* PRAGMA quick_check: ERR_PARSE with the first complaint; ERR_NOMEM or ERR_IO when a page could not
 * be read for that reason. */
MUST_CHECK enum err sql_check(struct sql *db, struct fault *f);
struct sqlite3 *sql_handle(struct sql *db); /* for common/store */
const char *sql_path(const struct sql *db);

#endif
