/* repo_files.c - the publisher's files: settings, counters, stored targets. */
#include "update/repo_priv.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"
#include "update/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (256u << 10)

enum err
repo_join(char out[REPO_PATH], const char *dir, const char *name, struct fault *f)
{
	enum err e = file_join(out, REPO_PATH, dir, name);

	return e == OK ? OK : fault_set(f, e, "the path %s/%s is too long", dir, name);
}

enum err
repo_meta_path(const struct repo *r, char out[REPO_PATH], uint64_t version, const char *role,
    struct fault *f)
{
	char name[128];

	if (version == 0)
		(void)snprintf(name, sizeof name, "%s.json", role);
	else
		(void)snprintf(name, sizeof name, "%" PRIu64 ".%s.json", version, role);
	return repo_join(out, r->meta, name, f);
}

enum err
repo_load_doc(struct signed_doc *d, const char *path, size_t limit, struct fault *f)
{
	struct buf text;
	enum err e;

	buf_init(&text, limit);
	memset(d, 0, sizeof *d);
	e = file_read(path, &text, f);
	if (e == OK)
		e = signed_parse(d, text.data, text.len, f);
	if (e != OK && e != ERR_NOTFOUND)
		fault_prefix(f, "%s", path);
	buf_free(&text);
	return e;
}

/* Reads a file once: length and hash, and a copy when out >= 0. */
static enum err
read_through(int in, int out, uint64_t *length, char sha256[65])
{
	uint8_t sum[HASH_SHA256_LEN], *buf = malloc(CHUNK);
	struct hash h;
	ssize_t n;
	enum err e = buf != NULL ? OK : ERR_NOMEM;

	hash_init(&h, HASH_SHA256);
	*length = 0;
	while (e == OK && (n = read(in, buf, CHUNK)) != 0) {
		if (n < 0) {
			e = errno == EINTR ? OK : err_from_errno(errno);
			continue;
		}
		*length += (uint64_t)n;
		hash_update(&h, buf, (size_t)n);
		if (*length > LIMIT_TARGET_BYTES)
			e = ERR_TOOBIG;
		else if (out >= 0)
			e = file_write_all(out, buf, (size_t)n);
	}
	hash_final(&h, sum);
	text_hex(sha256, sum, sizeof sum);
	free(buf);
	return e;
}

static enum err
open_regular(const char *path, int *fd, struct fault *f)
{
	struct stat st;

	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd < 0)
		return fault_sys(f, errno, "cannot open %s", path);
	if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode))
		return OK;
	(void)close(*fd);
	return fault_set(f, ERR_INVAL, "%s is no regular file", path);
}

enum err
repo_hash_file(const char *path, uint64_t *length, char sha256[65], struct fault *f)
{
	int fd;
	enum err e = open_regular(path, &fd, f);

	if (e != OK)
		return e;
	e = read_through(fd, -1, length, sha256);
	(void)close(fd);
	return e == OK ? OK : fault_set(f, e, "cannot read %s: %s", path, err_text(e));
}

enum err
repo_target_path(const struct repo *r, char out[REPO_PATH], const char *name, const char *sha256,
    struct fault *f)
{
	const char *slash = strrchr(name, '/');
	int folder = slash != NULL ? (int)(slash - name) + 1 : 0;
	int n = snprintf(out, REPO_PATH, "%s/%.*s%s.%s", r->targets_dir, folder, name, sha256,
	    name + folder);

	return n > 0 && n < REPO_PATH ? OK
				      : fault_set(f, ERR_TOOBIG, "the name %s is too long", name);
}

/* Gives a finished temporary file its place. Content that is there already stays as it is. */
static enum err
settle(struct repo *r, const char *tmp, const char *name, const char *sha256, struct fault *f)
{
	char to[REPO_PATH], *slash;
	enum err e = repo_target_path(r, to, name, sha256, f);

	if (e != OK)
		return e;
	slash = strrchr(to, '/');
	*slash = '\0';
	e = file_make_dirs(to, 0755, f);
	*slash = '/';
	if (e == OK && rename(tmp, to) != 0)
		e = fault_sys(f, errno, "cannot rename %s to %s", tmp, to);
	*slash = '\0';
	return e == OK ? file_sync_dir(to, f) : e;
}

enum err
repo_store(struct repo *r, const char *name, const char *from, uint64_t *length, char sha256[65],
    struct fault *f)
{
	char tmp[REPO_PATH];
	int in, out;
	enum err e = repo_join(tmp, r->dir, "staged/target.tmp", f);

	if (e == OK)
		e = open_regular(from, &in, f);
	if (e != OK)
		return e;
	out = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (out < 0) {
		e = fault_sys(f, errno, "cannot make %s", tmp);
		(void)close(in);
		return e;
	}
	e = read_through(in, out, length, sha256);
	if (e == OK && fchmod(out, 0644) != 0)
		e = err_from_errno(errno);
	if (e == OK)
		e = file_sync(out);
	if (close(out) != 0 && e == OK)
		e = err_from_errno(errno);
	(void)close(in);
	if (e == OK)
		e = settle(r, tmp, name, sha256, f);
	if (e != OK)
		(void)unlink(tmp);
	return e == OK ? OK : fault_set(f, e, "cannot store %s: %s", from, err_text(e));
}

/* ---- versions.json ---- */

static enum err
write_json(const char *dir, const char *name, const cJSON *tree, struct fault *f)
{
	char path[REPO_PATH];
	struct buf text;
	enum err e = repo_join(path, dir, name, f);

	buf_init(&text, 65536);
	if (e == OK)
		e = json_print_pretty(tree, &text);
	if (e == OK)
		e = buf_puts(&text, "\n");
	if (e == OK)
		e = file_replace(path, text.data, text.len, 0644, f);
	buf_free(&text);
	return e;
}

