#include "store_users.h"

#include "base/text.h"

#include <string.h>

#define COLUMNS                                                                                    \
	"name, role, groups, hash, totp, totp_new, totp_step, disabled, fails, locked, created,"   \
	" last_login"

static void
text_column(char *dst, size_t size, struct sql_stmt *s, int column)
{
	const char *t = sql_text(s, column);

	if (text_copy(dst, size, t, strlen(t)) != OK)
		dst[0] = '\0';
}

static bool
secret_column(uint8_t out[TOTP_SECRET], struct sql_stmt *s, int column)
{
	size_t n;
	const void *p = sql_blob(s, column, &n);

	if (sql_is_null(s, column) || n != TOTP_SECRET)
		return false;
	memcpy(out, p, n);
	return true;
}

static void
user_read(struct sql_stmt *s, struct user_row *u)
{
	memset(u, 0, sizeof(*u));
	text_column(u->name, sizeof(u->name), s, 0);
	u->role = who_role_parse(sql_text(s, 1));
	text_column(u->groups, sizeof(u->groups), s, 2);
	text_column(u->hash, sizeof(u->hash), s, 3);
	u->has_totp = secret_column(u->totp, s, 4);
	u->has_new = secret_column(u->totp_new, s, 5);
	u->totp_step = sql_i64(s, 6);
	u->disabled = sql_i64(s, 7) != 0;
	u->fails = sql_i64(s, 8);
	u->locked = sql_i64(s, 9);
	u->created = sql_i64(s, 10);
	u->last_login = sql_i64(s, 11);
}

enum err
store_user_add(struct db *db, const struct user_row *u)
{
	return db_run(db, "INSERT INTO users(name, role, groups, hash, created) VALUES(?,?,?,?,?)",
	    "tttti", u->name, who_role_word(u->role), u->groups, u->hash, u->created);
}

enum err
store_user_get(struct db *db, const char *name, struct user_row *out)
{
	struct sql_stmt *s = db_prepare(db, "SELECT " COLUMNS " FROM users WHERE name = ?");
	enum err e = db_bind(s, "t", name);

	if (e == OK)
		e = db_step(s);
	if (e == OK)
		user_read(s, out);
	db_end(s);
	return e;
}

enum err
store_user_save(struct db *db, const struct user_row *u)
{
	struct sql_stmt *s = db_prepare(db,
	    "UPDATE users SET role = ?2, groups = ?3, hash = ?4, totp = ?5, totp_new = ?6,"
	    " totp_step = ?7, disabled = ?8, fails = ?9, locked = ?10, last_login = ?11"
	    " WHERE name = ?1");
	enum err e = db_bind(s, "tttt", u->name, who_role_word(u->role), u->groups, u->hash);

	if (e != OK)
		return e;
	if (u->has_totp)
		sql_bind_blob(s, 5, u->totp, sizeof(u->totp));
	if (u->has_new)
		sql_bind_blob(s, 6, u->totp_new, sizeof(u->totp_new));
	sql_bind_i64(s, 7, u->totp_step);
	sql_bind_i64(s, 8, u->disabled ? 1 : 0);
	sql_bind_i64(s, 9, u->fails);
	sql_bind_i64(s, 10, u->locked);
	sql_bind_i64(s, 11, u->last_login);
	e = db_step(s);
	db_end(s);
	return e == ERR_NOTFOUND ? OK : e;
}

enum err
store_user_delete(struct db *db, const char *name)
{
	enum err e = db_run(db, "DELETE FROM user_keys WHERE user = ?", "t", name);

	if (e == OK)
		e = db_run(db, "DELETE FROM users WHERE name = ?", "t", name);
	return e == OK && db_changes(db) == 0 ? ERR_NOTFOUND : e;
}

static enum err
user_json(void *arg, struct sql_stmt *s, cJSON *list)
{
	struct user_row u;
	cJSON *o = cJSON_CreateObject(), *groups;
	enum err e;

	user_read(s, &u);
	e = o == NULL ? ERR_NOMEM : json_add_string(o, "name", u.name);
	if (e == OK)
		e = json_add_string(o, "role", who_role_word(u.role));
	if (e == OK && u.groups[0] == '\0')
		e = json_add_array(o, "groups", &groups);
	else if (e == OK &&
		 json_parse(&groups, u.groups, strlen(u.groups), JSON_SIGNED, NULL) == OK &&
		 !cJSON_AddItemToObject(o, "groups", groups))
		e = ERR_NOMEM;
	if (e == OK)
		e = json_add_bool(o, "totp", u.has_totp);
	if (e == OK)
		e = json_add_bool(o, "disabled", u.disabled);
	if (e == OK)
		e = store_add_time(o, "locked_until", u.locked);
	if (e == OK)
		e = store_add_time(o, "created", u.created);
	if (e == OK)
		e = store_add_time(o, "last_login", u.last_login);
	if (e == OK)
		e = json_add_u64(o, "sessions", sql_u64(s, 12));
	if (e == OK)
		return json_append(list, o);
	cJSON_Delete(o);
	return e;
}

