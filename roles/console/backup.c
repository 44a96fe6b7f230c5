#include "backup.h"

#include "base/text.h"
#include "db.h"
#include "os/file.h"
#include "update/pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIMIT_FILES 100000
#define LIMIT_BYTES (64ull << 30)
#define DB_COPY "console.db.copy"
#define PIECE 65536

struct list {
	struct pack_member *members; /* names and paths are owned */
	size_t n;
};

static void
list_free(struct list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free((char *)(uintptr_t)l->members[i].name);
		free((char *)(uintptr_t)l->members[i].path);
	}
	free(l->members);
}

static enum err
list_add(struct list *l, const char *name, const char *path)
{
	struct pack_member *more;

	if (l->n == LIMIT_FILES)
		return ERR_TOOBIG;
	if (l->n % 256 == 0) {
		more = realloc(l->members, (l->n + 256) * sizeof(*more));
		if (more == NULL)
			return ERR_NOMEM;
		l->members = more;
	}
	l->members[l->n].name = strdup(name);
	l->members[l->n].path = strdup(path);
	l->n++;
	return l->members[l->n - 1].name != NULL && l->members[l->n - 1].path != NULL ? OK
										      : ERR_NOMEM;
}

/* The database goes as a copy; locks and sockets mean nothing elsewhere. */
static bool
left_out(const char *name)
{
	static const char *const names[] = { FILE_DB, FILE_DB "-wal", FILE_DB "-shm", FILE_PORTS,
		FILE_LOCK, DIR_OFFLINE, DIR_COLLECTED, DB_COPY };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return !text_is_target_path(name, strlen(name)) || !pack_name_fits(name);
}

static enum err
walk(struct list *l, const char *root, const char *below, struct fault *f)
{
	char folder[STATE_PATH], name[STATE_PATH], path[STATE_PATH];
	const struct dirent *d;
	struct stat st;
	enum err e = OK;
	DIR *dir;

	if (below[0] == '\0')
		e = text_copy(folder, sizeof(folder), root, strlen(root));
	else
		e = file_join(folder, sizeof(folder), root, below);
	dir = e == OK ? opendir(folder) : NULL;
	if (dir == NULL)
		return fault_sys(f, errno, "%s", folder);
	while (e == OK && (d = file_next(dir, &e, f)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (below[0] == '\0')
			e = text_copy(name, sizeof(name), d->d_name, strlen(d->d_name));
		else
			e = file_join(name, sizeof(name), below, d->d_name);
		if (e == OK)
			e = file_join(path, sizeof(path), root, name);
		if (e != OK || left_out(name) || lstat(path, &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode))
			e = walk(l, root, name, f);
		else if (S_ISREG(st.st_mode))
			e = list_add(l, name, path);
	}
	(void)closedir(dir);
	return e;
}

static enum err
copy_db(const struct options *o, char copy[STATE_PATH], struct fault *f)
{
	char path[STATE_PATH];
	struct db *db;
	enum err e = options_path(o, FILE_DB, path, f);

	if (e == OK)
		e = options_path(o, DB_COPY, copy, f);
	if (e == OK)
		e = db_open(&db, path, f);
	if (e != OK)
		return e;
	(void)unlink(copy);
	e = db_backup(db, copy, f);
	db_close(db);
	return e;
}

enum err
backup_write(const struct options *o, const char *path, struct fault *f)
{
	struct list l = { 0 };
	char copy[STATE_PATH];
	enum err e = copy_db(o, copy, f);

	if (e != OK)
		return e;
	e = walk(&l, o->state, "", f);
	if (e == OK)
		e = list_add(&l, FILE_DB, copy);
	if (e == OK)
		e = pack_write(path, l.members, l.n, f);
	if (e == OK && chmod(path, 0600) != 0)
		e = fault_sys(f, errno, "%s", path);
	(void)unlink(copy);
	list_free(&l);
	return e;
}

/* ---- restore ---- */

struct restore {
	const char *root;
	int fd;
	struct fault *f;
};

static enum err
member_begin(void *arg, const char *name, uint64_t size)
{
	struct restore *r = arg;
	char path[STATE_PATH], folder[STATE_PATH];
	const char *slash;
	enum err e = file_join(path, sizeof(path), r->root, name);

	(void)size;
	if (e != OK)
		return e;
	slash = strrchr(path, '/');
	e = text_copy(folder, sizeof(folder), path, (size_t)(slash - path));
	if (e == OK)
		e = file_make_dirs(folder, 0750, r->f);
	if (e != OK)
		return e;
	r->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return r->fd >= 0 ? OK : fault_sys(r->f, errno, "%s", path);
}

static enum err
member_data(void *arg, const uint8_t *p, size_t n)
{
	struct restore *r = arg;

	return file_write_all(r->fd, p, n);
}

static enum err
member_end(void *arg)
{
	struct restore *r = arg;
	enum err e = file_sync(r->fd);

	if (close(r->fd) != 0 && e == OK)
		e = ERR_IO;
	r->fd = -1;
	return e;
}

static enum err
unpack(struct restore *r, const char *path, struct fault *f)
{
	static const struct pack_sink sink = { member_begin, member_data, member_end };
	struct pack_reader *reader;
	uint8_t piece[PIECE];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum err e;

	if (fd < 0)
		return fault_sys(f, errno, "%s", path);
	e = pack_reader_new(&reader, LIMIT_BYTES, LIMIT_FILES, &sink, r);
	while (e == OK && (n = read(fd, piece, sizeof(piece))) != 0)
		e = n < 0 ? fault_sys(f, errno, "%s", path)
			  : pack_reader_feed(reader, piece, (size_t)n, f);
	if (e == OK)
		e = pack_reader_end(reader, f);
	pack_reader_free(reader);
	if (r->fd >= 0)
		(void)close(r->fd);
	(void)close(fd);
	return e;
}

static bool
is_empty(const char *path)
{
	return !file_exists(path) || rmdir(path) == 0;
}

/* Beside the place, then one rename: a broken file leaves nothing. */
enum err
backup_read(const struct options *o, const char *path, struct fault *f)
{
	struct restore r = { .fd = -1, .f = f };
	char part[STATE_PATH];
	struct buf b;
	enum err e;

	if (!is_empty(o->state))
		return fault_set(
		    f, ERR_EXISTS, "%s is not empty: restore into a new state folder", o->state);
	buf_init(&b, sizeof(part));
	e = buf_printf(&b, "%s.restore", o->state);
	if (e == OK)
		e = text_copy(part, sizeof(part), buf_text(&b), b.len);
	buf_free(&b);
	if (e == OK)
		e = file_remove_tree(AT_FDCWD, part, f);
	if (e == OK)
		e = file_make_dirs(part, 0700, f);
	r.root = part;
	if (e == OK)
		e = unpack(&r, path, f);
	if (e == OK && rename(part, o->state) != 0)
		e = fault_sys(f, errno, "%s", o->state);
	if (e != OK)
		(void)!file_remove_tree(AT_FDCWD, part, NULL);
	return e;
}
