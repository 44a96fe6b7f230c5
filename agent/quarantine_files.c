#include "quarantine_files.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "os/beneath.h"
#include "os/file.h"
#include "os/rand.h"
#include "update/hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum err
vault_place_open(struct vault_place *p, const char *path, struct fault *f)
{
	const char *slash = strrchr(path, '/');
	char *folder;
	int root;
	enum err e;

	p->dir = -1;
	if (path[0] != '/' || slash[1] == '\0' ||
	    text_copy(p->name, sizeof p->name, slash + 1, strlen(slash + 1)) != OK)
		return fault_set(f, ERR_INVAL, "'%.200s' is no path of a file", path);
	folder = strndup(path + 1, slash > path ? (size_t)(slash - path - 1) : 0);
	root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder == NULL || root < 0)
		e = ERR_NOMEM;
	else
		e = beneath_open(
		    root, folder[0] != '\0' ? folder : ".", O_RDONLY | O_DIRECTORY, 0, &p->dir);
	if (root >= 0)
		(void)close(root);
	free(folder);
	if (e == ERR_DENIED)
		return fault_set(f, e,
		    "the folder of %.200s may not be opened, or a part of it is a link", path);
	return e == OK ? OK
		       : fault_set(
			     f, e, "the folder of %.200s cannot be opened: %s", path, err_text(e));
}

void
vault_place_close(struct vault_place *p)
{
	if (p->dir >= 0)
		(void)close(p->dir);
	p->dir = -1;
}

/* The path as base64 too: it may be no UTF-8. */
enum err
vault_add_path(cJSON *meta, const char *path)
{
	size_t n = strlen(path);
	struct buf b;
	enum err e = OK;

	if (text_utf8_valid((const uint8_t *)path, n))
		e = json_add_string(meta, "path", path);
	buf_init(&b, VAULT_META_MAX);
	if (e == OK)
		e = text_b64(&b, (const uint8_t *)path, n);
	if (e == OK)
		e = json_add_string(meta, "path_b64", buf_text(&b));
	buf_free(&b);
	return e;
}

enum err
vault_add_stat(cJSON *meta, const struct stat *st)
{
	enum err e = json_add_u64(meta, "size", (uint64_t)st->st_size);

	if (e == OK)
		e = json_add_u64(meta, "mode", st->st_mode & 07777);
	if (e == OK)
		e = json_add_u64(meta, "uid", st->st_uid);
	if (e == OK)
		e = json_add_u64(meta, "gid", st->st_gid);
	if (e == OK && st->st_mtime > 0)
		e = json_add_u64(meta, "mtime", (uint64_t)st->st_mtime);
	if (e == OK)
		e = json_add_u64(meta, "dev", (uint64_t)st->st_dev);
	return e == OK ? json_add_u64(meta, "ino", (uint64_t)st->st_ino) : e;
}

static enum err
read_tree(int item, cJSON **tree, struct fault *f)
{
	struct buf b;
	enum err e;

	buf_init(&b, VAULT_META_MAX);
	e = file_read_at(item, "meta.json", &b, f);
	if (e == OK)
		e = json_parse(tree, buf_text(&b), b.len, JSON_SIGNED, f);
	buf_free(&b);
	return e;
}

static enum err
read_numbers(const cJSON *tree, struct vault_meta *m, struct fault *f)
{
	uint64_t mode = 0, uid = 0, gid = 0;
	enum err e = json_get_u64(tree, "mode", 07777, &mode, f);

	if (e == OK)
		e = json_get_u64(tree, "uid", UINT32_MAX, &uid, f);
	if (e == OK)
		e = json_get_u64(tree, "gid", UINT32_MAX, &gid, f);
	if (e == OK)
		e = json_get_u64(tree, "dev", JSON_MAX_INT, &m->dev, f);
	if (e == OK)
		e = json_get_u64(tree, "ino", JSON_MAX_INT, &m->ino, f);
	m->mode = (uint32_t)mode;
	m->uid = (uint32_t)uid;
	m->gid = (uint32_t)gid;
	return e;
}

