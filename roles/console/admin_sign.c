/* admin_sign.c - orders that need more signatures than the console's own: they wait in sight of
 * everybody until enough people have signed the very bytes that agents verify. No key of a person
 * is ever here. */
#include "admin_api.h"
#include "admin_send.h"
#include "audit.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "sigform.h"
#include "task_view.h"
#include "update/canon.h"
#include "web_routes.h"

#include <stdlib.h>
#include <string.h>

static enum err
record(struct call *call, struct db *db, const char *done, const struct envelope *v)
{
	cJSON *data = cJSON_CreateObject();
	enum err e = data == NULL ? ERR_NOMEM : json_add_string(data, "task", v->id);

	if (e == OK)
		e = json_add_string(data, "type", v->type);
	if (e == OK)
		e = json_add_string(data, "target", v->agent);
	if (e == OK)
		e = json_add_string(data, "user", call->who.name);
	if (e == OK)
		return audit_done(call->c, db, done, data);
	cJSON_Delete(data);
	return e;
}

/* TASK, and who can still sign. */
static enum err
answer_task(struct call *call, struct db *db, int status, const char *id)
{
	struct task_context x;
	const struct signers *s;
	cJSON *o = NULL, *list;
	const char *type;
	enum err e = task_context_load(&x, call->c);

	if (e == OK)
		e = task_one(db, &x, NULL, id, &o);
	if (e == OK)
		e = json_get_string(o, "type", &type, NULL);
	s = e == OK && x.authority != NULL ? authority_signers(x.authority, type) : NULL;
	if (e == OK)
		e = json_add_array(o, "keyids", &list);
	for (size_t i = 0; e == OK && s != NULL && i < s->n; i++)
		e = json_append_string(list, key_id(s->keys[i]));
	if (e == OK)
		e = call_json(call, status, o);
	else
		cJSON_Delete(o);
	task_context_free(&x);
	return e;
}

static enum err
count_agent(void *arg, const struct agent_row *a)
{
	struct send *s = arg;

	(void)a;
	s->n++;
	return OK;
}

enum err
send_wait(struct call *call, struct db *db)
{
	struct send *s = call->extra;
	const struct envelope *v = &s->envelope;
	int64_t now = clock_wall_ms();
	enum err e = store_agents_each(db, v->agent, count_agent, s);

	if (e == OK && s->n == 0)
		return call_refuse(
		    call, 404, "unknown-agent", "no enrolled agent belongs to '%s'", v->agent);
	s->n = 0;
	s->waits = true;
	if (e == OK)
		e = db_run(db,
		    "INSERT INTO waiting(id, target, type, created, expires, envelope)"
		    " VALUES(?,?,?,?,?,?)",
		    "tttiit", v->id, v->agent, v->type, now, v->expires_ms, buf_text(&s->text));
	if (e == OK)
		e = task_person(db, v->id, "created", "", call->who.name, now);
	if (e == OK)
		e = record(call, db, "task-waiting", v);
	if (e == ERR_EXISTS)
		return e;
	return e == OK ? answer_task(call, db, 202, v->id) : e;
}

/* ---- GET /tasks/{id}/bytes ---- */

/* The envelope of a task that waits, or of one that was sent. ERR_NOTFOUND. */
static enum err
load(struct db *db, const char *id, bool *waits, struct envelope *out, struct fault *f)
{
	struct sql_stmt *s = db_prepare(db, "SELECT envelope, 1, canceled IS NULL AND expires > ?2 "
					    "FROM waiting WHERE id = ?1 UNION ALL"
					    " SELECT envelope, 0, 0 FROM tasks WHERE id = ?1");
	enum err e = db_bind(s, "ti", id, clock_wall_ms());

	if (e == OK)
		e = db_step(s);
	if (e == OK) {
		*waits = sql_i64(s, 2) != 0;
		e = envelope_parse(out, sql_text(s, 0), strlen(sql_text(s, 0)), f);
	}
	db_end(s);
	return e;
}

static enum err
put_bytes(cJSON *o, const struct envelope *v, struct fault *f)
{
	struct buf canon, text;
	cJSON *copy;
	enum err e;

	buf_init(&canon, LIMIT_TASK_BYTES * 2);
	buf_init(&text, LIMIT_TASK_BYTES * 4);
	e = canon_json(v->signed_part, &canon, f);
	if (e == OK)
		e = text_b64(&text, canon.data, canon.len);
	if (e == OK)
		e = json_add_string(o, "bytes", buf_text(&text));
	buf_free(&canon);
	buf_free(&text);
	copy = e == OK ? cJSON_Duplicate(v->tree, 1) : NULL;
	if (e == OK && (copy == NULL || !cJSON_AddItemToObject(o, "envelope", copy))) {
		cJSON_Delete(copy);
		e = ERR_NOMEM;
	}
	return e;
}

