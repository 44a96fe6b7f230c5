/* local.c - what the local port offers beside events: status, policy, tasks, metrics, and the
 * request to look for updates now. It is not a task: anyone on this PC may ask for fresh
 * signatures. */
#include "status.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "carry.h"
#include "events.h"
#include "inventory.h"
#include "policies.h"
#include "role.h"
#include "tasks.h"
#include "update.h"
#include "update/set.h"
#include "update_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_PAUSE_MS 2000u /* between two local requests for a check */
#define SETS_SHOWN 64
#define METRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

static struct agent *
owner(void *ctx)
{
	return events_owner(ctx);
}

static void
reply(struct http_req *r, int status, cJSON *take)
{
	if (take == NULL)
		http_problem(r, 503, "no-memory", "memory ran out");
	else
		http_reply_json(r, status, take);
	cJSON_Delete(take);
}

static void
get_status(struct http_req *r, void *ctx)
{
	reply(r, 200, status_json(owner(ctx)));
}

static void
get_metrics(struct http_req *r, void *ctx)
{
	struct buf text;

	buf_init(&text, LIMIT_METRICS);
	if (status_metrics(owner(ctx), &text) != OK)
		http_problem(r, 503, "no-memory", "memory ran out");
	else
		http_reply(r, 200, METRICS_TYPE, text.data, text.len);
	buf_free(&text);
}

static void
get_policy(struct http_req *r, void *ctx)
{
	cJSON *list = NULL, *o = cJSON_CreateObject();

	if (o != NULL && policy_explain(policies_effective(owner(ctx)->policies), &list) == OK)
		(void)cJSON_AddItemToObject(o, "members", list);
	reply(r, 200, o);
}

static void
get_tasks(struct http_req *r, void *ctx)
{
	cJSON *o = cJSON_CreateObject(), *list = tasks_list(owner(ctx)->tasks, 100);

	if (o != NULL && list != NULL)
		(void)cJSON_AddItemToObject(o, "tasks", list);
	else
		cJSON_Delete(list);
	reply(r, 200, o);
}

static cJSON *
source_json(const struct source *s)
{
	static const char *const kinds[] = { "own", "update-agent", "server" };
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "name", s->name);

	if (e == OK)
		e = json_add_string(o, "kind", kinds[s->kind]);
	if (e == OK)
		e = json_add_string(o, "host", s->host);
	if (e == OK)
		e = json_add_u64(o, "ftp", s->ftp);
	if (e == OK)
		e = json_add_u64(o, "http", s->http);
	if (e == OK)
		e = json_add_u64(o, "version", s->version);
	if (e == OK)
		return o;
	cJSON_Delete(o);
	return NULL;
}

/* Host and port of a proxy's URL: what is before an @ is nobody's business. */
static const char *
without_password(const char *url)
{
	const char *at = strrchr(url, '@');

	return at == NULL ? url : at + 1;
}

/* Where this PC could take updates from, healthy or not: for atalaia doctor. */
static void
get_sources(struct http_req *r, void *ctx)
{
	struct source list[LIMIT_SOURCES];
	size_t n = agent_sources(owner(ctx), list, LIMIT_SOURCES, false);
	cJSON *o = cJSON_CreateObject(), *array = NULL;
	const struct agent_conf *conf = owner(ctx)->conf;
	enum err e = o == NULL ? ERR_NOMEM : json_add_array(o, "sources", &array);

	for (size_t i = 0; e == OK && i < n; i++) {
		cJSON *item = source_json(&list[i]);

		e = item == NULL ? ERR_NOMEM : json_append(array, item);
	}
	if (e == OK && conf->proxy[0] != '\0')
		e = json_add_string(o, "proxy", without_password(conf->proxy));
	if (e == OK && conf->console_proxy[0] != '\0')
		e = json_add_string(o, "console_proxy", without_password(conf->console_proxy));
	if (e == OK)
		e = json_add_u64(o, "disk_floor", conf->disk_floor);
	reply(r, 200, o);
}

/* --- looking for updates --- */

static enum err
wanted_feed(struct http_req *r, char *feed, size_t size)
{
	const char *q = http_query(r, "feed");

	feed[0] = '\0';
	if (q == NULL)
		return OK;
	if (!text_is_role_name(q, strlen(q)))
		return ERR_PARSE;
	return text_copy(feed, size, q, strlen(q));
}

static void
post_update(struct http_req *r, void *ctx)
{
	static uint64_t last; /* one agent in a process */
	struct agent *a = owner(ctx);
	uint64_t now = clock_mono_ms();
	char feed[SOURCE_NAME];
	size_t n = 0;
	cJSON *o;

	if (wanted_feed(r, feed, sizeof feed) != OK) {
		http_problem(r, 400, "bad-feed", "feed must be a feed's name");
		return;
	}
	if (a->identity == NULL) {
		http_problem(
		    r, 409, "not-enrolled", "this PC is not enrolled; run atalaia-agent enroll");
		return;
	}
	if (last != 0 && now - last < ASK_PAUSE_MS) {
		http_set(r, "Retry-After", "2");
		http_problem(r, 429, "too-often", "a check was asked for a moment ago");
		return;
	}
	last = now;
	(void)role_sync_now(a->role, feed[0] == '\0' ? NULL : feed);
	for (size_t i = 0; i < updates_count(a->updates); i++)
		if ((feed[0] == '\0' || strcmp(feed, updates_name(a->updates, i)) == 0) &&
		    updates_request(
			a->updates, updates_name(a->updates, i), UPDATE_LOCAL, NULL, NULL) == OK)
			n++;
	if (n == 0) {
		http_problem(r, 404, "unknown-feed", "this agent does not follow that feed");
		return;
	}
	o = cJSON_CreateObject();
	if (o != NULL && json_add_u64(o, "feeds", n) != OK)
		n = 0;
	reply(r, 202, o);
}

