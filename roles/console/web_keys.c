/* web_keys.c - the public keys of people who sign. Registering one gives it a name and an owner;
 * what it may sign is said by authority.json alone. */
#include "base/clock.h"
#include "base/text.h"
#include "store.h"
#include "task_view.h"
#include "update/key.h"
#include "web_routes.h"

#include <string.h>

#define LIMIT_SPKI 512
#define LABEL_MAX 100
#define KEYS_PER_USER 16

/* ---- GET /me/keys ---- */

static enum err
add_tasks(cJSON *o, const struct task_context *x, const char *keyid)
{
	const cJSON *tasks, *task;
	cJSON *list;
	enum err e = json_add_array(o, "tasks", &list);

	tasks = x->authority == NULL ? NULL : json_get(authority_tree(x->authority), "tasks");
	cJSON_ArrayForEach(task, tasks)
	{
		const struct signers *s = authority_signers(x->authority, task->string);

		for (size_t i = 0; e == OK && s != NULL && i < s->n; i++)
			if (strcmp(key_id(s->keys[i]), keyid) == 0)
				e = json_append_string(list, task->string);
	}
	return e;
}

static enum err
key_row(struct sql_stmt *s, const struct task_context *x, cJSON *list)
{
	cJSON *o = cJSON_CreateObject(), *key = NULL;
	const char *text = sql_text(s, 3);
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "keyid", sql_text(s, 0));

	if (e == OK)
		e = json_add_string(o, "label", sql_text(s, 1));
	if (e == OK)
		e = store_add_time(o, "added", sql_i64(s, 2));
	if (e == OK)
		e = json_parse(&key, text, strlen(text), JSON_SIGNED, NULL);
	if (e == OK && !cJSON_AddItemToObject(o, "key", key)) {
		cJSON_Delete(key);
		e = ERR_NOMEM;
	}
	if (e == OK)
		e = add_tasks(o, x, sql_text(s, 0));
	if (e == OK)
		return json_append(list, o);
	cJSON_Delete(o);
	return e;
}

static enum err
work_list(struct call *call, struct db *db)
{
	struct sql_stmt *s = db_prepare(
	    db, "SELECT keyid, label, added, key FROM user_keys WHERE user = ? ORDER BY added");
	struct task_context x;
	cJSON *list = cJSON_CreateArray();
	enum err e = task_context_load(&x, call->c);

	if (e == OK)
		e = list == NULL ? ERR_NOMEM : db_bind(s, "t", call->who.name);
	while (e == OK && (e = db_step(s)) == OK)
		e = key_row(s, &x, list);
	db_end(s);
	task_context_free(&x);
	if (e == ERR_NOTFOUND)
		return web_answer_list(call, "keys", list);
	cJSON_Delete(list);
	return e;
}

void
web_keys(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_list, NULL);
}

/* ---- POST /me/keys ---- */

/* PEM with lines of 64 characters, as OpenSSL and securesystemslib write it: the key id hangs on
 * it. */
static enum err
pem_of(const uint8_t *der, size_t n, struct buf *pem)
{
	struct buf b64;
	enum err e;

	buf_init(&b64, LIMIT_SPKI * 2);
	e = text_b64(&b64, der, n);
	if (e == OK)
		e = buf_puts(pem, "-----BEGIN PUBLIC KEY-----\n");
	for (size_t at = 0; e == OK && at < b64.len; at += 64) {
		e = buf_append(pem, b64.data + at, b64.len - at < 64 ? b64.len - at : 64);
		if (e == OK)
			e = buf_puts(pem, "\n");
	}
	buf_free(&b64);
	return e == OK ? buf_puts(pem, "-----END PUBLIC KEY-----\n") : e;
}

static enum err
key_object(const char *pem, cJSON **out)
{
	cJSON *o = cJSON_CreateObject(), *value;
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "keytype", "ecdsa");

	if (e == OK)
		e = json_add_string(o, "scheme", "ecdsa-sha2-nistp256");
	if (e == OK)
		e = json_add_object(o, "keyval", &value);
	if (e == OK)
		e = json_add_string(value, "public", pem);
	*out = o;
	return e;
}

