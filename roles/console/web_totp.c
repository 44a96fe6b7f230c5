/* web_totp.c - a user switches one-time codes on and off. The password is asked again, because a
 * session that was left open must not do this. */
#include "base/clock.h"
#include "base/text.h"
#include "os/rand.h"
#include "store_users.h"
#include "web_routes.h"

#include <stdlib.h>
#include <string.h>

struct change {
	char password[PASSWORD_MAX + 1];
	struct user_row row;
	bool right;
	enum err (*then)(struct call *call, struct db *db, struct user_row *now);
};

static void
change_free(void *extra)
{
	explicit_bzero(extra, sizeof(struct change));
	free(extra);
}

static enum err
work_then(struct call *call, struct db *db)
{
	struct change *x = call->extra;
	struct user_row now;
	enum err e;

	call->trailed = false;
	if (!x->right)
		return call_refuse(call, 403, "wrong-password", "the password is wrong");
	e = store_user_get(db, call->who.name, &now);
	if (e == OK && strcmp(now.hash, x->row.hash) != 0)
		return call_refuse(
		    call, 403, "wrong-password", "the password was changed meanwhile");
	now.fails = now.locked = 0;
	return e == OK ? x->then(call, db, &now) : e;
}

static enum err
work_verify(struct call *call, struct db *db)
{
	struct change *x = call->extra;

	(void)db;
	x->right = password_right(x->row.hash, x->password);
	return OK;
}

static void
finish_verify(struct call *call)
{
	call_next(call, &call->c->db_work, work_then, NULL);
}

static enum err
work_count(struct call *call, struct db *db)
{
	struct change *x = call->extra;
	struct fault f = { 0 };
	const char *password;
	int64_t until;
	cJSON *body;
	enum err e = web_body(call, &body);

	if (e != OK)
		return web_settle(call, e, &f);
	e = json_get_string(body, "password", &password, &f);
	if (e == OK &&
	    text_copy(x->password, sizeof(x->password), password, strlen(password)) != OK)
		x->password[0] = '\0';
	cJSON_Delete(body);
	if (e != OK)
		return web_settle(call, e, &f);
	e = store_login_count(
	    db, call->who.name, clock_wall_ms(), call->c->o->web_lock, &x->row, &until);
	if (e == ERR_BUSY)
		return call_refuse(call, 429, "locked", "too many wrong tries: come again later");
	call->trailed = true; /* the last step writes the row */
	return e;
}

static void
finish_count(struct call *call)
{
	if (call->code == NULL)
		call_next(call, &call->c->web->hash_work, work_verify, finish_verify);
}

static void
start(struct http_req *req, void *ctx,
    enum err (*then)(struct call *call, struct db *db, struct user_row *now))
{
	struct call *call = call_new(ctx, req);
	struct change *x;

	if (call == NULL)
		return;
	x = call->extra = calloc(1, sizeof(*x));
	if (x == NULL) {
		call_fail(call);
		return;
	}
	call->extra_free = change_free;
	x->then = then;
	call_start(call, work_count, finish_count);
}

/* otpauth://totp/ORG:USER?secret=..&issuer=ORG: what authenticators read from a picture. */
static enum err
then_start(struct call *call, struct db *db, struct user_row *now)
{
	struct buf secret, uri;
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : pki_random(now->totp_new, sizeof(now->totp_new));

	buf_init(&secret, 64);
	buf_init(&uri, 512);
	now->has_new = true;
	if (e == OK)
		e = totp_base32(&secret, now->totp_new, sizeof(now->totp_new));
	if (e == OK)
		e = buf_printf(&uri, "otpauth://totp/%s:%s?secret=%s&issuer=%s", call->c->o->org,
		    now->name, buf_text(&secret), call->c->o->org);
	if (e == OK)
		e = json_add_string(o, "secret", buf_text(&secret));
	if (e == OK)
		e = json_add_string(o, "uri", buf_text(&uri));
	if (e == OK)
		e = store_user_save(db, now);
	if (e == OK)
		e = call_json(call, 200, o);
	else
		cJSON_Delete(o);
	buf_wipe(&secret);
	buf_wipe(&uri);
	return e;
}

static enum err
then_remove(struct call *call, struct db *db, struct user_row *now)
{
	(void)call;
	now->has_totp = now->has_new = false;
	return store_user_save(db, now);
}

void
web_totp_start(struct http_req *req, void *ctx)
{
	start(req, ctx, then_start);
}

void
web_totp_remove(struct http_req *req, void *ctx)
{
	start(req, ctx, then_remove);
}

/* The new secret comes in force once its owner has shown that the authenticator holds it. */
static enum err
confirm(struct call *call, struct db *db, const char *code)
{
	struct user_row u;
	int64_t step = 0;
	enum err e = store_user_get(db, call->who.name, &u);

	if (e != OK)
		return e;
	if (!u.has_new)
		return call_refuse(call, 409, "not-started", "ask for a secret first");
	if (!totp_check(u.totp_new, TOTP_SECRET, code, clock_wall_ms(), 0, &step))
		return call_refuse(
		    call, 422, "wrong-code", "the code is wrong; look at the clocks");
	memcpy(u.totp, u.totp_new, sizeof(u.totp));
	u.has_totp = true;
	u.has_new = false;
	u.totp_step = step;
	return store_user_save(db, &u);
}

static enum err
work_confirm(struct call *call, struct db *db)
{
	struct fault f = { 0 };
	const char *code;
	cJSON *body;
	enum err e = web_body(call, &body);

	if (e != OK)
		return web_settle(call, e, &f);
	e = json_get_string(body, "code", &code, &f);
	if (e == OK)
		e = confirm(call, db, code);
	cJSON_Delete(body);
	return web_settle(call, e, &f);
}

void
web_totp_confirm(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_confirm, NULL);
}
