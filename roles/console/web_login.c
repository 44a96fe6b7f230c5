/* web_login.c - POST /api/v1/login in three steps: the try is counted in a transaction, then the
 * password is verified on the queue of passwords, then the outcome is settled in a transaction. Of
 * any number of parallel tries only as many reach the second step as the counter allows. */
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "os/rand.h"
#include "store_users.h"
#include "trail.h"
#include "web_cookie.h"
#include "web_routes.h"

#include <stdlib.h>
#include <string.h>

struct login {
	char password[PASSWORD_MAX + 1], code[8], user[WHO_NAME];
	struct user_row row;
	bool known, right;
	char word[COOKIE_WORD + 1];
	struct session session; /* who.role != 0: logged in */
};

static void
login_free(void *extra)
{
	explicit_bzero(extra, sizeof(struct login));
	free(extra);
}

static enum err
wrong(struct call *call)
{
	return call_refuse(call, 401, "wrong-login", "user, password or code is wrong");
}

static enum err
note(struct call *call, struct db *db, const char *detail)
{
	const struct login *l = call->extra;
	struct trail_row row = { .at = clock_wall_ms(),
		.user = l->user,
		.address = call->address,
		.action = "login",
		.object = l->user,
		.status = call->code != NULL ? call->status : 200,
		.detail = detail };

	return trail_add(db, &row);
}

/* ---- 3: the outcome ---- */

static enum err
new_session(struct call *call, struct db *db)
{
	struct login *l = call->extra;
	struct session *x = &l->session;
	uint8_t random[32];
	struct buf word;
	enum err e = pki_random(random, sizeof(random));

	buf_init(&word, sizeof(l->word));
	if (e == OK)
		e = text_b64url(&word, random, sizeof(random));
	explicit_bzero(random, sizeof(random));
	if (e == OK)
		e = text_copy(l->word, sizeof(l->word), buf_text(&word), word.len);
	buf_wipe(&word);
	if (e != OK)
		return e;
	cookie_hash(x->who.session, l->word);
	memcpy(x->who.name, l->row.name, sizeof(x->who.name));
	memcpy(x->who.scope, l->row.groups, sizeof(x->who.scope));
	memcpy(x->address, call->address, sizeof(x->address));
	(void)!text_copy(x->agent, sizeof(x->agent), call->text[0], strlen(call->text[0]));
	x->created = x->seen = x->saved = clock_wall_ms();
	e = store_session_add(db, x);
	if (e == OK)
		e = store_login_done(db, x->who.name, x->created);
	if (e == OK)
		e = note(call, db, l->row.has_totp ? "password and code" : "password");
	if (e == OK)
		x->who.role = l->row.role;
	return e == OK ? web_session_json(call, x, l->word, l->row.has_totp) : e;
}

/* The user as it is now: it may have changed while the password was computed. */
static enum err
settle(struct call *call, struct db *db)
{
	struct login *l = call->extra;
	char hash[PASSWORD_HASH];
	int64_t step = 0;
	enum err e = OK;

	memcpy(hash, l->row.hash, sizeof(hash));
	if (!l->known || !l->right)
		e = wrong(call);
	else if (store_user_get(db, l->user, &l->row) != OK || l->row.disabled ||
		 strcmp(hash, l->row.hash) != 0 || l->row.role == 0)
		e = wrong(call);
	else if (l->row.has_totp && l->code[0] == '\0') {
		e = store_login_undo(db, l->user);
		return e == OK ? call_refuse(call, 401, "code-needed",
				     "send the six digits of the authenticator as well")
			       : e;
	} else if (l->row.has_totp && (!totp_check(l->row.totp, TOTP_SECRET, l->code,
					   clock_wall_ms(), l->row.totp_step, &step) ||
					  store_totp_spend(db, l->user, step) != OK))
		e = wrong(call);
	if (e != OK || call->code == NULL)
		return e == OK ? new_session(call, db) : e;
	log_warn("refused", "what=login user=%s address=%s", log_q(l->user), call->address);
	return l->known ? note(call, db, "wrong") : OK;
}

