#include "admin_api.h"
#include "audit.h"
#include "base/log.h"
#include "base/text.h"
#include "call.h"
#include "feed.h"
#include "proto/authority.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Wrong input is the caller's to correct; everything else is ours. */
static enum err
settle(struct call *call, enum err e, const struct fault *f)
{
	switch (e) {
	case ERR_PARSE:
	case ERR_INVAL:
	case ERR_TOOBIG:
	case ERR_VERIFY:
	case ERR_AUTH:
	case ERR_STATE:
		return call_refuse(call, 422, "refused", "%s", fault_text(f));
	case ERR_NOTFOUND:
		return call_refuse(call, 404, "not-found", "%s",
		    f->text[0] != '\0' ? fault_text(f) : "there is no such document");
	case ERR_NOMEM:
	case ERR_NOSPACE:
	case OK:
		return e;
	default:
		return call_refuse(call, 500, "publish-failed", "%s", fault_text(f));
	}
}

static enum err
read_out(struct call *call, const char *name)
{
	struct fault f = { 0 };

	return settle(call, feed_read(call->c->o, name, &call->out, &f), &f);
}

/* A user who is limited to groups reads the default and changes the files of his groups. */
static bool
may_touch(const struct call *call, bool reads)
{
	char group[65];
	size_t n = strlen(call->param), around = strlen("group/") + strlen(".json");

	if (call->who.scope[0] == '\0' || (reads && strcmp(call->param, "default.json") == 0))
		return true;
	return n > around &&
	       text_copy(group, sizeof(group), call->param + strlen("group/"), n - around) == OK &&
	       who_may_group(&call->who, group);
}

static enum err
refuse_group(struct call *call)
{
	return call_refuse(
	    call, 403, "outside-groups", "this policy is not of a group of this user");
}

static enum err
work_get(struct call *call, struct db *db)
{
	(void)db;
	if (!may_touch(call, true))
		return refuse_group(call);
	if (!feed_is_policy_name(call->param))
		return call_refuse(
		    call, 404, "not-found", "a policy is default.json or group/NAME.json");
	return read_out(call, call->param);
}

static enum err
answer_version(struct call *call, uint64_t version)
{
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "policy", call->param);

	if (e == OK)
		e = json_add_u64(o, "version", version);
	if (e == OK)
		return call_json(call, 200, o);
	cJSON_Delete(o);
	return e;
}

static enum err
work_put(struct call *call, struct db *db)
{
	struct fault f = { 0 };
	uint64_t version;
	cJSON *o;
	enum err e;

	if (!may_touch(call, false))
		return refuse_group(call);
	e = feed_put_policy(
	    call->c->feed, call->param, buf_text(&call->body), call->body.len, &version, &f);

	(void)db;
	if (e != OK)
		return settle(call, e, &f);
	log_info(
	    "policy.published", "name=%s version=%llu", call->param, (unsigned long long)version);
	e = feed_answer(call->param, buf_text(&call->body), call->body.len, version, &o);
	return e == OK ? call_json(call, 200, o) : e;
}

static enum err
work_delete(struct call *call, struct db *db)
{
	struct fault f = { 0 };
	uint64_t version;
	enum err e;

	(void)db;
	if (!may_touch(call, false))
		return refuse_group(call);
	if (strcmp(call->param, "default.json") == 0)
		return call_refuse(
		    call, 422, "refused", "default.json stays; publish {} to empty it");
	e = feed_put_policy(call->c->feed, call->param, NULL, 0, &version, &f);
	return e == OK ? answer_version(call, version) : settle(call, e, &f);
}

static enum err
work_authority(struct call *call, struct db *db)
{
	(void)db;
	return read_out(call, "authority.json");
}

