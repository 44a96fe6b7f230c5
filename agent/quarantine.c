/* quarantine.c - taking files into the vault and giving them back. Names on the way:
 *   <id>.new    being taken      <id>    taken      <id>.gone    being removed after a restore
 * The file's own folder is opened without following a link, and every step works on descriptors. */
#include "quarantine.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "os/file.h"
#include "os/rand.h"
#include "quarantine_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct quarantine {
	int dir;
};

struct take {
	struct quarantine *q;
	const struct quarantine_request *r;
	char id[UUID_TEXT], work[UUID_TEXT + 8];
	struct vault_place from; /* where the file is */
	struct stat st;
	int fd, item; /* the file; the vault's folder for it */
	char sha256[VAULT_SHA256];
};

static enum err
check_file(struct take *t, struct fault *f)
{
	const char *path = t->r->path;

	if (fstat(t->fd, &t->st) != 0)
		return fault_sys(f, errno, "%.200s cannot be looked at", path);
	if (!S_ISREG(t->st.st_mode))
		return fault_set(f, ERR_STATE, "%.200s is no regular file", path);
	if (t->st.st_nlink != 1)
		return fault_set(f, ERR_STATE,
		    "%.200s has %lu names; removing one would leave the others", path,
		    (unsigned long)t->st.st_nlink);
	if ((t->r->dev != 0 || t->r->ino != 0) &&
	    ((uint64_t)t->st.st_dev != t->r->dev || (uint64_t)t->st.st_ino != t->r->ino))
		return fault_set(f, ERR_STATE, "%.200s is another file now", path);
	return OK;
}

static enum err
open_file(struct take *t, struct fault *f)
{
	enum err e = vault_place_open(&t->from, t->r->path, f);

	if (e != OK)
		return e;
	t->fd = openat(t->from.dir, t->from.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (t->fd < 0)
		return errno == ELOOP ? fault_set(f, ERR_STATE, "%.200s is a link", t->r->path)
				      : fault_sys(f, errno, "%.200s cannot be opened", t->r->path);
	return check_file(t, f);
}

static enum err
write_meta(struct take *t, const char *how, struct fault *f)
{
	char time[CLOCK_TEXT];
	struct buf b;
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "id", t->id);

	clock_format(time, clock_wall_ms());
	if (e == OK)
		e = vault_add_path(o, t->r->path);
	if (e == OK)
		e = json_add_string(o, "signature", t->r->signature != NULL ? t->r->signature : "");
	if (e == OK && t->r->task != NULL)
		e = json_add_string(o, "task", t->r->task);
	if (e == OK)
		e = json_add_string(o, "taken", time);
	if (e == OK)
		e = json_add_string(o, "how", how);
	if (e == OK)
		e = json_add_string(o, "sha256", t->sha256);
	if (e == OK)
		e = vault_add_stat(o, &t->st);
	buf_init(&b, VAULT_META_MAX);
	if (e == OK)
		e = json_print_pretty(o, &b);
	cJSON_Delete(o);
	if (e == OK)
		e = file_replace_at(t->item, "meta.json", b.data, b.len, 0600, f);
	if (e == OK)
		e = file_sync(t->item);
	buf_free(&b);
	return e == OK ? OK : fault_set(f, e, "the vault cannot be written");
}

