#include "revoked.h"

#include "base/text.h"
#include "base/uuid.h"

#include <stdlib.h>
#include <string.h>

struct revoked {
	char (*names)[UUID_TEXT]; /* sorted */
	size_t n, cap;
};

enum err
revoked_new(struct revoked **out)
{
	*out = calloc(1, sizeof(**out));
	return *out != NULL ? OK : ERR_NOMEM;
}

void
revoked_free(struct revoked *r)
{
	if (r == NULL)
		return;
	free(r->names);
	free(r);
}

/* First place whose name is not below agent. */
static size_t
place(const struct revoked *r, const char *agent)
{
	size_t low = 0, high = r->n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (strcmp(r->names[middle], agent) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

enum err
revoked_add(struct revoked *r, const char *agent)
{
	size_t at = place(r, agent);
	char name[UUID_TEXT];

	if (at < r->n && strcmp(r->names[at], agent) == 0)
		return OK;
	if (text_copy(name, sizeof(name), agent, strlen(agent)) != OK)
		return ERR_INVAL;
	if (r->n == r->cap) {
		size_t cap = r->cap * 2 + 16;
		void *more = realloc(r->names, cap * sizeof(*r->names));
		if (more == NULL)
			return ERR_NOMEM;
		r->names = more;
		r->cap = cap;
	}
	memmove(&r->names[at + 1], &r->names[at], (r->n - at) * sizeof(*r->names));
	memcpy(r->names[at], name, sizeof(name));
	r->n++;
	return OK;
}

bool
revoked_has(const struct revoked *r, const char *agent)
{
	size_t at = place(r, agent);

	return at < r->n && strcmp(r->names[at], agent) == 0;
}

size_t
revoked_count(const struct revoked *r)
{
	return r->n;
}
