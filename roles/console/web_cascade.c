/* web_cascade.c - who pulls from whom: the server, PCs with the update-agent role, and how many
 * others take from each. Names of sources come from policy; a name that no policy knows any more
 * stays a node of its own. */
#include "base/clock.h"
#include "base/text.h"
#include "feed.h"
#include "fleet.h"
#include "proto/policy.h"
#include "web_routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAYS 30

/* Mirrors are known by the names that events use: that of the server, of a source in a policy, a
 * host name, an address. Which PC that is, is found once for each name (name_mirrors). */
#define NODE "(SELECT node FROM mirror_nodes WHERE mirror = m.mirror)"

struct cascade {
	struct call *call;
	struct db *db;
	const char *comma;
};

static enum err
put_sums(struct cascade *x, const char *node)
{
	struct sql_stmt *s = db_prepare(x->db,
	    "SELECT ifnull(sum(CASE WHEN node = ?1 THEN wire END), 0),"
	    " ifnull(sum(CASE WHEN taker = ?1 THEN wire END), 0) FROM (SELECT " NODE
	    " AS node, m.taker AS taker, m.wire AS wire FROM traffic m WHERE m.day >= ?2)");
	enum err e = db_bind(s, "ti", node, clock_wall_ms() / DAY_MS_64 - DAYS + 1);

	if (e == OK)
		e = db_step(s);
	if (e == OK)
		e = buf_printf(&x->call->out, ",\"bytes_out\":%" PRId64 ",\"bytes_in\":%" PRId64,
		    sql_i64(s, 0), sql_i64(s, 1));
	db_end(s);
	return e;
}

/* PCs whose set came from there last. */
static enum err
put_clients(struct cascade *x, const char *node)
{
	struct sql_stmt *s =
	    db_prepare(x->db, "SELECT count(DISTINCT agent) FROM (SELECT m.agent AS agent, " NODE
			      " AS node FROM sets m WHERE m.feed <> 'policies') WHERE node = ?1");
	enum err e = db_bind(s, "t", node);

	if (e == OK)
		e = db_step(s);
	if (e == OK)
		e = buf_printf(&x->call->out, ",\"clients\":%" PRId64, sql_i64(s, 0));
	db_end(s);
	return e;
}

static enum err
published_row(void *arg, struct sql_stmt *s, struct buf *out)
{
	(void)arg;
	return buf_printf(
	    out, "[\"%s\",%" PRId64 ",%" PRId64 "]", sql_text(s, 0), sql_i64(s, 1), sql_i64(s, 2));
}

static enum err
put_published(struct cascade *x, const char *agent)
{
	struct sql_stmt *s = db_prepare(
	    x->db, "SELECT feed, version, published FROM mirrors WHERE agent = ? ORDER BY feed");
	enum err e = db_bind(s, "t", agent);

	return db_text(s, e, &x->call->out, ",\"feeds\":[", published_row, NULL, "]");
}

static enum err
begin_node(struct cascade *x, const char *id, const char *kind, const char *name)
{
	struct buf *out = &x->call->out;
	enum err e = buf_printf(out, "%s{\"kind\":\"%s\",\"id\":", x->comma, kind);

	x->comma = ",";
	if (e == OK)
		e = json_quote(out, id, strlen(id));
	if (e == OK)
		e = buf_puts(out, ",\"name\":");
	return e == OK ? json_quote(out, name, strlen(name)) : e;
}

static enum err
end_node(struct cascade *x, const char *id)
{
	enum err e = put_sums(x, id);

	if (e == OK)
		e = put_clients(x, id);
	return e == OK ? buf_puts(&x->call->out, "}") : e;
}

static enum err
put_server(struct cascade *x, const struct fleet_newest *newest)
{
	const struct options *o = x->call->c->o;
	struct buf *out = &x->call->out;
	enum err e = begin_node(x, "server", "server", o->source_name);

	if (e == OK)
		e = buf_puts(out, ",\"host\":");
	if (e == OK)
		e = json_quote(out, o->source_host, strlen(o->source_host));
	if (e == OK)
		e = buf_puts(out, ",\"state\":\"protected\",\"feeds\":[");
	for (size_t i = 0; e == OK && i < newest->n; i++)
		e = buf_printf(out, "%s[\"%s\",%" PRId64 ",0]", i > 0 ? "," : "",
		    newest->feeds[i].feed, newest->feeds[i].version);
	if (e == OK)
		e = buf_puts(out, "]");
	return e == OK ? end_node(x, "server") : e;
}

