/* dropped.c - PUT /v1/dropbox/{name}: what mirrors found in their drop boxes. A file that its
 * sender has signed (proto/dropped.h) and that answers a collect task of that sender is filed
 * there, once, as if it had come over 2225; every other one stays apart, under the name of the
 * mirror that brought it: nobody vouches for it. */
#include "proto/dropped.h"
#include "agent_api.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "call.h"
#include "os/file.h"
#include "pieces.h"
#include "proto/upload.h"
#include "store.h"
#include "update/hash_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GRACE_MS (30ll * 86400 * 1000) /* how long a file may lie in boxes past its certificate */

struct box {
	struct pieces pieces;
	char *ca; /* the loop may renew its own copy meanwhile */
	char path[STATE_PATH];
	struct dropped sealed;
	size_t head;
	bool is_sealed, is_known;
};

static void
box_free(void *p)
{
	struct box *b = p;

	free(b->ca);
	free(b);
}

/* ---- worker of files ---- */

/* What one mirror may leave here: a stolen one must not fill the console's disk. */
static enum err
check_room(const char *dir, uint64_t more)
{
	uint64_t bytes = more, files = 0, free_bytes = 0, total = 0;
	DIR *d = opendir(dir);
	const struct dirent *de;
	struct stat st;

	if (d == NULL)
		return err_from_errno(errno);
	while ((de = readdir(d)) != NULL) {
		if (fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		bytes += (uint64_t)st.st_size;
		files++;
	}
	(void)closedir(d);
	if (file_disk(dir, &free_bytes, &total, NULL) != OK)
		return ERR_IO;
	if (bytes > LIMIT_DROPPED_BYTES || files >= LIMIT_DROPPED_FILES ||
	    free_bytes < LIMIT_DROPPED_FLOOR + more)
		return ERR_NOSPACE;
	return OK;
}

static enum err
make_path(struct call *call, struct box *b)
{
	char rel[256], dir[STATE_PATH];
	enum err e;

	(void)snprintf(rel, sizeof(rel), DIR_DROPPED "/%s", call->peer.name);
	e = options_path(call->c->o, rel, dir, NULL);
	if (e == OK)
		e = file_make_dirs(dir, 0700, NULL);
	if (e == OK)
		e = file_join(b->path, sizeof(b->path), dir, call->param);
	if (e == OK && b->pieces.offset == 0 && !file_exists(b->path))
		e = check_room(dir, b->pieces.total);
	return e;
}

static bool
is_sealed(struct call *call, struct box *b)
{
	struct pki_trust trust = { .ca_pem = b->ca, .expired_grace_ms = GRACE_MS };
	int fd = open(b->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char hex[HASH_SHA256_TEXT], start[DROPPED_HEAD_MAX];
	struct fault f = { 0 };
	struct stat st;
	ssize_t n = fd >= 0 ? read(fd, start, sizeof(start)) : -1;
	enum err e = n < 0 || fstat(fd, &st) != 0
			 ? ERR_IO
			 : dropped_open(&b->sealed, &b->head, start, (size_t)n, &trust,
			       call->c->o->org, clock_wall_ms(), &f);

	if (e == OK && strcmp(b->sealed.name, UPLOAD_SYSTEM) != 0 &&
	    strcmp(b->sealed.name, UPLOAD_LOG) != 0)
		e = fault_set(&f, ERR_DENIED, "no task brings a file of that name");
	if (e == OK)
		e = hash_file(fd, b->head, UINT64_MAX, hex, NULL);
	if (e == OK && ((uint64_t)st.st_size != b->head + b->sealed.size ||
			   strcmp(hex, b->sealed.sha256) != 0))
		e = fault_set(&f, ERR_AUTH, "its content is not what was signed");
	if (fd >= 0)
		(void)close(fd);
	if (e != OK)
		log_warn("dropbox.unverified", "mirror=%s file=%s why=%s", call->peer.name,
		    call->param, log_q(fault_text(&f)));
	return e == OK;
}

static enum err
work_store(struct call *call, struct db *db)
{
	struct box *b = call->extra;
	bool whole = false;
	enum err e = make_path(call, b);

	(void)db;
	if (e == OK)
		e = pieces_take(call, &b->pieces, b->path, &whole);
	b->is_sealed = e == OK && whole && is_sealed(call, b);
	return e;
}

static enum err
copy_tail(const struct box *b, const char *to)
{
	char piece[65536];
	int in = open(b->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	ssize_t n = -1;
	enum err e = in >= 0 && out >= 0 && lseek(in, (off_t)b->head, SEEK_SET) >= 0 ? OK : ERR_IO;

	while (e == OK && (n = read(in, piece, sizeof(piece))) > 0)
		e = file_write_all(out, piece, (size_t)n);
	if (e == OK && n < 0)
		e = ERR_IO;
	if (e == OK)
		e = file_sync(out);
	if (in >= 0)
		(void)close(in);
	if (out >= 0 && close(out) != 0 && e == OK)
		e = ERR_IO;
	return e;
}

/* Next to what came over 2225; the same file by both ways is one file. */
static enum err
work_file(struct call *call, struct db *db)
{
	const struct box *b = call->extra;
	char rel[256], dir[STATE_PATH], path[STATE_PATH], part[STATE_PATH];
	enum err e;

	(void)db;
	(void)snprintf(rel, sizeof(rel), DIR_COLLECTED "/%s/%s", b->sealed.agent, b->sealed.task);
	e = options_path(call->c->o, rel, dir, NULL);
	if (e == OK)
		e = file_make_dirs(dir, 0700, NULL);
	if (e == OK)
		e = file_join(path, sizeof(path), dir, b->sealed.name);
	if (e == OK && (size_t)snprintf(part, sizeof(part), "%s.box", path) >= sizeof(part))
		e = ERR_TOOBIG;
	if (e == OK && !file_exists(path)) {
		e = copy_tail(b, part);
		if (e == OK && rename(part, path) != 0)
			e = err_from_errno(errno);
		if (e == OK)
			e = file_sync_dir(dir, NULL);
	}
	if (e == OK && unlink(b->path) != 0)
		e = err_from_errno(errno);
	if (e == OK)
		log_info("collected", "agent=%s task=%s path=%s by=%s bytes=%llu", b->sealed.agent,
		    b->sealed.task, log_q(path), call->peer.name,
		    (unsigned long long)b->sealed.size);
	return e;
}

/* ---- worker of the database ---- */

static enum err
work_known(struct call *call, struct db *db)
{
	struct box *b = call->extra;
	enum err e = store_task_collects(db, b->sealed.task, b->sealed.agent);

	b->is_known = e == OK;
	if (e == ERR_NOTFOUND)
		log_warn("dropbox.unverified", "mirror=%s file=%s why=%s", call->peer.name,
		    call->param, log_q("no such task was sent to its sender"));
	return e == ERR_NOTFOUND ? OK : e;
}

/* ---- loop ---- */

static void
finish_known(struct call *call)
{
	if (((struct box *)call->extra)->is_known)
		call_start_files(call, work_file, NULL);
}

static void
finish_store(struct call *call)
{
	struct box *b = call->extra;

	if (!b->is_sealed)
		return;
	if (revoked_has(call->c->revoked, b->sealed.agent)) {
		log_warn("dropbox.unverified", "mirror=%s file=%s why=revoked", call->peer.name,
		    call->param);
		return;
	}
	call->moved = true;
	call_start(call, work_known, finish_known);
}

void
on_dropped(struct http_req *req, void *ctx)
{
	struct console *c = ctx;
	const char *name = http_param(req, 0);
	struct box *b = calloc(1, sizeof(*b));
	struct call *call;

	if (b == NULL || (b->ca = strdup(buf_text(&c->id.ca))) == NULL ||
	    !text_is_file_name(name, strlen(name)) || strlen(name) >= CALL_PARAM ||
	    text_ends(name, ".part") || !pieces_read_query(req, &b->pieces)) {
		if (b != NULL)
			box_free(b);
		http_problem(
		    req, 400, "malformed", "name, offset, total or sha256 is not as it must be");
		return;
	}
	call = call_new(c, req);
	if (call == NULL) {
		box_free(b);
		return;
	}
	call->extra = b;
	call->extra_free = box_free;
	call_start_files(call, work_store, finish_store);
}
