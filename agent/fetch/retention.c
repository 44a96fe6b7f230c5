/* retention.c - see retention.h */
#include "retention.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct names {
	char **list;
	size_t count;
};

struct snapshot {
	uint64_t version;
	int64_t mtime;
};

struct retention {
	const struct served *served;
	int64_t now, grace;
	struct snapshot *snapshots; /* ascending */
	size_t snapshot_count;
	struct names documents;     /* N.role.json to keep, sorted before the removals */
	struct names hashes;        /* hexadecimal hashes of targets to keep */
};

static enum err
names_add(struct names *n, const char *text)
{
	char **more;

	if (n->count == 0 || (n->count & (n->count - 1)) == 0) {
		more = realloc(n->list, (n->count == 0 ? 1 : 2 * n->count) * sizeof *more);
		if (more == NULL)
			return ERR_NOMEM;
		n->list = more;
	}
	n->list[n->count] = strdup(text);
	return n->list[n->count] != NULL ? (n->count++, OK) : ERR_NOMEM;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
names_sort(struct names *n)
{
	if (n->count != 0)
		qsort(n->list, n->count, sizeof *n->list, by_text);
}

static bool
names_have(const struct names *n, const char *text)
{
	return n->count != 0 && bsearch(&text, n->list, n->count, sizeof *n->list, by_text) != NULL;
}

static void
names_free(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->list[i]);
	free(n->list);
}

/* "12.snapshot.json" -> 12 and "snapshot.json" */
static bool
split(const char *file, uint64_t *version, const char **role)
{
	const char *dot = strchr(file, '.');

	if (dot == NULL || text_u64(file, (size_t)(dot - file), JSON_MAX_INT, version) != OK)
		return false;
	*role = dot + 1;
	return text_ends(file, ".json");
}

static int
by_version(const void *a, const void *b)
{
	const struct snapshot *x = a, *y = b;

	return x->version < y->version ? -1 : x->version > y->version;
}

