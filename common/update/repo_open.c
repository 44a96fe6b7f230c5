/* repo_open.c - makes, opens and reads a repository folder. */
#include "update/repo_priv.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const top_roles[] = { "root", "targets", "snapshot", "timestamp" };

static enum err
set_paths(struct repo *r, struct fault *f)
{
	char name[80];
	enum err e;

	(void)snprintf(name, sizeof name, "public/%s", r->feed);
	e = repo_join(r->pub, r->dir, name, f);
	if (e == OK)
		e = repo_join(r->meta, r->pub, "metadata", f);
	if (e == OK)
		e = repo_join(r->targets_dir, r->pub, "targets", f);
	return e;
}

/* ---- opening ---- */

static void
forget_public(struct repo *r)
{
	signed_free(&r->root);
	signed_free(&r->targets);
	signed_free(&r->snapshot);
	signed_free(&r->timestamp);
	repo_entries_free(&r->entries);
}

/* The newest root: roots have no gaps. */
static enum err
load_root(struct repo *r, struct fault *f)
{
	char path[REPO_PATH];
	uint64_t n = 0;
	enum err e;

	for (;;) {
		e = repo_meta_path(r, path, n + 1, "root", f);
		if (e != OK || !file_exists(path))
			break;
		n++;
	}
	if (e == OK && n > 0) {
		e = repo_meta_path(r, path, n, "root", f);
		if (e == OK)
			e = repo_load_doc(&r->root, path, LIMIT_TUF_ROOT, f);
	}
	return e;
}

static enum err
load_listed(struct repo *r, const struct signed_doc *list, const char *role, size_t limit,
    struct signed_doc *out, struct fault *f)
{
	char name[80], path[REPO_PATH];
	uint64_t version;
	enum err e;

	(void)snprintf(name, sizeof name, "%s.json", role);
	e = json_get_u64(json_get(json_get(list->body, "meta"), name), "version", JSON_MAX_INT,
	    &version, f);
	if (e == OK)
		e = repo_meta_path(r, path, version, role, f);
	if (e == OK)
		e = repo_load_doc(out, path, limit, f);
	if (e == ERR_NOTFOUND)
		e = fault_set(f, ERR_VERIFY,
		    "%s is named by the published metadata and is not there: "
		    "restore public/ from a copy",
		    path);
	return e;
}

static enum err
check_direction(struct repo *r, uint64_t timestamp, struct fault *f)
{
	if (timestamp < r->used.published)
		return fault_set(f, ERR_ROLLBACK,
		    "%s holds timestamp %" PRIu64 " and %" PRIu64
		    " was published before: restore the newest copy of public/, clients refuse to "
		    "go back",
		    r->pub, timestamp, r->used.published);
	return OK;
}

enum err
repo_reload(struct repo *r, struct fault *f)
{
	char path[REPO_PATH];
	uint64_t version = 0;
	enum err e;

	forget_public(r);
	e = load_root(r, f);
	if (e == OK)
		e = repo_meta_path(r, path, 0, "timestamp", f);
	if (e == OK && !file_exists(path))
		return check_direction(r, 0, f);
	if (e == OK)
		e = repo_load_doc(&r->timestamp, path, LIMIT_TUF_TIMESTAMP, f);
	if (e == OK)
		e = json_get_u64(r->timestamp.body, "version", JSON_MAX_INT, &version, f);
	if (e == OK)
		e = check_direction(r, version, f);
	if (e == OK)
		e = load_listed(r, &r->timestamp, "snapshot", LIMIT_TUF_SNAPSHOT, &r->snapshot, f);
	if (e == OK)
		e = load_listed(r, &r->snapshot, "targets", LIMIT_TUF_TARGETS, &r->targets, f);
	if (e == OK)
		e = repo_entries_read(&r->entries, r->targets.body, f);
	if (version > r->used.timestamp)
		r->used.timestamp = version;
	return e;
}

