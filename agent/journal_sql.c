/* journal_sql.c - see journal_sql.h. */
#include "journal_sql.h"

#include "os/file.h"
#include "store/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct journal_db {
	struct sql *db; /* NULL: could not be opened again */
	char *path;
	bool suspect; /* a commit failed: the next one begins with a connection of its own */
};

/* IF NOT EXISTS: journals of before counted no schema, and already have both tables. */
static const char schema[] =
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS task (id TEXT PRIMARY KEY, type TEXT NOT NULL,"
    " issuer TEXT NOT NULL, via TEXT NOT NULL, state TEXT NOT NULL, args TEXT NOT NULL,"
    " result TEXT, error TEXT NOT NULL, detail TEXT NOT NULL, step TEXT NOT NULL,"
    " step_no INTEGER NOT NULL, runs INTEGER NOT NULL, not_before INTEGER NOT NULL,"
    " expires INTEGER NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL,"
    " reported INTEGER NOT NULL);";
static const char *const steps[] = { schema, NULL };

#define COLUMNS                                                                                    \
	"id,type,issuer,via,state,args,result,error,detail,step,step_no,runs,not_before,"          \
	"expires,created,updated,reported"

static void
column_copy(char *dst, size_t size, struct sql_stmt *s, int col)
{
	(void)snprintf(dst, size, "%s", sql_text(s, col));
}

static enum err
read_row(struct sql_stmt *s, struct journal_record *r)
{
	column_copy(r->id, sizeof r->id, s, 0);
	column_copy(r->type, sizeof r->type, s, 1);
	column_copy(r->issuer, sizeof r->issuer, s, 2);
	column_copy(r->via, sizeof r->via, s, 3);
	column_copy(r->error, sizeof r->error, s, 7);
	column_copy(r->detail, sizeof r->detail, s, 8);
	column_copy(r->step, sizeof r->step, s, 9);
	r->step_no = (uint32_t)sql_i64(s, 10);
	r->runs = (uint32_t)sql_i64(s, 11);
	r->not_before = sql_i64(s, 12);
	r->expires = sql_i64(s, 13);
	r->created = sql_i64(s, 14);
	r->updated = sql_i64(s, 15);
	r->reported = sql_i64(s, 16) != 0;
	if (task_state_parse(sql_text(s, 4), &r->state) != OK)
		return ERR_PARSE;
	if (journal_set_text(&r->args, sql_text(s, 5)) != OK)
		return ERR_NOMEM;
	return journal_set_text(&r->result, sql_is_null(s, 6) ? NULL : sql_text(s, 6));
}

static enum err
load_rows(struct journal_db *d, enum err (*load)(void *, struct journal_record *), void *ctx,
    struct fault *f)
{
	struct sql_stmt *s;
	bool row;
	enum err e = sql_prepare(d->db, "SELECT " COLUMNS " FROM task ORDER BY created, id", &s, f);

	if (e != OK)
		return e;
	while ((e = sql_step(s, &row, f)) == OK && row) {
		struct journal_record *r = journal_record_new();

		e = r == NULL ? ERR_NOMEM : read_row(s, r);
		if (e == OK)
			e = load(ctx, r);
		else
			journal_record_free(r);
		if (e != OK)
			break;
	}
	sql_reset(s);
	return e;
}

static enum err
read_created(struct journal_db *d, int64_t now, int64_t *created, struct fault *f)
{
	struct sql_stmt *s;
	bool row = false;
	enum err e = sql_prepare(
	    d->db, "INSERT OR IGNORE INTO meta (key, value) VALUES ('created', ?)", &s, f);

	if (e != OK)
		return e;
	sql_bind_i64(s, 1, now);
	e = sql_run(s, f);
	if (e == OK)
		e = sql_prepare(d->db, "SELECT value FROM meta WHERE key = 'created'", &s, f);
	if (e == OK)
		e = sql_step(s, &row, f);
	if (e != OK)
		return e;
	if (row)
		*created = sql_i64(s, 0);
	sql_reset(s);
	return row ? OK : fault_set(f, ERR_IO, "%s: no creation time", sql_path(d->db));
}

enum err
journal_db_open(struct journal_db **out, const char *path, int64_t now, int64_t *created,
    enum err (*load)(void *ctx, struct journal_record *r), void *ctx, struct fault *f)
{
	const struct sql_options o = { .steps = steps, .replace_damaged = true };
	struct journal_db *d = calloc(1, sizeof *d);
	enum err e;

	if (d == NULL || (d->path = strdup(path)) == NULL) {
		free(d);
		return fault_set(f, ERR_NOMEM, "memory ran out");
	}
	e = sql_open(&d->db, path, &o, f);
	if (e == OK)
		e = read_created(d, now, created, f);
	if (e == OK)
		e = load_rows(d, load, ctx, f);
	if (e != OK) {
		journal_db_close(d);
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
	sql_close(d->db);
	free(d->path);
	free(d);
}

/* One error of a lock or a disk can leave a connection that fails for ever after ("locking
 * protocol"): a new one does not. The file must be there; a new one would forget what was done. */
static enum err
reopen(struct journal_db *d, struct fault *f)
{
	const struct sql_options o = { .steps = steps };

	sql_close(d->db);
	d->db = NULL;
	if (!file_exists(d->path))
		return fault_set(f, ERR_IO, "%s is gone", d->path);
	return sql_open(&d->db, d->path, &o, f);
}

enum err
journal_db_begin(struct journal_db *d, struct fault *f)
{
	enum err e = d->suspect ? reopen(d, f) : OK;

	if (e != OK)
		return e;
	d->suspect = false;
	return sql_begin(d->db, f);
}

enum err
journal_db_put(struct journal_db *d, const struct journal_record *r, struct fault *f)
{
	const char *const texts[] = { r->id, r->type, r->issuer, r->via, task_state_word(r->state),
		r->args == NULL ? "{}" : r->args, r->result, r->error, r->detail, r->step };
	const int64_t numbers[] = { r->step_no, r->runs, r->not_before, r->expires, r->created,
		r->updated, r->reported };
	struct sql_stmt *s;
	enum err e = sql_prepare(d->db,
	    "INSERT OR REPLACE INTO task (" COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	    &s, f);

	if (e != OK)
		return e;
	for (int i = 0; i < 10; i++)
		sql_bind_text(s, i + 1, texts[i]);
	for (int i = 0; i < 7; i++)
		sql_bind_i64(s, i + 11, numbers[i]);
	return sql_run(s, f);
}

enum err
journal_db_delete(struct journal_db *d, const char *id, struct fault *f)
{
	struct sql_stmt *s;
	enum err e = sql_prepare(d->db, "DELETE FROM task WHERE id = ?", &s, f);

	if (e != OK)
		return e;
	sql_bind_text(s, 1, id);
	return sql_run(s, f);
}

enum err
journal_db_end(struct journal_db *d, enum err e, struct fault *f)
{
	if (d->db != NULL)
		e = sql_end(d->db, e, f);
	d->suspect = d->suspect || e != OK;
	return e;
}
