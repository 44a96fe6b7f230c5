/* web_feeds.c - GET /feeds: what each feed is at, from the console's copy of the repository below
 * publish= where there is one, and who holds which version, from events. The metadata is the
 * console's own neighbour and only shown; agents verify theirs. */
#include "base/limits.h"
#include "base/text.h"
#include "fleet.h"
#include "os/file.h"
#include "web_routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void
free_tree(void *extra)
{
	cJSON_Delete(extra);
}

/* ---- from events ---- */

static cJSON *
find_feed(cJSON *list, const char *name)
{
	cJSON *o;
	const char *word;

	cJSON_ArrayForEach(o, list) if (json_get_string(o, "feed", &word, NULL) == OK &&
					strcmp(word, name) == 0) return o;
	return NULL;
}

static enum err
add_feed(cJSON *list, const char *name, cJSON **out)
{
	cJSON *o = find_feed(list, name), *holders;
	enum err e = OK;

	*out = o;
	if (o != NULL)
		return OK;
	*out = o = cJSON_CreateObject();
	e = o == NULL ? ERR_NOMEM : json_add_string(o, "feed", name);
	if (e == OK)
		e = json_add_array(o, "holders", &holders);
	if (e == OK)
		return json_append(list, o);
	cJSON_Delete(o);
	return e;
}

static enum err
add_configured(const struct options *o, cJSON *list)
{
	const char *p = o->feeds;
	char name[65];
	cJSON *feed;
	enum err e = add_feed(list, FEED_POLICIES, &feed);

	while (e == OK && *p != '\0') {
		size_t n = strcspn(p, ", ");

		if (n > 0 && text_copy(name, sizeof(name), p, n) == OK)
			e = add_feed(list, name, &feed);
		p += n;
		p += strspn(p, ", ");
	}
	return e;
}

static enum err
add_holders(struct call *call, struct db *db, cJSON *list)
{
	struct sql_stmt *s = db_prepare(db,
	    "SELECT s.feed, s.version, count(*) FROM sets s JOIN agents a ON a.agent = s.agent "
	    "WHERE"
	    " a.revoked IS NULL AND s.version > 0 AND (?1 IS NULL OR a.grp IN (SELECT value FROM"
	    " json_each(?1))) GROUP BY s.feed, s.version ORDER BY s.feed, s.version DESC");
	cJSON *feed, *holders, *o;
	enum err e = db_bind(s, "t", who_scope(&call->who));

	while (e == OK && (e = db_step(s)) == OK) {
		e = add_feed(list, sql_text(s, 0), &feed);
		if (e == OK)
			e = json_get_array(feed, "holders", &holders, NULL);
		o = cJSON_CreateObject();
		if (e == OK)
			e = o == NULL ? ERR_NOMEM : json_add_u64(o, "version", sql_u64(s, 1));
		if (e == OK)
			e = json_add_u64(o, "computers", sql_u64(s, 2));
		if (e == OK)
			e = json_append(holders, o);
		else
			cJSON_Delete(o);
	}
	db_end(s);
	return e == ERR_NOTFOUND ? OK : e;
}

static enum err
work_holders(struct call *call, struct db *db)
{
	cJSON *list;
	enum err e;

	call->extra = cJSON_CreateObject();
	call->extra_free = free_tree;
	e = call->extra == NULL ? ERR_NOMEM : json_add_array(call->extra, "feeds", &list);
	if (e == OK)
		e = add_configured(call->c->o, list);
	return e == OK ? add_holders(call, db, list) : e;
}

/* ---- from the repository ---- */

