/* admin_send.c - POST /v1/tasks: an order becomes a signed envelope, is stored for every agent it
 * is for, and only then leaves: pushed to agents with a task port, kept for the pull of all. */
#include "admin_send.h"
#include "admin_api.h"
#include "audit.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "call.h"
#include "feed.h"
#include "os/rand.h"
#include "proto/envelope.h"
#include "push.h"
#include "store.h"
#include "task_view.h"

#include <stdlib.h>
#include <string.h>

static void
send_free(void *extra)
{
	struct send *s = extra;

	envelope_free(&s->envelope);
	buf_free(&s->text);
	free(s->agents);
	free(s);
}

enum err
send_new(struct call *call)
{
	call->extra = calloc(1, sizeof(struct send));
	call->extra_free = call->extra != NULL ? send_free : NULL;
	return call->extra != NULL ? OK : ERR_NOMEM;
}

/* "all" and host names become what an envelope may name. */
static enum err
resolve_target(struct db *db, const char *word, char target[STORE_GROUP + 8], struct fault *f)
{
	char agent[UUID_TEXT];
	enum err e;

	if (strcmp(word, "all") == 0)
		word = "*";
	if (strcmp(word, "*") == 0 || text_starts(word, "group:"))
		return text_copy(target, STORE_GROUP + 8, word, strlen(word));
	e = store_agent_resolve(db, word, agent);
	if (e == ERR_NOTFOUND)
		return fault_set(f, e, "no agent has the id or host name '%.80s'", word);
	if (e == ERR_EXISTS)
		return fault_set(f, ERR_NOTFOUND,
		    "several agents have the host name '%.80s': give the id", word);
	return e == OK ? text_copy(target, STORE_GROUP + 8, agent, strlen(agent)) : e;
}

static enum err
build(struct call *call, struct db *db, const cJSON *body, struct fault *f)
{
	struct send *s = call->extra;
	char target[STORE_GROUP + 8], id[UUID_TEXT];
	struct envelope_draft d = { .id = id,
		.agent = target,
		.issuer = call->c->o->name,
		.args = json_get(body, "args"),
		.not_before_ms = clock_wall_ms() };
	uint64_t life = call->c->o->task_life;
	const char *word, *life_text;
	enum err e = json_get_string(body, "target", &word, f);

	rand_uuid_v7(id);
	if (e == OK)
		e = json_get_string(body, "type", &d.type, f);
	if (e == OK)
		e = json_opt_string(body, "life", NULL, &life_text, f);
	if (e == OK)
		e = json_opt_bool(body, "draft", false, &s->draft, f);
	if (e != OK)
		return e;
	if (life_text != NULL && (text_duration_ms(life_text, strlen(life_text), &life) != OK ||
				     life == 0 || life > LIMIT_TASK_LIFE_S * 1000ull))
		return fault_set(f, ERR_INVAL, "'life' must be a duration up to 7d");
	if (d.args != NULL && !cJSON_IsObject(d.args))
		return fault_set(f, ERR_INVAL, "member 'args' must be an object");
	d.expires_ms = d.not_before_ms + (int64_t)life;
	e = resolve_target(db, word, target, f);
	if (e == OK)
		e = envelope_build(&s->envelope, &d, f);
	return e == OK ? envelope_sign(&s->envelope, call->c->id.task_key, f) : e;
}

/* An envelope that was drafted here and signed by others since. */
static enum err
take_envelope(struct call *call, cJSON *body, struct fault *f)
{
	struct send *s = call->extra;
	cJSON *tree = cJSON_DetachItemViaPointer(body, json_get(body, "envelope"));

	return envelope_from_tree(&s->envelope, tree, f);
}

/* Would an agent believe this? Asked here, so that the administrator hears it and not a thousand
 * logs. */