/* Within the user's groups; false: refused as if it were not there. */
static enum err
seen(struct call *call, struct db *db, const struct envelope *v, bool *is_seen)
{
	enum err e = task_target_seen(db, who_scope(&call->who), v->agent, is_seen);

	if (e == OK && !*is_seen)
		return call_refuse(call, 404, "unknown-task", "there is no such task");
	return e;
}

static enum err
work_bytes(struct call *call, struct db *db)
{
	struct send *s = call->extra;
	struct fault f = { 0 };
	bool waits, may = false;
	cJSON *o;
	enum err e = load(db, call->param, &waits, &s->envelope, &f);

	if (e == ERR_NOTFOUND)
		return call_refuse(call, 404, "unknown-task", "there is no such task");
	if (e == OK)
		e = seen(call, db, &s->envelope, &may);
	if (e == OK && may)
		e = answer_task(call, db, 200, s->envelope.id);
	if (e != OK || !may)
		return e;
	e = json_parse(&o, buf_text(&call->out), call->out.len, JSON_EVENT, NULL);
	if (e == OK)
		e = put_bytes(o, &s->envelope, &f);
	else
		return e;
	if (e == OK)
		return call_json(call, 200, o);
	cJSON_Delete(o);
	return e;
}

void
web_task_bytes(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call == NULL)
		return;
	if (send_new(call) != OK)
		call_fail(call);
	else
		call_start(call, work_bytes, NULL);
}

/* ---- POST /tasks/{id}/signatures ---- */

struct signature {
	char keyid[KEY_ID_TEXT];
	uint8_t der[SIGFORM_DER + 8];
	size_t n;
};

static enum err
read_signature(struct call *call, struct signature *out, struct fault *f)
{
	const char *keyid, *sig, *format;
	uint8_t raw[SIGFORM_DER + 8];
	size_t n = 0;
	cJSON *body;
	enum err e = web_body(call, &body);

	if (e != OK)
		return e;
	e = json_get_string(body, "keyid", &keyid, f);
	if (e == OK)
		e = json_get_string(body, "sig", &sig, f);
	if (e == OK)
		e = json_opt_string(body, "format", "raw", &format, f);
	if (e == OK && text_copy(out->keyid, sizeof(out->keyid), keyid, strlen(keyid)) != OK)
		e = fault_set(f, ERR_INVAL, "'keyid' has 64 hexadecimal digits");
	if (e == OK && sigform_text(sig, raw, sizeof(raw), &n) != OK)
		e = fault_set(f, ERR_INVAL, "'sig' is hexadecimal or base64");
	if (e == OK && strcmp(format, "der") == 0) {
		memcpy(out->der, raw, n);
		out->n = n;
	} else if (e == OK && sigform_der(raw, n, out->der, &out->n) != OK) {
		e = fault_set(f, ERR_INVAL, "a raw signature is r and s in 64 bytes");
	}
	cJSON_Delete(body);
	return e;
}

static const struct key *
find_signer(const struct task_context *x, const char *type, const char *keyid)
{
	const struct signers *s =
	    x->authority == NULL ? NULL : authority_signers(x->authority, type);

	for (size_t i = 0; s != NULL && i < s->n; i++)
		if (strcmp(key_id(s->keys[i]), keyid) == 0)
			return s->keys[i];
	return NULL;
}

static bool
has_signed(const struct envelope *v, const char *keyid)
{
	const cJSON *item, *id;

	cJSON_ArrayForEach(item, v->signatures)
	{
		id = json_get(item, "keyid");
		if (cJSON_IsString(id) && strcmp(id->valuestring, keyid) == 0)
			return true;
	}
	return false;
}

/* Is it a signature of one who may sign this type, over these bytes? Else the call is refused. */
static enum err
judge(struct call *call, const struct task_context *x, const struct envelope *v,
    const struct signature *g, struct fault *f)
{
	const struct key *key = find_signer(x, v->type, g->keyid);
	struct buf canon;
	enum err e;

	if (key == NULL)
		return call_refuse(call, 422, "not-a-signer",
		    "the authority in force does not let this key sign tasks of this type");
	if (has_signed(v, g->keyid))
		return call_refuse(call, 409, "signed-already", "this key has signed the task");
	buf_init(&canon, LIMIT_TASK_BYTES * 2);
	e = canon_json(v->signed_part, &canon, f);
	if (e == OK)
		e = key_verify(key, canon.data, canon.len, g->der, g->n);
	buf_free(&canon);
	if (e == ERR_NOMEM)
		return e;
	return e == OK ? OK
		       : call_refuse(call, 422, "bad-signature",
			     "the signature does not fit the task and the key");
}

