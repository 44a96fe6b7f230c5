/* web_policy.c - policies for people: which there are, the schema, effective values with their
 * origin, and what a change would change before it is published. */
#include "base/text.h"
#include "feed.h"
#include "proto/policy.h"
#include "store.h"
#include "web_routes.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_POLICY "default.json"
#define GROUPS_MAX 4096

/* ---- GET /policy/schema ---- */

static const char *const type_words[] = {
	[POLICY_BOOL] = "bool",
	[POLICY_DURATION] = "duration",
	[POLICY_DURATION_OR_NEVER] = "duration-or-never",
	[POLICY_SIZE] = "size",
	[POLICY_CHOICE] = "choice",
	[POLICY_STRING] = "string",
	[POLICY_WINDOWS] = "windows",
	[POLICY_STRINGS] = "strings",
	[POLICY_SOURCES] = "sources",
	[POLICY_ADDRESSES] = "table", /* an object of free names, too */
	[POLICY_TABLE] = "table",
};

static enum err
put_choices(struct buf *out, const char *words)
{
	const char *comma = "";
	enum err e = buf_puts(out, ",\"choices\":[");

	while (e == OK && *words != '\0') {
		size_t n = strcspn(words, " ");

		e = buf_printf(out, "%s\"%.*s\"", comma, (int)n, words);
		comma = ",";
		words += n;
		words += strspn(words, " ");
	}
	return e == OK ? buf_puts(out, "]") : e;
}

static enum err
work_schema(struct call *call, struct db *db)
{
	struct buf *out = &call->out;
	enum err e = buf_puts(out, "{\"members\":[");

	(void)db;
	for (size_t i = 0; e == OK && i < policy_member_count; i++) {
		const struct policy_member *m = &policy_members[i];
		size_t type = (size_t)m->type;
		bool known =
		    type < sizeof(type_words) / sizeof(type_words[0]) && type_words[type] != NULL;

		e = buf_printf(out,
		    "%s{\"path\":\"%s\",\"type\":\"%s\",\"default\":%s,\"help\":", i > 0 ? "," : "",
		    m->path, known ? type_words[type] : "string",
		    m->dflt != NULL ? m->dflt : "null");
		if (e == OK)
			e = json_quote(out, m->help, strlen(m->help));
		if (e == OK && m->choices != NULL && m->choices[0] != '\0')
			e = put_choices(out, m->choices);
		if (e == OK)
			e = buf_puts(out, "}");
	}
	return e == OK ? buf_puts(out, "]}") : e;
}

/* ---- GET /policy/list ---- */

static enum err
put_policy(struct call *call, const char *group, const char *comma)
{
	char name[128];
	struct buf bytes;
	enum err e;

	(void)snprintf(name, sizeof(name), "%s%s%s", group[0] != '\0' ? "group/" : "",
	    group[0] != '\0' ? group : "default", ".json");
	buf_init(&bytes, LIMIT_POLICY_BYTES);
	e = feed_read(call->c->o, name, &bytes, NULL);
	if (e == OK)
		e = buf_printf(&call->out, "%s{\"name\":\"%s\",\"group\":\"%s\",\"bytes\":%zu}",
		    comma, name, group, bytes.len);
	buf_free(&bytes);
	return e == ERR_NOTFOUND ? OK : e;
}

static enum err
put_groups(struct call *call)
{
	char path[STATE_PATH];
	struct fault f = { 0 };
	struct dirent *d;
	DIR *dir;
	enum err e = options_path(call->c->o, "policy/group", path, &f);

	dir = e == OK ? opendir(path) : NULL;
	for (size_t n = 0;
	     e == OK && dir != NULL && n < GROUPS_MAX && (d = readdir(dir)) != NULL;) {
		char group[65];
		size_t len = strlen(d->d_name);

		if (len < 6 || !text_ends(d->d_name, ".json") ||
		    !text_is_role_name(d->d_name, len - 5) ||
		    text_copy(group, sizeof(group), d->d_name, len - 5) != OK ||
		    !who_may_group(&call->who, group))
			continue;
		e = put_policy(call, group, ",");
		n++;
	}
	if (dir != NULL)
		(void)closedir(dir);
	return e;
}

static enum err
work_list(struct call *call, struct db *db)
{
	enum err e = buf_puts(&call->out, "{\"policies\":[");

	(void)db;
	if (e == OK)
		e = put_policy(call, "", "");
	if (e == OK)
		e = put_groups(call);
	return e == OK ? buf_printf(&call->out, "],\"version\":%llu,\"writable\":%s}",
			     (unsigned long long)feed_version(call->c->feed),
			     (call->who.role & WHO_WRITE) != 0 ? "true" : "false")
		       : e;
}

/* ---- effective values ---- */