enum err
store_users_list(struct db *db, cJSON **out)
{
	struct sql_stmt *s = db_prepare(db, "SELECT " COLUMNS ", (SELECT count(*) FROM sessions"
					    " WHERE user = name) FROM users ORDER BY name");

	return db_array(s, db_bind(s, ""), user_json, NULL, out);
}

enum err
store_other_administrators(struct db *db, const char *but, int64_t *n)
{
	return db_number(db, n,
	    "SELECT count(*) FROM users WHERE role = 'administrator' AND disabled = 0 AND"
	    " groups = '' AND name <> ?",
	    "t", but);
}

enum err
store_login_count(struct db *db, const char *name, int64_t now, uint64_t lock_ms,
    struct user_row *out, int64_t *until)
{
	enum err e = store_user_get(db, name, out);

	*until = 0;
	if (e != OK || out->disabled)
		return e == OK ? ERR_NOTFOUND : e;
	if (out->locked > now) {
		*until = out->locked;
		return ERR_BUSY;
	}
	if (out->locked != 0) /* the time has passed: tries count anew */
		out->fails = out->locked = 0;
	out->fails++;
	if (out->fails >= LOGIN_TRIES)
		out->locked = now + (int64_t)lock_ms;
	return db_run(db, "UPDATE users SET fails = ?, locked = ? WHERE name = ?", "iit",
	    out->fails, out->locked, name);
}

enum err
store_login_undo(struct db *db, const char *name)
{
	return db_run(db,
	    "UPDATE users SET fails = max(fails - 1, 0), locked = CASE WHEN fails <= ? THEN 0 ELSE"
	    " locked END WHERE name = ?",
	    "it", (int64_t)LOGIN_TRIES, name);
}

enum err
store_login_done(struct db *db, const char *name, int64_t now)
{
	return db_run(db, "UPDATE users SET fails = 0, locked = 0, last_login = ? WHERE name = ?",
	    "it", now, name);
}

enum err
store_totp_spend(struct db *db, const char *name, int64_t step)
{
	enum err e = db_run(db,
	    "UPDATE users SET totp_step = ?1 WHERE name = ?2 AND totp_step < ?1", "it", step, name);

	return e == OK && db_changes(db) == 0 ? ERR_DENIED : e;
}

/* ---- sessions ---- */

enum err
store_session_add(struct db *db, const struct session *x)
{
	return db_run(db,
	    "INSERT INTO sessions(hash, user, address, agent, created, seen) VALUES(?,?,?,?,?,?)",
	    "btttii", x->who.session, sizeof(x->who.session), x->who.name, x->address, x->agent,
	    x->created, x->seen);
}

enum err
store_session_drop(struct db *db, const uint8_t hash[32])
{
	return db_run(db, "DELETE FROM sessions WHERE hash = ?", "b", hash, (size_t)32);
}

enum err
store_sessions_drop(struct db *db, const char *user, const uint8_t *but)
{
	static const uint8_t none[32];

	return db_run(db, "DELETE FROM sessions WHERE user = ? AND hash <> ?", "tb", user,
	    but != NULL ? but : none, sizeof(none));
}

enum err
store_session_seen(struct db *db, const uint8_t hash[32], int64_t now)
{
	return db_run(
	    db, "UPDATE sessions SET seen = ? WHERE hash = ?", "ib", now, hash, (size_t)32);
}

enum err
store_sessions_prune(struct db *db, int64_t created_before)
{
	return db_run(db, "DELETE FROM sessions WHERE created < ?", "i", created_before);
}

enum err
store_sessions_each(struct db *db, void (*each)(void *arg, const struct session *x), void *arg)
{
	struct sql_stmt *s = db_prepare(db,
	    "SELECT s.hash, s.user, s.address, s.agent, s.created, s.seen, u.role, u.groups"
	    " FROM sessions s JOIN users u ON u.name = s.user WHERE u.disabled = 0");
	struct session x;
	enum err e = db_bind(s, "");

	while (e == OK && (e = db_step(s)) == OK) {
		size_t n;
		const void *hash = sql_blob(s, 0, &n);

		memset(&x, 0, sizeof(x));
		if (n != sizeof(x.who.session))
			continue;
		memcpy(x.who.session, hash, n);
		text_column(x.who.name, sizeof(x.who.name), s, 1);
		text_column(x.address, sizeof(x.address), s, 2);
		text_column(x.agent, sizeof(x.agent), s, 3);
		x.created = sql_i64(s, 4);
		x.seen = x.saved = sql_i64(s, 5);
		x.who.role = who_role_parse(sql_text(s, 6));
		text_column(x.who.scope, sizeof(x.who.scope), s, 7);
		if (x.who.role != 0)
			each(arg, &x);
	}
	db_end(s);
	return e == ERR_NOTFOUND ? OK : e;
}
