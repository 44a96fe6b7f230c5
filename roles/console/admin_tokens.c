#include "admin_api.h"
#include "audit.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "call.h"
#include "os/file.h"
#include "os/rand.h"
#include "proto/enroll.h"
#include "store.h"

#include <stdio.h>
#include <string.h>

#define TOKEN_USES_MAX 1000000
#define LIMIT_ROOT 512000

/* Groups that the user may not see. */
static void
leave_out(const struct call *call, cJSON *list)
{
	const char *group;
	cJSON *t, *next;

	for (t = list->child; t != NULL; t = next) {
		next = t->next;
		if (json_get_string(t, "group", &group, NULL) != OK ||
		    !who_may_group(&call->who, group))
			cJSON_Delete(cJSON_DetachItemViaPointer(list, t));
	}
}

static enum err
work_list(struct call *call, struct db *db)
{
	cJSON *list, *o;
	enum err e = store_tokens_list(db, &list);

	if (e != OK)
		return e;
	leave_out(call, list);
	o = cJSON_CreateObject();
	if (o == NULL || !cJSON_AddItemToObject(o, "tokens", list)) {
		cJSON_Delete(list);
		cJSON_Delete(o);
		return ERR_NOMEM;
	}
	return call_json(call, 200, o);
}

void
admin_tokens(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_list, NULL);
}

/* The root of a signature feed: kept to be handed out with answers, named by hash in the token. */
static enum err
take_root(const struct call *call, struct token *t, const cJSON *item, struct fault *f)
{
	struct token_root *r = &t->roots[t->n_roots];
	char dir[STATE_PATH], path[STATE_PATH], name[TOKEN_FEED_TEXT + 8];
	struct buf bytes;
	enum err e;

	if (t->n_roots == TOKEN_MAX_ROOTS || !cJSON_IsString(item) ||
	    !text_is_role_name(item->string, strlen(item->string)))
		return fault_set(f, ERR_INVAL,
		    "'roots' holds up to %d feeds and their root.json in base64", TOKEN_MAX_ROOTS);
	buf_init(&bytes, LIMIT_ROOT);
	e = text_unb64(&bytes, item->valuestring, strlen(item->valuestring));
	if (e != OK || bytes.len == 0)
		e = fault_set(f, ERR_INVAL, "the root of feed '%s' is not base64", item->string);
	if (e == OK)
		e = text_copy(r->feed, sizeof(r->feed), item->string, strlen(item->string));
	(void)snprintf(name, sizeof(name), "%s.json", item->string);
	if (e == OK)
		e = options_path(call->c->o, DIR_ROOTS, dir, f);
	if (e == OK)
		e = file_make_dirs(dir, 0755, f);
	if (e == OK)
		e = file_join(path, sizeof(path), dir, name);
	if (e == OK)
		e = file_replace(path, bytes.data, bytes.len, 0644, f);
	pki_sha256(r->sha256, buf_text(&bytes), bytes.len);
	buf_free(&bytes);
	t->n_roots += e == OK;
	return e;
}

struct wish {
	uint64_t uses, life_ms;
	const char *group, *life;
};

static enum err
read_wish(struct call *call, const cJSON *body, struct wish *w, struct token *t, struct fault *f)
{
	const cJSON *roots = json_get(body, "roots"), *item;
	enum err e = json_opt_u64(body, "uses", TOKEN_USES_MAX, 1, &w->uses, f);

	if (e == OK)
		e = json_opt_string(body, "group", "default", &w->group, f);
	if (e == OK)
		e = json_opt_string(body, "life", NULL, &w->life, f);
	if (e != OK)
		return e;
	w->life_ms = call->c->o->token_life;
	if (w->life != NULL && text_duration_ms(w->life, strlen(w->life), &w->life_ms) != OK)
		return fault_set(f, ERR_INVAL, "'life' must be a duration such as \"7d\"");
	if (w->uses == 0 || w->life_ms == 0 || w->life_ms > 365ull * 86400000)
		return fault_set(f, ERR_INVAL, "'uses' starts at 1, 'life' ends at 365d");
	if (!text_is_role_name(w->group, strlen(w->group)))
		return fault_set(f, ERR_INVAL, "a group's name is [a-z0-9-], 1 to 64 characters");
	if (!who_may_group(&call->who, w->group)) {
		(void)call_refuse(
		    call, 403, "outside-groups", "the group is not among those of this user");
		return ERR_DENIED;
	}
	cJSON_ArrayForEach(item, roots)
	{
		e = take_root(call, t, item, f);
		if (e != OK)
			return e;
	}
	return OK;
}

static enum err
fill_token(const struct call *call, struct token *t)
{
	const struct console *c = call->c;
	uint8_t id[8];

	rand_bytes(id, sizeof(id));
	text_hex(t->id, id, sizeof(id));
	rand_bytes(t->secret, sizeof(t->secret));
	memcpy(t->ca_spki, c->id.ca_spki, sizeof(t->ca_spki));
	t->port = c->agent_port;
	return text_copy(t->host, sizeof(t->host), c->o->host, strlen(c->o->host));
}

