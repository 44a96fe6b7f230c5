/* repo_roles.c - delegations, root rotation, and signatures that are made on other machines. */
#include "update/repo_priv.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"
#include "update/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool
is_top(const char *role)
{
	return strcmp(role, "root") == 0 || strcmp(role, "targets") == 0 ||
	    strcmp(role, "snapshot") == 0 || strcmp(role, "timestamp") == 0;
}

static enum err
staged_path(const struct repo *r, char out[REPO_PATH], const char *role, struct fault *f)
{
	char name[80];

	if (!text_is_role_name(role, strlen(role)))
		return fault_set(f, ERR_INVAL, "a role's name is 1 to 64 of a-z 0-9 -");
	(void)snprintf(name, sizeof name, "staged/%s.json", role);
	return repo_join(out, r->dir, name, f);
}

/* Adds the key of a PEM file to a "keys" object and its id to a "keyids" array. */
static enum err
add_key_file(const struct repo *r, cJSON *keys, cJSON *ids, const char *path, struct fault *f)
{
	cJSON *object = NULL;
	const cJSON *known;
	char id[KEY_ID_TEXT];
	enum err e = repo_key_object(path, r->passphrase, &object, id, f);

	if (e != OK)
		return e;
	if (json_get(keys, id) != NULL)
		cJSON_Delete(object);
	else if (!cJSON_AddItemToObject(keys, id, object)) {
		cJSON_Delete(object);
		return ERR_NOMEM;
	}
	cJSON_ArrayForEach(known, ids)
		if (cJSON_IsString(known) && strcmp(known->valuestring, id) == 0)
			return OK;
	return json_append_string(ids, id);
}

/* ---- delegations ---- */

static enum err
editable_delegations(struct repo *r, cJSON **keys, cJSON **roles)
{
	cJSON *old = json_get(r->targets.body, "delegations");
	enum err e = OK;

	if (r->delegations == NULL)
		r->delegations = old != NULL ? cJSON_Duplicate(old, 1) : cJSON_CreateObject();
	if (r->delegations == NULL)
		return ERR_NOMEM;
	*keys = json_get(r->delegations, "keys");
	*roles = json_get(r->delegations, "roles");
	if (*keys == NULL)
		e = json_add_object(r->delegations, "keys", keys);
	if (e == OK && *roles == NULL)
		e = json_add_array(r->delegations, "roles", roles);
	return e;
}

static void
drop_role(cJSON *roles, const char *role)
{
	int i;

	for (i = cJSON_GetArraySize(roles); i-- > 0;) {
		const cJSON *name = json_get(cJSON_GetArrayItem(roles, i), "name");

		if (cJSON_IsString(name) && strcmp(name->valuestring, role) == 0)
			cJSON_DeleteItemFromArray(roles, i);
	}
}

enum err
repo_delegate(struct repo *r, const char *role, const char *const *key_files, size_t key_count,
    uint32_t threshold, const char *const *paths, size_t path_count, struct fault *f)
{
	cJSON *keys, *roles, *one = cJSON_CreateObject(), *ids = NULL, *list = NULL;
	size_t i;
	enum err e = one != NULL ? OK : ERR_NOMEM;

	if (e == OK && (!text_is_role_name(role, strlen(role)) || is_top(role)))
		e = fault_set(f, ERR_INVAL,
		    "a delegated role's name is 1 to 64 of a-z 0-9 - and none of "
		    "root, targets, snapshot, timestamp");
	if (e == OK && (threshold == 0 || threshold > key_count || path_count == 0))
		e = fault_set(f, ERR_INVAL,
		    "role %s needs at least one path, and at least as many keys as "
		    "its threshold",
		    role);
	if (e == OK)
		e = editable_delegations(r, &keys, &roles);
	if (e == OK)
		e = json_add_string(one, "name", role);
	if (e == OK)
		e = json_add_array(one, "keyids", &ids);
	for (i = 0; e == OK && i < key_count; i++)
		e = add_key_file(r, keys, ids, key_files[i], f);
	if (e == OK)
		e = json_add_u64(one, "threshold", threshold);
	if (e == OK)
		e = json_add_bool(one, "terminating", true);
	if (e == OK)
		e = json_add_array(one, "paths", &list);
	for (i = 0; e == OK && i < path_count; i++)
		e = json_append_string(list, paths[i]);
	if (e != OK) {
		cJSON_Delete(one);
		return e;
	}
	drop_role(roles, role);
	return json_append(roles, one);
}