/* NULL: there is none. */
static enum err
load(const struct options *o, const char *name, struct policy **out, struct fault *f)
{
	struct buf bytes;
	enum err e;

	*out = NULL;
	buf_init(&bytes, LIMIT_POLICY_BYTES);
	e = feed_read(o, name, &bytes, NULL);
	if (e == OK)
		e = policy_parse(out, name, buf_text(&bytes), bytes.len, f);
	buf_free(&bytes);
	return e == ERR_NOTFOUND ? OK : e;
}

/* replace (may be NULL) stands for the published policy of that name. */
static enum err
effective(const struct options *o, const char *group, const char *replaced,
    const struct policy *replace, cJSON **out, struct fault *f)
{
	struct policy *base = NULL, *over = NULL, *merged = NULL;
	bool new_base = replace != NULL && strcmp(replaced, DEFAULT_POLICY) == 0;
	char name[128];
	enum err e;

	(void)snprintf(name, sizeof(name), "group/%s.json", group);
	e = new_base ? OK : load(o, DEFAULT_POLICY, &base, f);
	if (e == OK && group[0] != '\0' && (replace == NULL || new_base))
		e = load(o, name, &over, f);
	if (e == OK)
		e = policy_merge(&merged, new_base ? replace : base,
		    replace != NULL && !new_base ? replace : over);
	if (e == OK)
		e = policy_explain(merged, out);
	policy_free(base);
	policy_free(over);
	policy_free(merged);
	return e;
}

static enum err
work_effective(struct call *call, struct db *db)
{
	struct fault f = { 0 };
	cJSON *values, *o;
	enum err e;

	(void)db;
	if (call->text[0][0] != '\0' && !text_is_role_name(call->text[0], strlen(call->text[0])))
		return call_refuse(call, 400, "malformed", "a group's name is [a-z0-9-]");
	if (!who_may_group(&call->who, call->text[0]))
		return call_refuse(call, 404, "not-found", "there is no such group");
	e = effective(call->c->o, call->text[0], "", NULL, &values, &f);
	if (e != OK)
		return web_settle(call, e, &f);
	o = cJSON_CreateObject();
	e = o == NULL ? ERR_NOMEM : json_add_string(o, "group", call->text[0]);
	if (e == OK && cJSON_AddItemToObject(o, "values", values))
		return call_json(call, 200, o);
	cJSON_Delete(values);
	cJSON_Delete(o);
	return e == OK ? ERR_NOMEM : e;
}

/* ?agent=: its group first. */
static enum err
work_group_of(struct call *call, struct db *db)
{
	struct agent_row a;
	enum err e = store_agent_get(db, call->text[1], &a);

	if (e == ERR_NOTFOUND || (e == OK && !who_may_group(&call->who, a.group)))
		return call_refuse(call, 404, "not-found", "there is no such computer");
	return e == OK ? text_copy(call->text[0], CALL_PARAM, a.group, strlen(a.group)) : e;
}

static void
finish_group_of(struct call *call)
{
	if (call->code == NULL)
		call_next(call, &call->c->feed_work, work_effective, NULL);
}

void
web_policy_effective(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);
	const char *group = http_query(req, "group"), *agent = http_query(req, "agent");

	if (call == NULL)
		return;
	if (group != NULL)
		(void)!text_copy(call->text[0], CALL_PARAM, group, strlen(group));
	if (agent != NULL)
		(void)!text_copy(call->text[1], CALL_PARAM, agent, strlen(agent));
	if (agent != NULL)
		call_start(call, work_group_of, finish_group_of);
	else
		call_start_feed(call, work_effective, NULL);
}

/* ---- POST /policy/check ---- */

static enum err
add_difference(cJSON *list, const cJSON *before, const cJSON *after)
{
	const cJSON *a = json_get(before, "value"), *b = json_get(after, "value");
	const cJSON *member = json_get(after, "member");
	cJSON *o, *copy;
	enum err e;

	if (a != NULL && b != NULL && cJSON_Compare(a, b, 1))
		return OK;
	o = cJSON_CreateObject();
	e = o == NULL ? ERR_NOMEM : OK;
	for (int i = 0; e == OK && i < 5; i++) {
		static const char *const names[] = { "member", "before", "after", "origin_before",
			"origin_after" };
		const cJSON *items[] = { member != NULL ? member : json_get(before, "member"), a, b,
			json_get(before, "origin"), json_get(after, "origin") };

		copy = items[i] != NULL ? cJSON_Duplicate(items[i], 1) : NULL;
		if (items[i] != NULL &&
		    (copy == NULL || !cJSON_AddItemToObject(o, names[i], copy))) {
			cJSON_Delete(copy);
			e = ERR_NOMEM;
		}
	}
	if (e == OK)
		return json_append(list, o);
	cJSON_Delete(o);
	return e;
}

