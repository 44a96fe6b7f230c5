/* web_me.c - what users do with their own sessions and passwords. */
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "store_users.h"
#include "trail.h"
#include "web_cookie.h"
#include "web_routes.h"

#include <stdlib.h>
#include <string.h>

/* ---- what handlers share ---- */

enum err
web_body(struct call *call, cJSON **out)
{
	struct fault f = { 0 };
	enum err e = json_parse(out, buf_text(&call->body), call->body.len, JSON_EVENT, &f);

	if (e == OK && !cJSON_IsObject(*out)) {
		cJSON_Delete(*out);
		e = fault_set(&f, ERR_PARSE, "the body must be a JSON object");
	}
	if (e == OK || e == ERR_NOMEM)
		return e;
	(void)call_refuse(call, 400, "malformed", "%s", fault_text(&f));
	return ERR_DENIED;
}

enum err
web_settle(struct call *call, enum err e, const struct fault *f)
{
	switch (e) {
	case ERR_DENIED: /* refused already */
		return call->code != NULL ? OK : e;
	case ERR_PARSE:
	case ERR_INVAL:
	case ERR_TOOBIG:
		return call_refuse(call, 400, "malformed", "%s", fault_text(f));
	case ERR_NOTFOUND:
		return call_refuse(call, 404, "not-found", "%s",
		    f->text[0] != '\0' ? fault_text(f) : "there is no such thing");
	default:
		return e;
	}
}

enum err
web_answer_list(struct call *call, const char *name, cJSON *list)
{
	cJSON *o = cJSON_CreateObject();

	if (o == NULL || !cJSON_AddItemToObject(o, name, list)) {
		cJSON_Delete(list);
		cJSON_Delete(o);
		return ERR_NOMEM;
	}
	return call_json(call, 200, o);
}

static enum err
add_groups(cJSON *o, const char *scope)
{
	cJSON *list;
	enum err e;

	if (scope[0] == '\0')
		return json_add_array(o, "groups", &list);
	e = json_parse(&list, scope, strlen(scope), JSON_SIGNED, NULL);
	if (e == OK && !cJSON_AddItemToObject(o, "groups", list)) {
		cJSON_Delete(list);
		e = ERR_NOMEM;
	}
	return e;
}

enum err
web_session_json(struct call *call, const struct session *x, const char *word, bool totp)
{
	const struct options *o = call->c->o;
	char csrf[65] = "";
	cJSON *d = cJSON_CreateObject();
	enum err e = d == NULL ? ERR_NOMEM : json_add_string(d, "user", x->who.name);

	if (word != NULL)
		cookie_csrf(csrf, word);
	if (e == OK)
		e = json_add_string(d, "role", who_role_word(x->who.role));
	if (e == OK)
		e = add_groups(d, x->who.scope);
	if (e == OK)
		e = json_add_string(d, "csrf", csrf);
	if (e == OK)
		e = json_add_bool(d, "totp", totp);
	if (e == OK)
		e = store_add_time(d, "expires", x->created + (int64_t)o->web_life);
	if (e == OK)
		e = json_add_u64(d, "idle_seconds", o->web_idle / 1000);
	if (e == OK)
		e = json_add_string(d, "org", o->org);
	if (e == OK)
		e = json_add_string(d, "console", o->name);
	if (e == OK)
		e = json_add_string(d, "version", ATALAIA_VERSION);
	if (e == OK)
		return call_json(call, 200, d);
	cJSON_Delete(d);
	return e;
}

/* ---- GET /session ---- */

struct own {
	struct session session;
	char word[COOKIE_WORD + 1];
	char old[PASSWORD_MAX + 1], new[PASSWORD_MAX + 1], hash[PASSWORD_HASH];
	struct user_row row;
	bool right;
};

static void
own_free(void *extra)
{
	explicit_bzero(extra, sizeof(struct own));
	free(extra);
}