/* Version that the next document of a delegated role gets; saved before it is used. */
static enum err
next_role_version(struct repo *r, const char *role, uint64_t *out, struct fault *f)
{
	cJSON *used = json_get(r->used.roles, role);
	uint64_t v = 0;
	enum err e = OK;

	if (used != NULL)
		e = json_get_u64(r->used.roles, role, JSON_MAX_INT - 1, &v, f);
	if (e == OK && used != NULL)
		cJSON_DeleteItemFromObjectCaseSensitive(r->used.roles, role);
	if (e == OK)
		e = json_add_u64(r->used.roles, role, v + 1);
	*out = v + 1;
	return e == OK ? repo_save_counters(r, f) : e;
}

/* The targets that the role has so far: staged, else public. */
static enum err
role_targets(struct repo *r, const char *role, struct repo_entries *l, struct fault *f)
{
	char path[REPO_PATH], name[80];
	struct signed_doc d = { 0 };
	uint64_t version;
	enum err e = staged_path(r, path, role, f);

	(void)snprintf(name, sizeof name, "%s.json", role);
	if (e == OK && !file_exists(path)) {
		const cJSON *meta = json_get(json_get(r->snapshot.body, "meta"), name);

		if (meta == NULL)
			return OK;
		e = json_get_u64(meta, "version", JSON_MAX_INT, &version, f);
		if (e == OK)
			e = repo_meta_path(r, path, version, role, f);
	}
	if (e == OK)
		e = repo_load_doc(&d, path, LIMIT_TUF_TARGETS, f);
	if (e == OK)
		e = repo_entries_read(l, d.body, f);
	signed_free(&d);
	return e;
}

static enum err
store_bytes(struct repo *r, const char *name, const void *p, size_t n, uint64_t *length,
    char sha256[65], struct fault *f)
{
	char path[REPO_PATH];
	enum err e = repo_join(path, r->dir, "staged/bytes.tmp", f);

	if (e == OK)
		e = file_replace(path, p, n, 0644, f);
	if (e == OK)
		e = repo_store(r, name, path, length, sha256, f);
	(void)unlink(path);
	return e;
}

static enum err
stage_role(struct repo *r, const char *role, const struct repo_entries *l, uint64_t version,
    const char *const *key_files, size_t key_count, struct fault *f)
{
	const cJSON *ring, *who = NULL;
	struct signed_doc saved = r->targets;
	cJSON *body = NULL, *list = NULL, *shadow = NULL;
	enum err e = repo_body(&body, "targets", version, r->days.root, f);

	if (e == OK)
		e = repo_entries_json(l, &list);
	if (e == OK && !cJSON_AddItemToObject(body, "targets", list))
		e = ERR_NOMEM;
	else if (e == OK)
		list = NULL;
	/* a delegation that is only about to be published names the signers already */
	if (e == OK && r->delegations != NULL) {
		shadow = cJSON_CreateObject();
		if (shadow == NULL || !cJSON_AddItemReferenceToObject(shadow, "delegations",
		    r->delegations))
			e = ERR_NOMEM;
		r->targets.body = shadow;
	}
	if (e == OK) {
		who = repo_role(NULL, r->targets.body, role, &ring);
		e = who == NULL ? fault_set(f, ERR_NOTFOUND,
				      "the role %s is not delegated: name its keys "
				      "and paths first",
				      role)
				: repo_stage(r, role, body, key_files, key_count, f);
	}
	r->targets = saved;
	cJSON_Delete(shadow);
	cJSON_Delete(list);
	cJSON_Delete(body);
	return e;
}

