#include "task_view.h"

#include "base/clock.h"
#include "base/text.h"
#include "feed.h"
#include "proto/envelope.h"
#include "update/key.h"

#include <string.h>

enum err
task_context_load(struct task_context *x, const struct console *c)
{
	struct fault f = { 0 };
	struct buf bytes;
	cJSON *key = NULL;
	enum err e;

	memset(x, 0, sizeof(*x));
	buf_init(&bytes, LIMIT_AUTHORITY_BYTES);
	if (feed_read(c->o, "authority.json", &bytes, &f) != OK ||
	    authority_parse(&x->authority, buf_text(&bytes), bytes.len, &f) != OK)
		x->authority = NULL; /* none yet: nobody may order anything */
	buf_free(&bytes);
	e = key_of_private(c->id.task_key, &key, x->console_key, &f);
	cJSON_Delete(key);
	return e;
}

void
task_context_free(struct task_context *x)
{
	authority_free(x->authority);
	x->authority = NULL;
}

enum err
task_person(struct db *db, const char *task, const char *what, const char *keyid, const char *user,
    int64_t now)
{
	return db_run(db,
	    "INSERT OR IGNORE INTO task_people(task, what, keyid, user, at) VALUES(?,?,?,?,?)",
	    "tttti", task, what, keyid, user, now);
}

#define SEEN(target)                                                                               \
	"(?1 IS NULL OR substr(" target ", 7) IN (SELECT value FROM json_each(?1)) AND"            \
	" substr(" target ", 1, 6) = 'group:' OR " target " IN (SELECT agent FROM agents WHERE"    \
	" grp IN (SELECT value FROM json_each(?1))))"

enum err
task_target_seen(struct db *db, const char *scope, const char *target, bool *seen)
{
	int64_t n = 0;
	enum err e = db_number(db, &n, "SELECT " SEEN("?2"), "tt", scope, target);

	*seen = n != 0;
	return e;
}

/* ---- signatures ---- */

static enum err
add_person(struct db *db, const char *task, const char *keyid, cJSON *o)
{
	struct sql_stmt *s = db_prepare(db,
	    "SELECT user, at FROM task_people WHERE task = ? AND what = 'signed' AND keyid = ?");
	enum err e = db_bind(s, "tt", task, keyid);

	if (e == OK)
		e = db_step(s);
	if (e == OK)
		e = json_add_string(o, "by", sql_text(s, 0));
	if (e == OK)
		e = store_add_time(o, "at", sql_i64(s, 1));
	db_end(s);
	return e == ERR_NOTFOUND ? OK : e;
}

static enum err
add_signature(
    struct db *db, const struct task_context *x, const char *task, const cJSON *item, cJSON *list)
{
	const cJSON *keyid = json_get(item, "keyid");
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : OK;

	if (e == OK)
		e = json_add_string(o, "keyid", cJSON_IsString(keyid) ? keyid->valuestring : "");
	if (e == OK && cJSON_IsString(keyid))
		e = json_add_bool(o, "console", strcmp(keyid->valuestring, x->console_key) == 0);
	if (e == OK && cJSON_IsString(keyid))
		e = add_person(db, task, keyid->valuestring, o);
	if (e == OK)
		return json_append(list, o);
	cJSON_Delete(o);
	return e;
}

/* Signatures that count for this type, and how many it needs. */
static void
count_signatures(const struct task_context *x, const char *type, const cJSON *signatures,
    uint64_t *have, uint64_t *needed)
{
	const struct signers *s =
	    x->authority == NULL ? NULL : authority_signers(x->authority, type);
	const cJSON *item, *keyid;

	*have = 0;
	*needed = s == NULL ? 0 : s->threshold;
	cJSON_ArrayForEach(item, signatures)
	{
		keyid = json_get(item, "keyid");
		for (size_t i = 0; s != NULL && cJSON_IsString(keyid) && i < s->n; i++)
			*have += strcmp(key_id(s->keys[i]), keyid->valuestring) == 0;
	}
}

static enum err
add_signatures(struct db *db, const struct task_context *x, cJSON *o, const char *envelope)
{
	const char *id = cJSON_GetStringValue(json_get(o, "id"));
	const char *type = cJSON_GetStringValue(json_get(o, "type"));
	uint64_t have, needed;
	cJSON *tree, *list;
	const cJSON *item;
	enum err e = json_parse(&tree, envelope, strlen(envelope), JSON_SIGNED, NULL);

	if (e != OK)
		return e == ERR_NOMEM ? e : OK;
	e = json_add_array(o, "signatures", &list);
	if (e == OK)
		cJSON_ArrayForEach(item, json_get(tree, "signatures"))
		{
			if (e == OK)
				e = add_signature(db, x, id, item, list);
		}
	count_signatures(x, type, json_get(tree, "signatures"), &have, &needed);
	if (e == OK)
		e = json_add_u64(o, "have", have);
	if (e == OK)
		e = json_add_u64(o, "needed", needed);
	cJSON_Delete(tree);
	return e;
}

/* ---- rows ---- */

