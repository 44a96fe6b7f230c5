#include "db.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdlib.h>

struct db {
	struct sql *sql;
};

static const char schema_1[] =
    "CREATE TABLE agents(agent TEXT PRIMARY KEY, host TEXT NOT NULL, grp TEXT NOT NULL,"
    " machine TEXT NOT NULL, version TEXT NOT NULL, address TEXT NOT NULL, task_port INTEGER NOT "
    "NULL,"
    " enrolled INTEGER NOT NULL, seen INTEGER NOT NULL, serial TEXT NOT NULL,"
    " not_after INTEGER NOT NULL, revoked INTEGER, clone INTEGER) WITHOUT ROWID;"
    "CREATE INDEX agents_grp ON agents(grp);"
    "CREATE TABLE tokens(id TEXT PRIMARY KEY, key BLOB NOT NULL, grp TEXT NOT NULL,"
    " uses INTEGER NOT NULL, used INTEGER NOT NULL, attempts INTEGER NOT NULL,"
    " created INTEGER NOT NULL, expires INTEGER NOT NULL, revoked INTEGER) WITHOUT ROWID;"
    "CREATE TABLE enrolments(token TEXT NOT NULL, proof BLOB NOT NULL, at INTEGER NOT NULL,"
    " agent TEXT NOT NULL, answer BLOB NOT NULL, PRIMARY KEY(token, proof)) WITHOUT ROWID;"
    "CREATE TABLE tasks(id TEXT PRIMARY KEY, target TEXT NOT NULL, type TEXT NOT NULL,"
    " created INTEGER NOT NULL, not_before INTEGER NOT NULL, expires INTEGER NOT NULL,"
    " envelope TEXT NOT NULL, canceled INTEGER) WITHOUT ROWID;"
    "CREATE INDEX tasks_created ON tasks(created);"
    "CREATE TABLE deliveries(task TEXT NOT NULL, agent TEXT NOT NULL, state TEXT NOT NULL,"
    " final INTEGER NOT NULL, way TEXT, step TEXT, error TEXT, result TEXT, offered INTEGER,"
    " push TEXT, updated INTEGER NOT NULL, rev INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(task, "
    "agent)) WITHOUT ROWID;"
    "CREATE INDEX deliveries_open ON deliveries(agent, task) WHERE final = 0;"
    "CREATE TABLE events(n INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL,"
    " epoch TEXT NOT NULL, class TEXT NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL,"
    " type TEXT NOT NULL, time TEXT NOT NULL, received INTEGER NOT NULL, body TEXT NOT NULL);"
    "CREATE UNIQUE INDEX events_key ON events(source, epoch, class, seq);"
    "CREATE INDEX events_received ON events(received);";

/* The web console: who may use it, the trail of changes that only grows, orders that wait for a
 * second signature, and what is known of each agent from its events (facts.h). */