/* The call of a logged-in user with a copy of its session; NULL: answered. */
static struct call *
own_call(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);
	const struct session *x;
	struct own *own;

	if (call == NULL)
		return NULL;
	own = call->extra = calloc(1, sizeof(struct own));
	call->extra_free = own != NULL ? own_free : NULL;
	if (own == NULL) {
		call_fail(call);
		return NULL;
	}
	x = sessions_find(call->c->web->sessions, call->who.session, clock_wall_ms(), false, NULL);
	if (x != NULL)
		own->session = *x;
	(void)!cookie_word(http_field(req, "cookie"), own->word);
	return call;
}

static enum err
work_session(struct call *call, struct db *db)
{
	struct own *own = call->extra;
	enum err e = store_user_get(db, call->who.name, &own->row);

	return e == OK ? web_session_json(call, &own->session, own->word, own->row.has_totp) : e;
}

void
web_session(struct http_req *req, void *ctx)
{
	struct call *call = own_call(req, ctx);

	if (call != NULL)
		call_start(call, work_session, NULL);
}

/* ---- POST /logout ---- */

static enum err
work_logout(struct call *call, struct db *db)
{
	return store_session_drop(db, call->who.session);
}

static void
finish_logout(struct call *call)
{
	(void)sessions_drop(call->c->web->sessions, call->who.session);
	if (call->req != NULL)
		http_set(call->req, "Set-Cookie",
		    COOKIE_NAME "=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
}

void
web_logout(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_logout, finish_logout);
}

/* ---- POST /me/password: read, verify and hash off the database, store ---- */

static enum err
work_password_store(struct call *call, struct db *db)
{
	struct own *own = call->extra;
	struct user_row now;
	enum err e;

	if (!own->right) { /* the try stays counted */
		call->trailed = false;
		return call_refuse(call, 403, "wrong-password", "the present password is wrong");
	}
	e = store_user_get(db, call->who.name, &now);
	if (e == OK && strcmp(now.hash, own->row.hash) != 0)
		return call_refuse(
		    call, 403, "wrong-password", "the password was changed meanwhile");
	memcpy(now.hash, own->hash, sizeof(now.hash));
	now.fails = now.locked = 0;
	if (e == OK)
		e = store_user_save(db, &now);
	if (e == OK)
		e = store_sessions_drop(db, now.name, call->who.session);
	call->trailed = false;
	return e;
}

static void
finish_password_store(struct call *call)
{
	if (call->code == NULL)
		(void)sessions_drop_user(call->c->web->sessions, call->who.name, call->who.session);
}

static enum err
work_password_hash(struct call *call, struct db *db)
{
	struct own *own = call->extra;

	(void)db;
	own->right = password_right(own->row.hash, own->old);
	return own->right ? password_hash(own->hash, own->new) : OK;
}

static void
finish_password_hash(struct call *call)
{
	call_next(call, &call->c->db_work, work_password_store, finish_password_store);
}

static enum err
read_passwords(struct call *call, struct own *own, struct fault *f)
{
	const char *old, *new;
	cJSON *body;
	enum err e = web_body(call, &body);

	if (e != OK)
		return e;
	e = json_get_string(body, "old", &old, f);
	if (e == OK)
		e = json_get_string(body, "new", &new, f);
	if (e == OK && text_copy(own->old, sizeof(own->old), old, strlen(old)) != OK)
		own->old[0] = '\0';
	if (e == OK && (strlen(new) < PASSWORD_MIN ||
			   text_copy(own->new, sizeof(own->new), new, strlen(new)) != OK)) {
		(void)call_refuse(call, 422, "weak-password", "a password has %d to %d bytes",
		    PASSWORD_MIN, PASSWORD_MAX);
		e = ERR_DENIED;
	}
	cJSON_Delete(body);
	return e;
}