/* --- documents that need the disk: in a worker --- */

struct reading {
	uv_work_t work;
	struct http_req *r; /* NULL: the client has gone */
	cJSON *facts, *doc;
	char state[4096];
	char feeds[LIMIT_SOURCES][SOURCE_NAME];
	size_t n_feeds;
};

static void
reading_gone(struct http_req *r, void *ctx)
{
	((struct reading *)ctx)->r = NULL;
}

static void
reading_done(uv_work_t *w, int status)
{
	struct reading *x = w->data;

	if (x->r != NULL)
		reply(x->r, 200, x->doc);
	else
		cJSON_Delete(x->doc);
	free(x);
}

static struct reading *
reading_new(struct agent *a, struct http_req *r)
{
	struct reading *x = calloc(1, sizeof *x);

	if (x == NULL) {
		http_problem(r, 503, "no-memory", "memory ran out");
		return NULL;
	}
	x->r = r;
	x->work.data = x;
	(void)snprintf(x->state, sizeof x->state, "%s", a->conf->state);
	http_on_cancel(r, reading_gone, x);
	return x;
}

static void
inventory_work(uv_work_t *w)
{
	struct reading *x = w->data;

	if (inventory_read(&x->doc, x->facts, x->state) != OK)
		x->doc = NULL;
}

void
inventory_reply(struct agent *a, struct http_req *r)
{
	struct reading *x = reading_new(a, r);

	if (x == NULL)
		return;
	x->facts = inventory_facts(a);
	(void)uv_queue_work(&a->loop, &x->work, inventory_work, reading_done);
}

static void
get_inventory(struct http_req *r, void *ctx)
{
	inventory_reply(owner(ctx), r);
}

static void
post_probe(struct http_req *r, void *ctx)
{
	probe_reply(owner(ctx), r);
}

static enum err
sets_of(cJSON *list, const char *state, const char *feed)
{
	uint64_t versions[SETS_SHOWN], current = 0;
	char dir[4300];
	size_t n = 0;
	enum err e = OK;

	(void)snprintf(dir, sizeof dir, "%s/feeds/%s", state, feed);
	if (set_list(dir, versions, SETS_SHOWN, &n, NULL) != OK)
		return OK;
	if (set_current(dir, &current, NULL) != OK)
		current = 0;
	for (size_t i = 0; e == OK && i < n && i < SETS_SHOWN; i++) {
		uint8_t sha[SET_SHA];
		char hex[2 * SET_SHA + 1] = "";
		cJSON *o = cJSON_CreateObject();

		if (set_identity(dir, versions[i], sha, NULL) == OK)
			text_hex(hex, sha, SET_SHA);
		e = o == NULL ? ERR_NOMEM : json_add_string(o, "feed", feed);
		if (e == OK)
			e = json_add_u64(o, "version", versions[i]);
		if (e == OK)
			e = json_add_bool(o, "active", versions[i] == current);
		if (e == OK)
			e = json_add_string(o, "sha256", hex);
		if (e == OK)
			e = json_append(list, o);
		else
			cJSON_Delete(o);
	}
	return e;
}

static void
sets_work(uv_work_t *w)
{
	struct reading *x = w->data;
	cJSON *list;

	x->doc = cJSON_CreateObject();
	if (x->doc == NULL || json_add_array(x->doc, "sets", &list) != OK)
		return;
	for (size_t i = 0; i < x->n_feeds; i++)
		if (sets_of(list, x->state, x->feeds[i]) != OK)
			return;
}

static void
get_sets(struct http_req *r, void *ctx)
{
	struct agent *a = owner(ctx);
	struct reading *x = reading_new(a, r);

	if (x == NULL)
		return;
	for (size_t i = 0; i < updates_count(a->updates) && i < LIMIT_SOURCES; i++)
		(void)snprintf(
		    x->feeds[x->n_feeds++], SOURCE_NAME, "%s", updates_name(a->updates, i));
	(void)uv_queue_work(&a->loop, &x->work, sets_work, reading_done);
}

const struct http_route local_routes[] = {
	{ "GET", "/v1/status", 0, 0, get_status },
	{ "GET", "/metrics", 0, 0, get_metrics },
	{ "GET", "/v1/policy", 0, 0, get_policy },
	{ "GET", "/v1/tasks", 0, 0, get_tasks },
	{ "GET", "/v1/sources", 0, 0, get_sources },
	{ "GET", "/v1/sets", 0, 0, get_sets },
	{ "GET", "/v1/inventory", 0, 0, get_inventory },
	{ "POST", "/v1/probe", 0, 1024, post_probe },
	{ "POST", "/v1/update", 0, 1024, post_update },
	{ "POST", CARRY_EXPORT_PATH, 0, 0, carry_export },
	{ "POST", CARRY_ACKS_PATH, 0, LIMIT_HTTP_HEAD, carry_acks },
};
const size_t local_route_count = sizeof local_routes / sizeof local_routes[0];