static enum err
add_target_text(cJSON *o, const char *target, const char *host)
{
	if (strcmp(target, "*") == 0)
		return json_add_string(o, "target_text", "all computers");
	if (text_starts(target, "group:"))
		return json_add_string(o, "target_text", target + strlen("group:"));
	return json_add_string(o, "target_text", host[0] != '\0' ? host : target);
}

static const char *
state_of(struct sql_stmt *s, int64_t now)
{
	int64_t total = sql_i64(s, 6), final = sql_i64(s, 7);

	if (sql_i64(s, 12) != 0) /* waiting for signatures */
		return sql_i64(s, 5) != 0 || sql_i64(s, 4) <= now ? "ended" : "waiting";
	return final >= total ? "ended" : "open";
}

/* Columns as in LIST. */
static enum err
row_json(struct db *db, const struct task_context *x, struct sql_stmt *s, cJSON *o)
{
	static const char *const numbers[] = { "agents_total", "agents_final", "agents_done",
		"agents_failed" };
	enum err e = json_add_string(o, "id", sql_text(s, 0));

	if (e == OK)
		e = json_add_string(o, "target", sql_text(s, 1));
	if (e == OK)
		e = add_target_text(o, sql_text(s, 1), sql_text(s, 10));
	if (e == OK)
		e = json_add_string(o, "type", sql_text(s, 2));
	if (e == OK)
		e = store_add_time(o, "created", sql_i64(s, 3));
	if (e == OK)
		e = store_add_time(o, "expires", sql_i64(s, 4));
	if (e == OK)
		e = store_add_time(o, "canceled", sql_i64(s, 5));
	for (int i = 0; e == OK && i < 4; i++)
		e = json_add_u64(o, numbers[i], sql_u64(s, 6 + i));
	if (e == OK && !sql_is_null(s, 11))
		e = json_add_string(o, "by", sql_text(s, 11));
	if (e == OK)
		e = json_add_string(o, "state", state_of(s, clock_wall_ms()));
	return e == OK ? add_signatures(db, x, o, sql_text(s, 13)) : e;
}

struct page {
	struct db *db;
	const struct task_context *x;
};

static enum err
add_row(void *arg, struct sql_stmt *s, cJSON *list)
{
	const struct page *p = arg;
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : row_json(p->db, p->x, s, o);

	if (e == OK)
		return json_append(list, o);
	cJSON_Delete(o);
	return e;
}

/* The page first, its sums after: a page costs its own deliveries only. */
#define LIST(page)                                                                                 \
	"SELECT t.id, t.target, t.type, t.created, t.expires, t.canceled,"                         \
	" (SELECT count(*) FROM deliveries WHERE task = t.id),"                                    \
	" (SELECT ifnull(sum(final), 0) FROM deliveries WHERE task = t.id),"                       \
	" (SELECT ifnull(sum(state = 'done'), 0) FROM deliveries WHERE task = t.id),"              \
	" (SELECT ifnull(sum(final AND state <> 'done'), 0) FROM deliveries WHERE task = t.id),"   \
	" (SELECT host FROM agents WHERE agent = t.target),"                                       \
	" (SELECT user FROM task_people WHERE task = t.id AND what = 'created'), t.waits,"         \
	" t.envelope FROM (" page " AND (?2 = '' OR t.id < ?2) ORDER BY t.id DESC LIMIT ?4) t"     \
	" ORDER BY t.id DESC"
#define BOTH                                                                                       \
	"SELECT t.* FROM (SELECT id, target, type, created, expires, canceled, envelope,"          \
	" 0 AS waits FROM tasks UNION ALL SELECT id, target, type, created, expires, canceled,"    \
	" envelope, 1 FROM waiting) t"

enum err
task_list(struct db *db, const struct task_context *x, const struct task_query *q, cJSON **out)
{
	static const char of_agent[] = LIST(
	    BOTH " JOIN deliveries d ON d.task = t.id AND d.agent = ?3 WHERE " SEEN("t.target"));
	static const char all[] =
	    LIST(BOTH " WHERE " SEEN("t.target") " AND (?3 = '' OR t.id = ?3)");
	struct sql_stmt *s = db_prepare(db, q->agent[0] != '\0' ? of_agent : all);
	struct page page = { db, x };
	enum err e = db_bind(s, "ttti", q->scope, q->before, q->agent[0] != '\0' ? q->agent : q->id,
	    (int64_t)q->limit);

	return db_array(s, e, add_row, &page, out);
}

enum err
task_one(
    struct db *db, const struct task_context *x, const char *scope, const char *id, cJSON **out)
{
	struct task_query q = { .id = id, .before = "", .agent = "", .scope = scope, .limit = 1 };
	cJSON *list;
	enum err e = id[0] == '\0' ? ERR_NOTFOUND : task_list(db, x, &q, &list);

	if (e != OK)
		return e;
	*out = cJSON_DetachItemFromArray(list, 0);
	cJSON_Delete(list);
	return *out == NULL ? ERR_NOTFOUND : OK;
}
