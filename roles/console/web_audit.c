/* web_audit.c - the trail of changes, for people. */
#include "base/text.h"
#include "trail.h"
#include "web_routes.h"

#include <string.h>

#define ENTRIES_MAX 1000

static enum err
work_list(struct call *call, struct db *db)
{
	struct trail_query q = { .before = (int64_t)call->after,
		.limit = call->limit,
		.user = call->text[0],
		.action = call->text[1] };
	cJSON *list;
	enum err e = trail_list(db, &q, &list);

	return e == OK ? web_answer_list(call, "entries", list) : e;
}

void
web_audit(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);
	const char *user = http_query(req, "user"), *action = http_query(req, "action");

	if (call == NULL)
		return;
	if (http_query_u64(req, "before", JSON_MAX_INT, 0, &call->after) != OK)
		call->after = 0;
	if (http_query_u64(req, "limit", ENTRIES_MAX, 100, &call->limit) != OK)
		call->limit = ENTRIES_MAX;
	if (user != NULL)
		(void)!text_copy(call->text[0], CALL_PARAM, user, strlen(user));
	if (action != NULL)
		(void)!text_copy(call->text[1], CALL_PARAM, action, strlen(action));
	call_start(call, work_list, NULL);
}

static enum err
work_verify(struct call *call, struct db *db)
{
	cJSON *o = NULL;
	enum err e = trail_verify(db, &o);

	if (e == OK)
		return call_json(call, 200, o);
	cJSON_Delete(o);
	return e;
}

void
web_audit_verify(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_verify, NULL);
}
