#include "admin_api.h"
#include "audit.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "call.h"
#include "store.h"

#include <string.h>

/* {"<name>":[...]}; takes list. */
static enum err
answer_list(struct call *call, const char *name, cJSON *list)
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
work_list(struct call *call, struct db *db)
{
	cJSON *list;
	enum err e = store_agents_list(db, call->text[0], &list);

	return e == OK ? answer_list(call, "agents", list) : e;
}

void
admin_agents(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);
	const char *group = http_query(req, "group");

	if (call == NULL)
		return;
	if (group != NULL && text_copy(call->text[0], CALL_PARAM, group, strlen(group)) != OK)
		call->text[0][0] = '\0';
	call_start(call, work_list, NULL);
}

static enum err
record_revocation(struct call *call, struct db *db, const struct agent_row *a)
{
	cJSON *data = cJSON_CreateObject();
	enum err e = data == NULL ? ERR_NOMEM : json_add_string(data, "agent", a->agent);

	if (e == OK)
		e = json_add_string(data, "host", a->host);
	if (e == OK)
		e = json_add_string(data, "serial", a->serial);
	if (e != OK) {
		cJSON_Delete(data);
		return e;
	}
	return audit_done(call->c, db, "revoked", data);
}

/* text[0]: the agent's id, for the loop. */
static enum err
work_revoke(struct call *call, struct db *db)
{
	struct agent_row a;
	cJSON *o;
	enum err e = store_agent_resolve(db, call->param, call->text[0]);

	if (e == ERR_NOTFOUND)
		return call_refuse(call, 404, "unknown-agent", "no agent has this id or host name");
	if (e == ERR_EXISTS)
		return call_refuse(
		    call, 409, "ambiguous", "several agents have this host name: give the id");
	if (e == OK)
		e = store_agent_get(db, call->text[0], &a);
	if (e == OK && !who_may_group(&call->who, a.group))
		return call_refuse(call, 404, "unknown-agent", "no agent has this id or host name");
	if (e == OK)
		e = store_agent_revoke(db, a.agent, clock_wall_ms());
	if (e == OK)
		e = record_revocation(call, db, &a);
	o = cJSON_CreateObject();
	if (e == OK)
		e = o == NULL ? ERR_NOMEM : json_add_string(o, "revoked", a.agent);
	if (e == OK)
		e = json_add_string(o, "serial", a.serial);
	if (e == OK)
		return call_json(call, 200, o);
	cJSON_Delete(o);
	return e;
}

static void
finish_revoke(struct call *call)
{
	char topic[WAITER_TOPIC];

	if (call->code != NULL)
		return;
	if (revoked_add(call->c->revoked, call->text[0]) != OK)
		log_error("revoke.memory", "agent=%s", call->text[0]);
	log_warn("agent.revoked", "agent=%s", call->text[0]);
	waiters_topic(topic, "agent", call->text[0]);
	(void)waiters_wake(call->c->waiters, topic); /* a held pull ends with a refusal */
	(void)waiters_wake(call->c->waiters, "events");
}

void
admin_agent_revoke(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_revoke, finish_revoke);
}
