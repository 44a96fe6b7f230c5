#include "proto/policy_check.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct leaf {
	char *path;
	char *origin;
};

struct policy {
	cJSON *tree;
	char *origin;	     /* of the file; NULL when merged */
	struct leaf *leaves; /* every value that is no object, and empty objects */
	size_t n_leaves;
	char **unknown;
	size_t n_unknown;
};

static const struct policy_member *
member_find(const char *path)
{
	for (size_t i = 0; i < policy_member_count; i++)
		if (strcmp(policy_members[i].path, path) == 0)
			return &policy_members[i];
	return NULL;
}

/* Is path a group that holds known members ("update")? */
static bool
is_group(const char *path)
{
	size_t n = strlen(path);

	for (size_t i = 0; i < policy_member_count; i++)
		if (strncmp(policy_members[i].path, path, n) == 0 &&
		    policy_members[i].path[n] == '.')
			return true;
	return false;
}

static const cJSON *
node_at(const cJSON *tree, const char *path)
{
	const char *dot = strchr(path, '.');
	char group[64];

	if (dot == NULL)
		return json_get(tree, path);
	if (text_copy(group, sizeof(group), path, (size_t)(dot - path)) != OK)
		return NULL;
	return json_get(json_get(tree, group), dot + 1);
}

void
policy_free(struct policy *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n_leaves; i++) {
		free(p->leaves[i].path);
		free(p->leaves[i].origin);
	}
	for (size_t i = 0; i < p->n_unknown; i++)
		free(p->unknown[i]);
	free(p->leaves);
	free(p->unknown);
	free(p->origin);
	cJSON_Delete(p->tree);
	free(p);
}

/* For a table that two files fill, the file that set its last entry. */
static const char *
leaf_origin(const struct policy *p, const char *path)
{
	size_t n = strlen(path);

	if (p == NULL)
		return POLICY_BUILT_IN;
	if (p->origin != NULL)
		return p->origin;
	for (size_t i = p->n_leaves; i-- > 0;) {
		const char *own = p->leaves[i].path;
		if (strncmp(own, path, n) == 0 && (own[n] == '\0' || own[n] == '.'))
			return p->leaves[i].origin;
	}
	return POLICY_BUILT_IN;
}

static enum err
leaf_add(struct policy *p, const char *path, const char *origin)
{
	struct leaf *l;

	if (p->n_leaves == LIMIT_POLICY_LEAVES)
		return ERR_TOOBIG;
	if (p->n_leaves % 64 == 0) {
		l = realloc(p->leaves, (p->n_leaves + 64) * sizeof(*l));
		if (l == NULL)
			return ERR_NOMEM;
		p->leaves = l;
	}
	l = &p->leaves[p->n_leaves];
	l->path = strdup(path);
	l->origin = strdup(origin);
	if (l->path == NULL || l->origin == NULL) {
		free(l->path);
		free(l->origin);
		return ERR_NOMEM;
	}
	p->n_leaves++;
	return OK;
}

static enum err
unknown_add(struct policy *p, const char *path)
{
	char **u = realloc(p->unknown, (p->n_unknown + 1) * sizeof(*u));

	if (u == NULL)
		return ERR_NOMEM;
	p->unknown = u;
	u[p->n_unknown] = strdup(path);
	if (u[p->n_unknown] == NULL)
		return ERR_NOMEM;
	p->n_unknown++;
	return OK;
}

struct walk {
	struct policy *p;
	const struct policy *base, *over; /* where the values came from, for a merge */
	struct buf path;
};

/* One value: is it the end of a path? Arrays are values; an object is one only when empty. */
static enum err walk_object(struct walk *w, const cJSON *object, const cJSON *over, bool known);