static enum err
list_snapshots(struct retention *r)
{
	DIR *d = opendir(r->served->metadata);
	struct dirent *e;
	enum err result = OK;

	if (d == NULL)
		return err_from_errno(errno);
	while (result == OK && (e = readdir(d)) != NULL) {
		struct snapshot *more;
		struct stat st;
		const char *role;
		uint64_t v;

		if (!split(e->d_name, &v, &role) || strcmp(role, "snapshot.json") != 0 ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		more = realloc(r->snapshots, (r->snapshot_count + 1) * sizeof *more);
		if (more == NULL) {
			result = ERR_NOMEM;
			break;
		}
		r->snapshots = more;
		more[r->snapshot_count++] = (struct snapshot){ v, (int64_t)st.st_mtime };
	}
	(void)closedir(d);
	if (r->snapshot_count != 0)
		qsort(r->snapshots, r->snapshot_count, sizeof *r->snapshots, by_version);
	return result;
}

static enum err
read_body(const struct retention *r, const char *file, size_t max, cJSON **tree, cJSON **body)
{
	char path[OBJECT_PATH];
	struct buf b;
	enum err e = file_join(path, sizeof path, r->served->metadata, file);

	*tree = NULL;
	buf_init(&b, max);
	if (e == OK)
		e = file_read(path, &b, NULL);
	if (e == OK)
		e = json_parse(tree, buf_text(&b), b.len, JSON_SIGNED, NULL);
	if (e == OK)
		e = json_get_object(*tree, "signed", body, NULL);
	buf_free(&b);
	if (e != OK)
		log_warn("fetch.retention", "file=%s error=%s kept=all", log_q(file), err_word(e));
	return e;
}

/* Every target that a kept targets document names stays. */
static enum err
keep_targets_of(struct retention *r, const char *file)
{
	cJSON *tree, *body, *targets, *hashes;
	const cJSON *t;
	const char *sha;
	enum err e = read_body(r, file, LIMIT_TUF_TARGETS, &tree, &body);

	if (e == OK)
		e = json_get_object(body, "targets", &targets, NULL);
	if (e == OK)
		cJSON_ArrayForEach(t, targets) {
			if (json_get_object(t, "hashes", &hashes, NULL) != OK ||
			    json_get_string(hashes, "sha256", &sha, NULL) != OK)
				continue;
			e = names_add(&r->hashes, sha);
			if (e != OK)
				break;
		}
	cJSON_Delete(tree);
	return e;
}

static enum err
keep_snapshot(struct retention *r, uint64_t version)
{
	char file[512];
	cJSON *tree, *body, *meta;
	const cJSON *m;
	uint64_t v;
	enum err e;

	(void)snprintf(file, sizeof file, "%llu.snapshot.json", (unsigned long long)version);
	e = names_add(&r->documents, file);
	if (e == OK)
		e = read_body(r, file, LIMIT_TUF_SNAPSHOT, &tree, &body);
	if (e != OK)
		return e;
	e = json_get_object(body, "meta", &meta, NULL);
	if (e == OK)
		cJSON_ArrayForEach(m, meta) {
			e = json_get_u64(m, "version", JSON_MAX_INT, &v, NULL);
			if (e == OK && snprintf(file, sizeof file, "%llu.%s", (unsigned long long)v,
					   m->string) >= (int)sizeof file)
				e = ERR_TOOBIG;
			if (e == OK)
				e = names_add(&r->documents, file);
			if (e == OK)
				e = keep_targets_of(r, file);
			if (e != OK)
				break;
		}
	cJSON_Delete(tree);
	return e;
}

static enum err
keep_all(struct retention *r, uint32_t keep)
{
	enum err e = OK;

	for (size_t i = 0; e == OK && i < r->snapshot_count; i++) {
		bool newest = i + keep >= r->snapshot_count;
		bool young = !newest && r->now - r->snapshots[i + 1].mtime < r->grace;

		if (newest || young)
			e = keep_snapshot(r, r->snapshots[i].version);
	}
	names_sort(&r->documents);
	names_sort(&r->hashes);
	return e;
}

static bool
old_enough(const struct retention *r, const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && r->now - (int64_t)st.st_mtime >= r->grace;
}

static void
drop(const struct retention *r, const char *path, size_t *count)
{
	if (!old_enough(r, path))
		return;
	if (unlink(path) == 0)
		(*count)++;
	else if (errno != ENOENT)
		log_warn("fetch.retention", "path=%s errno=%d", log_q(path), errno);
}

static size_t
drop_targets(const struct retention *r)
{
	size_t count = 0;
	char hex[2 * SHA_LEN + 1];

	for (size_t i = 0; i < r->served->count; i++) {
		text_hex(hex, r->served->files[i].sha256, SHA_LEN);
		if (!names_have(&r->hashes, hex))
			drop(r, r->served->files[i].path, &count);
	}
	return count;
}

static size_t
drop_documents(const struct retention *r)
{
	DIR *d = opendir(r->served->metadata);
	struct dirent *e;
	size_t count = 0;

	while (d != NULL && (e = readdir(d)) != NULL) {
		char path[OBJECT_PATH];
		const char *role;
		uint64_t v;

		if (split(e->d_name, &v, &role) && strcmp(role, "root.json") != 0 &&
		    !names_have(&r->documents, e->d_name) &&
		    file_join(path, sizeof path, r->served->metadata, e->d_name) == OK)
			drop(r, path, &count);
	}
	if (d != NULL)
		(void)closedir(d);
	return count;
}

void
retention_run(const struct served *s, uint32_t keep, uint64_t grace_s)
{
	struct retention r = {
		.served = s, .now = clock_wall_ms() / 1000, .grace = (int64_t)grace_s
	};
	size_t targets, documents;
	enum err e = list_snapshots(&r);

	if (e == OK)
		e = keep_all(&r, keep);
	if (e == OK && r.hashes.count + r.documents.count != 0) {
		targets = drop_targets(&r);
		documents = drop_documents(&r);
		if (targets + documents != 0)
			log_info(
			    "fetch.retention", "targets=%zu documents=%zu", targets, documents);
	}
	names_free(&r.documents);
	names_free(&r.hashes);
	free(r.snapshots);
}