enum err
repo_role_put(struct repo *r, const char *role, const char *name, const void *p, size_t n,
    const char *const *key_files, size_t key_count, struct fault *f)
{
	struct repo_entries l = { 0 };
	uint64_t length, version;
	char sha256[65];
	enum err e;

	if (is_top(role) || !text_is_target_path(name, strlen(name)) || repo_is_helper(name))
		return fault_set(
		    f, ERR_INVAL, "%s is no delegated role, or %s no target name", role, name);
	e = role_targets(r, role, &l, f);
	if (e == OK)
		e = store_bytes(r, name, p, n, &length, sha256, f);
	if (e == OK)
		e = repo_entry_put(&l, name, length, sha256, NULL);
	if (e == OK)
		e = next_role_version(r, role, &version, f);
	if (e == OK)
		e = stage_role(r, role, &l, version, key_files, key_count, f);
	repo_entries_free(&l);
	return e;
}

/* ---- root ---- */

static enum err
remove_ids(cJSON *ids, const struct repo_rotate *c, struct fault *f)
{
	size_t i;
	int k;

	for (i = 0; i < c->remove_count; i++) {
		for (k = cJSON_GetArraySize(ids); k-- > 0;) {
			const cJSON *id = cJSON_GetArrayItem(ids, k);

			if (cJSON_IsString(id) && strncmp(id->valuestring, c->remove[i],
			    strlen(c->remove[i])) == 0 && strlen(c->remove[i]) >= 8)
				break;
		}
		if (k < 0)
			return fault_set(f, ERR_NOTFOUND,
			    "role %s has no key %s (give at least 8 digits)", c->role,
			    c->remove[i]);
		cJSON_DeleteItemFromArray(ids, k);
	}
	return OK;
}

static enum err
change_role(const struct repo *r, cJSON *body, const struct repo_rotate *c, struct fault *f)
{
	cJSON *keys = json_get(body, "keys"), *role = json_get(json_get(body, "roles"), c->role);
	cJSON *ids = json_get(role, "keyids");
	uint64_t threshold = 0;
	size_t i;
	enum err e = OK;

	if (ids == NULL)
		return fault_set(f, ERR_INVAL, "%s is no role of a root", c->role);
	for (i = 0; e == OK && i < c->add_count; i++)
		e = add_key_file(r, keys, ids, c->add[i], f);
	if (e == OK)
		e = remove_ids(ids, c, f);
	if (e == OK && c->threshold > 0) {
		cJSON_DeleteItemFromObjectCaseSensitive(role, "threshold");
		e = json_add_u64(role, "threshold", c->threshold);
	}
	if (e == OK)
		e = json_get_u64(role, "threshold", 1024, &threshold, f);
	if (e == OK && threshold > (uint64_t)cJSON_GetArraySize(ids))
		e = fault_set(f, ERR_INVAL,
		    "role %s would need %" PRIu64 " signatures and have %d keys", c->role,
		    threshold, cJSON_GetArraySize(ids));
	return e;
}

/* Keys that no role names any more leave the document. */
static void
drop_unused_keys(cJSON *body)
{
	cJSON *keys = json_get(body, "keys"), *key, *next, *role, *id;

	for (key = keys != NULL ? keys->child : NULL; key != NULL; key = next) {
		bool used = false;

		next = key->next;
		cJSON_ArrayForEach(role, json_get(body, "roles"))
		    cJSON_ArrayForEach(id, json_get(role, "keyids")) used =
			used || (cJSON_IsString(id) && strcmp(id->valuestring, key->string) == 0);
		if (!used)
			cJSON_Delete(cJSON_DetachItemViaPointer(keys, key));
	}
}

enum err
repo_root_rotate(struct repo *r, const struct repo_rotate *changes, size_t count, struct fault *f)
{
	static const char *const kept[] = { "keys", "roles" };
	cJSON *body = NULL;
	uint64_t version = 0;
	size_t i;
	enum err e;

	if (r->root.body == NULL)
		return fault_set(f, ERR_STATE, "the first root is not public yet");
	e = json_get_u64(r->root.body, "version", JSON_MAX_INT - 1, &version, f);
	if (e == OK)
		e = repo_body(&body, "root", version + 1, r->days.root, f);
	if (e == OK)
		e = json_add_bool(body, "consistent_snapshot", true);
	for (i = 0; e == OK && i < 2; i++)
		if (!cJSON_AddItemToObject(body, kept[i],
		    cJSON_Duplicate(json_get(r->root.body, kept[i]), 1)))
			e = ERR_NOMEM;
	for (i = 0; e == OK && i < count; i++)
		e = change_role(r, body, &changes[i], f);
	if (e == OK)
		drop_unused_keys(body);
	if (e == OK)
		e = repo_stage(r, "root", body, NULL, 0, f);
	cJSON_Delete(body);
	return e == OK ? repo_sign_staged(r, "root", NULL, 0, f) : e;
}

