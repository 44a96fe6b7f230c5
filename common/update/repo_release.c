/* repo_release.c - makes staged documents public, in an order in which every reader finds a
 * complete and valid repository: delegated roles, targets, snapshot, timestamp. A first root comes
 * before the timestamp. A rotated root comes after it: until then what is public is signed with old
 * and new keys, so that it is valid under both roots. */
#include "update/repo_release_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAY_MS 86400000ll

/* ---- writing ---- */

static enum err
write_part(struct release *x, const struct part *p, uint64_t number)
{
	char path[REPO_PATH];
	enum err e = repo_meta_path(x->r, path, number, p->role, x->f);

	return e == OK ? file_replace(path, p->text.data, p->text.len, 0644, x->f) : e;
}

static enum err
meta_add(cJSON *meta, const struct part *p)
{
	char name[80];
	cJSON *entry = NULL;
	enum err e = repo_meta_entry(&entry, p->version, &p->text);

	(void)snprintf(name, sizeof name, "%s.json", p->role);
	if (e == OK && !cJSON_AddItemToObject(meta, name, entry))
		e = ERR_NOMEM;
	if (e != OK)
		cJSON_Delete(entry);
	return e;
}

/* A snapshot or timestamp that names the parts given. */
static enum err
build_listing(struct release *x, struct part *out, const char *role, uint64_t version,
    uint32_t days, const struct part *first, const struct part *more, size_t count)
{
	cJSON *body = NULL, *meta = NULL;
	size_t i;
	enum err e = repo_body(&body, role, version, days, x->f);

	(void)snprintf(out->role, sizeof out->role, "%s", role);
	if (e == OK)
		e = json_add_object(body, "meta", &meta);
	if (e == OK)
		e = meta_add(meta, first);
	for (i = 0; e == OK && i < count; i++)
		e = meta_add(meta, &more[i]);
	if (e == OK)
		e = part_sign(x, out, body, NULL);
	cJSON_Delete(body);
	if (e == OK && !part_ready(x, out, release_root(x)))
		e = fault_set(x->f, ERR_AUTH,
		    "the keys of %s are not in keys/: bring them here, or name "
		    "keys that are with `atalaia-repo root rotate`",
		    role);
	return e;
}

/* Less than a third of its life left? */
static bool
aged(const struct signed_doc *d, uint32_t days)
{
	const cJSON *expires = json_get(d->body, "expires");
	int64_t at;

	return !cJSON_IsString(expires) ||
	    clock_parse(expires->valuestring, strlen(expires->valuestring), &at) != OK ||
	    at - clock_wall_ms() < (int64_t)days * DAY_MS / 3;
}

static bool
role_fresh(const struct release *x)
{
	size_t i;

	for (i = 0; i < x->role_count; i++)
		if (x->roles[i].fresh)
			return true;
	return false;
}

static bool
anything_fresh(const struct release *x)
{
	return x->root.fresh || x->targets.fresh || role_fresh(x);
}

static enum err
make_snapshot(struct release *x, struct part *out)
{
	char path[REPO_PATH];
	uint64_t current = 0;
	enum err e = OK;

	if (!anything_fresh(x) && !aged(&x->r->snapshot, x->r->days.snapshot)) {
		e = json_get_u64(x->r->snapshot.body, "version", JSON_MAX_INT, &current, x->f);
		if (e == OK)
			e = repo_meta_path(x->r, path, current, "snapshot", x->f);
		return e == OK ? part_load(out, "snapshot", path, x->f) : e;
	}
	x->r->used.snapshot++;
	return build_listing(x, out, "snapshot", x->r->used.snapshot, x->r->days.snapshot,
	    &x->targets, x->roles, x->role_count);
}

