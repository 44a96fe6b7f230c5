/* trail_read.c - showing the trail and computing its chain again. */
#include "base/text.h"
#include "trail.h"

#include <string.h>

static enum err
row_json(void *arg, struct sql_stmt *s, cJSON *list)
{
	static const char *const names[] = { "user", "address", "action", "object", "detail" };
	cJSON *o = cJSON_CreateObject();
	char hex[65] = "";
	size_t n;
	const void *hash = sql_blob(s, 8, &n);
	enum err e = o == NULL ? ERR_NOMEM : json_add_u64(o, "n", sql_u64(s, 0));

	if (n == 32)
		text_hex(hex, hash, n);
	if (e == OK)
		e = store_add_time(o, "at", sql_i64(s, 1));
	for (int i = 0; e == OK && i < 5; i++)
		e = json_add_string(o, names[i], sql_text(s, 2 + i));
	if (e == OK)
		e = json_add_u64(o, "status", sql_u64(s, 7));
	if (e == OK)
		e = json_add_string(o, "hash", hex);
	if (e == OK)
		return json_append(list, o);
	cJSON_Delete(o);
	return e;
}

enum err
trail_list(struct db *db, const struct trail_query *q, cJSON **out)
{
	struct sql_stmt *s = db_prepare(db,
	    "SELECT n, at, user, address, action, object, detail, status, hash FROM trail"
	    " WHERE (?1 = 0 OR n < ?1) AND (?2 = '' OR user = ?2) AND"
	    " (?3 = '' OR substr(action, 1, length(?3)) = ?3) ORDER BY n DESC LIMIT ?4");

	return db_array(s, db_bind(s, "itti", q->before, q->user, q->action, (int64_t)q->limit),
	    row_json, NULL, out);
}

/* One row against the hash of the row before, which it replaces. */
static enum err
check_row(struct sql_stmt *s, struct trail_chain *chain)
{
	struct trail_row r = { .at = sql_i64(s, 1),
		.user = sql_text(s, 2),
		.address = sql_text(s, 3),
		.action = sql_text(s, 4),
		.object = sql_text(s, 5),
		.detail = sql_text(s, 6),
		.status = sql_i64(s, 7) };
	uint8_t right[32];
	size_t n;
	const void *hash = sql_blob(s, 8, &n);
	enum err e = trail_hash(right, chain, sql_i64(s, 0), &r);

	if (e != OK)
		return e;
	if (n != sizeof(right) || memcmp(hash, right, n) != 0 || sql_i64(s, 0) != chain->rows + 1)
		return ERR_VERIFY;
	memcpy(chain->last, right, sizeof(right));
	chain->rows++;
	return OK;
}

enum err
trail_verify(struct db *db, cJSON **out)
{
	struct sql_stmt *s = db_prepare(db, "SELECT n, at, user, address, action, object, detail, "
					    "status, hash FROM trail ORDER BY n");
	struct trail_chain chain = { .rows = 0 };
	char hex[65];
	bool good;
	enum err e = db_bind(s, "");

	while (e == OK && (e = db_step(s)) == OK)
		e = check_row(s, &chain);
	db_end(s);
	if (e != ERR_NOTFOUND && e != ERR_VERIFY)
		return e;
	good = e == ERR_NOTFOUND;
	*out = cJSON_CreateObject();
	text_hex(hex, chain.last, sizeof(chain.last));
	e = *out == NULL ? ERR_NOMEM : json_add_bool(*out, "good", good);
	if (e == OK)
		e = json_add_u64(*out, "entries", (uint64_t)chain.rows);
	if (e == OK)
		e = json_add_string(*out, "last", hex);
	return e == OK && !good ? json_add_u64(*out, "broken_at", (uint64_t)chain.rows + 1) : e;
}
