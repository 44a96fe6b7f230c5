/* pieces.c - see pieces.h. */
#include "pieces.h"

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "os/file.h"
#include "proto/upload.h"
#include "store.h"
#include "update/hash_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err
answer_have(struct call *call, int status, uint64_t have)
{
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : json_add_u64(o, "have", have);

	if (e == OK && status >= 400) {
		(void)call_refuse(call, status, "wrong-offset", "%llu bytes are here",
		    (unsigned long long)have);
		e = json_add_string(o, "code", call->code);
	}
	if (e == OK) {
		call->problem_body = status >= 400;
		return call_json(call, status, o);
	}
	cJSON_Delete(o);
	return e;
}

/* All bytes are there: right, and it becomes the file; wrong, and it goes. */
static enum err
complete(struct call *call, const struct pieces *u, int fd, const char *part, const char *path)
{
	char hex[HASH_SHA256_TEXT];
	enum err e = hash_file(fd, 0, UINT64_MAX, hex, NULL);

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
	log_info("collected", "agent=%s path=%s bytes=%llu", call->peer.name, log_q(path),
	    (unsigned long long)u->total);
	return answer_have(call, 201, u->total);
}

static enum err
take_piece(struct call *call, const struct pieces *u, int fd, const char *part, const char *path)
{
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
		return complete(call, u, fd, part, path);
	return answer_have(call, 200, u->offset + call->body.len);
}

enum err
pieces_take(struct call *call, const struct pieces *p, const char *path, bool *whole)
{
	char part[STATE_PATH];
	enum err e = OK;
	int fd;

	*whole = true;
	if (file_exists(path))
		return answer_have(call, 201, p->total); /* stored once */
	if ((size_t)snprintf(part, sizeof(part), "%s.part", path) >= sizeof(part))
		return ERR_TOOBIG;
	fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_from_errno(errno);
	e = take_piece(call, p, fd, part, path);
	if (close(fd) != 0 && e == OK)
		e = ERR_IO;
	*whole = e == OK && call->status == 201;
	return e;
}

bool
pieces_read_query(struct http_req *req, struct pieces *p)
{
	const char *hex = http_query(req, "sha256");

	return hex != NULL && strspn(hex, "0123456789abcdef") == 64 &&
	       text_copy(p->sha256, sizeof(p->sha256), hex, strlen(hex)) == OK &&
	       http_query_u64(req, "offset", LIMIT_UPLOAD_BYTES, 0, &p->offset) == OK &&
	       http_query_u64(req, "total", LIMIT_UPLOAD_BYTES, UINT64_MAX, &p->total) == OK &&
	       p->total <= LIMIT_UPLOAD_BYTES && p->offset <= p->total;
}
