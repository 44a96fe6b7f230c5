/* web_users.c - administrators make, change and remove users of the web console. What changes a
 * user's powers ends the user's sessions. */
#include "base/clock.h"
#include "base/text.h"
#include "store_users.h"
#include "web_routes.h"

#include <stdlib.h>
#include <string.h>

#define GROUPS_MAX 32

struct wish {
	struct user_row row; /* as wanted */
	char password[PASSWORD_MAX + 1];
	bool has_password, has_role, has_groups, has_disabled, totp_off;
	char name[WHO_NAME];
};

static void
wish_free(void *extra)
{
	explicit_bzero(extra, sizeof(struct wish));
	free(extra);
}

static enum err
work_list(struct call *call, struct db *db)
{
	cJSON *list;
	enum err e = store_users_list(db, &list);

	return e == OK ? web_answer_list(call, "users", list) : e;
}

void
web_users(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_list, NULL);
}

/* ---- reading what is wanted ---- */

static enum err
read_groups(const cJSON *body, struct wish *w, struct fault *f)
{
	const cJSON *list = json_get(body, "groups"), *item;
	struct buf text;
	enum err e;

	if (list == NULL)
		return OK;
	if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > GROUPS_MAX)
		return fault_set(f, ERR_INVAL, "'groups' is a list of up to %d names", GROUPS_MAX);
	cJSON_ArrayForEach(item,
	    list) if (!cJSON_IsString(item) || !text_is_role_name(item->valuestring,
						   strlen(item->valuestring))) return fault_set(f,
	    ERR_INVAL, "a group's name is [a-z0-9-], 1 to 64 characters");
	w->has_groups = true;
	if (list->child == NULL)
		return OK; /* all of them */
	buf_init(&text, sizeof(w->row.groups) - 1);
	e = json_print(list, &text);
	if (e == OK)
		memcpy(w->row.groups, buf_text(&text), text.len + 1);
	buf_free(&text);
	return e == ERR_TOOBIG ? fault_set(f, ERR_INVAL, "too many groups") : e;
}

static enum err
read_password(const cJSON *body, struct wish *w, struct fault *f)
{
	const char *password;
	enum err e = json_opt_string(body, "password", NULL, &password, f);

	if (e != OK || password == NULL)
		return e;
	if (strlen(password) < PASSWORD_MIN ||
	    text_copy(w->password, sizeof(w->password), password, strlen(password)) != OK)
		return fault_set(
		    f, ERR_INVAL, "a password has %d to %d bytes", PASSWORD_MIN, PASSWORD_MAX);
	w->has_password = true;
	return OK;
}

static enum err
read_wish(struct call *call, struct wish *w, bool fresh, struct fault *f)
{
	static const char *const allowed[] = { "name", "role", "groups", "password", "disabled",
		"totp", NULL };
	const char *name = call->param, *role, *unknown;
	bool totp;
	cJSON *body;
	enum err e = web_body(call, &body);

	if (e != OK)
		return e;
	unknown = json_unknown_member(body, allowed);
	if (unknown != NULL)
		e = fault_set(f, ERR_INVAL, "member '%s' is not known", unknown);
	if (e == OK && fresh)
		e = json_get_string(body, "name", &name, f);
	if (e == OK && (!who_is_name(name, strlen(name)) || strcmp(name, WHO_TOKEN_NAME) == 0))
		e = fault_set(f, ERR_INVAL, "a user's name is [a-z0-9._-], 1 to 64 characters");
	if (e == OK)
		e = text_copy(w->name, sizeof(w->name), name, strlen(name));
	if (e == OK)
		e = json_opt_string(body, "role", NULL, &role, f);
	w->has_role = e == OK && role != NULL;
	if (w->has_role && (w->row.role = who_role_parse(role)) == 0)
		e = fault_set(f, ERR_INVAL, "'role' is administrator, operator or auditor");
	if (e == OK)
		e = read_groups(body, w, f);
	if (e == OK)
		e = read_password(body, w, f);
	w->has_disabled = json_get(body, "disabled") != NULL;
	if (e == OK)
		e = json_opt_bool(body, "disabled", false, &w->row.disabled, f);
	if (e == OK)
		e = json_opt_bool(body, "totp", true, &totp, f);
	w->totp_off = e == OK && !totp;
	cJSON_Delete(body);
	return e;
}

/* ---- storing it ---- */

static enum err
store_new(struct call *call, struct db *db)
{
	struct wish *w = call->extra;
	cJSON *o;
	enum err e;

	memcpy(w->row.name, w->name, sizeof(w->row.name));
	w->row.created = clock_wall_ms();
	e = store_user_add(db, &w->row);
	if (e == ERR_EXISTS)
		return call_refuse(call, 409, "known-user", "there is a user of this name");
	o = cJSON_CreateObject();
	if (e == OK)
		e = o == NULL ? ERR_NOMEM : json_add_string(o, "name", w->name);
	if (e == OK)
		e = json_add_string(o, "role", who_role_word(w->row.role));
	if (e == OK)
		return call_json(call, 201, o);
	cJSON_Delete(o);
	return e;
}

