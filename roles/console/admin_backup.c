#include "admin_api.h"
#include "backup.h"
#include "base/json.h"
#include "base/log.h"
#include "call.h"

/* On the policies worker: no publication runs meanwhile. */
static enum err
work_backup(struct call *call, struct db *db)
{
	struct fault f = { 0 };
	cJSON *body = NULL;
	const char *path;
	enum err e = json_parse(&body, buf_text(&call->body), call->body.len, JSON_SIGNED, &f);

	(void)db;
	if (e == OK)
		e = json_get_string(body, "path", &path, &f);
	if (e == OK && path[0] != '/')
		e = fault_set(&f, ERR_INVAL, "member 'path' must be absolute");
	if (e != OK)
		e = call_refuse(call, 400, "malformed", "%s", fault_text(&f));
	else if (backup_write(call->c->o, path, &f) != OK)
		e = call_refuse(call, 500, "backup-failed", "%s", fault_text(&f));
	else
		log_info("backup", "path=%s", log_q(path));
	cJSON_Delete(body);
	return e;
}

void
admin_backup(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start_feed(call, work_backup, NULL);
}