enum err
vault_meta_read(int item, struct vault_meta *m, struct fault *f)
{
	const char *text, *how;
	cJSON *tree = NULL;
	struct buf b;
	enum err e;

	*m = (struct vault_meta){ 0 };
	e = read_tree(item, &tree, f);
	if (e == OK)
		e = read_numbers(tree, m, f);
	if (e == OK)
		e = json_get_string(tree, "how", &how, f);
	if (e == OK)
		m->copied = strcmp(how, "copy") == 0;
	if (e == OK)
		e = json_get_string(tree, "path_b64", &text, f);
	buf_init(&b, LIMIT_SCAN_PATH);
	if (e == OK)
		e = text_unb64(&b, text, strlen(text));
	if (e == OK && (m->path = strdup(buf_text(&b))) == NULL)
		e = ERR_NOMEM;
	buf_free(&b);
	cJSON_Delete(tree);
	return e;
}

void
vault_meta_free(struct vault_meta *m)
{
	free(m->path);
	m->path = NULL;
}

enum err
vault_hash(int fd, char hex[VAULT_SHA256], struct fault *f)
{
	uint8_t chunk[65536], sum[HASH_SHA256_LEN];
	struct hash h;
	off_t at = 0;
	ssize_t n;

	hash_init(&h, HASH_SHA256);
	while ((n = pread(fd, chunk, sizeof chunk, at)) > 0) {
		hash_update(&h, chunk, (size_t)n);
		at += n;
	}
	hash_final(&h, sum);
	text_hex(hex, sum, sizeof sum);
	return n == 0 ? OK : fault_sys(f, errno, "the file cannot be read");
}

enum err
vault_copy(int fd, int dir, const char *name, unsigned mode, struct fault *f)
{
	uint8_t chunk[65536];
	off_t at = 0;
	ssize_t n = 0;
	int to = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	enum err e = to < 0 ? fault_sys(f, errno, "a copy cannot be made") : OK;

	while (e == OK && (n = pread(fd, chunk, sizeof chunk, at)) > 0) {
		e = file_write_all(to, chunk, (size_t)n);
		at += n;
	}
	if (e == OK && n < 0)
		e = ERR_IO;
	if (e == OK)
		e = file_sync(to);
	if (to >= 0 && close(to) != 0 && e == OK)
		e = ERR_IO;
	if (e != OK && to >= 0)
		(void)unlinkat(dir, name, 0);
	return e == OK ? OK : fault_set(f, e, "a copy cannot be written: %s", err_text(e));
}

void
vault_old_mode(int fd, const struct vault_meta *m)
{
	if (fchown(fd, m->uid, m->gid) != 0)
		log_debug("quarantine.owner", "uid=%u", (unsigned)m->uid);
	if (fchmod(fd, m->mode) != 0)
		log_warn("quarantine.mode", "mode=%o", (unsigned)m->mode);
}

