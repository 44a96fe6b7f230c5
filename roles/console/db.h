/* db.h - the console's database: its schema, transactions for work.h, and store/sql.h in the short
 * form that one-line statements need. Blocks: worker thread only, one at a time (work.h sees to
 * that). */
#ifndef CONSOLE_DB_H
#define CONSOLE_DB_H

#include "base/err.h"
#include "base/fault.h"
#include "store/sql.h"
#include "work.h"

#include <cjson/cJSON.h>
#include <stdint.h>

struct db; /* opaque */

MUST_CHECK enum err db_open(struct db **out, const char *path, struct fault *f);
void db_close(struct db *db); /* NULL is fine */

extern const struct work_hooks db_hooks; /* ctx is the struct db */

/* The statement for this literal; NULL when it could not be made (logged). Finish with db_end. */
struct sql_stmt *db_prepare(struct db *db, const char *text);
/* Binds by letters: i int64_t, t const char * (NULL = null), b (const void *, size_t). Text and
 * blobs are borrowed until db_end. */
MUST_CHECK enum err db_bind(struct sql_stmt *s, const char *letters, ...);
/* OK: a row; ERR_NOTFOUND: no more rows; ERR_EXISTS: a unique rule; ERR_NOSPACE, ERR_IO. */
MUST_CHECK enum err db_step(struct sql_stmt *s);
void db_end(struct sql_stmt *s); /* NULL is fine */
/* The rows as a JSON array to which row appends each. e: what db_bind said. Ends the statement. On
 * an error *out is NULL. */
MUST_CHECK enum err db_array(struct sql_stmt *s, enum err e,
    enum err (*row)(void *arg, struct sql_stmt *s, cJSON *list), void *arg, cJSON **out);
/* The same as text: head, the rows with commas between, tail. */
MUST_CHECK enum err db_text(struct sql_stmt *s, enum err e, struct buf *out, const char *head,
    enum err (*row)(void *arg, struct sql_stmt *s, struct buf *out), void *arg, const char *tail);
/* Prepare, bind, run to the end. */
MUST_CHECK enum err db_run(struct db *db, const char *text, const char *letters, ...);
int64_t db_changes(struct db *db);
/* First column of the first row as a number; ERR_NOTFOUND without a row. */
MUST_CHECK enum err db_number(
    struct db *db, int64_t *out, const char *text, const char *letters, ...);
/* Copies the whole database to a new file, consistent while others write. Not inside db_hooks. */
MUST_CHECK enum err db_backup(struct db *db, const char *path, struct fault *f);

#endif