static enum err
write_all_parts(struct release *x, const struct part *snapshot, const struct part *timestamp)
{
	size_t i;
	enum err e = OK;

	for (i = 0; e == OK && i < x->role_count; i++)
		if (x->roles[i].fresh)
			e = write_part(x, &x->roles[i], x->roles[i].version);
	if (e == OK && x->targets.fresh)
		e = write_part(x, &x->targets, x->targets.version);
	if (e == OK && snapshot->fresh)
		e = write_part(x, snapshot, snapshot->version);
	if (e == OK && x->root.fresh && !x->rotated)
		e = write_part(x, &x->root, x->root.version);
	if (e == OK)
		e = write_part(x, timestamp, 0);
	if (e == OK && x->root.fresh && x->rotated)
		e = write_part(x, &x->root, x->root.version);
	return e;
}

static void
drop_staged(const struct release *x)
{
	const struct part *all[ROLES_MAX + 2] = { &x->root, &x->targets };
	char path[REPO_PATH];
	size_t i;

	for (i = 0; i < x->role_count; i++)
		all[i + 2] = &x->roles[i];
	for (i = 0; i < x->role_count + 2; i++)
		if (all[i]->fresh && repo_staged_path(x->r, path, all[i]->role, NULL) == OK)
			(void)unlink(path);
}

static enum err
publish(struct release *x)
{
	struct part snapshot = { 0 }, timestamp = { 0 };
	struct repo *r = x->r;
	enum err e = make_snapshot(x, &snapshot);

	r->used.timestamp++;
	if (x->root.fresh)
		r->used.root = x->root.version;
	if (e == OK)
		e = repo_save_counters(r, x->f);
	if (e == OK)
		e = build_listing(x, &timestamp, "timestamp", r->used.timestamp, r->days.timestamp,
		    &snapshot, NULL, 0);
	if (e == OK)
		e = write_all_parts(x, &snapshot, &timestamp);
	if (e == OK) {
		drop_staged(x);
		r->used.published = r->used.timestamp;
		e = repo_save_counters(r, x->f);
	}
	part_free(&snapshot);
	part_free(&timestamp);
	return e;
}

enum err
repo_release(struct repo *r, bool resign, char waiting[65], struct fault *f)
{
	struct release *x = calloc(1, sizeof *x);
	bool held = false;
	size_t i;
	enum err e;

	waiting[0] = '\0';
	r->needs_version = false;
	if (x == NULL)
		return ERR_NOMEM;
	x->r = r;
	x->f = f;
	x->resign = resign;
	x->waiting = waiting;
	e = release_choose_root(x);
	if (e == OK && release_root(x) != NULL) {
		e = release_choose_targets(x, &held);
		if (e == OK && !held)
			e = release_choose_roles(x, &held);
		if (e == OK && !held && role_fresh(x) && !x->targets.fresh) {
			/* the set changes, so its version must: targets first */
			held = true;
			r->needs_version = strcmp(waiting, "targets") != 0;
		}
		if (e == OK && !held && (resign || anything_fresh(x)))
			e = publish(x);
	}
	part_free(&x->root);
	part_free(&x->targets);
	for (i = 0; i < x->role_count; i++)
		part_free(&x->roles[i]);
	free(x);
	return e == OK ? repo_reload(r, f) : e;
}

/* ---- staging ---- */

enum err
repo_stage(struct repo *r, const char *role, const cJSON *body, const char *const *key_files,
    size_t key_count, struct fault *f)
{
	struct repo_keys keys = { 0 };
	const cJSON *ring, *who;
	char path[REPO_PATH];
	struct buf text;
	size_t i;
	enum err e = OK;

	buf_init(&text, LIMIT_TUF_TARGETS);
	who = r->root.body == NULL ? NULL :
	    repo_role(r->root.body, r->targets.body, role, &ring);
	if (who != NULL)
		e = repo_keys_of(r, who, &keys, f);
	for (i = 0; e == OK && i < key_count; i++)
		e = repo_keys_file(key_files[i], r->passphrase, &keys, f);
	if (e == OK)
		e = repo_document(body, NULL, &keys, &text, f);
	if (e == OK)
		e = repo_staged_path(r, path, role, f);
	if (e == OK)
		e = file_replace(path, text.data, text.len, 0644, f);
	repo_keys_free(&keys);
	buf_free(&text);
	return e;
}