static const char schema_2[] =
    "CREATE TABLE users(name TEXT PRIMARY KEY, role TEXT NOT NULL, groups TEXT NOT NULL,"
    " hash TEXT NOT NULL, totp BLOB, totp_new BLOB, totp_step INTEGER NOT NULL DEFAULT 0,"
    " disabled INTEGER NOT NULL DEFAULT 0, fails INTEGER NOT NULL DEFAULT 0,"
    " locked INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL, last_login INTEGER)"
    " WITHOUT ROWID;"
    "CREATE TABLE sessions(hash BLOB PRIMARY KEY, user TEXT NOT NULL, address TEXT NOT NULL,"
    " agent TEXT NOT NULL, created INTEGER NOT NULL, seen INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX sessions_user ON sessions(user);"
    "CREATE TABLE user_keys(keyid TEXT PRIMARY KEY, user TEXT NOT NULL, label TEXT NOT NULL,"
    " key TEXT NOT NULL, added INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE trail(n INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL,"
    " user TEXT NOT NULL, address TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL,"
    " status INTEGER NOT NULL, detail TEXT NOT NULL, hash BLOB NOT NULL);"
    "CREATE TRIGGER trail_no_update BEFORE UPDATE ON trail BEGIN"
    " SELECT raise(ABORT, 'the trail only grows'); END;"
    "CREATE TRIGGER trail_no_delete BEFORE DELETE ON trail BEGIN"
    " SELECT raise(ABORT, 'the trail only grows'); END;"
    "CREATE TABLE waiting(id TEXT PRIMARY KEY, target TEXT NOT NULL, type TEXT NOT NULL,"
    " created INTEGER NOT NULL, expires INTEGER NOT NULL, envelope TEXT NOT NULL,"
    " canceled INTEGER) WITHOUT ROWID;"
    "CREATE TABLE task_people(task TEXT NOT NULL, what TEXT NOT NULL, keyid TEXT NOT NULL,"
    " user TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(task, what, keyid)) WITHOUT ROWID;"
    "CREATE TABLE facts(agent TEXT PRIMARY KEY, rev INTEGER NOT NULL,"
    " role TEXT NOT NULL DEFAULT '', mode TEXT NOT NULL DEFAULT '',"
    " engine TEXT NOT NULL DEFAULT '', detections INTEGER NOT NULL DEFAULT 0,"
    " detected INTEGER NOT NULL DEFAULT 0, policy INTEGER NOT NULL DEFAULT 0,"
    " started INTEGER NOT NULL DEFAULT 0, fenced INTEGER NOT NULL DEFAULT 0)"
    " WITHOUT ROWID;"
    "CREATE INDEX facts_rev ON facts(rev);"
    "CREATE TABLE sets(agent TEXT NOT NULL, feed TEXT NOT NULL, version INTEGER NOT NULL DEFAULT 0,"
    " from_version INTEGER NOT NULL DEFAULT 0, applied INTEGER NOT NULL DEFAULT 0,"
    " mirror TEXT NOT NULL DEFAULT '', url TEXT NOT NULL DEFAULT '',"
    " wire INTEGER NOT NULL DEFAULT 0, delta INTEGER NOT NULL DEFAULT 0,"
    " full INTEGER NOT NULL DEFAULT 0, stale INTEGER NOT NULL DEFAULT 0, waiting TEXT,"
    " rejected TEXT, rejected_at INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(agent, feed))"
    " WITHOUT ROWID;"
    "CREATE TABLE mirrors(agent TEXT NOT NULL, feed TEXT NOT NULL, version INTEGER NOT NULL,"
    " published INTEGER NOT NULL, mirror TEXT NOT NULL, wire INTEGER NOT NULL,"
    " PRIMARY KEY(agent, feed)) WITHOUT ROWID;"
    "CREATE TABLE traffic(day INTEGER NOT NULL, feed TEXT NOT NULL, mirror TEXT NOT NULL,"
    " taker TEXT NOT NULL, wire INTEGER NOT NULL, saved INTEGER NOT NULL, full INTEGER NOT NULL,"
    " updates INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY(day, feed, mirror, taker))"
    " WITHOUT ROWID;"
    "CREATE TABLE spread(day INTEGER NOT NULL, feed TEXT NOT NULL, version INTEGER NOT NULL,"
    " computers INTEGER NOT NULL, PRIMARY KEY(day, feed, version)) WITHOUT ROWID;"
    "CREATE INDEX sets_feed ON sets(feed, version);"
    "CREATE INDEX events_class ON events(class);"
    "CREATE TABLE set_sizes(feed TEXT PRIMARY KEY, full INTEGER NOT NULL) WITHOUT ROWID;";

static const char schema_3[] = "ALTER TABLE deliveries ADD COLUMN progress TEXT;";

static const char *const steps[] = { schema_1, schema_2, schema_3, NULL };

/* Failures are told to the log once, here; callers pass on the code. */
static enum err
tell(enum err e, const struct fault *f)
{
	if (e != OK && e != ERR_EXISTS)
		log_error("db.failed", "error=%s", log_q(fault_text(f)));
	return e;
}

enum err
db_open(struct db **out, const char *path, struct fault *f)
{
	struct sql_options o = { .steps = steps };
	struct db *db = calloc(1, sizeof(*db));
	enum err e = db == NULL ? ERR_NOMEM : sql_open(&db->sql, path, &o, f);

	if (e != OK) {
		free(db);
		db = NULL;
	}
	*out = db;
	return e;
}

void
db_close(struct db *db)
{
	if (db == NULL)
		return;
	sql_close(db->sql);
	free(db);
}

struct sql_stmt *
db_prepare(struct db *db, const char *text)
{
	struct fault f = { 0 };
	struct sql_stmt *s;

	return tell(sql_prepare(db->sql, text, &s, &f), &f) == OK ? s : NULL;
}

