/* catalog.c - see catalog.h */
#include "catalog.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static bool
read_sha(const cJSON *o, const char *name, uint8_t out[SHA_LEN])
{
	const char *s;
	size_t n;

	return json_get_string(o, name, &s, NULL) == OK && strlen(s) == 2 * SHA_LEN &&
	    text_unhex(out, SHA_LEN, s, 2 * SHA_LEN, &n) == OK;
}

/* {"atalaia":{"pack":true,"full":"full/..."}} or {"atalaia":{"from":sha,"to":sha}} */
static enum err
read_custom(struct entry *e, const cJSON *custom)
{
	const cJSON *a = json_get(custom, "atalaia");
	const char *full;

	if (e->kind == ENTRY_DELTA)
		e->delta_known = read_sha(a, "from", e->from) && read_sha(a, "to", e->to);
	if (e->kind != ENTRY_SET)
		return OK;
	if (json_opt_bool(a, "pack", false, &e->pack, NULL) != OK)
		e->pack = false;
	if (json_get_string(a, "full", &full, NULL) != OK)
		return OK;
	e->full_path = strdup(full);
	return e->full_path != NULL ? OK : ERR_NOMEM;
}

static enum err
check_target(const struct tuf_target *t, struct fault *f)
{
	if (!text_is_target_path(t->path, strlen(t->path)))
		return fault_set(f, ERR_INVAL,
		    "the name of a target is outside [A-Za-z0-9._-] components");
	if (!t->has_sha256)
		return fault_set(f, ERR_INVAL, "target %s has no SHA-256", t->path);
	if (t->length > LIMIT_TARGET_BYTES)
		return fault_set(f, ERR_INVAL, "target %s is larger than %llu bytes", t->path,
		    (unsigned long long)LIMIT_TARGET_BYTES);
	return OK;
}

/* Room for one more: doubles at powers of two, so that no capacity is kept. */
static enum err
grow(struct catalog *c)
{
	struct entry *more;

	if (c->count != 0 && (c->count & (c->count - 1)) != 0)
		return OK;
	more = realloc(c->entries, (c->count == 0 ? 1 : 2 * c->count) * sizeof *more);
	if (more == NULL)
		return ERR_NOMEM;
	c->entries = more;
	return OK;
}

enum err
catalog_add(struct catalog *c, const struct tuf_target *t, const char *file, struct fault *f)
{
	struct entry *e;
	enum err r = check_target(t, f);

	if (r == OK)
		r = grow(c);
	if (r != OK)
		return r;
	e = &c->entries[c->count++];
	memset(e, 0, sizeof *e);
	e->kind = text_starts(t->path, "delta/") ? ENTRY_DELTA
	    : text_starts(t->path, "full/")      ? ENTRY_FULL
						 : ENTRY_SET;
	e->length = t->length;
	memcpy(e->sha256, t->sha256, SHA_LEN);
	e->path = strdup(t->path);
	e->file = strdup(file);
	if (e->path == NULL || e->file == NULL)
		return ERR_NOMEM;
	return read_custom(e, t->custom);
}

static int
by_path(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return strcmp(x->path, y->path);
}

void
catalog_finish(struct catalog *c)
{
	if (c->count == 0)
		return;
	qsort(c->entries, c->count, sizeof *c->entries, by_path);
	for (size_t i = 0; i < c->count; i++) {
		struct entry *e = &c->entries[i];

		if (e->full_path != NULL)
			e->full = catalog_find(c, e->full_path);
		if (e->full != NULL && e->full->kind != ENTRY_FULL)
			e->full = NULL;
	}
}

void
catalog_free(struct catalog *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->entries[i].path);
		free(c->entries[i].file);
		free(c->entries[i].full_path);
	}
	free(c->entries);
	c->entries = NULL;
	c->count = 0;
}

const struct entry *
catalog_find(const struct catalog *c, const char *path)
{
	size_t low = 0, high = c->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int k = strcmp(path, c->entries[mid].path);

		if (k == 0)
			return &c->entries[mid];
		if (k < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}
