/* Delegations: section 5.6.7. A delegated document is trusted for one delegation only, the one that
 * was followed to it: the same role delegated by somebody else is verified again by his keys. */
#include "base/json.h"
#include "base/limits.h"
#include "update/tuf_client.h"
#include "update/tuf_path.h"

#include <stdlib.h>
#include <string.h>

void
tuf_forget_roles(struct tuf *t)
{
	while (t->n_loaded > 0) {
		t->n_loaded--;
		tuf_meta_free(t->loaded[t->n_loaded].meta);
		free(t->loaded[t->n_loaded].role);
	}
	t->n_edges = 0;
}

static enum err
no_memory(struct tuf *t)
{
	return tuf_fail(&t->why, ERR_NOMEM, TUF_RULE_STORE, NULL, NULL, "memory ran out");
}

static enum err
remember_edge(struct tuf *t, const struct tuf_delegation *by, const struct tuf_meta *to)
{
	struct tuf_edge *more;
	size_t max;

	if (t->n_edges == t->max_edges) {
		max = t->max_edges == 0 ? 64 : 2 * t->max_edges;
		more = realloc(t->edges, max * sizeof(*more));
		if (more == NULL)
			return no_memory(t);
		t->edges = more;
		t->max_edges = max;
	}
	t->edges[t->n_edges++] = (struct tuf_edge){ by, to };
	return OK;
}

/* Takes m, also on failure. */
static enum err
remember_role(struct tuf *t, const struct tuf_delegation *d, struct tuf_meta *m)
{
	char *name = strdup(d->role);

	if (name == NULL || t->n_loaded == LIMIT_TUF_ROLES_LOADED) {
		tuf_meta_free(m);
		if (name == NULL)
			return no_memory(t);
		free(name);
		return tuf_fail_u64(&t->why, ERR_TOOBIG, TUF_RULE_DELEGATION,
		    LIMIT_TUF_ROLES_LOADED, LIMIT_TUF_ROLES_LOADED + 1, "delegated roles in use");
	}
	t->loaded[t->n_loaded].role = name;
	t->loaded[t->n_loaded++].meta = m;
	return remember_edge(t, d, m);
}

static const struct tuf_meta *
known_edge(const struct tuf *t, const struct tuf_delegation *d)
{
	size_t i;

	for (i = 0; i < t->n_edges; i++)
		if (t->edges[i].by == d)
			return t->edges[i].to;
	return NULL;
}

/* A document of this role that another delegation brought in: good for d if d's keys signed it. */
static enum err
share_loaded(struct tuf *t, const struct tuf_delegation *d, const struct tuf_meta **out)
{
	struct tuf_failure w;
	size_t i;

	for (i = 0; i < t->n_loaded; i++) {
		if (strcmp(t->loaded[i].role, d->role) != 0)
			continue;
		tuf_fail_reset(&w, d->role);
		if (tuf_meta_verify(t->loaded[i].meta, &d->signers, &w) == OK) {
			*out = t->loaded[i].meta;
			return remember_edge(t, d, *out);
		}
	}
	return ERR_NOTFOUND;
}

static enum err
tell_role(struct tuf *t, const struct tuf_delegation *d, const struct tuf_meta *m, bool fresh)
{
	struct buf name;
	enum err e = tuf_file_name(d->role, tuf_consistent(t) ? m->version : 0, &name);

	if (e == OK)
		e = tuf_tell(t, d->role, buf_text(&name), m, fresh);
	buf_free(&name);
	return e;
}

/* The folder's copy, when it is exactly what the snapshot names, signed by d's keys and not
 * expired. Anything wrong with it only means that it is fetched. */
static struct tuf_meta *
load_stored(struct tuf *t, const struct tuf_delegation *d, const struct tuf_metafile *file)
{
	struct tuf_failure w;
	struct tuf_meta *m = NULL;
	struct buf bytes;
	enum err e;

	tuf_fail_reset(&w, d->role);
	buf_init(&bytes, LIMIT_TUF_TARGETS);
	e = tuf_store_read(&t->store, d->role, &bytes, NULL);
	if (e == OK)
		e = tuf_meta_check_bytes(file, &bytes, &w);
	if (e == OK)
		e = tuf_meta_read(&m, TUF_TARGETS, &bytes, &w);
	if (e == OK)
		e = tuf_meta_verify(m, &d->signers, &w);
	if (e == OK && m->version != file->version)
		e = ERR_VERIFY;
	if (e == OK)
		e = tuf_meta_check_expiry(m, t->now_ms, &w);
	if (e == OK)
		e = tuf_meta_fill(m, &w);
	buf_free(&bytes);
	if (e == OK)
		return m;
	tuf_meta_free(m);
	return NULL;
}

