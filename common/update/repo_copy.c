/* repo_copy.c - a copy of what is public in another folder, in the order that readers need. */
#include "update/repo_priv.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (256u << 10)
#define DEPTH 64

static enum err
copy_fd(int in, int out)
{
	uint8_t *buf = malloc(CHUNK);
	ssize_t n;
	enum err e = buf != NULL ? OK : ERR_NOMEM;

	while (e == OK && (n = read(in, buf, CHUNK)) != 0) {
		if (n > 0)
			e = file_write_all(out, buf, (size_t)n);
		else if (errno != EINTR)
			e = err_from_errno(errno);
	}
	free(buf);
	return e == OK ? file_sync(out) : e;
}

/* Open to readers, whatever the umask: often another user serves it. */
static enum err
make_folder(const char *path, struct fault *f)
{
	struct stat st;
	enum err e = file_make_dirs(path, 0755, f);

	if (e == OK && stat(path, &st) == 0 && st.st_uid == geteuid() && chmod(path, 0755) != 0)
		e = fault_sys(f, errno, "cannot open %s to readers", path);
	return e;
}

static enum err
copy_as(const char *from, const char *tmp, struct fault *f)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	enum err e;

	if (in < 0)
		return fault_sys(f, errno, "cannot open %s", from);
	out = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (out < 0) {
		e = fault_sys(f, errno, "cannot make %s", tmp);
		(void)close(in);
		return e;
	}
	e = copy_fd(in, out);
	if (close(out) != 0 && e == OK)
		e = err_from_errno(errno);
	(void)close(in);
	return e == OK ? OK : fault_set(f, e, "cannot copy %s: %s", from, err_text(e));
}

/* from -> to under a temporary name first; the folder is fsynced by the caller. */
static enum err
place(const char *from, const char *to, bool may_link, struct fault *f)
{
	char tmp[REPO_PATH];
	int n = snprintf(tmp, sizeof tmp, "%s.tmp", to);
	enum err e = OK;

	if (n < 0 || (size_t)n >= sizeof tmp)
		return fault_set(f, ERR_TOOBIG, "the path %s is too long", to);
	(void)unlink(tmp);
	if (!may_link || link(from, tmp) != 0)
		e = copy_as(from, tmp, f);
	if (e == OK && chmod(tmp, 0644) != 0) /* whatever the umask: it is served to anybody */
		e = fault_sys(f, errno, "cannot open %s to readers", tmp);
	if (e == OK && rename(tmp, to) != 0)
		e = fault_sys(f, errno, "cannot rename %s", tmp);
	(void)unlink(tmp); /* also when both names were one file: then rename did nothing */
	return e;
}

static bool
same_size(const char *a, const char *b)
{
	uint64_t x, y;

	return file_size(a, &x) == OK && file_size(b, &y) == OK && x == y;
}

/* Every target that is missing there. Content-addressed, so the same name and size is enough to
 * skip: a file comes to its name by rename only. */
static enum err
copy_tree(const char *from, const char *to, unsigned depth, struct fault *f)
{
	char a[REPO_PATH], b[REPO_PATH];
	struct dirent *d;
	struct stat st;
	DIR *dir = opendir(from);
	enum err e;

	if (dir == NULL)
		return fault_sys(f, errno, "cannot list %s", from);
	e = depth < DEPTH ? make_folder(to, f) : ERR_TOOBIG;
	while (e == OK && (d = file_next(dir, &e, f)) != NULL) {
		if (d->d_name[0] == '.')
			continue;
		e = repo_join(a, from, d->d_name, f);
		if (e == OK)
			e = repo_join(b, to, d->d_name, f);
		if (e == OK && lstat(a, &st) != 0)
			e = fault_sys(f, errno, "cannot look at %s", a);
		else if (e == OK && S_ISDIR(st.st_mode))
			e = copy_tree(a, b, depth + 1, f);
		else if (e == OK && !same_size(a, b))
			e = place(a, b, true, f);
	}
	(void)closedir(dir);
	return e == OK ? file_sync_dir(to, f) : e;
}

static enum err
read_timestamp(const char *dir, struct buf *text, uint64_t *version, struct fault *f)
{
	char path[REPO_PATH];
	struct signed_doc d = { 0 };
	enum err e = repo_join(path, dir, "timestamp.json", f);

	if (e == OK)
		e = file_read(path, text, f);
	if (e == OK)
		e = signed_parse(&d, text->data, text->len, f);
	if (e == OK)
		e = json_get_u64(d.body, "version", JSON_MAX_INT, version, f);
	signed_free(&d);
	return e;
}

/* A newer timestamp there, or another one of the same number, was published by another repository
 * or before this one was restored from a copy. */
static enum err
check_there(const struct repo *r, const char *there, struct fault *f)
{
	char path[REPO_PATH];
	struct buf mine, other;
	uint64_t ours = 0, theirs = 0;
	enum err e = repo_join(path, there, "timestamp.json", f);

	if (e != OK || !file_exists(path))
		return e;
	buf_init(&mine, LIMIT_TUF_TIMESTAMP);
	buf_init(&other, LIMIT_TUF_TIMESTAMP);
	e = read_timestamp(r->meta, &mine, &ours, f);
	if (e == OK)
		e = read_timestamp(there, &other, &theirs, f);
	if (e == OK && (theirs > ours ||
			   (theirs == ours && (mine.len != other.len ||
						  memcmp(mine.data, other.data, mine.len) != 0))))
		e = fault_set(f, ERR_ROLLBACK,
		    "%s holds timestamp %" PRIu64 " and ours is %" PRIu64 ": this would go "
		    "backwards; restore the newest copy of the repository",
		    there, theirs, ours);
	buf_free(&mine);
	buf_free(&other);
	return e;
}