static enum err
read_json(const char *dir, const char *name, cJSON **out, struct fault *f)
{
	char path[REPO_PATH];
	struct buf text;
	enum err e = repo_join(path, dir, name, f);

	buf_init(&text, 65536);
	if (e == OK)
		e = file_read(path, &text, f);
	if (e == OK)
		e = json_parse(out, buf_text(&text), text.len, JSON_SIGNED, f);
	if (e != OK)
		fault_prefix(f, "%s", path);
	buf_free(&text);
	return e;
}

enum err
repo_save_counters(struct repo *r, struct fault *f)
{
	cJSON *t = cJSON_CreateObject(), *roles = cJSON_Duplicate(r->used.roles, 1);
	enum err e = t != NULL && roles != NULL ? OK : ERR_NOMEM;

	if (e == OK)
		e = json_add_u64(t, "root", r->used.root);
	if (e == OK)
		e = json_add_u64(t, "targets", r->used.targets);
	if (e == OK)
		e = json_add_u64(t, "snapshot", r->used.snapshot);
	if (e == OK)
		e = json_add_u64(t, "timestamp", r->used.timestamp);
	if (e == OK)
		e = json_add_u64(t, "published", r->used.published);
	if (e == OK && !cJSON_AddItemToObject(t, "roles", roles))
		e = ERR_NOMEM;
	else if (e == OK)
		roles = NULL;
	if (e == OK)
		e = write_json(r->dir, "versions.json", t, f);
	cJSON_Delete(roles);
	cJSON_Delete(t);
	return e;
}

enum err
repo_load_counters(struct repo *r, struct fault *f)
{
	cJSON *t = NULL, *roles = NULL;
	enum err e = read_json(r->dir, "versions.json", &t, f);

	if (e == OK)
		e = json_get_u64(t, "root", JSON_MAX_INT, &r->used.root, f);
	if (e == OK)
		e = json_get_u64(t, "targets", JSON_MAX_INT, &r->used.targets, f);
	if (e == OK)
		e = json_get_u64(t, "snapshot", JSON_MAX_INT, &r->used.snapshot, f);
	if (e == OK)
		e = json_get_u64(t, "timestamp", JSON_MAX_INT, &r->used.timestamp, f);
	if (e == OK)
		e = json_get_u64(t, "published", JSON_MAX_INT, &r->used.published, f);
	if (e == OK)
		e = json_get_object(t, "roles", &roles, f);
	if (e == OK && (r->used.roles = cJSON_Duplicate(roles, 1)) == NULL)
		e = ERR_NOMEM;
	cJSON_Delete(t);
	return e;
}

/* ---- repo.json ---- */

enum err
repo_save_config(const struct repo *r, struct fault *f)
{
	cJSON *t = cJSON_CreateObject(), *days = NULL;
	enum err e = t != NULL ? OK : ERR_NOMEM;

	if (e == OK)
		e = json_add_string(t, "feed", r->feed);
	if (e == OK)
		e = json_add_object(t, "days", &days);
	if (e == OK)
		e = json_add_u64(days, "root", r->days.root);
	if (e == OK)
		e = json_add_u64(days, "targets", r->days.targets);
	if (e == OK)
		e = json_add_u64(days, "snapshot", r->days.snapshot);
	if (e == OK)
		e = json_add_u64(days, "timestamp", r->days.timestamp);
	if (e == OK)
		e = json_add_u64(t, "keep_deltas", r->keep_deltas);
	if (e == OK)
		e = json_add_bool(t, "clamav_marker", r->marker);
	if (e == OK)
		e = write_json(r->dir, "repo.json", t, f);
	cJSON_Delete(t);
	return e;
}

static enum err
get_days(const cJSON *days, const char *name, uint32_t *out, struct fault *f)
{
	uint64_t v;
	enum err e = json_get_u64(days, name, 36500, &v, f);

	if (e == OK && v == 0)
		e = fault_set(f, ERR_INVAL, "days.%s must be at least 1", name);
	*out = e == OK ? (uint32_t)v : 0;
	return e;
}

enum err
repo_load_config(struct repo *r, struct fault *f)
{
	cJSON *t = NULL, *days = NULL;
	const char *feed = NULL;
	uint64_t keep = 0;
	enum err e = read_json(r->dir, "repo.json", &t, f);

	if (e == OK)
		e = json_get_string(t, "feed", &feed, f);
	if (e == OK && !text_is_role_name(feed, strlen(feed)))
		e = fault_set(f, ERR_INVAL, "the feed's name must be of a-z 0-9 -");
	if (e == OK)
		e = text_copy(r->feed, sizeof r->feed, feed, strlen(feed));
	if (e == OK)
		e = json_get_object(t, "days", &days, f);
	if (e == OK)
		e = get_days(days, "root", &r->days.root, f);
	if (e == OK)
		e = get_days(days, "targets", &r->days.targets, f);
	if (e == OK)
		e = get_days(days, "snapshot", &r->days.snapshot, f);
	if (e == OK)
		e = get_days(days, "timestamp", &r->days.timestamp, f);
	if (e == OK)
		e = json_get_u64(t, "keep_deltas", LIMIT_DELTA_CHAIN, &keep, f);
	if (e == OK)
		e = json_opt_bool(t, "clamav_marker", false, &r->marker, f);
	r->keep_deltas = e == OK ? (uint32_t)keep : 0;
	cJSON_Delete(t);
	return e;
}
