/* upload.c - PUT /v1/tasks/{id}/files/{name}: the files of a collect task, in pieces, resumable,
 * stored once (proto/upload.h). The database says whether the task is this agent's; the bytes are
 * written by a worker of their own, so that a large file delays neither events nor tasks. */
#include "proto/upload.h"
#include "agent_api.h"
#include "base/log.h"
#include "base/text.h"
#include "call.h"
#include "os/file.h"
#include "store.h"
#include "update/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct upload {
	char name[32], sha256[HASH_SHA256_TEXT];
	uint64_t offset, total;
};

/* ---- worker of files ---- */

static enum err
answer_have(struct call *call, int status, uint64_t have)
{
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : json_add_u64(o, "have", have);

	if (e == OK && status >= 400)
		e = json_add_string(o, "code", "wrong-offset");
	if (e == OK) {
		call->problem_body = status >= 400;
		return call_json(call, status, o);
	}
	cJSON_Delete(o);
	return e;
}

static enum err
hash_file(int fd, char hex[HASH_SHA256_TEXT])
{
	uint8_t piece[65536], sum[HASH_SHA256_LEN];
	struct hash h;
	ssize_t n;

	hash_init(&h, HASH_SHA256);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return ERR_IO;
	while ((n = read(fd, piece, sizeof(piece))) > 0)
		hash_update(&h, piece, (size_t)n);
	hash_final(&h, sum);
	text_hex(hex, sum, sizeof(sum));
	return n == 0 ? OK : ERR_IO;
}

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

/* All bytes are there: right, and it becomes the file; wrong, and it goes. */
static enum err
complete(struct call *call, int fd, const char *part, const char *path)
{
	const struct upload *u = call->extra;
	char hex[HASH_SHA256_TEXT];
	enum err e = hash_file(fd, hex);

	if (e != OK)
		return e;
	if (strcmp(hex, u->sha256) != 0) {
		(void)unlink(part);
		return call_refuse(
		    call, 422, "wrong-hash", "the file has the SHA-256 %s: begin again", hex);
	}
	e = file_sync(fd);
	if (e == OK && rename(part, path) != 0)
		e = err_from_errno(errno);
	if (e != OK)
		return e;
	log_info("collected", "agent=%s task=%s path=%s bytes=%llu", call->peer.name, call->param,
	    log_q(path), (unsigned long long)u->total);
	return answer_have(call, 201, u->total);
}

static enum err
take_piece(struct call *call, int fd, const char *part, const char *path)
{
	const struct upload *u = call->extra;
	struct stat st;
	enum err e = OK;

	if (fstat(fd, &st) != 0)
		return ERR_IO;
	if ((uint64_t)st.st_size != u->offset)
		return answer_have(call, call->body.len > 0 ? 409 : 200, (uint64_t)st.st_size);
	if (u->offset + call->body.len > u->total)
		return call_refuse(call, 400, "malformed", "the piece ends behind the total");
	if (lseek(fd, 0, SEEK_END) < 0)
		return ERR_IO;
	e = file_write_all(fd, call->body.data, call->body.len);
	if (e != OK)
		return e;
	if (u->offset + call->body.len == u->total)
		return complete(call, fd, part, path);
	return answer_have(call, 200, u->offset + call->body.len);
}

static enum err
work_write(struct call *call, struct db *db)
{
	const struct upload *u = call->extra;
	char path[STATE_PATH], part[STATE_PATH];
	enum err e = make_path(call, path);
	int fd;

	(void)db;
	if (e == OK && (size_t)snprintf(part, sizeof(part), "%s.part", path) >= sizeof(part))
		e = ERR_TOOBIG;
	if (e != OK)
		return e;
	if (file_exists(path))
		return answer_have(call, 201, u->total); /* stored once */
	fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_from_errno(errno);
	e = take_piece(call, fd, part, path);
	if (close(fd) != 0 && e == OK)
		e = ERR_IO;
	return e;
}

/* ---- worker of the database ---- */

static enum err
work_allowed(struct call *call, struct db *db)
{
	int64_t one;
	enum err e = db_number(db, &one,
	    "SELECT 1 FROM deliveries d JOIN tasks t ON t.id = d.task WHERE d.task = ? AND d.agent "
	    "= ?"
	    " AND t.type = 'collect'",
	    "tt", call->param, call->peer.name);

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
	const char *name = http_param(req, 1), *hex = http_query(req, "sha256");
	bool known = strcmp(name, UPLOAD_SYSTEM) == 0 || strcmp(name, UPLOAD_LOG) == 0;

	return known && text_copy(u->name, sizeof(u->name), name, strlen(name)) == OK &&
	       hex != NULL && strspn(hex, "0123456789abcdef") == 64 &&
	       text_copy(u->sha256, sizeof(u->sha256), hex, strlen(hex)) == OK &&
	       http_query_u64(req, "offset", LIMIT_UPLOAD_BYTES, 0, &u->offset) == OK &&
	       http_query_u64(req, "total", LIMIT_UPLOAD_BYTES, UINT64_MAX, &u->total) == OK &&
	       u->total <= LIMIT_UPLOAD_BYTES && u->offset <= u->total;
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
