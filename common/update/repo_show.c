/* repo_show.c - what a repository is, as data for `show`. */
#include "update/repo_priv.h"

#include "base/json.h"
#include "base/text.h"
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static uint64_t
keys_here(const struct repo *r, const cJSON *ids)
{
	char name[80], path[REPO_PATH];
	const cJSON *id;
	uint64_t n = 0;

	cJSON_ArrayForEach(id, ids) {
		if (!cJSON_IsString(id) || strlen(id->valuestring) != 64)
			continue;
		(void)snprintf(name, sizeof name, "keys/%.64s.pem", id->valuestring);
		if (repo_join(path, r->dir, name, NULL) == OK)
			n += file_exists(path);
	}
	return n;
}

static enum err
add_role(const struct repo *r, cJSON *list, const char *role, const struct signed_doc *d)
{
	const cJSON *ring, *who = repo_role(r->root.body, r->targets.body, role, &ring);
	const char *expires = NULL;
	uint64_t version = 0, threshold = 0;
	cJSON *one = cJSON_CreateObject();
	enum err e = one != NULL && who != NULL && d->body != NULL ? OK : ERR_NOTFOUND;

	if (e == OK)
		e = json_get_u64(d->body, "version", JSON_MAX_INT, &version, NULL);
	if (e == OK)
		e = json_get_string(d->body, "expires", &expires, NULL);
	if (e == OK)
		e = json_get_u64(who, "threshold", JSON_MAX_INT, &threshold, NULL);
	if (e == OK)
		e = json_add_string(one, "role", role);
	if (e == OK)
		e = json_add_u64(one, "version", version);
	if (e == OK)
		e = json_add_string(one, "expires", expires);
	if (e == OK)
		e = json_add_u64(one, "threshold", threshold);
	if (e == OK && !cJSON_AddItemToObject(one, "keyids",
	    cJSON_Duplicate(json_get(who, "keyids"), 1)))
		e = ERR_NOMEM;
	if (e == OK)
		e = json_add_u64(one, "keys_here", keys_here(r, json_get(who, "keyids")));
	if (e == OK)
		return json_append(list, one);
	cJSON_Delete(one);
	return e == ERR_NOMEM ? e : OK; /* a role that is not public yet is not listed */
}

static enum err
add_delegated(const struct repo *r, cJSON *list, struct fault *f)
{
	const cJSON *one;
	enum err e = OK;

	cJSON_ArrayForEach(one, json_get(json_get(r->targets.body, "delegations"), "roles")) {
		const cJSON *name = json_get(one, "name");
		struct signed_doc d = { 0 };
		char path[REPO_PATH], file[80];
		uint64_t version;

		if (e != OK || !cJSON_IsString(name) || strlen(name->valuestring) > 64)
			continue;
		memcpy(file, name->valuestring, strlen(name->valuestring));
		memcpy(file + strlen(name->valuestring), ".json", 6);
		e = json_get_u64(json_get(json_get(r->snapshot.body, "meta"), file), "version",
		    JSON_MAX_INT, &version, f);
		if (e == OK)
			e = repo_meta_path(r, path, version, name->valuestring, f);
		if (e == OK)
			e = repo_load_doc(&d, path, 5000000, f);
		if (e == OK)
			e = add_role(r, list, name->valuestring, &d);
		signed_free(&d);
	}
	return e;
}

static enum err
add_waiting(const struct repo *r, cJSON *list, struct fault *f)
{
	char path[REPO_PATH];
	struct dirent *d;
	DIR *dir;
	enum err e = repo_join(path, r->dir, "staged", f);

	if (e != OK || (dir = opendir(path)) == NULL)
		return e;
	while (e == OK && (d = file_next(dir, &e, f)) != NULL) {
		size_t n = strlen(d->d_name);

		if (!text_ends(d->d_name, ".json") || n > 69)
			continue;
		memcpy(path, d->d_name, n - 5);
		path[n - 5] = '\0';
		if (text_is_role_name(path, n - 5))
			e = json_append_string(list, path);
	}
	(void)closedir(dir);
	return e;
}

static enum err
add_targets(const struct repo *r, cJSON *list)
{
	size_t i;
	enum err e = OK;

	for (i = 0; e == OK && i < r->entries.count; i++) {
		const struct repo_entry *x = &r->entries.list[i];
		cJSON *one = cJSON_CreateObject();

		e = one != NULL ? json_add_string(one, "path", x->path) : ERR_NOMEM;
		if (e == OK)
			e = json_add_u64(one, "length", x->length);
		if (e == OK)
			e = json_add_string(one, "sha256", x->sha256);
		if (e == OK)
			e = json_append(list, one);
		else
			cJSON_Delete(one);
	}
	return e;
}

enum err
repo_describe(struct repo *r, cJSON **out, struct fault *f)
{
	cJSON *roles = NULL, *waiting = NULL, *targets = NULL;
	enum err e;

	*out = cJSON_CreateObject();
	e = *out != NULL ? json_add_string(*out, "feed", r->feed) : ERR_NOMEM;
	if (e == OK)
		e = json_add_u64(*out, "version", repo_version(r));
	if (e == OK)
		e = json_add_array(*out, "roles", &roles);
	if (e == OK)
		e = json_add_array(*out, "waiting", &waiting);
	if (e == OK)
		e = json_add_array(*out, "targets", &targets);
	if (e == OK)
		e = add_role(r, roles, "root", &r->root);
	if (e == OK)
		e = add_role(r, roles, "targets", &r->targets);
	if (e == OK)
		e = add_role(r, roles, "snapshot", &r->snapshot);
	if (e == OK)
		e = add_role(r, roles, "timestamp", &r->timestamp);
	if (e == OK)
		e = add_delegated(r, roles, f);
	if (e == OK)
		e = add_waiting(r, waiting, f);
	if (e == OK)
		e = add_targets(r, targets);
	if (e != OK) {
		cJSON_Delete(*out);
		*out = NULL;
	}
	return e;
}