enum err
send_check(struct call *call, struct fault *f, enum envelope_refusal *r)
{
	struct send *s = call->extra;
	const char *target = s->envelope.agent;
	struct envelope_context ctx = { .now_ms = clock_wall_ms(), .skew_ms = 60000 };
	struct authority *a = NULL;
	struct buf bytes;
	enum err e;

	ctx.agent = target;
	ctx.group = text_starts(target, "group:") ? target + strlen("group:") : "";
	buf_init(&bytes, LIMIT_AUTHORITY_BYTES);
	e = feed_read(call->c->o, "authority.json", &bytes, f);
	if (e == OK)
		e = authority_parse(&a, buf_text(&bytes), bytes.len, f);
	if (e == OK)
		*r = envelope_verify(&s->envelope, a, &ctx, f);
	authority_free(a);
	buf_free(&bytes);
	return e;
}

static enum err
add_agent(void *arg, const struct agent_row *a)
{
	struct send *s = arg;

	if (s->n == s->cap) {
		size_t cap = s->cap * 2 + 8;
		void *more = realloc(s->agents, cap * sizeof(*s->agents));
		if (more == NULL)
			return ERR_NOMEM;
		s->agents = more;
		s->cap = cap;
	}
	s->agents[s->n++] = *a;
	return OK;
}

static enum err
store_all(struct call *call, struct db *db)
{
	struct send *s = call->extra;
	struct task_row row = { .id = s->envelope.id,
		.target = s->envelope.agent,
		.type = s->envelope.type,
		.envelope = buf_text(&s->text),
		.created = clock_wall_ms(),
		.not_before = s->envelope.not_before_ms,
		.expires = s->envelope.expires_ms };
	enum err e = store_task_add(db, &row);

	if (e == OK)
		e = store_agents_each(db, s->envelope.agent, add_agent, s);
	for (size_t i = 0; e == OK && i < s->n; i++)
		e = store_delivery_add(db, row.id, s->agents[i].agent, row.created);
	return e;
}

static enum err
record(struct call *call, struct db *db)
{
	const struct send *s = call->extra;
	cJSON *data = cJSON_CreateObject();
	enum err e = data == NULL ? ERR_NOMEM : json_add_string(data, "task", s->envelope.id);

	if (e == OK)
		e = json_add_string(data, "type", s->envelope.type);
	if (e == OK)
		e = json_add_string(data, "target", s->envelope.agent);
	if (e == OK)
		e = json_add_u64(data, "agents", s->n);
	if (e == OK)
		return audit_done(call->c, db, "task", data);
	cJSON_Delete(data);
	return e;
}

enum err
send_store(struct call *call, struct db *db, struct fault *f)
{
	const struct send *s = call->extra;
	enum err e = store_all(call, db);

	if (e == OK && s->n == 0)
		e = fault_set(
		    f, ERR_NOTFOUND, "no enrolled agent belongs to '%s'", s->envelope.agent);
	return e == OK ? record(call, db) : e;
}

enum err
send_within(struct call *call, struct db *db, bool *within)
{
	const struct send *s = call->extra;
	const cJSON *group = json_get(s->envelope.args, "group");
	enum err e = task_target_seen(db, who_scope(&call->who), s->envelope.agent, within);

	if (cJSON_IsString(group) && !who_may_group(&call->who, group->valuestring))
		*within = false; /* nobody moves a PC where he does not see it any more */
	if (e == OK && !*within)
		return call_refuse(call, 403, "outside-groups",
		    "the target is not within the groups of this user");
	return e;
}

static enum err
answer(struct call *call)
{
	const struct send *s = call->extra;
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "id", s->envelope.id);

	if (e == OK)
		e = json_add_string(o, "type", s->envelope.type);
	if (e == OK)
		e = json_add_string(o, "target", s->envelope.agent);
	if (e == OK)
		e = store_add_time(o, "expires", s->envelope.expires_ms);
	if (e == OK)
		e = json_add_u64(o, "agents", s->n);
	if (e == OK)
		return call_json(call, 201, o);
	cJSON_Delete(o);
	return e;
}