enum err
vault_copy_back(int fd, const struct vault_place *to, const struct vault_meta *m, struct fault *f)
{
	char id[UUID_TEXT], name[UUID_TEXT + 16];
	int copy;
	enum err e;

	rand_uuid_v7(id);
	(void)snprintf(name, sizeof name, ".%s.restore", id);
	e = vault_copy(fd, to->dir, name, 0600, f);
	if (e != OK)
		return e;
	copy = openat(to->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (copy >= 0) {
		vault_old_mode(copy, m);
		(void)close(copy);
	}
	if (linkat(to->dir, name, to->dir, to->name, 0) != 0)
		e = errno == EEXIST
			? fault_set(f, ERR_EXISTS, "%.200s exists; move it away first", m->path)
			: fault_sys(f, errno, "%.200s cannot be restored", m->path);
	(void)unlinkat(to->dir, name, 0);
	return e;
}

/* --- after a crash --- */

/* Is the original of a copy still in its place? Then the copy is not needed; when that is not sure,
 * it is kept. */
static bool
original_there(const struct vault_meta *m)
{
	struct vault_place p;
	struct stat st;
	bool there;

	if (vault_place_open(&p, m->path, NULL) != OK)
		return false;
	there = fstatat(p.dir, p.name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		(uint64_t)st.st_dev == m->dev && (uint64_t)st.st_ino == m->ino;
	vault_place_close(&p);
	return there;
}

static bool
worth_keeping(int item)
{
	struct vault_meta m;
	struct stat st;
	bool keep;

	if (fstatat(item, "file", &st, AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	if (vault_meta_read(item, &m, NULL) != OK)
		return true; /* a file without its story is still a file */
	keep = !m.copied || !original_there(&m);
	vault_meta_free(&m);
	return keep;
}

void
vault_settle(int vault, const char *name)
{
	char id[UUID_TEXT];
	struct fault f = { OK, "" };
	int item;
	bool keep;

	if (text_ends(name, ".new") && text_copy(id, sizeof id, name, strlen(name) - 4) == OK) {
		item = openat(vault, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		keep = item >= 0 && worth_keeping(item);
		if (item >= 0)
			(void)close(item);
		if (keep) {
			if (renameat(vault, name, vault, id) != 0)
				log_warn("quarantine.settle", "item=%s", name);
			return;
		}
	} else if (!text_ends(name, ".gone")) {
		return;
	}
	if (file_remove_tree(vault, name, &f) != OK)
		log_warn("quarantine.settle", "item=%s why=%s", log_q(name), log_q(fault_text(&f)));
}

static DIR *
open_list(int vault)
{
	int fd = openat(vault, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	if (d == NULL && fd >= 0)
		(void)close(fd);
	return d;
}

enum err
vault_settle_all(int vault, struct fault *f)
{
	DIR *d = open_list(vault);
	const struct dirent *entry;

	if (d == NULL)
		return fault_set(f, ERR_IO, "the vault cannot be listed");
	while ((entry = readdir(d)) != NULL)
		vault_settle(vault, entry->d_name);
	(void)closedir(d);
	return OK;
}

static int
by_id(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

enum err
vault_find(int vault, const char *id, cJSON **meta, struct fault *f)
{
	int item = -1;
	enum err e;

	*meta = NULL;
	if (!text_is_uuid(id, strlen(id)))
		return fault_set(f, ERR_NOTFOUND, "'%.60s' is no id of the vault", id);
	item = openat(vault, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (item < 0)
		return fault_set(f, ERR_NOTFOUND, "the vault holds no %s", id);
	e = read_tree(item, meta, f);
	(void)close(item);
	return e;
}

static enum err
add_item(int vault, const char *id, cJSON *list)
{
	cJSON *tree = NULL;

	return vault_find(vault, id, &tree, NULL) == OK ? json_append(list, tree) : OK;
}

enum err
vault_list(int vault, cJSON **out, struct fault *f)
{
	DIR *d = open_list(vault);
	char *ids[LIMIT_QUARANTINE_LIST];
	const struct dirent *entry;
	size_t n = 0;
	enum err e = d == NULL ? ERR_IO : OK;

	*out = cJSON_CreateArray();
	if (*out == NULL)
		e = ERR_NOMEM;
	while (e == OK && n < LIMIT_QUARANTINE_LIST && (entry = readdir(d)) != NULL)
		if (text_is_uuid(entry->d_name, strlen(entry->d_name)) &&
		    (ids[n] = strdup(entry->d_name)) != NULL)
			n++;
	if (d != NULL)
		(void)closedir(d);
	qsort(ids, n, sizeof ids[0], by_id); /* UUIDv7 sorts by time */
	for (size_t i = 0; i < n; i++) {
		if (e == OK)
			e = add_item(vault, ids[i], *out);
		free(ids[i]);
	}
	if (e == OK)
		return OK;
	cJSON_Delete(*out);
	*out = NULL;
	return fault_set(f, e, "the vault cannot be listed: %s", err_text(e));
}