/* The name may have been given to another file since it was opened: then that one goes back. */
static enum err
move_in(struct take *t, struct fault *f)
{
	struct stat now;

	if (renameat(t->from.dir, t->from.name, t->item, "file") != 0)
		return errno == EXDEV ? ERR_UNSUPPORTED
				      : fault_sys(f, errno, "%.200s cannot be moved", t->r->path);
	if (fstatat(t->item, "file", &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	    now.st_ino == t->st.st_ino && now.st_dev == t->st.st_dev)
		return OK;
	if (linkat(t->item, "file", t->from.dir, t->from.name, 0) == 0)
		(void)unlinkat(t->item, "file", 0);
	return fault_set(f, ERR_STATE, "%.200s was exchanged while it was taken", t->r->path);
}

static enum err
copy_in(struct take *t, struct fault *f)
{
	struct stat now;
	enum err e = write_meta(t, "copy", f);

	if (e == OK)
		e = vault_copy(t->fd, t->item, "file", 0600, f);
	if (e != OK)
		return e;
	if (fstatat(t->from.dir, t->from.name, &now, AT_SYMLINK_NOFOLLOW) != 0 ||
	    now.st_ino != t->st.st_ino || now.st_dev != t->st.st_dev)
		return fault_set(
		    f, ERR_STATE, "%.200s was exchanged while it was taken", t->r->path);
	if (unlinkat(t->from.dir, t->from.name, 0) != 0)
		return fault_sys(f, errno, "%.200s cannot be removed", t->r->path);
	return OK;
}

static enum err
take_in(struct take *t, struct fault *f)
{
	enum err e = vault_hash(t->fd, t->sha256, f);

	if (e == OK)
		e = write_meta(t, "rename", f);
	if (e == OK)
		e = move_in(t, f);
	if (e == ERR_UNSUPPORTED)
		e = copy_in(t, f);
	if (e == OK) /* best effort: the vault's own mode keeps others out */
		if (fchmodat(t->item, "file", 0600, 0) != 0)
			log_debug("quarantine.mode", "id=%s", t->id);
	if (e == OK)
		e = file_sync(t->item);
	if (e == OK)
		e = file_sync(t->from.dir);
	if (e == OK && renameat(t->q->dir, t->work, t->q->dir, t->id) != 0)
		e = fault_sys(f, errno, "the vault cannot be written");
	return e == OK ? file_sync(t->q->dir) : e;
}

static void
close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

enum err
quarantine_take(
    struct quarantine *q, const struct quarantine_request *r, char id[UUID_TEXT], struct fault *f)
{
	struct take t = { .q = q, .r = r, .from = { .dir = -1 }, .fd = -1, .item = -1 };
	enum err e;

	rand_uuid_v7(t.id);
	(void)snprintf(t.work, sizeof t.work, "%s.new", t.id);
	e = open_file(&t, f);
	if (e == OK && mkdirat(q->dir, t.work, 0700) != 0)
		e = fault_sys(f, errno, "the vault cannot be written");
	if (e == OK) {
		t.item = openat(q->dir, t.work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		e = t.item < 0 ? fault_sys(f, errno, "the vault cannot be opened") : take_in(&t, f);
		/* What is not complete is looked at again: it may hold the only copy. */
		if (e != OK)
			vault_settle(q->dir, t.work);
	}
	close_fd(t.fd);
	close_fd(t.item);
	vault_place_close(&t.from);
	if (e == OK)
		memcpy(id, t.id, UUID_TEXT);
	return e;
}

/* --- restore --- */

static bool
same_file(int fd, const struct vault_place *p)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstatat(p->dir, p->name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static enum err
put_back(int item, const struct vault_meta *m, struct fault *f)
{
	struct vault_place to = { .dir = -1 };
	int fd = openat(item, "file", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	enum err e = fd < 0 ? fault_sys(f, errno, "the vault's file cannot be opened")
			    : vault_place_open(&to, m->path, f);

	if (e == OK && linkat(item, "file", to.dir, to.name, 0) == 0)
		vault_old_mode(fd, m);
	else if (e == OK && errno == EXDEV)
		e = vault_copy_back(fd, &to, m, f);
	else if (e == OK && errno == EEXIST && same_file(fd, &to))
		vault_old_mode(fd, m); /* a crash came between this and the end */
	else if (e == OK)
		e = errno == EEXIST
			? fault_set(f, ERR_EXISTS, "%.200s exists; move it away first", m->path)
			: fault_sys(f, errno, "%.200s cannot be restored", m->path);
	if (e == OK)
		e = file_sync(to.dir);
	close_fd(fd);
	vault_place_close(&to);
	return e;
}

enum err
quarantine_restore(struct quarantine *q, const char *id, struct fault *f)
{
	char gone[UUID_TEXT + 8];
	struct vault_meta m;
	int item;
	enum err e;

	if (!text_is_uuid(id, strlen(id)))
		return fault_set(f, ERR_NOTFOUND, "'%.60s' is no id of the vault", id);
	item = openat(q->dir, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (item < 0)
		return fault_set(f, ERR_NOTFOUND, "the vault holds no %s", id);
	e = vault_meta_read(item, &m, f);
	if (e == OK)
		e = put_back(item, &m, f);
	vault_meta_free(&m);
	(void)close(item);
	if (e != OK)
		return e;
	(void)snprintf(gone, sizeof gone, "%s.gone", id);
	if (renameat(q->dir, id, q->dir, gone) != 0)
		return fault_sys(f, errno, "the vault cannot be written");
	return file_remove_tree(q->dir, gone, f);
}

enum err
quarantine_open(struct quarantine **out, const char *state, struct fault *f)
{
	struct quarantine *q = calloc(1, sizeof *q);
	char path[LIMIT_STATE_PATH + 32];
	enum err e = file_join(path, sizeof path, state, "quarantine");

	*out = NULL;
	if (q == NULL)
		return fault_set(f, ERR_NOMEM, "memory ran out");
	q->dir = -1;
	if (e == OK)
		e = file_make_dirs(path, 0700, f);
	if (e == OK) {
		q->dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		e = q->dir < 0 ? fault_sys(f, errno, "%s cannot be opened", path) : OK;
	}
	if (e == OK && fchmod(q->dir, 0700) != 0)
		e = fault_sys(f, errno, "%s cannot be closed to others", path);
	if (e == OK)
		e = vault_settle_all(q->dir, f);
	if (e != OK) {
		quarantine_close(q);
		return e;
	}
	*out = q;
	return OK;
}

void
quarantine_close(struct quarantine *q)
{
	if (q == NULL)
		return;
	close_fd(q->dir);
	free(q);
}

enum err
quarantine_find(struct quarantine *q, const char *id, cJSON **meta, struct fault *f)
{
	return vault_find(q->dir, id, meta, f);
}

enum err
quarantine_list(struct quarantine *q, cJSON **out, struct fault *f)
{
	return vault_list(q->dir, out, f);
}