static enum err
walk_member(struct walk *w, const cJSON *item, const cJSON *over, bool known)
{
	size_t keep = w->path.len;
	const char *path;
	enum err e = OK;

	if (keep > 0)
		e = buf_puts(&w->path, ".");
	if (e == OK)
		e = buf_puts(&w->path, item->string);
	if (e != OK)
		return e;
	path = buf_text(&w->path);
	if (known && member_find(path) == NULL && !is_group(path)) {
		known = false;
		e = unknown_add(w->p, path);
	} else if (member_find(path) != NULL) {
		known = false; /* below a table every name is free */
	}
	if (e == OK && cJSON_IsObject(item) && item->child != NULL)
		e = walk_object(w, item, over, known);
	else if (e == OK)
		e = leaf_add(w->p, path, leaf_origin(over != NULL ? w->over : w->base, path));
	w->path.data[keep] = '\0';
	w->path.len = keep;
	return e;
}

static enum err
walk_object(struct walk *w, const cJSON *object, const cJSON *over, bool known)
{
	const cJSON *item;
	enum err e = OK;

	cJSON_ArrayForEach(item, object)
	{
		e = walk_member(w, item, json_get(over, item->string), known);
		if (e != OK)
			break;
	}
	return e;
}

static enum err
index_tree(struct policy *p, const struct policy *base, const struct policy *over)
{
	struct walk w = { .p = p, .base = base, .over = over };
	enum err e;

	buf_init(&w.path, LIMIT_POLICY_BYTES);
	e = walk_object(&w, p->tree, over != NULL ? over->tree : NULL, true);
	buf_free(&w.path);
	return e;
}

static enum err
check_groups(const cJSON *tree, struct fault *f)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, tree)
	{
		if (is_group(item->string) && !cJSON_IsObject(item))
			return fault_set(
			    f, ERR_INVAL, "member '%s' must be an object", item->string);
	}
	return OK;
}

static enum err
check_members(const cJSON *tree, struct fault *f)
{
	enum err e = check_groups(tree, f);

	for (size_t i = 0; e == OK && i < policy_member_count; i++) {
		const cJSON *v = node_at(tree, policy_members[i].path);
		if (v != NULL)
			e = policy_check_value(&policy_members[i], v, f);
	}
	return e;
}

enum err
policy_parse(struct policy **out, const char *origin, const char *p, size_t n, struct fault *f)
{
	struct policy *own;
	enum err e;

	*out = NULL;
	if (n > LIMIT_POLICY_BYTES)
		return fault_set(
		    f, ERR_TOOBIG, "%s: larger than %d bytes", origin, LIMIT_POLICY_BYTES);
	own = calloc(1, sizeof(*own));
	if (own == NULL)
		return ERR_NOMEM;
	own->origin = strdup(origin);
	e = own->origin == NULL ? ERR_NOMEM : json_parse(&own->tree, p, n, JSON_SIGNED, f);
	if (e == OK && !cJSON_IsObject(own->tree))
		e = fault_set(f, ERR_PARSE, "a policy must be a JSON object");
	if (e == OK)
		e = check_members(own->tree, f);
	if (e == OK)
		e = index_tree(own, own, own);
	if (e == ERR_TOOBIG)
		(void)fault_set(f, e, "more than %d members", LIMIT_POLICY_LEAVES);
	if (e != OK) {
		fault_prefix(f, "%s", origin);
		policy_free(own);
		return e;
	}
	*out = own;
	return OK;
}

/* Puts every member of over into base: objects are merged, everything else is replaced. */
static enum err
merge_into(cJSON *base, const cJSON *over)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, over)
	{
		cJSON *old = json_get(base, item->string), *copy;

		if (old != NULL && cJSON_IsObject(old) && cJSON_IsObject(item)) {
			enum err e = merge_into(old, item);
			if (e != OK)
				return e;
			continue;
		}
		if (old != NULL)
			cJSON_Delete(cJSON_DetachItemViaPointer(base, old));
		copy = cJSON_Duplicate(item, 1);
		if (copy == NULL || !cJSON_AddItemToObject(base, item->string, copy)) {
			cJSON_Delete(copy);
			return ERR_NOMEM;
		}
	}
	return OK;
}

