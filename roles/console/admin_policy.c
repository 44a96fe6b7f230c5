#include "admin_api.h"
#include "audit.h"
#include "base/log.h"
#include "base/text.h"
#include "call.h"
#include "feed.h"
#include "proto/authority.h"
#include "trail.h"

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

/* ---- a change: a row in the trail that says what is about to happen, the change itself where
 * there is no database, then its outcome and its event. Nothing is published that the trail does
 * not know of, whatever dies in between. ---- */

struct change {
	enum err (*run)(struct call *call, struct db *db);
	const char *event;
	bool by_group; /* users who are limited may change what is their groups' */
};

static enum err
work_begin(struct call *call, struct db *db)
{
	const struct change *x = call->extra;
	enum err e;

	if (x->by_group && !may_touch(call, false))
		return refuse_group(call);
	call->status = TRAIL_BEGUN;
	e = trail_call(call, db);
	call->status = 0;
	return e;
}

/* With the row of the outcome, which on_run of call.c writes. */
static enum err
work_tell(struct call *call, struct db *db)
{
	const struct change *x = call->extra;
	const char *name = call->param[0] != '\0' ? call->param
			   : call->last		  ? "published"
						  : "staged or signed";
	cJSON *data;
	enum err e;

	if (call->code != NULL)
		return OK;
	data = cJSON_CreateObject();
	e = data == NULL ? ERR_NOMEM : json_add_string(data, "name", name);
	if (e == OK)
		return audit_done(call->c, db, x->event, data);
	cJSON_Delete(data);
	return e;
}

static void
finish_told(struct call *call)
{
	if (call->code == NULL)
		(void)waiters_wake(call->c->waiters, "events");
}

static void
finish_changed(struct call *call)
{
	call->trailed = false;
	call_next(call, &call->c->db_work, work_tell, finish_told);
}

static void
finish_begun(struct call *call)
{
	const struct change *x = call->extra;

	if (call->code == NULL)
		call_next(call, &call->c->feed_work, x->run, finish_changed);
}

static void
start_change(struct http_req *req, void *ctx, const struct change *x)
{
	struct call *call = call_new(ctx, req);

	if (call == NULL)
		return;
	call->extra = (void *)(uintptr_t)x;
	call_start(call, work_begin, finish_begun);
}

static const struct change put_policy = { work_put, "policy", true };
static const struct change delete_policy = { work_delete, "policy", true };
static const struct change stage_authority = { work_stage, "authority", false };
static const struct change sign_authority = { work_sign, "authority", false };

void
admin_policy_get(struct http_req *req, void *ctx)
{
	start(req, ctx, work_get);
}

void
admin_policy_put(struct http_req *req, void *ctx)
{
	start_change(req, ctx, &put_policy);
}

void
admin_policy_delete(struct http_req *req, void *ctx)
{
	start_change(req, ctx, &delete_policy);
}

void
admin_authority_get(struct http_req *req, void *ctx)
{
	start(req, ctx, work_authority);
}

void
admin_authority_put(struct http_req *req, void *ctx)
{
	start_change(req, ctx, &stage_authority);
}

void
admin_authority_staged(struct http_req *req, void *ctx)
{
	start(req, ctx, work_staged);
}

void
admin_authority_sign(struct http_req *req, void *ctx)
{
	start_change(req, ctx, &sign_authority);
}