/* ---- signatures from elsewhere ---- */

/* Signers of a staged document: for root those of the document itself as well. */
static enum err
add_local_keys(const struct repo *r, const char *role, const cJSON *body, struct repo_keys *keys,
    struct fault *f)
{
	const cJSON *ring, *who;
	enum err e = OK;

	who = r->root.body == NULL ? NULL : repo_role(r->root.body, r->targets.body, role, &ring);
	if (who != NULL)
		e = repo_keys_of(r, who, keys, f);
	if (e == OK && strcmp(role, "root") == 0) {
		struct repo_keys own = { 0 };
		size_t i;

		e = repo_keys_of(r, json_get(json_get(body, "roles"), "root"), &own, f);
		for (i = 0; e == OK && i < own.count; i++) {
			void *list = realloc(keys->list, (keys->count + 1) * sizeof *keys->list);

			if (list == NULL)
				e = ERR_NOMEM;
			else {
				keys->list = list;
				keys->list[keys->count++] = own.list[i];
				own.list[i] = NULL;
			}
		}
		repo_keys_free(&own);
	}
	return e;
}

static enum err
write_signed(const char *path, const struct signed_doc *d, const cJSON *more,
    const struct repo_keys *keys, struct fault *f)
{
	struct buf text;
	enum err e;

	buf_init(&text, LIMIT_TUF_TARGETS);
	e = repo_document(d->body, more != NULL ? more : d->signatures, keys, &text, f);
	if (e == OK)
		e = file_replace(path, text.data, text.len, 0644, f);
	buf_free(&text);
	return e;
}

enum err
repo_sign_staged(struct repo *r, const char *role, const char *const *key_files, size_t key_count,
    struct fault *f)
{
	struct repo_keys keys = { 0 };
	struct signed_doc d = { 0 };
	char path[REPO_PATH];
	size_t i;
	enum err e = staged_path(r, path, role, f);

	if (e == OK && !file_exists(path))
		return fault_set(f, ERR_NOTFOUND, "nothing of role %s waits for signatures", role);
	if (e == OK)
		e = repo_load_doc(&d, path, LIMIT_TUF_TARGETS, f);
	if (e == OK)
		e = add_local_keys(r, role, d.body, &keys, f);
	for (i = 0; e == OK && i < key_count; i++)
		e = repo_keys_file(key_files[i], r->passphrase, &keys, f);
	if (e == OK)
		e = write_signed(path, &d, NULL, &keys, f);
	repo_keys_free(&keys);
	signed_free(&d);
	return e;
}

enum err
repo_sign_file(const char *path, const char *const *key_files, size_t key_count,
    const char *passphrase, struct fault *f)
{
	struct repo_keys keys = { 0 };
	struct signed_doc d = { 0 };
	size_t i;
	enum err e = repo_load_doc(&d, path, LIMIT_TUF_TARGETS, f);

	for (i = 0; e == OK && i < key_count; i++)
		e = repo_keys_file(key_files[i], passphrase, &keys, f);
	if (e == OK)
		e = write_signed(path, &d, NULL, &keys, f);
	repo_keys_free(&keys);
	signed_free(&d);
	return e;
}