/* The one command for each system. */
static enum err
add_commands(cJSON *o, const char *word)
{
	static const struct {
		const char *system, *before;
	} ways[] = {
		{ "Debian, Ubuntu", "apt-get install atalaia-agent && atalaia-agent enroll " },
		{ "another Linux, installed already", "atalaia-agent enroll " },
	};
	cJSON *list, *item;
	struct buf text;
	enum err e = json_add_array(o, "commands", &list);

	buf_init(&text, LIMIT_TOKEN_TEXT + 256);
	for (size_t i = 0; e == OK && i < sizeof(ways) / sizeof(ways[0]); i++) {
		buf_reset(&text);
		item = cJSON_CreateObject();
		e = item == NULL ? ERR_NOMEM : json_add_string(item, "system", ways[i].system);
		if (e == OK)
			e = buf_printf(&text, "%s%s", ways[i].before, word);
		if (e == OK)
			e = json_add_string(item, "command", buf_text(&text));
		if (e == OK)
			e = json_append(list, item);
		else
			cJSON_Delete(item);
	}
	buf_wipe(&text);
	return e;
}

static enum err
answer_token(struct call *call, const struct token *t, const struct token_row *row)
{
	cJSON *o = cJSON_CreateObject();
	struct fault f = { 0 };
	struct buf word;
	enum err e;

	buf_init(&word, LIMIT_TOKEN_TEXT);
	e = o == NULL ? ERR_NOMEM : token_encode(t, &word, &f);
	if (e == OK)
		e = json_add_string(o, "token", buf_text(&word));
	if (e == OK)
		e = json_add_string(o, "id", row->id);
	if (e == OK)
		e = json_add_string(o, "group", row->group);
	if (e == OK)
		e = json_add_u64(o, "uses", (uint64_t)row->uses);
	if (e == OK)
		e = store_add_time(o, "expires", row->expires);
	if (e == OK)
		e = add_commands(o, buf_text(&word));
	buf_wipe(&word);
	if (e == OK)
		return call_json(call, 201, o);
	cJSON_Delete(o);
	return e == ERR_INVAL ? call_refuse(call, 400, "malformed", "%s", fault_text(&f)) : e;
}

static enum err
make_token(struct call *call, struct db *db, const struct wish *w, struct token *t)
{
	struct token_row row = { .uses = (int64_t)w->uses, .created = clock_wall_ms() };
	cJSON *data;
	enum err e = fill_token(call, t);

	row.expires = row.created + (int64_t)w->life_ms;
	memcpy(row.id, t->id, sizeof(row.id));
	enroll_key(row.key, t->secret);
	if (e == OK)
		e = text_copy(row.group, sizeof(row.group), w->group, strlen(w->group));
	if (e == OK)
		e = store_token_add(db, &row);
	if (e == OK)
		e = answer_token(call, t, &row);
	data = cJSON_CreateObject();
	if (e == OK)
		e = data == NULL ? ERR_NOMEM : json_add_string(data, "id", row.id);
	if (e == OK)
		e = json_add_u64(data, "uses", w->uses);
	if (e == OK)
		return audit_done(call->c, db, "token", data);
	cJSON_Delete(data);
	return e;
}

static enum err
work_new(struct call *call, struct db *db)
{
	struct wish w;
	struct token t;
	struct fault f = { 0 };
	cJSON *body = NULL;
	enum err e = json_parse(&body, buf_text(&call->body), call->body.len, JSON_SIGNED, &f);

	memset(&t, 0, sizeof(t));
	if (e == OK)
		e = read_wish(call, body, &w, &t, &f);
	if (e == OK)
		e = make_token(call, db, &w, &t);
	else if (e == ERR_DENIED && call->code != NULL)
		e = OK;
	else if (e == ERR_PARSE || e == ERR_INVAL)
		e = call_refuse(call, 400, "malformed", "%s", fault_text(&f));
	cJSON_Delete(body);
	token_wipe(&t);
	return e;
}

void
admin_token_new(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_new, NULL);
}

static enum err
work_revoke(struct call *call, struct db *db)
{
	struct sql_stmt *s = db_prepare(db, "SELECT grp FROM tokens WHERE id = ?");
	enum err e = db_bind(s, "t", call->param);

	if (e == OK)
		e = db_step(s);
	if (e == OK && !who_may_group(&call->who, sql_text(s, 0)))
		e = ERR_NOTFOUND;
	db_end(s);
	if (e == OK)
		e = store_token_revoke(db, call->param, clock_wall_ms());
	if (e == ERR_NOTFOUND)
		return call_refuse(call, 404, "unknown-token", "there is no such token");
	return e;
}

void
admin_token_revoke(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_revoke, NULL);
}
