/* tamper_facts.c - see tamper_facts.h. */
#include "tamper_facts.h"

#include "base/json.h"
#include "base/text.h"
#include "net/addr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLOCK_STEP_MS 30000 /* steps below are the work of time synchronisation */
#define HOSTS_BLANKS " \t\r\f\v"

static const struct tamper_fact *
find(const struct tamper_facts *l, const char *kind, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->item[i].kind, kind) == 0 && strcmp(l->item[i].name, name) == 0)
			return &l->item[i];
	return NULL;
}

#define STEP 16 /* facts that room is made for at once; a usual PC has fewer */

enum err
tamper_facts_add(struct tamper_facts *l, const char *kind, const char *name, const char *state)
{
	struct tamper_fact *f;

	if (find(l, kind, name) != NULL)
		return OK;
	if (l->n == LIMIT_TAMPER_FACTS)
		return ERR_TOOBIG;
	if (l->n % STEP == 0) {
		f = realloc(l->item, (l->n + STEP) * sizeof l->item[0]);
		if (f == NULL)
			return ERR_NOMEM;
		l->item = f;
	}
	f = &l->item[l->n++];
	(void)snprintf(f->kind, sizeof f->kind, "%s", kind);
	(void)snprintf(f->name, sizeof f->name, "%s", name);
	(void)snprintf(f->state, sizeof f->state, "%s", state);
	return OK;
}

void
tamper_facts_free(struct tamper_facts *l)
{
	free(l->item);
	l->item = NULL;
	l->n = 0;
}

enum err
tamper_facts_json(const struct tamper_facts *l, cJSON *array)
{
	enum err e = OK;

	for (size_t i = 0; e == OK && i < l->n; i++) {
		cJSON *o = cJSON_CreateObject();

		e = o == NULL ? ERR_NOMEM : json_append(array, o);
		if (e == OK)
			e = json_add_string(o, "kind", l->item[i].kind);
		if (e == OK)
			e = json_add_string(o, "name", l->item[i].name);
		if (e == OK)
			e = json_add_string(o, "state", l->item[i].state);
	}
	return e;
}

enum err
tamper_facts_read(struct tamper_facts *l, const cJSON *array)
{
	const char *kind, *name, *state;
	const cJSON *i;
	enum err e = OK;

	cJSON_ArrayForEach(i, array)
	{
		e = json_get_string(i, "kind", &kind, NULL);
		if (e == OK)
			e = json_get_string(i, "name", &name, NULL);
		if (e == OK)
			e = json_get_string(i, "state", &state, NULL);
		if (e == OK)
			e = tamper_facts_add(l, kind, name, state);
		if (e != OK)
			return e;
	}
	return OK;
}

void
tamper_facts_compare(const struct tamper_facts *before, const struct tamper_facts *now,
    tamper_change change, void *ctx)
{
	for (size_t i = 0; i < now->n; i++) {
		const struct tamper_fact *n = &now->item[i], *b = find(before, n->kind, n->name);

		if (b == NULL || strcmp(b->state, n->state) != 0)
			change(ctx, b, n);
	}
	for (size_t i = 0; i < before->n; i++)
		if (find(now, before->item[i].kind, before->item[i].name) == NULL)
			change(ctx, &before->item[i], NULL);
}

void
tamper_facts_absent(const struct tamper_facts *before, struct tamper_facts *now)
{
	for (size_t i = 0; i < now->n; i++) {
		struct tamper_fact *n = &now->item[i];
		const struct tamper_fact *b = find(before, n->kind, n->name);

		if (strcmp(n->state, "missing") == 0 &&
		    (b == NULL || strcmp(b->state, TAMPER_ABSENT) == 0))
			(void)snprintf(n->state, sizeof n->state, "%s", TAMPER_ABSENT);
	}
}

bool
tamper_is_end(const struct tamper_fact *before, const struct tamper_fact *now)
{
	if (now == NULL)
		return true;
	if (before == NULL || strcmp(now->kind, "unit") != 0)
		return false;
	return !text_starts(before->state, "present") && text_starts(now->state, "present");
}

/* --- the hosts file --- */

static size_t
next_word(const char **at, const char *end)
{
	const char *p = *at;
	size_t n = 0;

	while (p < end && strchr(HOSTS_BLANKS, *p) != NULL)
		p++;
	while (p + n < end && strchr(HOSTS_BLANKS, p[n]) == NULL)
		n++;
	*at = p;
	return n;
}

static enum err
take_line(struct tamper_facts *l, const char *p, const char *end, const char *const *names,
    size_t n_names)
{
	char address[ADDR_TEXT], fact[400];
	size_t n = next_word(&p, end);
	struct addr a;

	if (n == 0 || text_copy(address, sizeof address, p, n) != OK)
		return OK;
	if (addr_parse_ip(&a, address, n) == OK)
		(void)addr_format_ip(address, &a);
	for (p += n; (n = next_word(&p, end)) > 0; p += n) {
		size_t len = p[n - 1] == '.' ? n - 1 : n;

		for (size_t i = 0; i < n_names; i++) {
			enum err e;

			if (!text_eq_nocase(p, len, names[i]))
				continue;
			(void)snprintf(fact, sizeof fact, "%s %s", names[i], address);
			e = tamper_facts_add(l, "hosts", fact, "listed");
			if (e != OK)
				return e;
		}
	}
	return OK;
}

enum err
tamper_facts_hosts(
    struct tamper_facts *l, const char *text, size_t n, const char *const *names, size_t n_names)
{
	const char *end = text + n;

	while (text < end) {
		const char *line_end = memchr(text, '\n', (size_t)(end - text)), *comment;
		enum err e;

		if (line_end == NULL)
			line_end = end;
		comment = memchr(text, '#', (size_t)(line_end - text));
		e = take_line(l, text, comment != NULL ? comment : line_end, names, n_names);
		if (e != OK)
			return e;
		text = line_end + 1;
	}
	return OK;
}

uint64_t
tamper_clock_back(int64_t wall_before, uint64_t mono_before, int64_t wall_now, uint64_t mono_now)
{
	int64_t back = (wall_before - (int64_t)mono_before) - (wall_now - (int64_t)mono_now);

	return back > CLOCK_STEP_MS ? (uint64_t)back : 0;
}
