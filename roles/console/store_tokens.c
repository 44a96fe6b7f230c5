#include "store.h"

#include "base/text.h"

#include <string.h>

enum err
store_token_add(struct db *db, const struct token_row *t)
{
	return db_run(db,
	    "INSERT INTO tokens(id, key, grp, uses, used, attempts, created, expires)"
	    " VALUES(?,?,?,?,0,0,?,?)",
	    "tbtiii", t->id, (const void *)t->key, sizeof(t->key), t->group, t->uses, t->created,
	    t->expires);
}

static enum err
token_read(struct sql_stmt *s, struct token_row *t)
{
	const char *text = sql_text(s, 0);
	size_t n;
	const void *key = sql_blob(s, 1, &n);

	memset(t, 0, sizeof(*t));
	if (text_copy(t->id, sizeof(t->id), text, strlen(text)) != OK || key == NULL ||
	    n != sizeof(t->key))
		return ERR_STATE;
	memcpy(t->key, key, sizeof(t->key));
	text = sql_text(s, 2);
	if (text_copy(t->group, sizeof(t->group), text, strlen(text)) != OK)
		return ERR_STATE;
	t->uses = sql_i64(s, 3);
	t->used = sql_i64(s, 4);
	t->attempts = sql_i64(s, 5);
	t->created = sql_i64(s, 6);
	t->expires = sql_i64(s, 7);
	t->revoked = !sql_is_null(s, 8);
	return OK;
}

#define TOKEN_COLUMNS "id, key, grp, uses, used, attempts, created, expires, revoked"

enum err
store_token_try(struct db *db, const char *id, struct token_row *out)
{
	struct sql_stmt *s;
	enum err e = db_run(db, "UPDATE tokens SET attempts = attempts + 1 WHERE id = ?", "t", id);

	if (e != OK)
		return e;
	s = db_prepare(db, "SELECT " TOKEN_COLUMNS " FROM tokens WHERE id = ?");
	e = db_bind(s, "t", id);
	if (e == OK)
		e = db_step(s);
	if (e == OK)
		e = token_read(s, out);
	db_end(s);
	return e;
}

enum err
store_token_spend(struct db *db, const char *id)
{
	enum err e = db_run(db,
	    "UPDATE tokens SET used = used + 1 WHERE id = ? AND used < uses AND revoked IS NULL",
	    "t", id);

	return e == OK && db_changes(db) != 1 ? ERR_DENIED : e;
}

enum err
store_token_revoke(struct db *db, const char *id, int64_t now)
{
	enum err e = db_run(
	    db, "UPDATE tokens SET revoked = ifnull(revoked, ?) WHERE id = ?", "it", now, id);

	return e == OK && db_changes(db) == 0 ? ERR_NOTFOUND : e;
}

static enum err
token_json(void *arg, struct sql_stmt *s, cJSON *list)
{
	struct token_row t;
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : token_read(s, &t);

	if (e == OK)
		e = json_add_string(o, "id", t.id);
	if (e == OK)
		e = json_add_string(o, "group", t.group);
	if (e == OK)
		e = json_add_u64(o, "uses", (uint64_t)t.uses);
	if (e == OK)
		e = json_add_u64(o, "used", (uint64_t)t.used);
	if (e == OK)
		e = json_add_u64(o, "attempts", (uint64_t)t.attempts);
	if (e == OK)
		e = store_add_time(o, "created", t.created);
	if (e == OK)
		e = store_add_time(o, "expires", t.expires);
	if (e == OK)
		e = json_add_bool(o, "revoked", t.revoked);
	if (e != OK) {
		cJSON_Delete(o);
		return e;
	}
	return json_append(list, o);
}

enum err
store_tokens_list(struct db *db, cJSON **out)
{
	struct sql_stmt *s =
	    db_prepare(db, "SELECT " TOKEN_COLUMNS " FROM tokens ORDER BY created");

	return db_array(s, db_bind(s, ""), token_json, NULL, out);
}

enum err
store_enrolment_add(struct db *db, const char *token, const uint8_t proof[32], const char *agent,
    const struct buf *answer, int64_t now)
{
	return db_run(db,
	    "INSERT INTO enrolments(token, proof, at, agent, answer) VALUES(?,?,?,?,?)", "tbitb",
	    token, (const void *)proof, (size_t)32, now, agent, (const void *)answer->data,
	    answer->len);
}

enum err
store_enrolment_find(
    struct db *db, const char *token, const uint8_t proof[32], int64_t since, struct buf *answer)
{
	struct sql_stmt *s;
	enum err e = db_run(db, "DELETE FROM enrolments WHERE at < ?", "i", since);

	if (e != OK)
		return e;
	s = db_prepare(db, "SELECT answer FROM enrolments WHERE token = ? AND proof = ?");
	e = db_bind(s, "tb", token, (const void *)proof, (size_t)32);
	if (e == OK)
		e = db_step(s);
	if (e == OK) {
		size_t n;
		const void *p = sql_blob(s, 0, &n);
		e = buf_append(answer, p, n);
	}
	db_end(s);
	return e;
}