enum err
repo_open(struct repo **out, const char *dir, const char *passphrase, struct fault *f)
{
	struct repo *r = calloc(1, sizeof *r);
	char path[REPO_PATH];
	enum err e;

	*out = NULL;
	if (r == NULL)
		return ERR_NOMEM;
	r->lock = -1;
	e = text_copy(r->dir, sizeof r->dir, dir, strlen(dir));
	if (e == OK)
		e = repo_join(path, dir, "repo.json", f);
	if (e == OK && !file_exists(path))
		e = fault_set(
		    f, ERR_NOTFOUND, "%s is no repository: make one with `atalaia-repo init`", dir);
	if (e == OK && passphrase != NULL && (r->passphrase = strdup(passphrase)) == NULL)
		e = ERR_NOMEM;
	if (e == OK)
		e = repo_join(path, dir, "lock", f);
	if (e == OK)
		e = file_lock(path, &r->lock, f);
	if (e == OK)
		e = repo_load_config(r, f);
	if (e == OK)
		e = set_paths(r, f);
	if (e == OK)
		e = repo_load_counters(r, f);
	if (e == OK)
		e = repo_reload(r, f);
	if (e != OK) {
		repo_close(r);
		return e == ERR_BUSY ? fault_set(f, e, "another process works on %s", dir) : e;
	}
	*out = r;
	return OK;
}

void
repo_close(struct repo *r)
{
	if (r == NULL)
		return;
	forget_public(r);
	repo_pending_clear(r);
	cJSON_Delete(r->delegations);
	cJSON_Delete(r->used.roles);
	if (r->passphrase != NULL)
		explicit_bzero(r->passphrase, strlen(r->passphrase));
	free(r->passphrase);
	if (r->lock >= 0)
		(void)close(r->lock);
	free(r);
}

const char *
repo_feed(const struct repo *r)
{
	return r->feed;
}

const char *
repo_public(const struct repo *r)
{
	return r->pub;
}

uint64_t
repo_version(const struct repo *r)
{
	uint64_t v = 0;

	return json_get_u64(r->targets.body, "version", JSON_MAX_INT, &v, NULL) == OK ? v : 0;
}

/* ---- making ---- */

static enum err
add_role(cJSON *roles, const char *role, const char (*ids)[KEY_ID_TEXT], size_t n,
    uint32_t threshold)
{
	cJSON *one, *list;
	size_t i;
	enum err e = json_add_object(roles, role, &one);

	if (e == OK)
		e = json_add_array(one, "keyids", &list);
	for (i = 0; e == OK && i < n; i++)
		e = json_append_string(list, ids[i]);
	return e == OK ? json_add_u64(one, "threshold", threshold) : e;
}

static enum err
add_key(cJSON *keys, const char *id, cJSON *object)
{
	if (json_get(keys, id) != NULL) {
		cJSON_Delete(object);
		return OK;
	}
	if (cJSON_AddItemToObject(keys, id, object))
		return OK;
	cJSON_Delete(object);
	return ERR_NOMEM;
}

/* Keys made elsewhere for root. */
static enum err
outside_keys(const struct repo_init *init, cJSON *keys, cJSON *roles, struct fault *f)
{
	char (*ids)[KEY_ID_TEXT] = calloc(init->root_key_count, sizeof *ids);
	uint32_t threshold = init->root_threshold > 0 ? init->root_threshold : 1;
	size_t i;
	enum err e = ids != NULL ? OK : ERR_NOMEM;

	if (e == OK && threshold > init->root_key_count)
		e = fault_set(f, ERR_INVAL,
		    "a threshold of %u needs as many keys, and %zu are named", threshold,
		    init->root_key_count);
	for (i = 0; e == OK && i < init->root_key_count; i++) {
		cJSON *object = NULL;

		e = repo_key_object(init->root_keys[i], init->passphrase, &object, ids[i], f);
		if (e == OK)
			e = add_key(keys, ids[i], object);
	}
	if (e == OK)
		e = add_role(roles, "root", (const char (*)[KEY_ID_TEXT])ids, init->root_key_count,
		    threshold);
	free(ids);
	return e;
}

static enum err
first_root(const char *keys_dir, const struct repo_init *init, uint32_t days, cJSON **out,
    struct fault *f)
{
	cJSON *keys = NULL, *roles = NULL;
	char id[1][KEY_ID_TEXT];
	size_t i;
	enum err e = repo_body(out, "root", 1, days, f);

	if (e == OK)
		e = json_add_bool(*out, "consistent_snapshot", true);
	if (e == OK)
		e = json_add_object(*out, "keys", &keys);
	if (e == OK)
		e = json_add_object(*out, "roles", &roles);
	if (e == OK && init->root_key_count > 0)
		e = outside_keys(init, keys, roles, f);
	for (i = init->root_key_count > 0; e == OK && i < 4; i++) {
		cJSON *object = NULL;

		e = repo_key_make(keys_dir, init->passphrase, &object, id[0], f);
		if (e == OK)
			e = add_key(keys, id[0], object);
		if (e == OK)
			e = add_role(roles, top_roles[i], (const char (*)[KEY_ID_TEXT])id, 1, 1);
	}
	return e;
}

