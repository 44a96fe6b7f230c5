/* set_unpack.c - the members of a verified pack into the folder of a set. Two readings: first the
 * hashes of all members, then only those are written that no kept set has. */
#include "update/set_priv.h"

#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"
#include "update/hash.h"
#include "update/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct unpacking {
	struct building *x;
	const char *folder; /* of the pack's own path, "" at the top */
	struct fault *f;
	bool writing;
	struct set_manifest members;
	size_t at;          /* second pass: which member */
	struct hash hash;
	int fd;             /* -1: this member was linked */
	char to[SET_PATH];
};

static enum err
member_begin(void *arg, const char *name, uint64_t size)
{
	static const uint8_t later[SET_SHA];
	struct unpacking *u = arg;
	char path[SET_PATH], from[SET_PATH];
	const struct set_entry *m;
	int n = snprintf(path, sizeof path, "%s%s", u->folder, name);
	enum err e;

	u->fd = -1;
	hash_init(&u->hash, HASH_SHA256);
	if (n < 0 || (size_t)n >= sizeof path)
		return ERR_TOOBIG;
	if (set_canceled(u->x))
		return ERR_CANCELED;
	if (!u->writing)
		return set_manifest_add(&u->members, SET_FILE, path, size, later);
	m = &u->members.list[u->at];
	e = set_place(u->x, path, u->to, u->f);
	if (e != OK)
		return e;
	if (set_kept_source(u->x, m->sha256, m->size, from)) {
		e = set_link_or_copy(u->x, from, u->to, u->f);
		return e != OK ? e : set_add_member(u->x, path, size, m->sha256, true, u->f);
	}
	u->fd = open(u->to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (u->fd < 0)
		return set_bad_place(path, errno, u->f);
	return set_add_member(u->x, path, size, m->sha256, false, u->f);
}

static enum err
member_data(void *arg, const uint8_t *p, size_t n)
{
	struct unpacking *u = arg;

	if (!u->writing)
		hash_update(&u->hash, p, n);
	return u->fd < 0 ? OK : file_write_all(u->fd, p, n);
}

static enum err
member_end(void *arg)
{
	struct unpacking *u = arg;
	enum err e = OK;

	if (!u->writing)
		hash_final(&u->hash, u->members.list[u->members.count - 1].sha256);
	u->at++;
	if (u->fd < 0)
		return OK;
	if (fchmod(u->fd, 0644) != 0)
		e = err_from_errno(errno);
	if (e == OK)
		e = file_sync(u->fd);
	if (close(u->fd) != 0 && e == OK)
		e = err_from_errno(errno);
	u->fd = -1;
	return e;
}

static enum err
read_pack(struct unpacking *u, const char *path, struct fault *f)
{
	static const struct pack_sink sink = { member_begin, member_data, member_end };
	struct pack_reader *r = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint8_t *buf = malloc(SET_CHUNK);
	ssize_t n;
	enum err e;

	if (fd < 0) {
		free(buf);
		return fault_sys(f, errno, "cannot open %s", path);
	}
	u->at = 0;
	u->fd = -1;
	e = buf == NULL ? ERR_NOMEM :
	    pack_reader_new(&r, LIMIT_PACK_BYTES, LIMIT_SET_FILES, &sink, u);
	while (e == OK && (n = read(fd, buf, SET_CHUNK)) != 0) {
		if (n > 0)
			e = pack_reader_feed(r, buf, (size_t)n, f);
		else if (errno != EINTR)
			e = fault_sys(f, errno, "cannot read %s", path);
	}
	if (e == OK)
		e = pack_reader_end(r, f);
	if (u->fd >= 0)
		(void)close(u->fd);
	pack_reader_free(r);
	free(buf);
	(void)close(fd);
	return e == OK ? OK : fault_set(f, e, "cannot unpack %s: %s", path, err_text(e));
}

static enum err
unpack(struct building *x, const struct set_file *t, const char *pack, struct fault *f)
{
	struct unpacking u = { .x = x, .f = f, .folder = "" };
	char folder[SET_PATH];
	const char *slash = strrchr(t->path, '/');
	enum err e = OK;

	if (slash != NULL) {
		e = text_copy(folder, sizeof folder, t->path, (size_t)(slash - t->path) + 1);
		u.folder = folder;
	}
	if (e == OK)
		e = read_pack(&u, pack, f);
	u.writing = true;
	if (e == OK)
		e = read_pack(&u, pack, f);
	set_manifest_free(&u.members);
	return e;
}

enum err
set_put_pack(struct building *x, const struct set_file *t, struct fault *f)
{
	char from[SET_PATH], to[SET_PATH], hex[2 * SET_SHA + 1];
	bool kept;
	enum err e = set_target_source(x, t, from, &kept, f);

	text_hex(hex, t->sha256, SET_SHA);
	if (e == OK)
		e = file_join(to, sizeof to, x->meta, hex);
	if (e == OK)
		e = set_link_or_copy(x, from, to, f);
	return e != OK ? e : unpack(x, t, to, f);
}