enum err
policy_merge(struct policy **out, const struct policy *base, const struct policy *over)
{
	struct policy *p = calloc(1, sizeof(*p));
	enum err e = OK;

	*out = NULL;
	if (p == NULL)
		return ERR_NOMEM;
	p->tree = base != NULL ? cJSON_Duplicate(base->tree, 1) : cJSON_CreateObject();
	if (p->tree == NULL)
		e = ERR_NOMEM;
	if (e == OK && over != NULL)
		e = merge_into(p->tree, over->tree);
	if (e == OK)
		e = index_tree(p, base, over);
	if (e != OK) {
		policy_free(p);
		return e;
	}
	*out = p;
	return OK;
}

const cJSON *
policy_tree(const struct policy *p)
{
	return p != NULL ? p->tree : NULL;
}

const char *
policy_unknown(const struct policy *p, size_t i)
{
	return p != NULL && i < p->n_unknown ? p->unknown[i] : NULL;
}

/* The row, and the value or NULL. A path or type that the table does not have is a bug here. */
static const struct policy_member *
member_of(const struct policy *p, const char *path, const cJSON **value)
{
	const struct policy_member *m = member_find(path);

	if (m == NULL)
		abort();
	*value = p != NULL ? node_at(p->tree, path) : NULL;
	return m;
}

/* Text of a string value, or the default without its quotes in store. */
static const char *
text_of(const struct policy_member *m, const cJSON *v, char store[64])
{
	size_t n = strlen(m->dflt);

	if (v != NULL)
		return v->valuestring;
	if (n < 2 || m->dflt[0] != '"' || text_copy(store, 64, m->dflt + 1, n - 2) != OK)
		abort();
	return store;
}

bool
policy_bool(const struct policy *p, const char *path)
{
	const cJSON *v;
	const struct policy_member *m = member_of(p, path, &v);

	if (m->type != POLICY_BOOL)
		abort();
	return v != NULL ? cJSON_IsTrue(v) : strcmp(m->dflt, "true") == 0;
}

uint64_t
policy_duration(const struct policy *p, const char *path)
{
	const cJSON *v;
	const struct policy_member *m = member_of(p, path, &v);
	char store[64];
	const char *text = text_of(m, v, store);
	uint64_t ms;

	if (m->type == POLICY_DURATION_OR_NEVER && strcmp(text, "never") == 0)
		return POLICY_NEVER;
	if (text_duration_ms(text, strlen(text), &ms) != OK)
		abort(); /* checked by policy_parse */
	return ms;
}

uint64_t
policy_size(const struct policy *p, const char *path)
{
	const cJSON *v;
	const struct policy_member *m = member_of(p, path, &v);
	char store[64];
	const char *text = text_of(m, v, store);
	uint64_t size;

	if (m->type != POLICY_SIZE || text_size(text, strlen(text), &size) != OK)
		abort();
	return size;
}

/* Defaults of strings and choices have no fixed home, so that each has its own literal. */
const char *
policy_string(const struct policy *p, const char *path)
{
	static const char *const literals[] = { "prefer", "" };
	const cJSON *v;
	const struct policy_member *m = member_of(p, path, &v);
	char store[64];
	const char *text = text_of(m, v, store);

	if (v != NULL)
		return text;
	for (size_t i = 0; i < sizeof(literals) / sizeof(literals[0]); i++)
		if (strcmp(text, literals[i]) == 0)
			return literals[i];
	abort();
}

const cJSON *
policy_value(const struct policy *p, const char *path)
{
	const cJSON *v;

	(void)member_of(p, path, &v);
	return v;
}

const char *
policy_origin(const struct policy *p, const char *path)
{
	const cJSON *v;

	(void)member_of(p, path, &v);
	return v == NULL ? POLICY_BUILT_IN : leaf_origin(p, path);
}
