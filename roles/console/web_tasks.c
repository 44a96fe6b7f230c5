/* web_tasks.c - whom a task would reach, and which types there are. The others are in
 * admin_tasks.c, admin_send.c and admin_sign.c. */
#include "base/clock.h"
#include "base/text.h"
#include "fleet.h"
#include "task_forms.h"
#include "task_view.h"
#include "web_routes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- POST /tasks/preview ---- */

struct preview {
	struct buf *out;
	const char *target;
	uint64_t total, reachable;
};

static bool
is_meant(const char *target, const struct fleet_row *r)
{
	if (r->revoked != 0)
		return false;
	return strcmp(target, "*") == 0 || strcmp(target, r->a.agent) == 0 ||
	       (text_starts(target, "group:") &&
		   strcmp(target + strlen("group:"), r->a.group) == 0);
}

static enum err
add_row(void *arg, const struct fleet_row *r)
{
	struct preview *p = arg;
	enum err e;

	if (!is_meant(p->target, r))
		return OK;
	p->reachable += r->a.seen >= clock_wall_ms() - FLEET_AWAY_MS;
	e = buf_printf(p->out, "%s[\"%s\",", p->total++ > 0 ? "," : "", r->a.agent);
	if (e == OK)
		e = json_quote(p->out, r->a.host, strlen(r->a.host));
	return e == OK ? buf_printf(p->out, ",\"%s\",%" PRId64 ",\"%s\"]", r->a.group, r->a.seen,
			     fleet_state_word(r->state))
		       : e;
}

/* How many signatures the type needs, and whether the console's own counts. */
static enum err
put_signatures(struct call *call, const char *type)
{
	struct task_context x;
	const struct signers *s;
	bool own = false;
	enum err e = task_context_load(&x, call->c);

	s = e == OK && x.authority != NULL ? authority_signers(x.authority, type) : NULL;
	for (size_t i = 0; s != NULL && i < s->n; i++)
		own = own || strcmp(key_id(s->keys[i]), x.console_key) == 0;
	if (e == OK)
		e = buf_printf(&call->out, ",\"needed\":%" PRIu64 ",\"have\":%d",
		    s != NULL ? s->threshold : 0, own ? 1 : 0);
	task_context_free(&x);
	return e;
}

static enum err
preview(struct call *call, struct db *db, const char *target, const char *type)
{
	struct preview p = { .out = &call->out, .target = target };
	struct fleet_newest newest;
	bool within = false;
	enum err e = task_target_seen(db, who_scope(&call->who), target, &within);

	if (e == OK && !within)
		return call_refuse(call, 403, "outside-groups",
		    "the target is not within the groups of this user");
	if (e == OK)
		e = fleet_newest(db, &newest);
	if (e == OK)
		e = buf_puts(&call->out,
		    "{\"columns\":[\"agent\",\"host\",\"group\",\"seen\",\"state\"],"
		    "\"rows\":[");
	if (e == OK)
		e = fleet_each(db, who_scope(&call->who), &newest, clock_wall_ms(), add_row, &p);
	if (e == OK)
		e = buf_printf(&call->out, "],\"total\":%" PRIu64 ",\"reachable\":%" PRIu64,
		    p.total, p.reachable);
	if (e == OK && type[0] != '\0')
		e = put_signatures(call, type);
	return e == OK ? buf_puts(&call->out, "}") : e;
}

static enum err
work_preview(struct call *call, struct db *db)
{
	struct fault f = { 0 };
	const char *target, *type;
	cJSON *body;
	enum err e = web_body(call, &body);

	if (e != OK)
		return web_settle(call, e, &f);
	e = json_get_string(body, "target", &target, &f);
	if (e == OK)
		e = json_opt_string(body, "type", "", &type, &f);
	if (e == OK)
		e = preview(call, db, strcmp(target, "all") == 0 ? "*" : target, type);
	cJSON_Delete(body);
	return web_settle(call, e, &f);
}

void
web_task_preview(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call == NULL)
		return;
	call->trailed = true; /* it only looks */
	call_start(call, work_preview, NULL);
}

/* ---- GET /task-types ---- */

static enum err
work_types(struct call *call, struct db *db)
{
	struct task_context x;
	enum err e = task_context_load(&x, call->c);

	(void)db;
	if (e == OK)
		e = task_forms_write(&call->out, x.authority);
	task_context_free(&x);
	return e;
}

void
web_task_types(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_types, NULL);
}