static void
bind_list(struct sql_stmt *s, const char *letters, va_list ap)
{
	for (int at = 1; *letters != '\0'; letters++, at++) {
		const void *p;

		switch (*letters) {
		case 'i':
			sql_bind_i64(s, at, va_arg(ap, int64_t));
			break;
		case 't':
			sql_bind_text(s, at, va_arg(ap, const char *));
			break;
		default:
			p = va_arg(ap, const void *);
			sql_bind_blob(s, at, p, va_arg(ap, size_t));
		}
	}
}

enum err
db_bind(struct sql_stmt *s, const char *letters, ...)
{
	va_list ap;

	if (s == NULL)
		return ERR_NOMEM;
	va_start(ap, letters);
	bind_list(s, letters, ap);
	va_end(ap);
	return OK;
}

enum err
db_step(struct sql_stmt *s)
{
	struct fault f = { 0 };
	bool row;
	enum err e = tell(sql_step(s, &row, &f), &f);

	return e == OK && !row ? ERR_NOTFOUND : e;
}

void
db_end(struct sql_stmt *s)
{
	if (s != NULL)
		sql_reset(s);
}

enum err
db_array(struct sql_stmt *s, enum err e,
    enum err (*row)(void *arg, struct sql_stmt *s, cJSON *list), void *arg, cJSON **out)
{
	*out = cJSON_CreateArray();
	if (*out == NULL)
		e = ERR_NOMEM;
	while (e == OK && (e = db_step(s)) == OK)
		e = row(arg, s, *out);
	db_end(s);
	if (e == ERR_NOTFOUND)
		return OK;
	cJSON_Delete(*out);
	*out = NULL;
	return e;
}

enum err
db_text(struct sql_stmt *s, enum err e, struct buf *out, const char *head,
    enum err (*row)(void *arg, struct sql_stmt *s, struct buf *out), void *arg, const char *tail)
{
	const char *before = head;

	if (e == OK)
		e = db_step(s);
	for (; e == OK; before = ",") {
		e = buf_puts(out, before);
		if (e == OK)
			e = row(arg, s, out);
		if (e == OK)
			e = db_step(s);
	}
	db_end(s);
	if (e == ERR_NOTFOUND)
		e = before == head ? buf_puts(out, head) : OK;
	return e == OK ? buf_puts(out, tail) : e;
}

enum err
db_run(struct db *db, const char *text, const char *letters, ...)
{
	struct sql_stmt *s = db_prepare(db, text);
	va_list ap;
	enum err e = OK;

	if (s == NULL)
		return ERR_IO;
	va_start(ap, letters);
	bind_list(s, letters, ap);
	va_end(ap);
	while (e == OK)
		e = db_step(s);
	db_end(s);
	return e == ERR_NOTFOUND ? OK : e;
}

enum err
db_number(struct db *db, int64_t *out, const char *text, const char *letters, ...)
{
	struct sql_stmt *s = db_prepare(db, text);
	va_list ap;
	enum err e;

	if (s == NULL)
		return ERR_IO;
	va_start(ap, letters);
	bind_list(s, letters, ap);
	va_end(ap);
	e = db_step(s);
	if (e == OK)
		*out = sql_i64(s, 0);
	db_end(s);
	return e;
}

int64_t
db_changes(struct db *db)
{
	return (int64_t)sql_changes(db->sql);
}

enum err
db_backup(struct db *db, const char *path, struct fault *f)
{
	struct sql_stmt *s;
	enum err e = sql_prepare(db->sql, "VACUUM INTO ?", &s, f);

	if (e != OK)
		return e;
	sql_bind_text(s, 1, path);
	return sql_run(s, f);
}

static enum err
hook_begin(void *ctx)
{
	struct db *db = ctx;
	struct fault f = { 0 };

	return tell(sql_begin(db->sql, &f), &f);
}

static enum err
hook_before(void *ctx)
{
	return db_run(ctx, "SAVEPOINT job", "");
}

static enum err
hook_after(void *ctx, enum err result)
{
	enum err e = OK;

	if (result != OK)
		e = db_run(ctx, "ROLLBACK TO job", "");
	return e == OK ? db_run(ctx, "RELEASE job", "") : e;
}

static enum err
hook_commit(void *ctx)
{
	struct db *db = ctx;
	struct fault f = { 0 };

	return tell(sql_end(db->sql, OK, &f), &f);
}

const struct work_hooks db_hooks = { hook_begin, hook_before, hook_after, hook_commit };