static void
finish_settle(struct call *call)
{
	struct login *l = call->extra;

	if (l->session.who.role == 0)
		return;
	sessions_add(call->c->web->sessions, &l->session);
	log_info("login", "user=%s address=%s", l->user, call->address);
	if (call->req != NULL)
		http_setf(call->req, "Set-Cookie",
		    COOKIE_NAME "=%s; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=%llu",
		    l->word, (unsigned long long)call->c->o->web_life / 1000);
}

/* ---- 2: the password ---- */

static enum err
verify(struct call *call, struct db *db)
{
	struct login *l = call->extra;

	(void)db;
	l->right = password_right(l->known ? l->row.hash : "", l->password);
	explicit_bzero(l->password, sizeof(l->password));
	return OK;
}

static void
finish_verify(struct call *call)
{
	call_next(call, &call->c->db_work, settle, finish_settle);
}

/* ---- 1: the try is counted ---- */

static enum err
read_body(struct call *call, struct fault *f)
{
	struct login *l = call->extra;
	const char *user, *password, *code;
	cJSON *body;
	enum err e = json_parse(&body, buf_text(&call->body), call->body.len, JSON_EVENT, f);

	if (e != OK)
		return e;
	e = json_get_string(body, "user", &user, f);
	if (e == OK)
		e = json_get_string(body, "password", &password, f);
	if (e == OK)
		e = json_opt_string(body, "code", "", &code, f);
	if (e == OK && !who_is_name(user, strlen(user)))
		user = "?"; /* nobody; treated as such */
	if (e == OK)
		e = text_copy(l->user, sizeof(l->user), user, strlen(user));
	if (e == OK)
		e = text_copy(l->password, sizeof(l->password), password, strlen(password));
	if (e == OK && text_copy(l->code, sizeof(l->code), code, strlen(code)) != OK)
		memcpy(l->code, "no", 3); /* too long for a code: a wrong one */
	cJSON_Delete(body);
	buf_wipe(&call->body);
	return e;
}

static enum err
count(struct call *call, struct db *db)
{
	struct login *l = call->extra;
	int64_t now = clock_wall_ms(), until;
	struct fault f = { 0 };
	enum err e = read_body(call, &f);

	if (e == ERR_NOMEM)
		return e;
	if (e != OK)
		return call_refuse(call, 400, "malformed", "%s", fault_text(&f));
	e = store_login_count(db, l->user, now, call->c->o->web_lock, &l->row, &until);
	if (e == ERR_BUSY) {
		call->retry_s = (uint32_t)((until - now) / 1000 + 1);
		log_warn(
		    "refused", "what=login user=%s address=%s why=locked", l->user, call->address);
		return call_refuse(
		    call, 429, "locked", "too many wrong tries: come again in %u s", call->retry_s);
	}
	l->known = e == OK;
	return e == ERR_NOTFOUND ? OK : e;
}

static void
finish_count(struct call *call)
{
	struct web *w = call->c->web;

	if (call->code != NULL)
		return;
	if (w->hash_work.queued > PASSWORD_QUEUE) {
		call->retry_s = 2;
		(void)call_refuse(call, 503, "busy", "too many people log in: come again");
		return;
	}
	call_next(call, &w->hash_work, verify, finish_verify);
}

void
web_login(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);
	const char *agent = http_field(req, "user-agent");

	if (call == NULL)
		return;
	call->trailed = true;
	call->extra = calloc(1, sizeof(struct login));
	if (call->extra == NULL) {
		call_fail(call);
		return;
	}
	call->extra_free = login_free;
	if (agent != NULL)
		(void)!text_copy(call->text[0], CALL_PARAM, agent, strnlen(agent, CALL_PARAM - 1));
	call_start(call, count, finish_count);
}