enum err
send_settle(struct call *call, enum err e, const struct fault *f)
{
	switch (e) {
	case ERR_PARSE:
	case ERR_INVAL:
	case ERR_TOOBIG:
		return call_refuse(call, 400, "malformed", "%s", fault_text(f));
	case ERR_NOTFOUND:
		return call_refuse(call, 404, "unknown-agent", "%s", fault_text(f));
	case ERR_EXISTS:
		return call_refuse(call, 409, "known-task", "a task with this id was sent already");
	default:
		return e;
	}
}

/* People at the web console find others who sign; a program of 2226 hears that they are missing. */
static bool
may_wait(const struct call *call, enum envelope_refusal r)
{
	return (r == ENVELOPE_THRESHOLD || r == ENVELOPE_BAD_SIGNATURE) &&
	       strcmp(call->who.name, WHO_TOKEN_NAME) != 0;
}

static enum err
order(struct call *call, struct db *db, cJSON *body, struct fault *f)
{
	struct send *s = call->extra;
	enum envelope_refusal r = ENVELOPE_OK;
	bool within = false;
	enum err e = json_get(body, "envelope") != NULL ? take_envelope(call, body, f)
							: build(call, db, body, f);

	buf_init(&s->text, LIMIT_TASK_BYTES);
	if (e == OK)
		e = envelope_write(&s->envelope, &s->text);
	if (e == OK && s->draft)
		return buf_append(&call->out, s->text.data, s->text.len);
	if (e == OK)
		e = send_within(call, db, &within);
	if (e != OK || !within)
		return e;
	e = send_check(call, f, &r);
	if (e == OK && may_wait(call, r))
		return send_wait(call, db);
	if (e == OK && r != ENVELOPE_OK)
		return call_refuse(call, 422, envelope_code(r), "%s", fault_text(f));
	if (e == OK)
		e = send_store(call, db, f);
	if (e == OK)
		e = task_person(db, s->envelope.id, "created", "", call->who.name, clock_wall_ms());
	return e == OK ? answer(call) : e;
}

static enum err
work_send(struct call *call, struct db *db)
{
	struct fault f = { 0 };
	cJSON *body = NULL;
	enum err e = json_parse(&body, buf_text(&call->body), call->body.len, JSON_SIGNED, &f);

	if (e == OK)
		e = db_run(db, "SAVEPOINT order_", "");
	if (e == OK) {
		e = send_settle(call, order(call, db, body, &f), &f);
		if (e == OK && call->code != NULL) /* what a refused order stored goes again */
			e = db_run(db, "ROLLBACK TO order_", "");
		if (e == OK)
			e = db_run(db, "RELEASE order_", "");
	} else {
		e = send_settle(call, e, &f);
	}
	cJSON_Delete(body);
	return e;
}

/* For many agents at once a held pull is quicker than a handshake with each: only the others are
 * pushed to. For few the push goes first, so that the direct way is used where there is one. */
#define PUSH_ALWAYS 32

void
send_out(struct call *call)
{
	struct send *s = call->extra;
	struct console *c = call->c;
	char topic[WAITER_TOPIC];

	if (call->code != NULL || s->draft)
		return;
	waiters_topic(topic, "task", s->envelope.id);
	(void)waiters_wake(c->waiters, topic);
	if (s->waits)
		return;
	log_info("task.sent", "task=%s type=%s target=%s agents=%zu", s->envelope.id,
	    s->envelope.type, s->envelope.agent, s->n);
	for (size_t i = 0; i < s->n; i++) {
		const struct agent_row *a = &s->agents[i];

		waiters_topic(topic, "agent", a->agent);
		if (a->task_port == 0 || a->address[0] == '\0' ||
		    (s->n > PUSH_ALWAYS && waiters_has(c->waiters, topic)))
			(void)waiters_wake(c->waiters, topic);
		else
			push_send(c->push, a, s->envelope.id, buf_text(&s->text));
	}
	(void)waiters_wake(c->waiters, "events");
}

void
admin_task_send(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call == NULL)
		return;
	if (send_new(call) != OK)
		call_fail(call);
	else
		call_start(call, work_send, send_out);
}