static enum err
fetch_role(struct tuf *t, const struct tuf_source *s, const struct tuf_delegation *d,
    const struct tuf_metafile *file, struct tuf_meta **out)
{
	struct fault f = { OK, "" };
	enum err e = tuf_obtain(t, s, TUF_TARGETS, d->role, file, &d->signers, out);

	if (e != OK)
		return e;
	e = tuf_meta_check_expiry(*out, t->now_ms, &t->why);
	if (e == OK) {
		e = tuf_store_write(&t->store, d->role, (*out)->bytes.data, (*out)->bytes.len, &f);
		if (e != OK)
			(void)tuf_fail_fault(&t->why, e, TUF_RULE_STORE, &f);
	}
	if (e != OK) {
		tuf_meta_free(*out);
		*out = NULL;
	}
	return e;
}

/* The document behind a delegation, verified for it. */
static enum err
load_role(struct tuf *t, const struct tuf_source *s, const struct tuf_delegation *d,
    const struct tuf_meta **out)
{
	const struct tuf_metafile *file;
	struct tuf_meta *m;
	bool fresh = false;
	enum err e;

	*out = known_edge(t, d);
	if (*out != NULL)
		return OK;
	e = share_loaded(t, d, out);
	if (e != ERR_NOTFOUND)
		return e;
	tuf_fail_reset(&t->why, d->role);
	file = tuf_meta_role(t->top[TUF_SNAPSHOT], d->role);
	if (file == NULL)
		return tuf_fail(&t->why, ERR_VERIFY, TUF_RULE_DELEGATION, d->role, "",
		    "the snapshot does not name this delegated role");
	m = load_stored(t, d, file);
	if (m == NULL) {
		fresh = true;
		e = fetch_role(t, s, d, file, &m);
		if (e != OK)
			return e;
	}
	*out = m;
	e = remember_role(t, d, m);
	return e == OK ? tell_role(t, d, m, fresh) : e;
}

static bool
covers(const struct tuf_delegation *d, const char *path)
{
	const cJSON *c;

	if (d->paths != NULL) {
		for (c = d->paths->child; c != NULL; c = c->next)
			if (tuf_path_match(c->valuestring, path))
				return true;
		return false;
	}
	for (c = d->prefixes->child; c != NULL; c = c->next)
		if (tuf_path_hash_prefix(c->valuestring, path))
			return true;
	return false;
}

/* Delegations still to be visited, the next one on top. */
struct stack {
	const struct tuf_delegation **items;
	size_t n, max;
};

static enum err
push(struct tuf *t, struct stack *k, const struct tuf_delegation *d)
{
	const struct tuf_delegation **more;
	size_t max;

	if (k->n == k->max) {
		max = k->max == 0 ? 32 : 2 * k->max;
		more = realloc(k->items, max * sizeof(*more));
		if (more == NULL)
			return no_memory(t);
		k->items = more;
		k->max = max;
	}
	k->items[k->n++] = d;
	return OK;
}

/* Puts m's delegations for path (all of them when NULL) on the stack, the first on top. One that
 * terminates is the last, and nothing that was waiting is visited any more. */
static enum err
push_delegations(struct tuf *t, struct stack *k, const struct tuf_meta *m, const char *path)
{
	const struct tuf_delegation *d;
	size_t n = m->n_delegations, i;
	enum err e = OK;

	for (i = 0; path != NULL && i < m->n_delegations; i++) {
		d = &m->delegations[i];
		if (d->terminating && covers(d, path)) {
			n = i + 1;
			k->n = 0;
			break;
		}
	}
	for (i = n; e == OK && i > 0; i--) {
		d = &m->delegations[i - 1];
		if (path == NULL || covers(d, path))
			e = push(t, k, d);
	}
	return e;
}