static enum err
last_administrator(struct call *call, struct db *db, const char *name, bool *last)
{
	int64_t others;
	enum err e = store_other_administrators(db, name, &others);

	*last = e == OK && others == 0;
	if (*last)
		return call_refuse(call, 409, "last-administrator",
		    "this is the last administrator without limits");
	return e;
}

static enum err
store_change(struct call *call, struct db *db)
{
	struct wish *w = call->extra;
	struct user_row now;
	bool last = false;
	enum err e = store_user_get(db, w->name, &now);

	if (e == ERR_NOTFOUND)
		return call_refuse(call, 404, "not-found", "there is no such user");
	if (e == OK && ((w->has_role && w->row.role != WHO_ADMIN) || w->row.disabled ||
			   (w->has_groups && w->row.groups[0] != '\0')))
		e = last_administrator(call, db, w->name, &last);
	if (e != OK || last)
		return e;
	if (w->has_role)
		now.role = w->row.role;
	if (w->has_groups)
		memcpy(now.groups, w->row.groups, sizeof(now.groups));
	if (w->has_disabled)
		now.disabled = w->row.disabled;
	if (w->has_password)
		memcpy(now.hash, w->row.hash, sizeof(now.hash));
	if (w->totp_off)
		now.has_totp = now.has_new = false;
	e = store_user_save(db, &now);
	return e == OK ? store_sessions_drop(db, w->name, NULL) : e;
}

static void
finish_change(struct call *call)
{
	const struct wish *w = call->extra;

	if (call->code == NULL)
		(void)sessions_drop_user(call->c->web->sessions, w->name, NULL);
}

static enum err
work_hash(struct call *call, struct db *db)
{
	struct wish *w = call->extra;

	(void)db;
	return password_hash(w->row.hash, w->password);
}

static void
finish_hash(struct call *call)
{
	const struct wish *w = call->extra;
	bool fresh = w->row.name[0] == '+';

	call_next(call, &call->c->db_work, fresh ? store_new : store_change,
	    fresh ? NULL : finish_change);
}

/* Only reads; trailed until the last step, which writes. */
static enum err
work_read_new(struct call *call, struct db *db)
{
	struct wish *w = call->extra;
	struct fault f = { 0 };
	enum err e = read_wish(call, w, true, &f);

	(void)db;
	if (e == OK && (!w->has_role || !w->has_password))
		e = fault_set(&f, ERR_INVAL, "'name', 'role' and 'password' are needed");
	w->row.name[0] = '+'; /* a new one */
	return web_settle(call, e, &f);
}

static enum err
work_read_change(struct call *call, struct db *db)
{
	struct wish *w = call->extra;
	struct fault f = { 0 };

	(void)db;
	return web_settle(call, read_wish(call, w, false, &f), &f);
}

static void
finish_read(struct call *call)
{
	const struct wish *w = call->extra;

	if (call->code != NULL)
		return;
	if (w->has_password)
		call_next(call, &call->c->web->hash_work, work_hash, finish_hash);
	else
		finish_hash(call);
}

static void
start(struct http_req *req, void *ctx, enum err (*work)(struct call *, struct db *))
{
	struct call *call = call_new(ctx, req);

	if (call == NULL)
		return;
	call->extra = calloc(1, sizeof(struct wish));
	if (call->extra == NULL) {
		call_fail(call);
		return;
	}
	call->extra_free = wish_free;
	call_start_feed(call, work, finish_read); /* off the database: it changes nothing yet */
}

void
web_user_new(struct http_req *req, void *ctx)
{
	start(req, ctx, work_read_new);
}

void
web_user_change(struct http_req *req, void *ctx)
{
	start(req, ctx, work_read_change);
}

/* ---- unlock, logout, delete ---- */

static enum err
found(struct call *call, struct db *db, struct user_row *u)
{
	enum err e = store_user_get(db, call->param, u);

	if (e == ERR_NOTFOUND)
		e = call_refuse(call, 404, "not-found", "there is no such user");
	return e;
}

static enum err
work_unlock(struct call *call, struct db *db)
{
	struct user_row u;
	enum err e = found(call, db, &u);

	if (e != OK || call->code != NULL)
		return e;
	u.fails = u.locked = 0;
	return store_user_save(db, &u);
}

static enum err
work_logout(struct call *call, struct db *db)
{
	struct user_row u;
	enum err e = found(call, db, &u);

	return e == OK && call->code == NULL ? store_sessions_drop(db, u.name, NULL) : e;
}

static enum err
work_delete(struct call *call, struct db *db)
{
	struct user_row u;
	bool last = false;
	enum err e = found(call, db, &u);

	if (e == OK && call->code == NULL)
		e = last_administrator(call, db, u.name, &last);
	if (e != OK || call->code != NULL)
		return e;
	e = store_sessions_drop(db, u.name, NULL);
	return e == OK ? store_user_delete(db, u.name) : e;
}

static void
finish_end(struct call *call)
{
	if (call->code == NULL)
		(void)sessions_drop_user(call->c->web->sessions, call->param, NULL);
}

void
web_user_unlock(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_unlock, NULL);
}

void
web_user_logout(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_logout, finish_end);
}

void
web_user_delete(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_delete, finish_end);
}