/* A stolen session must not try passwords without end: tries count as those of a log-in do. */
static enum err
work_password(struct call *call, struct db *db)
{
	struct own *own = call->extra;
	struct fault f = { 0 };
	int64_t until;
	enum err e = web_settle(call, read_passwords(call, own, &f), &f);

	if (e != OK || call->code != NULL)
		return e;
	e = store_login_count(
	    db, call->who.name, clock_wall_ms(), call->c->o->web_lock, &own->row, &until);
	if (e == ERR_BUSY)
		return call_refuse(call, 429, "locked", "too many wrong tries: come again later");
	call->trailed = true; /* the last step writes the row */
	return e;
}

static void
finish_password(struct call *call)
{
	if (call->code == NULL)
		call_next(call, &call->c->web->hash_work, work_password_hash, finish_password_hash);
}

void
web_me_password(struct http_req *req, void *ctx)
{
	struct call *call = own_call(req, ctx);

	if (call != NULL)
		call_start(call, work_password, finish_password);
}

/* ---- sessions ---- */

struct listing {
	cJSON *list;
	const struct who *who;
	enum err e;
};

static void
add_session(void *arg, const struct session *x)
{
	struct listing *l = arg;
	char id[17];
	cJSON *o;

	if (l->e != OK || strcmp(x->who.name, l->who->name) != 0)
		return;
	text_hex(id, x->who.session, 8);
	o = cJSON_CreateObject();
	l->e = o == NULL ? ERR_NOMEM : json_add_string(o, "id", id);
	if (l->e == OK)
		l->e = json_add_string(o, "address", x->address);
	if (l->e == OK && json_add_string(o, "agent", x->agent) == ERR_NOMEM)
		l->e = ERR_NOMEM; /* a name that is no UTF-8 is left out */
	if (l->e == OK)
		l->e = store_add_time(o, "created", x->created);
	if (l->e == OK)
		l->e = store_add_time(o, "seen", x->seen);
	if (l->e == OK)
		l->e = json_add_bool(o, "current",
		    memcmp(x->who.session, l->who->session, sizeof(x->who.session)) == 0);
	if (l->e == OK)
		l->e = json_append(l->list, o);
	else
		cJSON_Delete(o);
}

void
web_me_sessions(struct http_req *req, void *ctx)
{
	struct console *c = ctx;
	struct who who;
	cJSON *o = cJSON_CreateObject();
	struct listing l = { .who = &who };

	l.e = o == NULL ? ERR_NOMEM : json_add_array(o, "sessions", &l.list);
	if (l.e == OK && web_who(c, req, &who))
		sessions_each(c->web->sessions, add_session, &l);
	if (l.e == OK)
		http_reply_json(req, 200, o);
	else
		http_problem(req, 503, "busy", "memory ran out");
	cJSON_Delete(o);
}

struct wanted {
	const char *user, *id;
	struct session *out;
};

static void
find_session(void *arg, const struct session *x)
{
	struct wanted *w = arg;
	char id[17];

	text_hex(id, x->who.session, 8);
	if (strcmp(x->who.name, w->user) == 0 && strcmp(id, w->id) == 0)
		*w->out = *x;
}

static enum err
work_session_revoke(struct call *call, struct db *db)
{
	const struct own *own = call->extra;

	if (own->session.who.role == 0)
		return call_refuse(call, 404, "not-found", "there is no such session");
	return store_session_drop(db, own->session.who.session);
}

static void
finish_session_revoke(struct call *call)
{
	const struct own *own = call->extra;

	if (call->code == NULL)
		(void)sessions_drop(call->c->web->sessions, own->session.who.session);
}

void
web_me_session_revoke(struct http_req *req, void *ctx)
{
	struct call *call = own_call(req, ctx);
	struct own *own;
	struct wanted w;

	if (call == NULL)
		return;
	own = call->extra;
	memset(&own->session, 0, sizeof(own->session));
	w = (struct wanted){ call->who.name, call->param, &own->session };
	sessions_each(call->c->web->sessions, find_session, &w);
	call_start(call, work_session_revoke, finish_session_revoke);
}