/* A statement may not run inside another of its own text: rows are kept first. */
struct nodes {
	struct fleet_row *rows;
	size_t n, cap;
};

static enum err
keep_mirror(void *arg, const struct fleet_row *r)
{
	struct nodes *k = arg;
	void *more;

	if (r->role[0] == '\0' || r->revoked != 0)
		return OK;
	if (k->n == k->cap) {
		more = realloc(k->rows, (k->cap * 2 + 16) * sizeof(*k->rows));
		if (more == NULL)
			return ERR_NOMEM;
		k->rows = more;
		k->cap = k->cap * 2 + 16;
	}
	k->rows[k->n++] = *r;
	return OK;
}

static enum err
put_agent(struct cascade *x, const struct fleet_row *r)
{
	struct buf *out = &x->call->out;
	char when[CLOCK_TEXT];
	enum err e = begin_node(x, r->a.agent, "agent", r->a.host);

	clock_format(when, r->a.seen);
	if (e == OK)
		e = buf_puts(out, ",\"host\":");
	if (e == OK)
		e = json_quote(out, r->a.host, strlen(r->a.host));
	if (e == OK)
		e = buf_printf(out,
		    ",\"group\":\"%s\",\"address\":\"%s\",\"seen\":\"%s\",\"state\":\"%s\"",
		    r->a.group, r->a.address, when, fleet_state_word(r->state));
	if (e == OK)
		e = put_published(x, r->a.agent);
	return e == OK ? end_node(x, r->a.agent) : e;
}

/* Sources that events name and that are no PC of ours. */
static enum err
put_unknown(struct cascade *x)
{
	struct sql_stmt *s = db_prepare(x->db,
	    "SELECT DISTINCT node FROM (SELECT " NODE " AS node FROM (SELECT mirror FROM sets WHERE"
	    " feed <> 'policies' UNION SELECT mirror FROM mirrors) m WHERE m.mirror <> '')"
	    " WHERE node LIKE 'name:%' LIMIT 50");
	char names[50][160];
	size_t n = 0;
	enum err e = db_bind(s, "");

	while (e == OK && n < 50 && (e = db_step(s)) == OK)
		if (text_copy(names[n], sizeof(names[n]), sql_text(s, 0), strlen(sql_text(s, 0))) ==
		    OK)
			n++;
	db_end(s);
	e = e == ERR_NOTFOUND ? OK : e;
	for (size_t i = 0; e == OK && i < n; i++) {
		e = begin_node(x, names[i], "unknown", names[i] + strlen("name:"));
		if (e == OK)
			e = end_node(x, names[i]);
	}
	return e;
}

static enum err
link_row(void *arg, struct sql_stmt *s, struct buf *out)
{
	char when[CLOCK_TEXT];
	enum err e = buf_puts(out, "{\"from\":");

	(void)arg;
	clock_format(when, sql_i64(s, 3));
	if (e == OK)
		e = json_quote(out, sql_text(s, 0), strlen(sql_text(s, 0)));
	return e != OK ? e
		       : buf_printf(out, ",\"to\":\"%s\",\"bytes\":%" PRId64 ",\"last\":\"%s\"}",
			     sql_text(s, 1), sql_i64(s, 2), when);
}

static enum err
put_links(struct cascade *x)
{
	struct sql_stmt *s = db_prepare(x->db,
	    "SELECT node, taker, sum(wire), max(last) FROM (SELECT " NODE
	    " AS node, m.taker AS taker, m.wire AS wire, m.last AS last FROM traffic m"
	    " WHERE m.day >= ?1 AND m.taker <> '') GROUP BY node, taker");
	enum err e = db_bind(s, "i", clock_wall_ms() / DAY_MS_64 - DAYS + 1);

	return db_text(s, e, &x->call->out, "],\"links\":[", link_row, NULL, "]");
}

static enum err
lag_row(void *arg, struct sql_stmt *s, struct buf *out)
{
	enum err e = buf_puts(out, "{\"node\":");

	(void)arg;
	if (e == OK)
		e = json_quote(out, sql_text(s, 0), strlen(sql_text(s, 0)));
	return e != OK ? e
		       : buf_printf(out, ",\"count\":%" PRId64 ",\"outdated\":%" PRId64 "}",
			     sql_i64(s, 1), sql_i64(s, 2));
}