/* A key of our kind, from SubjectPublicKeyInfo in base64; takes nothing on failure. */
static enum err
read_key(const char *spki, cJSON **object, char id[KEY_ID_TEXT], struct fault *f)
{
	struct sign_public *k = NULL;
	struct buf der, pem;
	enum err e;

	buf_init(&der, LIMIT_SPKI);
	buf_init(&pem, LIMIT_SPKI * 4);
	e = text_unb64(&der, spki, strlen(spki));
	if (e == OK)
		e = pem_of(der.data, der.len, &pem);
	if (e == OK)
		e = sign_public_parse(&k, SIGN_ECDSA_P256, buf_text(&pem), pem.len, f);
	if (e == ERR_PARSE || e == ERR_TOOBIG)
		e = fault_set(
		    f, ERR_INVAL, "'spki' is the SubjectPublicKeyInfo of a P-256 key in base64");
	sign_public_free(k);
	if (e == OK)
		e = key_object(buf_text(&pem), object);
	if (e == OK)
		e = key_compute_id(*object, id, f);
	buf_free(&der);
	buf_free(&pem);
	return e;
}

static enum err
store_key(struct call *call, struct db *db, const char *id, const char *label, const cJSON *key)
{
	struct buf text;
	int64_t n = 0;
	enum err e =
	    db_number(db, &n, "SELECT count(*) FROM user_keys WHERE user = ?", "t", call->who.name);

	if (e == OK && n >= KEYS_PER_USER)
		return call_refuse(
		    call, 409, "too-many", "a user has at most %d keys", KEYS_PER_USER);
	buf_init(&text, 4096);
	if (e == OK)
		e = json_print(key, &text);
	if (e == OK)
		e = db_run(db,
		    "INSERT INTO user_keys(keyid, user, label, key, added) VALUES(?,?,?,?,?)",
		    "tttti", id, call->who.name, label, buf_text(&text), clock_wall_ms());
	buf_free(&text);
	if (e == ERR_EXISTS)
		return call_refuse(call, 409, "known-key", "this key is registered already");
	return e;
}

static enum err
answer_key(struct call *call, const char *id, cJSON *key)
{
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "keyid", id);

	if (e == OK && cJSON_AddItemToObject(o, "key", key))
		return call_json(call, 201, o);
	cJSON_Delete(key);
	cJSON_Delete(o);
	return e == OK ? ERR_NOMEM : e;
}

static enum err
work_new(struct call *call, struct db *db)
{
	struct fault f = { 0 };
	const char *spki, *label;
	char id[KEY_ID_TEXT];
	cJSON *body, *key = NULL;
	enum err e = web_body(call, &body);

	if (e != OK)
		return web_settle(call, e, &f);
	e = json_get_string(body, "spki", &spki, &f);
	if (e == OK)
		e = json_opt_string(body, "label", "", &label, &f);
	if (e == OK && strlen(label) > LABEL_MAX)
		e = fault_set(&f, ERR_INVAL, "'label' has at most %d bytes", LABEL_MAX);
	if (e == OK)
		e = read_key(spki, &key, id, &f);
	if (e == OK)
		e = store_key(call, db, id, label, key);
	cJSON_Delete(body);
	if (e == OK && call->code == NULL)
		return answer_key(call, id, key);
	cJSON_Delete(key);
	return web_settle(call, e, &f);
}

void
web_key_new(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_new, NULL);
}

static enum err
work_remove(struct call *call, struct db *db)
{
	enum err e = db_run(db, "DELETE FROM user_keys WHERE keyid = ? AND user = ?", "tt",
	    call->param, call->who.name);

	if (e == OK && db_changes(db) == 0)
		return call_refuse(call, 404, "not-found", "you have no such key");
	return e;
}

void
web_key_remove(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_remove, NULL);
}