static enum err
make_folders(struct repo *r, struct fault *f)
{
	char path[REPO_PATH];
	enum err e = file_make_dirs(r->dir, 0755, f); /* public/ is below and for everybody */

	if (e == OK)
		e = repo_join(path, r->dir, "keys", f);
	if (e == OK)
		e = file_make_dirs(path, 0700, f);
	if (e == OK)
		e = repo_join(path, r->dir, "staged", f);
	if (e == OK)
		e = file_make_dirs(path, 0755, f);
	if (e == OK)
		e = file_make_dirs(r->meta, 0755, f);
	if (e == OK)
		e = file_make_dirs(r->targets_dir, 0755, f);
	return e;
}

static void
fill_settings(struct repo *r, const struct repo_init *init)
{
	r->days.root = init->days.root > 0 ? init->days.root : 365;
	r->days.targets = init->days.targets > 0 ? init->days.targets : 30;
	r->days.snapshot = init->days.snapshot > 0 ? init->days.snapshot : 7;
	r->days.timestamp = init->days.timestamp > 0 ? init->days.timestamp : 3;
	r->keep_deltas = init->keep_deltas > 0 ? init->keep_deltas : LIMIT_DELTA_CHAIN;
}

/* Root keys that are private PEM files sign the first root at once. */
static enum err
stage_first_root(struct repo *r, const struct repo_init *init, cJSON *body, struct fault *f)
{
	struct repo_keys keys = { 0 };
	const cJSON *role = json_get(json_get(body, "roles"), "root");
	char path[REPO_PATH];
	struct buf text;
	size_t i;
	enum err e = repo_keys_of(r, role, &keys, f);

	buf_init(&text, LIMIT_TUF_ROOT);
	for (i = 0; e == OK && i < init->root_key_count; i++) {
		struct fault ignored = { 0 };

		/* a public key cannot sign: it is signed elsewhere */
		if (repo_keys_file(init->root_keys[i], init->passphrase, &keys, &ignored) ==
		    ERR_NOMEM)
			e = ERR_NOMEM;
	}
	if (e == OK)
		e = repo_document(body, NULL, &keys, &text, f);
	if (e == OK)
		e = repo_join(path, r->dir, "staged/root.json", f);
	if (e == OK)
		e = file_replace(path, text.data, text.len, 0644, f);
	repo_keys_free(&keys);
	buf_free(&text);
	return e;
}

static enum err
init_in(struct repo *r, const struct repo_init *init, struct fault *f)
{
	char keys_dir[REPO_PATH], waiting[65];
	cJSON *body = NULL;
	enum err e = make_folders(r, f);

	if (e == OK)
		e = repo_join(keys_dir, r->dir, "keys", f);
	if (e == OK)
		e = first_root(keys_dir, init, r->days.root, &body, f);
	if (e == OK)
		e = stage_first_root(r, init, body, f);
	if (e == OK)
		e = repo_save_counters(r, f);
	if (e == OK) /* from here on it is a repository */
		e = repo_save_config(r, f);
	if (e == OK)
		e = repo_release(r, false, waiting, f);
	cJSON_Delete(body);
	return e;
}

enum err
repo_init(const char *dir, const struct repo_init *init, struct fault *f)
{
	struct repo *r = calloc(1, sizeof *r);
	char path[REPO_PATH];
	enum err e;

	if (r == NULL)
		return ERR_NOMEM;
	r->lock = -1;
	if (init->feed == NULL || !text_is_role_name(init->feed, strlen(init->feed)))
		e = fault_set(f, ERR_INVAL, "a feed's name is 1 to 64 of a-z 0-9 -");
	else
		e = text_copy(r->feed, sizeof r->feed, init->feed, strlen(init->feed));
	if (e == OK)
		e = text_copy(r->dir, sizeof r->dir, dir, strlen(dir));
	if (e == OK)
		e = repo_join(path, dir, "repo.json", f);
	if (e == OK && file_exists(path))
		e = fault_set(f, ERR_EXISTS, "%s holds a repository already", dir);
	if (e == OK)
		e = set_paths(r, f);
	if (e == OK && init->passphrase != NULL &&
	    (r->passphrase = strdup(init->passphrase)) == NULL)
		e = ERR_NOMEM;
	if (e == OK && (r->used.roles = cJSON_CreateObject()) == NULL)
		e = ERR_NOMEM;
	fill_settings(r, init);
	if (e == OK)
		e = init_in(r, init, f);
	repo_close(r);
	return e;
}
