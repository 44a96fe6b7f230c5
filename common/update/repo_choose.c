/* repo_choose.c - what a release consists of: staged documents that have their signatures, and what
 * is public already. */
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

enum err
repo_staged_path(const struct repo *r, char out[REPO_PATH], const char *role, struct fault *f)
{
	char name[80];

	(void)snprintf(name, sizeof name, "staged/%s.json", role);
	return repo_join(out, r->dir, name, f);
}

const cJSON *
release_root(const struct release *x)
{
	return x->root.fresh ? x->root.doc.body : x->r->root.body;
}

void
part_free(struct part *p)
{
	signed_free(&p->doc);
	buf_free(&p->text);
	memset(p, 0, sizeof *p);
}

enum err
part_load(struct part *p, const char *role, const char *path, struct fault *f)
{
	enum err e;

	memset(p, 0, sizeof *p);
	buf_init(&p->text, LIMIT_TUF_TARGETS);
	(void)snprintf(p->role, sizeof p->role, "%s", role);
	e = file_read(path, &p->text, f);
	if (e == OK)
		e = signed_parse(&p->doc, p->text.data, p->text.len, f);
	if (e == OK)
		e = json_get_u64(p->doc.body, "version", JSON_MAX_INT, &p->version, f);
	if (e != OK)
		part_free(p);
	return e;
}

/* Moves the keys of b behind those of a. */
static enum err
keys_join(struct repo_keys *a, struct repo_keys *b)
{
	void *list;

	if (b->count == 0)
		return OK;
	list = realloc(a->list, (a->count + b->count) * sizeof *a->list);
	if (list == NULL)
		return ERR_NOMEM;
	a->list = list;
	memcpy(a->list + a->count, b->list, b->count * sizeof *a->list);
	a->count += b->count;
	b->count = 0;
	return OK;
}

/* Every private key that is here and that the role has in the old root or in the new one. */
static enum err
keys_for(const struct release *x, const char *name, struct repo_keys *out)
{
	const cJSON *bodies[2] = { x->r->root.body, x->root.fresh ? x->root.doc.body : NULL },
		    *ring;
	size_t i;
	enum err e = OK;

	for (i = 0; e == OK && i < 2; i++) {
		struct repo_keys more = { 0 };
		const cJSON *role = bodies[i] == NULL ? NULL :
		    repo_role(bodies[i], x->targets.doc.body, name, &ring);

		if (role != NULL)
			e = repo_keys_of(x->r, role, &more, x->f);
		if (e == OK)
			e = keys_join(out, &more);
		repo_keys_free(&more);
	}
	return e;
}

enum err
part_sign(const struct release *x, struct part *p, const cJSON *body, const cJSON *signatures)
{
	struct repo_keys keys = { 0 };
	struct signed_doc doc = { 0 };
	struct buf text;
	enum err e = keys_for(x, p->role, &keys);

	buf_init(&text, LIMIT_TUF_TARGETS);
	if (e == OK)
		e = repo_document(body, signatures, &keys, &text, x->f);
	if (e == OK)
		e = signed_parse(&doc, text.data, text.len, x->f);
	if (e == OK)
		e = json_get_u64(doc.body, "version", JSON_MAX_INT, &p->version, x->f);
	repo_keys_free(&keys);
	if (e != OK) {
		signed_free(&doc);
		buf_free(&text);
		return e;
	}
	signed_free(&p->doc);
	buf_free(&p->text);
	p->doc = doc;
	p->text = text;
	p->fresh = true;
	return OK;
}

bool
part_ready(const struct release *x, const struct part *p, const cJSON *root)
{
	const cJSON *keys, *role = repo_role(root, x->targets.doc.body, p->role, &keys);
	uint64_t have, need;

	return role != NULL && repo_signed_by(&p->doc, keys, role, &have, &need, NULL) == OK &&
	    have >= need;
}

static void
wait_for(struct release *x, const char *role)
{
	if (x->waiting[0] == '\0')
		(void)snprintf(x->waiting, 65, "%s", role);
}

static enum err
part_keep_staged(const struct release *x, const struct part *p)
{
	char path[REPO_PATH];
	enum err e = repo_staged_path(x->r, path, p->role, x->f);

	return e == OK ? file_replace(path, p->text.data, p->text.len, 0644, x->f) : e;
}

/* ---- what this release consists of ---- */

enum err
release_choose_root(struct release *x)
{
	char path[REPO_PATH];
	enum err e = repo_staged_path(x->r, path, "root", x->f);
	uint64_t current = 0;

	if (e != OK || !file_exists(path))
		return e;
	if (x->r->root.body != NULL)
		e = json_get_u64(x->r->root.body, "version", JSON_MAX_INT, &current, x->f);
	if (e == OK)
		e = part_load(&x->root, "root", path, x->f);
	if (e != OK)
		return e;
	if (x->root.version <= current) { /* left by a run that was killed after publishing it */
		(void)unlink(path);
		part_free(&x->root);
		return OK;
	}
	if (part_ready(x, &x->root, x->root.doc.body) &&
	    (x->r->root.body == NULL || part_ready(x, &x->root, x->r->root.body))) {
		x->root.fresh = true;
		x->rotated = x->r->root.body != NULL;
		return OK;
	}
	wait_for(x, "root");
	part_free(&x->root);
	return OK;
}