static enum err
answer_signatures(struct call *call, uint32_t have, uint32_t need)
{
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : json_add_u64(o, "signatures", have);

	if (e == OK)
		e = json_add_u64(o, "needed", need);
	if (e == OK)
		e = json_add_bool(o, "published", need > 0 && have >= need);
	if (e == OK)
		return call_json(call, 200, o);
	cJSON_Delete(o);
	return e;
}

static enum err
work_stage(struct call *call, struct db *db)
{
	struct fault f = { 0 };
	uint32_t have, need;
	enum err e = feed_stage_authority(
	    call->c->feed, buf_text(&call->body), call->body.len, &have, &need, &f);

	(void)db;
	if (e == OK)
		e = feed_export_authority(call->c->feed, &call->out, &f);
	return settle(call, e, &f);
}

static enum err
work_staged(struct call *call, struct db *db)
{
	struct fault f = { 0 };

	(void)db;
	return settle(call, feed_export_authority(call->c->feed, &call->out, &f), &f);
}

static enum err
work_sign(struct call *call, struct db *db)
{
	struct fault f = { 0 };
	uint32_t have, need;
	enum err e = feed_import_authority(
	    call->c->feed, buf_text(&call->body), call->body.len, &have, &need, &f);

	(void)db;
	if (e != OK)
		return settle(call, e, &f);
	call->last = have >= need; /* for the event */
	log_warn("authority.signed", "signatures=%u needed=%u", have, need);
	return answer_signatures(call, have, need);
}

static void
start(struct http_req *req, void *ctx, enum err (*work)(struct call *, struct db *))
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start_feed(call, work, NULL);
}

/* ---- what was changed becomes an event: the policies worker has no database ---- */

struct note {
	struct job job;
	struct console *c;
	const char *done; /* "policy", "authority" */
	char name[CALL_PARAM];
};

static enum err
note_run(struct job *job, void *ctx)
{
	struct note *n = (struct note *)job;
	cJSON *data = cJSON_CreateObject();
	enum err e = data == NULL ? ERR_NOMEM : json_add_string(data, "name", n->name);

	if (e == OK)
		return audit_done(n->c, ctx, n->done, data);
	cJSON_Delete(data);
	return e;
}

static void
note_done(struct job *job, enum err result)
{
	struct note *n = (struct note *)job;

	if (result == OK)
		(void)waiters_wake(n->c->waiters, "events");
	free(n);
}

static void
note(const struct call *call, const char *done, const char *name)
{
	struct note *n = call->code == NULL ? calloc(1, sizeof(*n)) : NULL;

	if (n == NULL)
		return;
	n->job.run = note_run;
	n->job.done = note_done;
	n->c = call->c;
	n->done = done;
	(void)snprintf(n->name, sizeof(n->name), "%s", name);
	work_add(&call->c->db_work, &n->job);
}

static void
finish_policy(struct call *call)
{
	note(call, "policy", call->param);
}

static void
finish_authority(struct call *call)
{
	note(call, "authority",
	    call->status == 200 && call->last ? "published" : "staged or signed");
}

static void
start_change(struct http_req *req, void *ctx, enum err (*work)(struct call *, struct db *),
    void (*finish)(struct call *))
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start_feed(call, work, finish);
}

void
admin_policy_get(struct http_req *req, void *ctx)
{
	start(req, ctx, work_get);
}

void
admin_policy_put(struct http_req *req, void *ctx)
{
	start_change(req, ctx, work_put, finish_policy);
}

void
admin_policy_delete(struct http_req *req, void *ctx)
{
	start_change(req, ctx, work_delete, finish_policy);
}

void
admin_authority_get(struct http_req *req, void *ctx)
{
	start(req, ctx, work_authority);
}

void
admin_authority_put(struct http_req *req, void *ctx)
{
	start_change(req, ctx, work_stage, finish_authority);
}

void
admin_authority_staged(struct http_req *req, void *ctx)
{
	start(req, ctx, work_staged);
}

void
admin_authority_sign(struct http_req *req, void *ctx)
{
	start_change(req, ctx, work_sign, finish_authority);
}