enum which { ROOTS, OTHERS };

static bool
wanted(const char *name, enum which which)
{
	bool root = text_ends(name, ".root.json");

	if (name[0] == '.' || !text_ends(name, ".json") || strcmp(name, "timestamp.json") == 0)
		return false;
	return which == ROOTS ? root : !root;
}

static enum err
copy_documents(const struct repo *r, const char *there, enum which which, struct fault *f)
{
	char a[REPO_PATH], b[REPO_PATH];
	struct dirent *d;
	DIR *dir = opendir(r->meta);
	enum err e = OK;

	if (dir == NULL)
		return fault_sys(f, errno, "cannot list %s", r->meta);
	while (e == OK && (d = file_next(dir, &e, f)) != NULL) {
		if (!wanted(d->d_name, which))
			continue;
		e = repo_join(a, r->meta, d->d_name, f);
		if (e == OK)
			e = repo_join(b, there, d->d_name, f);
		if (e == OK && !same_size(a, b))
			e = place(a, b, true, f);
	}
	(void)closedir(dir);
	return e == OK ? file_sync_dir(there, f) : e;
}

/* First roots go before the timestamp, later ones after it: see repo_release.c. */
static enum err
copy_metadata(const struct repo *r, const char *there, struct fault *f)
{
	char a[REPO_PATH], b[REPO_PATH];
	bool first;
	enum err e = repo_join(a, r->meta, "timestamp.json", f);

	if (e == OK)
		e = repo_join(b, there, "timestamp.json", f);
	if (e != OK)
		return e;
	first = !file_exists(b);
	e = copy_documents(r, there, OTHERS, f);
	if (e == OK && first)
		e = copy_documents(r, there, ROOTS, f);
	if (e == OK)
		e = place(a, b, true, f);
	if (e == OK)
		e = file_sync_dir(there, f);
	return e == OK && !first ? copy_documents(r, there, ROOTS, f) : e;
}

/* A name that only we give: <sha256>.<name>, <version>.<role>.json, and the temporary forms that a
 * killed run leaves. Roots stay for ever; what others put there is theirs. */
static bool
may_go(const char *name)
{
	size_t hex = strspn(name, "0123456789abcdef"), digits = strspn(name, "0123456789");

	if (hex == 64 && name[64] == '.')
		return true;
	if (text_ends(name, ".root.json"))
		return false;
	return (digits > 0 && name[digits] == '.' && strstr(name, ".json") != NULL) ||
	       strcmp(name, "timestamp.json.tmp") == 0;
}

/* What our own public folder does not hold any more has had its time (repo_sweep.c). */
static enum err
sweep_there(const char *ours, const char *there, unsigned depth, struct fault *f)
{
	char a[REPO_PATH], b[REPO_PATH];
	struct dirent *d;
	struct stat st;
	DIR *dir = depth < DEPTH ? opendir(there) : NULL;
	enum err e = OK;

	if (dir == NULL)
		return fault_set(f, ERR_IO, "cannot list %s", there);
	while (e == OK && (d = file_next(dir, &e, f)) != NULL) {
		if (d->d_name[0] == '.')
			continue;
		e = repo_join(a, ours, d->d_name, f);
		if (e == OK)
			e = repo_join(b, there, d->d_name, f);
		if (e != OK || lstat(b, &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode)) {
			e = sweep_there(a, b, depth + 1, f);
			if (e == OK && !file_exists(a))
				(void)rmdir(b); /* stays when it holds something */
		} else if (may_go(d->d_name) && !file_exists(a) && unlink(b) != 0) {
			e = fault_sys(f, errno, "cannot remove %s", b);
		}
	}
	(void)closedir(dir);
	return e;
}

enum err
repo_copy_out(struct repo *r, const char *out_root, struct fault *f)
{
	char feed[REPO_PATH], meta[REPO_PATH], targets[REPO_PATH];
	enum err e = repo_join(feed, out_root, r->feed, f);

	if (e == OK)
		e = repo_join(meta, feed, "metadata", f);
	if (e == OK)
		e = repo_join(targets, feed, "targets", f);
	if (e == OK && r->timestamp.body == NULL)
		e = fault_set(f, ERR_STATE, "nothing of %s is public yet", r->feed);
	if (e == OK)
		e = make_folder(feed, f);
	if (e == OK)
		e = make_folder(meta, f);
	if (e == OK)
		e = check_there(r, meta, f);
	if (e == OK)
		e = copy_tree(r->targets_dir, targets, 0, f);
	if (e == OK)
		e = copy_metadata(r, meta, f);
	if (e == OK)
		e = sweep_there(r->meta, meta, 0, f);
	return e == OK ? sweep_there(r->targets_dir, targets, 0, f) : e;
}