/* An empty first version, or the public one again under the next number. */
static enum err
next_targets(struct release *x, cJSON **body)
{
	cJSON *fresh = NULL;
	const cJSON *old = x->r->targets.body;
	enum err e;

	x->r->used.targets++;
	e = repo_save_counters(x->r, x->f);
	if (e == OK)
		e = repo_body(&fresh, "targets", x->r->used.targets, x->r->days.targets, x->f);
	if (e == OK) {
		cJSON *list = old != NULL ? cJSON_Duplicate(json_get(old, "targets"), 1) :
		    cJSON_CreateObject();
		cJSON *del = old != NULL ? json_get(old, "delegations") : NULL;

		if (list == NULL || !cJSON_AddItemToObject(fresh, "targets", list) ||
		    (del != NULL &&
			!cJSON_AddItemToObject(fresh, "delegations", cJSON_Duplicate(del, 1))))
			e = ERR_NOMEM;
	}
	*body = fresh;
	return e;
}

/* The staged targets when they are newer than what is public; with the signatures that are
 * possible. */
static enum err
staged_targets(struct release *x, uint64_t current)
{
	char path[REPO_PATH];
	struct part *t = &x->targets;
	cJSON *body = NULL, *signatures = NULL;
	enum err e = repo_staged_path(x->r, path, "targets", x->f);

	if (e != OK || !file_exists(path))
		return e;
	e = part_load(t, "targets", path, x->f);
	if (e != OK)
		return e;
	if (t->version <= current) { /* left by a run that was killed after publishing it */
		(void)unlink(path);
		part_free(t);
		return OK;
	}
	body = cJSON_Duplicate(t->doc.body, 1);
	signatures = cJSON_Duplicate(t->doc.signatures, 1);
	e = body != NULL && signatures != NULL ? part_sign(x, t, body, signatures) : ERR_NOMEM;
	cJSON_Delete(body);
	cJSON_Delete(signatures);
	if (e == OK && !part_ready(x, t, release_root(x))) {
		wait_for(x, "targets");
		part_free(t);
	}
	return e;
}

/* The public targets, when the root of this release still accepts their signatures. */
static enum err
public_targets(struct release *x, uint64_t current)
{
	char path[REPO_PATH];
	enum err e = repo_meta_path(x->r, path, current, "targets", x->f);

	if (e == OK)
		e = part_load(&x->targets, "targets", path, x->f);
	if (e == OK && !part_ready(x, &x->targets, release_root(x)))
		part_free(&x->targets);
	return e;
}

/* *held: the release cannot go on without more signatures of targets. */
enum err
release_choose_targets(struct release *x, bool *held)
{
	struct part *t = &x->targets;
	uint64_t current = 0;
	cJSON *body = NULL;
	enum err e = OK;

	*held = false;
	if (x->r->targets.body != NULL)
		e = json_get_u64(x->r->targets.body, "version", JSON_MAX_INT, &current, x->f);
	if (e == OK)
		e = staged_targets(x, current);
	if (e == OK && t->doc.body == NULL && current > 0)
		e = public_targets(x, current);
	if (e != OK || t->doc.body != NULL)
		return e;
	if (x->waiting[0] !=
	    '\0') { /* the staged ones wait, and the public ones have no valid keys */
		*held = true;
		return OK;
	}
	e = next_targets(x, &body); /* first version, or keys of targets changed */
	(void)snprintf(t->role, sizeof t->role, "targets");
	if (e == OK)
		e = part_sign(x, t, body, NULL);
	cJSON_Delete(body);
	if (e == OK && !part_ready(x, t, release_root(x))) {
		wait_for(x, "targets");
		*held = true;
		e = part_keep_staged(x, t);
	}
	return e;
}

/* The staged document of a delegated role when it is ready, else the public one. */
static enum err
choose_role(struct release *x, const char *role, bool *held)
{
	struct part *p = &x->roles[x->role_count];
	char path[REPO_PATH];
	uint64_t current = 0;
	const cJSON *meta;
	char name[80];
	enum err e = repo_staged_path(x->r, path, role, x->f);

	(void)snprintf(name, sizeof name, "%s.json", role);
	meta = json_get(json_get(x->r->snapshot.body, "meta"), name);
	if (meta != NULL)
		e = json_get_u64(meta, "version", JSON_MAX_INT, &current, x->f);
	if (e == OK && file_exists(path)) {
		e = part_load(p, role, path, x->f);
		if (e == OK && p->version > current && part_ready(x, p, release_root(x))) {
			p->fresh = true;
			x->role_count++;
			return OK;
		}
		if (e == OK && p->version <= current)
			(void)unlink(path);
		else if (e == OK)
			wait_for(x, role);
		part_free(p);
	}
	if (e == OK && current > 0) {
		e = repo_meta_path(x->r, path, current, role, x->f);
		if (e == OK)
			e = part_load(p, role, path, x->f);
		if (e == OK)
			x->role_count++;
		return e;
	}
	wait_for(x, role);
	*held = true; /* a delegation without its document would break every client */
	return e;
}

enum err
release_choose_roles(struct release *x, bool *held)
{
	const cJSON *one, *all = json_get(json_get(x->targets.doc.body, "delegations"), "roles");
	enum err e = OK;

	cJSON_ArrayForEach(one, all) {
		const cJSON *name = json_get(one, "name");

		if (!cJSON_IsString(name) || x->role_count == ROLES_MAX)
			return fault_set(
			    x->f, ERR_TOOBIG, "at most %d roles may be delegated", ROLES_MAX);
		e = choose_role(x, name->valuestring, held);
		if (e != OK)
			return e;
	}
	return OK;
}