/* Clients by node, and how many of them lag. */
static enum err
put_lag(struct cascade *x)
{
	struct sql_stmt *s = db_prepare(x->db,
	    "SELECT k.node, count(DISTINCT m.agent), count(DISTINCT CASE WHEN m.version < w.newest"
	    " THEN m.agent END) FROM sets m JOIN mirror_nodes k ON k.mirror = m.mirror JOIN"
	    " (SELECT feed, max(version) AS newest FROM sets GROUP BY feed) w ON w.feed = m.feed"
	    " WHERE m.feed <> 'policies' GROUP BY k.node");

	return db_text(s, db_bind(s, ""), &x->call->out, ",\"clients\":[", lag_row, NULL, "]}");
}

/* ---- which PC a name means ---- */

/* Sources of one policy file into source_names. */
static enum err
add_sources(struct db *db, const struct options *o, const char *file)
{
	const cJSON *source;
	const char *name, *host;
	struct buf bytes;
	cJSON *tree = NULL;
	enum err e = OK;

	buf_init(&bytes, LIMIT_POLICY_BYTES);
	if (feed_read(o, file, &bytes, NULL) == OK &&
	    json_parse(&tree, buf_text(&bytes), bytes.len, JSON_EVENT, NULL) == OK)
		cJSON_ArrayForEach(source, json_get(json_get(tree, "sources"), "update_agents"))
		{
			if (e == OK && json_get_string(source, "name", &name, NULL) == OK &&
			    json_get_string(source, "host", &host, NULL) == OK)
				e = db_run(db,
				    "INSERT OR IGNORE INTO source_names(name, host) VALUES(?,?)",
				    "tt", name, host);
		}
	cJSON_Delete(tree);
	buf_free(&bytes);
	return e;
}

static enum err
add_group_sources(struct db *db, const struct options *o)
{
	struct sql_stmt *s = db_prepare(db, "SELECT DISTINCT grp FROM agents LIMIT 1000");
	char file[128];
	enum err e = db_bind(s, "");

	while (e == OK && (e = db_step(s)) == OK) {
		(void)snprintf(file, sizeof(file), "group/%s.json", sql_text(s, 0));
		e = add_sources(db, o, file);
	}
	db_end(s);
	return e == ERR_NOTFOUND ? OK : e;
}

static enum err
name_mirrors(struct call *call, struct db *db)
{
	enum err e = db_run(db,
	    "CREATE TEMP TABLE IF NOT EXISTS source_names(name TEXT PRIMARY KEY, host TEXT)", "");

	if (e == OK)
		e = db_run(db,
		    "CREATE TEMP TABLE IF NOT EXISTS mirror_nodes(mirror TEXT PRIMARY KEY, node "
		    "TEXT)",
		    "");
	if (e == OK)
		e = db_run(db, "DELETE FROM source_names", "");
	if (e == OK)
		e = db_run(db, "DELETE FROM mirror_nodes", "");
	if (e == OK)
		e = add_sources(db, call->c->o, "default.json");
	if (e == OK)
		e = add_group_sources(db, call->c->o);
	if (e != OK)
		return e;
	return db_run(db,
	    "INSERT INTO mirror_nodes SELECT m.mirror, CASE WHEN m.mirror = ?1 THEN 'server' ELSE"
	    " ifnull((SELECT a.agent FROM facts f JOIN agents a ON a.agent = f.agent WHERE"
	    " f.role <> '' AND (a.host = m.mirror OR a.address = m.mirror OR a.agent = m.mirror OR"
	    " (SELECT host FROM source_names WHERE name = m.mirror) IN (a.host, a.address))"
	    " LIMIT 1), 'name:' || m.mirror) END FROM (SELECT mirror FROM sets UNION SELECT mirror"
	    " FROM mirrors UNION SELECT mirror FROM traffic LIMIT 2000) m WHERE m.mirror <> ''",
	    "t", call->c->o->source_name);
}

static enum err
work_cascade(struct call *call, struct db *db)
{
	struct cascade x = { call, db, "" };
	struct nodes nodes = { .n = 0 };
	struct fleet_newest newest;
	enum err e = name_mirrors(call, db);

	if (e == OK)
		e = fleet_newest(db, &newest);
	if (e == OK)
		e = buf_puts(&call->out, "{\"nodes\":[");
	if (e == OK)
		e = put_server(&x, &newest);
	if (e == OK)
		e = fleet_each(
		    db, who_scope(&call->who), &newest, clock_wall_ms(), keep_mirror, &nodes);
	for (size_t i = 0; e == OK && i < nodes.n; i++)
		e = put_agent(&x, &nodes.rows[i]);
	free(nodes.rows);
	if (e == OK)
		e = put_unknown(&x);
	if (e == OK)
		e = put_links(&x);
	return e == OK ? put_lag(&x) : e;
}

void
web_cascade(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_cascade, NULL);
}