/* The "signed" part of metadata/NAME; NULL: it is not there. */
static cJSON *
read_signed(const struct options *o, const char *feed, const char *name)
{
	char path[STATE_PATH];
	struct buf b;
	cJSON *tree = NULL, *body = NULL;

	buf_init(&b, LIMIT_TUF_TARGETS);
	if (snprintf(path, sizeof(path), "%s/%s/metadata/%s", o->publish, feed, name) <
		(int)sizeof(path) &&
	    file_read(path, &b, NULL) == OK &&
	    json_parse(&tree, buf_text(&b), b.len, JSON_SIGNED, NULL) == OK)
		body = cJSON_DetachItemViaPointer(tree, json_get(tree, "signed"));
	cJSON_Delete(tree);
	buf_free(&b);
	return body;
}

static uint64_t
meta_version(const cJSON *body, const char *name)
{
	uint64_t v;

	return json_get_u64(
		   json_get(json_get(body, "meta"), name), "version", JSON_MAX_INT, &v, NULL) == OK
		   ? v
		   : 0;
}

static enum err
add_sizes(cJSON *feed, const cJSON *targets)
{
	uint64_t set = 0, delta = 0, files = 0, n;
	const cJSON *t;
	enum err e;

	cJSON_ArrayForEach(t, json_get(targets, "targets"))
	{
		if (json_get_u64(t, "length", JSON_MAX_INT, &n, NULL) != OK)
			continue;
		if (text_starts(t->string, "delta/")) {
			/* those that lead to the newest version: named by its targets */
			continue;
		}
		if (!text_starts(t->string, "full/")) {
			const cJSON *own =
			    json_get(json_get(json_get(t, "custom"), "atalaia"), "delta");
			const char *path;

			set += n;
			files++;
			if (json_get_string(own, "path", &path, NULL) == OK &&
			    json_get_u64(json_get(json_get(targets, "targets"), path), "length",
				JSON_MAX_INT, &n, NULL) == OK)
				delta += n;
		}
	}
	e = json_add_u64(feed, "bytes_set", set);
	if (e == OK)
		e = json_add_u64(feed, "bytes_delta", delta);
	return e == OK ? json_add_u64(feed, "files", files) : e;
}

static enum err
add_repository(const struct options *o, cJSON *feed)
{
	char name[64];
	const char *feed_name, *expires;
	cJSON *timestamp, *snapshot = NULL, *targets = NULL;
	uint64_t version;
	enum err e = json_get_string(feed, "feed", &feed_name, NULL);

	timestamp =
	    e == OK && o->publish[0] != '\0' ? read_signed(o, feed_name, "timestamp.json") : NULL;
	if (e == OK)
		e = json_add_bool(feed, "known", timestamp != NULL);
	if (e != OK || timestamp == NULL)
		return e;
	if (json_get_string(timestamp, "expires", &expires, NULL) == OK)
		e = json_add_string(feed, "expires", expires);
	(void)snprintf(name, sizeof(name), "%" PRIu64 ".snapshot.json",
	    meta_version(timestamp, "snapshot.json"));
	snapshot = read_signed(o, feed_name, name);
	version = meta_version(snapshot, "targets.json");
	(void)snprintf(name, sizeof(name), "%" PRIu64 ".targets.json", version);
	targets = snapshot != NULL ? read_signed(o, feed_name, name) : NULL;
	if (e == OK && snapshot != NULL)
		e = json_add_u64(feed, "version", version);
	if (e == OK && targets != NULL)
		e = add_sizes(feed, targets);
	cJSON_Delete(timestamp);
	cJSON_Delete(snapshot);
	cJSON_Delete(targets);
	return e;
}

static enum err
work_repositories(struct call *call, struct db *db)
{
	cJSON *list, *feed, *tree = call->extra;
	enum err e = json_get_array(tree, "feeds", &list, NULL);

	(void)db;
	cJSON_ArrayForEach(feed, list) if (e == OK) e = add_repository(call->c->o, feed);
	if (e != OK)
		return e;
	call->extra = NULL;
	call->extra_free = NULL;
	return call_json(call, 200, tree);
}

static void
finish_holders(struct call *call)
{
	call_next(call, &call->c->feed_work, work_repositories, NULL);
}

void
web_feeds(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_holders, finish_holders);
}
