/* targets.json and delegated roles: an index over their paths, and who may sign for which. */
#include "base/json.h"
#include "base/limits.h"
#include "update/tuf_meta.h"

#include <stdlib.h>
#include <string.h>

static int
by_path(const void *a, const void *b)
{
	const struct tuf_entry *x = a, *y = b;

	return strcmp(x->path, y->path);
}

/* Form only; which hashes are there matters when the target is wanted. */
static enum err
check_entry(const cJSON *item, struct fault *f)
{
	uint64_t length;
	cJSON *hashes;
	const cJSON *c;
	enum err e;

	e = json_get_u64(item, "length", JSON_MAX_INT, &length, f);
	if (e == OK)
		e = json_get_object(item, "hashes", &hashes, f);
	if (e == OK && hashes->child == NULL)
		e = fault_set(f, ERR_PARSE, "member 'hashes' is empty");
	if (e == OK)
		for (c = hashes->child; e == OK && c != NULL; c = c->next)
			if (!cJSON_IsString(c))
				e = fault_set(f, ERR_PARSE, "member 'hashes' must hold strings");
	if (e != OK)
		fault_prefix(f, "target %.100s", item->string);
	return e;
}

static enum err
fill_entries(struct tuf_meta *m, struct fault *f)
{
	cJSON *targets, *c;
	size_t n = 0;
	enum err e;

	e = json_get_object(m->doc.body, "targets", &targets, f);
	if (e != OK)
		return e;
	for (c = targets->child; c != NULL; c = c->next)
		n++;
	m->entries = calloc(n + 1, sizeof(*m->entries));
	if (m->entries == NULL)
		return ERR_NOMEM;
	for (c = targets->child; c != NULL; c = c->next) {
		e = check_entry(c, f);
		if (e != OK)
			return e;
		m->entries[m->n_entries++] = (struct tuf_entry){ c->string, c };
	}
	qsort(m->entries, m->n_entries, sizeof(*m->entries), by_path);
	return OK;
}

static enum err
check_strings(const cJSON *array, const char *name, struct fault *f)
{
	const cJSON *c;

	if (!cJSON_IsArray(array))
		return fault_set(f, ERR_PARSE, "member '%s' must be an array", name);
	for (c = array->child; c != NULL; c = c->next)
		if (!cJSON_IsString(c))
			return fault_set(f, ERR_PARSE, "member '%s' must hold strings", name);
	return OK;
}

static enum err
read_paths(struct tuf_delegation *d, const cJSON *item, struct fault *f)
{
	d->paths = json_get(item, "paths");
	d->prefixes = json_get(item, "path_hash_prefixes");
	if ((d->paths == NULL) == (d->prefixes == NULL))
		return fault_set(
		    f, ERR_PARSE, "a delegation must have one of 'paths' and 'path_hash_prefixes'");
	if (d->paths != NULL)
		return check_strings(d->paths, "paths", f);
	return check_strings(d->prefixes, "path_hash_prefixes", f);
}

/* Names of top-level roles would let a delegated role replace their files. */
static enum err
check_name(const struct tuf_meta *m, const char *name, struct fault *f)
{
	size_t i;

	if (name[0] == '\0')
		return fault_set(f, ERR_PARSE, "a delegated role has an empty name");
	for (i = 0; i < TUF_TYPES; i++)
		if (strcmp(name, tuf_type_names[i]) == 0)
			return fault_set(f, ERR_PARSE,
			    "a delegated role has the name of a top-level role, %s", name);
	for (i = 0; i < m->n_delegations; i++)
		if (strcmp(name, m->delegations[i].role) == 0)
			return fault_set(f, ERR_PARSE, "role %.80s is delegated twice", name);
	return OK;
}

static enum err
read_delegation(struct tuf_meta *m, const cJSON *item, struct fault *f)
{
	struct tuf_delegation d = { .role = NULL };
	enum err e;

	e = json_get_string(item, "name", &d.role, f);
	if (e == OK)
		e = check_name(m, d.role, f);
	if (e == OK)
		e = json_opt_bool(item, "terminating", false, &d.terminating, f);
	if (e == OK)
		e = read_paths(&d, item, f);
	if (e == OK)
		e = signers_parse(&d.signers, item, &m->ring, f);
	if (e == OK)
		m->delegations[m->n_delegations++] = d;
	return e;
}

static enum err
fill_delegations(struct tuf_meta *m, struct fault *f)
{
	cJSON *delegations, *keys, *roles, *c;
	size_t n = 0;
	enum err e;

	if (json_get(m->doc.body, "delegations") == NULL)
		return OK;
	e = json_get_object(m->doc.body, "delegations", &delegations, f);
	if (e == OK)
		e = json_get_object(delegations, "keys", &keys, f);
	if (e == OK)
		e = json_get_array(delegations, "roles", &roles, f);
	if (e == OK)
		e = keyring_parse(&m->ring, keys, f);
	if (e != OK)
		return e;
	for (c = roles->child; c != NULL; c = c->next)
		n++;
	if (n > LIMIT_TUF_ROLES)
		return fault_set(
		    f, ERR_TOOBIG, "there are more than %d delegations", LIMIT_TUF_ROLES);
	m->delegations = calloc(n + 1, sizeof(*m->delegations));
	if (m->delegations == NULL)
		return ERR_NOMEM;
	for (c = roles->child; e == OK && c != NULL; c = c->next)
		e = read_delegation(m, c, f);
	return e;
}

enum err
tuf_meta_fill_targets(struct tuf_meta *m, struct tuf_failure *w)
{
	struct fault f = { OK, "" };
	enum err e;

	e = fill_entries(m, &f);
	if (e == OK)
		e = fill_delegations(m, &f);
	if (e == OK)
		return OK;
	if (e == ERR_VERIFY)
		return tuf_fail_fault(w, e, TUF_RULE_KEYID, &f);
	return tuf_fail_fault(w, e == ERR_NOTFOUND ? ERR_PARSE : e, TUF_RULE_JSON, &f);
}

void
tuf_meta_free_targets(struct tuf_meta *m)
{
	size_t i;

	for (i = 0; i < m->n_delegations; i++)
		signers_free(&m->delegations[i].signers);
	free(m->delegations);
	free(m->entries);
	m->delegations = NULL;
	m->entries = NULL;
	m->n_delegations = m->n_entries = 0;
}

const cJSON *
tuf_meta_target(const struct tuf_meta *m, const char *path)
{
	struct tuf_entry key = { .path = path }, *hit;

	if (m->n_entries == 0)
		return NULL;
	hit = bsearch(&key, m->entries, m->n_entries, sizeof(*m->entries), by_path);
	return hit != NULL ? hit->item : NULL;
}