static bool
was_visited(const char *const *names, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

struct found {
	const struct tuf_meta *meta;
	const char *role;
	const cJSON *item;
};

static enum err
not_found(struct tuf *t, const char *path)
{
	tuf_fail_reset(&t->why, path);
	return tuf_fail(&t->why, ERR_NOTFOUND, TUF_RULE_NONE, NULL, NULL,
	    "no role that may sign for it has this target");
}

static enum err
walk(
    struct tuf *t, const struct tuf_source *s, const char *path, struct stack *k, struct found *out)
{
	const char *visited[LIMIT_TUF_DELEGATIONS];
	const struct tuf_delegation *d;
	const struct tuf_meta *m = t->top[TUF_TARGETS];
	const char *role = "targets";
	size_t n = 0;
	enum err e;

	for (;;) {
		*out = (struct found){ m, role, tuf_meta_target(m, path) };
		if (out->item != NULL)
			return OK;
		e = push_delegations(t, k, m, path);
		if (e != OK)
			return e;
		do {
			if (k->n == 0)
				return not_found(t, path);
			d = k->items[--k->n];
		} while (was_visited(visited, n, d->role));
		if (n == LIMIT_TUF_DELEGATIONS) {
			tuf_fail_reset(&t->why, path);
			return tuf_fail_u64(&t->why, ERR_TOOBIG, TUF_RULE_DELEGATION, n, n + 1,
			    "roles visited for one target");
		}
		visited[n++] = d->role;
		role = d->role;
		e = load_role(t, s, d, &m);
		if (e != OK)
			return e;
	}
}

static enum err
search(struct tuf *t, const struct tuf_source *s, const char *path, struct found *out)
{
	struct stack k = { NULL, 0, 0 };
	enum err e = walk(t, s, path, &k, out);

	free(k.items);
	return e;
}

static enum err
to_target(struct tuf *t, const struct found *hit, struct tuf_target *out)
{
	struct tuf_hashes h;
	struct fault f = { OK, "" };
	enum err e;

	e = json_get_u64(hit->item, "length", JSON_MAX_INT, &out->length, &f);
	if (e == OK)
		e = tuf_hashes_parse(&h, json_get(hit->item, "hashes"), &f);
	if (e != OK) {
		tuf_fail_reset(&t->why, hit->item->string);
		return tuf_fail_fault(&t->why, e, TUF_RULE_JSON, &f);
	}
	out->path = hit->item->string;
	out->role = hit->role;
	out->has_sha256 = h.has_sha256;
	out->has_sha512 = h.has_sha512;
	memcpy(out->sha256, h.sha256, sizeof(h.sha256));
	memcpy(out->sha512, h.sha512, sizeof(h.sha512));
	out->custom = json_get(hit->item, "custom");
	return OK;
}

enum err
tuf_find(struct tuf *t, const struct tuf_source *s, const char *path, struct tuf_target *out,
    struct fault *f)
{
	struct found hit;
	enum err e;

	if (!t->refreshed)
		return fault_set(f, ERR_STATE, "targets can be looked up after a refresh only");
	tuf_fail_reset(&t->why, path);
	e = search(t, s, path, &hit);
	if (e == OK)
		e = to_target(t, &hit, out);
	return tuf_fail_to(&t->why, e, f);
}

/* Hands out those targets of m that a search would find in m. */
static enum err
each_of(struct tuf *t, const struct tuf_source *s, const struct tuf_meta *m,
    enum err (*each)(void *ctx, const struct tuf_target *target, struct fault *f), void *ctx,
    struct fault *f)
{
	struct tuf_target target;
	struct found hit;
	size_t i;
	enum err e;

	for (i = 0; i < m->n_entries; i++) {
		e = search(t, s, m->entries[i].path, &hit);
		if (e == ERR_NOTFOUND && t->why.rule == TUF_RULE_NONE)
			continue; /* no delegation lets m sign for this path */
		if (e == OK && hit.meta != m)
			continue; /* somebody before m has it */
		if (e == OK)
			e = to_target(t, &hit, &target);
		if (e != OK)
			return tuf_fail_to(&t->why, e, f);
		e = each(ctx, &target, f);
		if (e != OK)
			return e;
	}
	return OK;
}

/* All roles reachable through any delegation, each once, in pre-order. */
static enum err
load_all(struct tuf *t, const struct tuf_source *s, struct stack *k, const struct tuf_meta **all,
    size_t *n)
{
	const char *visited[LIMIT_TUF_ROLES_LOADED];
	const struct tuf_delegation *d;
	size_t roles = 0;
	enum err e;

	all[0] = t->top[TUF_TARGETS];
	*n = 1;
	e = push_delegations(t, k, all[0], NULL);
	while (e == OK && k->n > 0) {
		d = k->items[--k->n];
		if (was_visited(visited, roles, d->role))
			continue;
		if (roles == LIMIT_TUF_ROLES_LOADED)
			return tuf_fail_u64(&t->why, ERR_TOOBIG, TUF_RULE_DELEGATION, roles,
			    roles + 1, "delegated roles");
		visited[roles++] = d->role;
		e = load_role(t, s, d, &all[*n]);
		if (e == OK)
			e = push_delegations(t, k, all[(*n)++], NULL);
	}
	return e;
}

enum err
tuf_each(struct tuf *t, const struct tuf_source *s,
    enum err (*each)(void *ctx, const struct tuf_target *target, struct fault *f), void *ctx,
    struct fault *f)
{
	const struct tuf_meta *all[LIMIT_TUF_ROLES_LOADED + 1];
	struct stack k = { NULL, 0, 0 };
	size_t n, i;
	enum err e;

	if (!t->refreshed)
		return fault_set(f, ERR_STATE, "targets can be listed after a refresh only");
	tuf_fail_reset(&t->why, "targets.json");
	e = load_all(t, s, &k, all, &n);
	free(k.items);
	if (e != OK)
		return tuf_fail_to(&t->why, e, f);
	for (i = 0; e == OK && i < n; i++)
		e = each_of(t, s, all[i], each, ctx, f);
	return e;
}
