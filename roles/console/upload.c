/* upload.c - PUT /v1/tasks/{id}/files/{name}: the files of a collect task, in pieces, resumable,
 * stored once (proto/upload.h). The database says whether the task is this agent's; the bytes are
 * written by a worker of their own, so that a large file delays neither events nor tasks. */
#include "proto/upload.h"
#include "agent_api.h"
#include "base/text.h"
#include "call.h"
#include "os/file.h"
#include "pieces.h"
#include "store.h"

#include <stdlib.h>
#include <string.h>

struct upload {
	char name[32];
	struct pieces pieces;
};

/* ---- worker of files ---- */

/* collected/<agent>/<task>/<name>, made when absent. */
static enum err
make_path(struct call *call, char path[STATE_PATH])
{
	const struct upload *u = call->extra;
	struct buf rel;
	char dir[STATE_PATH];
	enum err e;

	buf_init(&rel, 256);
	e = buf_printf(&rel, DIR_COLLECTED "/%s/%s", call->peer.name, call->param);
	if (e == OK)
		e = options_path(call->c->o, buf_text(&rel), dir, NULL);
	buf_free(&rel);
	if (e == OK)
		e = file_make_dirs(dir, 0700, NULL);
	return e == OK ? file_join(path, STATE_PATH, dir, u->name) : e;
}

static enum err
work_write(struct call *call, struct db *db)
{
	const struct upload *u = call->extra;
	char path[STATE_PATH];
	bool whole;
	enum err e = make_path(call, path);

	(void)db;
	return e == OK ? pieces_take(call, &u->pieces, path, &whole) : e;
}

/* ---- worker of the database ---- */

static enum err
work_allowed(struct call *call, struct db *db)
{
	enum err e = store_task_collects(db, call->param, call->peer.name);

	if (e == ERR_NOTFOUND)
		return call_refuse(
		    call, 404, "unknown-task", "no such task was sent to this agent");
	return e;
}

static void
finish_allowed(struct call *call)
{
	if (call->code == NULL)
		call_start_files(call, work_write, NULL);
}

static bool
read_query(struct http_req *req, struct upload *u)
{
	const char *name = http_param(req, 1);
	bool known = strcmp(name, UPLOAD_SYSTEM) == 0 || strcmp(name, UPLOAD_LOG) == 0;

	return known && text_copy(u->name, sizeof(u->name), name, strlen(name)) == OK &&
	       pieces_read_query(req, &u->pieces);
}

void
on_upload(struct http_req *req, void *ctx)
{
	struct upload *u = calloc(1, sizeof(*u));
	struct call *call;

	if (u == NULL || !read_query(req, u)) {
		free(u);
		http_problem(
		    req, 400, "malformed", "name, offset, total or sha256 is not as it must be");
		return;
	}
	call = call_new(ctx, req);
	if (call == NULL) {
		free(u);
		return;
	}
	call->extra = u;
	call->extra_free = free;
	if (!text_is_uuid(call->param, strlen(call->param)))
		call->param[0] = '\0'; /* no such task */
	call_start(call, work_allowed, finish_allowed);
}