/* The signatures of b that a does not have, behind those of a. */
static enum err
merge(const cJSON *a, const cJSON *b, cJSON **out)
{
	const cJSON *s, *t;
	enum err e = OK;

	*out = cJSON_Duplicate(a, 1);
	if (*out == NULL)
		return ERR_NOMEM;
	cJSON_ArrayForEach(s, b) {
		const cJSON *id = json_get(s, "keyid");
		bool known = false;

		cJSON_ArrayForEach(t, a) {
			const cJSON *other = json_get(t, "keyid");

			known = known || (cJSON_IsString(id) && cJSON_IsString(other) &&
			    strcmp(id->valuestring, other->valuestring) == 0);
		}
		if (e == OK && !known)
			e = json_append(*out, cJSON_Duplicate(s, 1));
	}
	return e;
}

/* Counts good signatures: for a root the weaker of the old and its own signers. A delegation may
 * itself still be staged. */
static enum err
count_good(const struct repo *r, const char *role, const struct signed_doc *d, uint32_t *have,
    uint32_t *need, struct fault *f)
{
	struct signed_doc staged = { 0 };
	char path[REPO_PATH];
	const cJSON *ring = NULL, *who = NULL;
	uint64_t h = 0, n = 0, h2, n2;
	enum err e = staged_path(r, path, "targets", f);

	if (e == OK && !is_top(role) && file_exists(path))
		e = repo_load_doc(&staged, path, LIMIT_TUF_TARGETS, f);
	if (e == OK && r->root.body != NULL)
		who = repo_role(
		    r->root.body, staged.body != NULL ? staged.body : r->targets.body, role, &ring);
	if (who != NULL)
		e = repo_signed_by(d, ring, who, &h, &n, f);
	if (e == OK && strcmp(role, "root") == 0) {
		who = repo_role(d->body, NULL, "root", &ring);
		e = repo_signed_by(d, ring, who, &h2, &n2, f);
		if (e == OK && (n == 0 || h >= n)) {
			h = h2;
			n = n2;
		}
	}
	signed_free(&staged);
	*have = (uint32_t)h;
	*need = (uint32_t)n;
	return e;
}

enum err
repo_count_signatures(struct repo *r, const char *role, const void *p, size_t n, uint32_t *have,
    uint32_t *need, struct fault *f)
{
	struct signed_doc d = { 0 };
	enum err e = signed_parse(&d, p, n, f);

	*have = *need = 0;
	if (e == OK)
		e = count_good(r, role, &d, have, need, f);
	signed_free(&d);
	return e;
}

enum err
repo_import_staged(struct repo *r, const char *role, const char *path, uint32_t *have,
    uint32_t *need, struct fault *f)
{
	struct signed_doc mine = { 0 }, theirs = { 0 };
	char staged[REPO_PATH], waiting[65];
	cJSON *all = NULL;
	enum err e = staged_path(r, staged, role, f);

	*have = *need = 0;
	if (e == OK && !file_exists(staged))
		return fault_set(f, ERR_NOTFOUND, "nothing of role %s waits for signatures", role);
	if (e == OK)
		e = repo_load_doc(&mine, staged, LIMIT_TUF_TARGETS, f);
	if (e == OK)
		e = repo_load_doc(&theirs, path, LIMIT_TUF_TARGETS, f);
	if (e == OK && !cJSON_Compare(mine.body, theirs.body, 1))
		e = fault_set(f, ERR_VERIFY,
		    "%s is not the document that waits: export it again and sign "
		    "that",
		    path);
	if (e == OK)
		e = merge(mine.signatures, theirs.signatures, &all);
	if (e == OK)
		e = write_signed(staged, &mine, all, NULL, f);
	signed_free(&mine);
	if (e == OK)
		e = repo_load_doc(&mine, staged, LIMIT_TUF_TARGETS, f);
	if (e == OK)
		e = count_good(r, role, &mine, have, need, f);
	cJSON_Delete(all);
	signed_free(&mine);
	signed_free(&theirs);
	return e == OK ? repo_release_all(r, waiting, f) : e;
}

enum err
repo_export_staged(struct repo *r, const char *role, struct buf *out, struct fault *f)
{
	char path[REPO_PATH];
	enum err e = staged_path(r, path, role, f);

	if (e == OK && !file_exists(path))
		return fault_set(f, ERR_NOTFOUND, "nothing of role %s waits for signatures", role);
	return e == OK ? file_read(path, out, f) : e;
}