/* A registered key belongs to one person: nobody hands in the signature of another. */
static enum err
check_owner(struct call *call, struct db *db, const char *keyid)
{
	int64_t foreign = 0;
	enum err e = db_number(db, &foreign,
	    "SELECT 1 FROM user_keys WHERE keyid = ? AND user <> ?", "tt", keyid, call->who.name);

	if (e == OK)
		return call_refuse(
		    call, 403, "forbidden", "this key is registered for another user");
	return e == ERR_NOTFOUND ? OK : e;
}

static enum err
attach(struct send *s, const struct signature *g)
{
	char hex[2 * sizeof(g->der) + 1];
	cJSON *item = cJSON_CreateObject(), *list;
	enum err e = item == NULL ? ERR_NOMEM : json_add_string(item, "keyid", g->keyid);

	text_hex(hex, g->der, g->n);
	if (e == OK)
		e = json_add_string(item, "sig", hex);
	if (e == OK)
		e = json_get_array(s->envelope.tree, "signatures", &list, NULL);
	if (e == OK)
		return json_append(list, item);
	cJSON_Delete(item);
	return e;
}

/* Enough? Then it goes out as any other order; else it waits on with one signature more. */
static enum err
go_on(struct call *call, struct db *db, struct fault *f)
{
	struct send *s = call->extra;
	enum envelope_refusal r = ENVELOPE_OK;
	enum err e;

	buf_init(&s->text, LIMIT_TASK_BYTES);
	e = envelope_write(&s->envelope, &s->text);
	if (e == OK)
		e = send_check(call, f, &r);
	if (e == OK && r != ENVELOPE_OK && r != ENVELOPE_THRESHOLD && r != ENVELOPE_BAD_SIGNATURE)
		return call_refuse(call, 422, envelope_code(r), "%s", fault_text(f));
	s->waits = r != ENVELOPE_OK;
	if (e == OK && s->waits)
		return db_run(db, "UPDATE waiting SET envelope = ? WHERE id = ?", "tt",
		    buf_text(&s->text), s->envelope.id);
	if (e == OK)
		e = db_run(db, "DELETE FROM waiting WHERE id = ?", "t", s->envelope.id);
	return e == OK ? send_store(call, db, f) : e;
}

static enum err
sign(struct call *call, struct db *db, const struct signature *g, struct fault *f)
{
	struct send *s = call->extra;
	struct task_context x;
	enum err e = task_context_load(&x, call->c);

	if (e == OK)
		e = judge(call, &x, &s->envelope, g, f);
	task_context_free(&x);
	if (e == OK && call->code == NULL)
		e = check_owner(call, db, g->keyid);
	if (e != OK || call->code != NULL)
		return e;
	e = attach(s, g);
	if (e == OK)
		e = task_person(
		    db, s->envelope.id, "signed", g->keyid, call->who.name, clock_wall_ms());
	if (e == OK)
		e = go_on(call, db, f);
	if (e == OK && call->code == NULL)
		e = record(call, db, "task-signed", &s->envelope);
	return e == OK && call->code == NULL ? answer_task(call, db, 200, s->envelope.id) : e;
}

static enum err
work_sign(struct call *call, struct db *db)
{
	struct send *s = call->extra;
	struct signature g = { .n = 0 };
	struct fault f = { 0 };
	bool waits = false, may = false;
	enum err e = read_signature(call, &g, &f);

	if (e != OK)
		return web_settle(call, e, &f);
	e = load(db, call->param, &waits, &s->envelope, &f);
	if (e == ERR_NOTFOUND)
		return call_refuse(call, 404, "unknown-task", "there is no such task");
	if (e == OK)
		e = seen(call, db, &s->envelope, &may);
	if (e != OK || !may)
		return e;
	if (!waits)
		return call_refuse(
		    call, 409, "not-waiting", "the task does not wait for signatures");
	e = db_run(db, "SAVEPOINT sign_", "");
	if (e == OK)
		e = send_settle(call, sign(call, db, &g, &f), &f);
	if (e == OK && call->code != NULL) /* what a refused signature stored goes again */
		e = db_run(db, "ROLLBACK TO sign_", "");
	return e == OK ? db_run(db, "RELEASE sign_", "") : e;
}

void
web_task_sign(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call == NULL)
		return;
	if (send_new(call) != OK)
		call_fail(call);
	else
		call_start(call, work_sign, send_out);
}