static const cJSON *
find_member(const cJSON *list, const cJSON *member)
{
	const cJSON *item, *name;

	cJSON_ArrayForEach(item, list)
	{
		name = json_get(item, "member");
		if (cJSON_IsString(name) && cJSON_IsString(member) &&
		    strcmp(name->valuestring, member->valuestring) == 0)
			return item;
	}
	return NULL;
}

static enum err
difference(cJSON *list, const cJSON *before, const cJSON *after)
{
	const cJSON *item;
	enum err e = OK;

	cJSON_ArrayForEach(item, after) if (e == OK) e =
	    add_difference(list, find_member(before, json_get(item, "member")), item);
	cJSON_ArrayForEach(
	    item, before) if (e == OK && find_member(after, json_get(item, "member")) == NULL) e =
	    add_difference(list, item, NULL);
	return e;
}

static enum err
check(struct call *call, const char *name, const cJSON *document, struct fault *f)
{
	char group[65] = "";
	struct policy *p = NULL;
	struct buf text;
	cJSON *before = NULL, *after = NULL, *o = cJSON_CreateObject(), *list, *unknown;
	enum err e = o == NULL ? ERR_NOMEM : OK;

	buf_init(&text, LIMIT_POLICY_BYTES);
	if (strcmp(name, DEFAULT_POLICY) != 0)
		(void)!text_copy(group, sizeof(group), name + strlen("group/"),
		    strlen(name) - strlen("group/") - strlen(".json"));
	(void)!text_copy(call->text[0], CALL_PARAM, group, strlen(group));
	if (e == OK)
		e = json_print(document, &text);
	if (e == OK)
		e = policy_parse(&p, name, buf_text(&text), text.len, f);
	if (e == OK)
		e = effective(call->c->o, group, "", NULL, &before, f);
	if (e == OK)
		e = effective(call->c->o, group, name, p, &after, f);
	if (e == OK)
		e = json_add_bool(o, "ok", true);
	if (e == OK)
		e = json_add_array(o, "unknown", &unknown);
	for (size_t i = 0; e == OK && policy_unknown(p, i) != NULL; i++)
		e = json_append_string(unknown, policy_unknown(p, i));
	if (e == OK)
		e = json_add_array(o, "diff", &list);
	if (e == OK)
		e = difference(list, before, after);
	if (e == OK)
		e = call_json(call, 200, o);
	else
		cJSON_Delete(o);
	cJSON_Delete(before);
	cJSON_Delete(after);
	policy_free(p);
	buf_free(&text);
	return e;
}

/* How many PCs the file is for, beside the difference: those of its group, or all. */
static enum err
work_reach(struct call *call, struct db *db)
{
	struct sql_stmt *s = db_prepare(db,
	    "SELECT count(*) FROM agents WHERE revoked IS NULL AND (?1 = '' OR grp = ?1) AND"
	    " (?2 IS NULL OR grp IN (SELECT value FROM json_each(?2)))");
	enum err e = db_bind(s, "tt", call->text[0], who_scope(&call->who));

	if (e == OK)
		e = db_step(s);
	if (e == OK) {
		call->out.data[--call->out.len] = '\0'; /* the object goes on */
		e = buf_printf(&call->out, ",\"computers\":%" PRId64 "}", sql_i64(s, 0));
	}
	db_end(s);
	return e;
}

static void
finish_check(struct call *call)
{
	if (call->code == NULL)
		call_next(call, &call->c->db_work, work_reach, NULL);
}

static enum err
work_check(struct call *call, struct db *db)
{
	struct fault f = { 0 };
	const char *name;
	cJSON *body, *document;
	enum err e = web_body(call, &body);

	(void)db;
	if (e != OK)
		return web_settle(call, e, &f);
	e = json_get_string(body, "name", &name, &f);
	if (e == OK && !feed_is_policy_name(name))
		e = fault_set(&f, ERR_INVAL, "'name' is default.json or group/NAME.json");
	if (e == OK)
		e = json_get_object(body, "document", &document, &f);
	if (e == OK) {
		e = check(call, name, document, &f);
		if (e == ERR_INVAL || e == ERR_PARSE || e == ERR_TOOBIG)
			e = call_refuse(call, 422, "refused", "%s", fault_text(&f));
	}
	cJSON_Delete(body);
	return web_settle(call, e, &f);
}

static void
start(struct http_req *req, void *ctx, enum err (*work)(struct call *, struct db *),
    void (*finish)(struct call *))
{
	struct call *call = call_new(ctx, req);

	if (call == NULL)
		return;
	call->trailed = true; /* they only look */
	call_start_feed(call, work, finish);
}

void
web_policy_schema(struct http_req *req, void *ctx)
{
	start(req, ctx, work_schema, NULL);
}

void
web_policy_list(struct http_req *req, void *ctx)
{
	start(req, ctx, work_list, NULL);
}

void
web_policy_check(struct http_req *req, void *ctx)
{
	start(req, ctx, work_check, finish_check);
}
