#include "update/canon.h"

#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum err canon_value(const cJSON *v, struct buf *out, unsigned depth, struct fault *f);

static enum err
canon_string(const char *s, struct buf *out)
{
	enum err e = buf_puts(out, "\"");
	size_t run;

	while (e == OK && *s != '\0') {
		run = strcspn(s, "\"\\");
		e = buf_append(out, s, run);
		s += run;
		if (e == OK && *s != '\0') {
			e = buf_puts(out, "\\");
			if (e == OK)
				e = buf_append(out, s++, 1);
		}
	}
	return e == OK ? buf_puts(out, "\"") : e;
}

static enum err
canon_number(const cJSON *v, struct buf *out, struct fault *f)
{
	double d = v->valuedouble;

	/* 2^53-1 and all integers below are exact in a double. -0 is none: signed JSON has no
	 * minus. */
	if (!(d >= 0) || signbit(d) || d > (double)JSON_MAX_INT || d != (double)(uint64_t)d)
		return fault_set(f, ERR_PARSE,
		    "a number is not an integer from 0 to 2^53-1, so it has no canonical form");
	return buf_printf(out, "%" PRIu64, (uint64_t)d);
}

static enum err
canon_array(const cJSON *v, struct buf *out, unsigned depth, struct fault *f)
{
	enum err e = buf_puts(out, "[");
	const cJSON *c;

	for (c = v->child; e == OK && c != NULL; c = c->next) {
		if (c != v->child)
			e = buf_puts(out, ",");
		if (e == OK)
			e = canon_value(c, out, depth + 1, f);
	}
	return e == OK ? buf_puts(out, "]") : e;
}

static int
by_name(const void *a, const void *b)
{
	const cJSON *const *x = a, *const *y = b;

	return strcmp((*x)->string, (*y)->string); /* bytes of UTF-8: the order of code points */
}

static enum err
canon_members(const cJSON **m, size_t n, struct buf *out, unsigned depth, struct fault *f)
{
	enum err e = buf_puts(out, "{");
	size_t i;

	for (i = 0; e == OK && i < n; i++) {
		if (i > 0)
			e = buf_puts(out, ",");
		if (e == OK)
			e = canon_string(m[i]->string, out);
		if (e == OK)
			e = buf_puts(out, ":");
		if (e == OK)
			e = canon_value(m[i], out, depth + 1, f);
	}
	return e == OK ? buf_puts(out, "}") : e;
}

static enum err
canon_object(const cJSON *v, struct buf *out, unsigned depth, struct fault *f)
{
	const cJSON **m;
	const cJSON *c;
	size_t n = 0;
	enum err e;

	for (c = v->child; c != NULL; c = c->next)
		n++;
	if (n == 0)
		return buf_puts(out, "{}");
	m = malloc(n * sizeof(const cJSON *));
	if (m == NULL)
		return ERR_NOMEM;
	n = 0;
	for (c = v->child; c != NULL; c = c->next)
		m[n++] = c;
	qsort(m, n, sizeof(const cJSON *), by_name);
	e = canon_members(m, n, out, depth, f);
	free(m);
	return e;
}

static enum err
canon_value(const cJSON *v, struct buf *out, unsigned depth, struct fault *f)
{
	if (depth > JSON_MAX_DEPTH)
		return fault_set(f, ERR_PARSE, "nesting is deeper than %d", JSON_MAX_DEPTH);
	switch (v->type & 0xff) {
	case cJSON_False:
		return buf_puts(out, "false");
	case cJSON_True:
		return buf_puts(out, "true");
	case cJSON_NULL:
		return buf_puts(out, "null");
	case cJSON_Number:
		return canon_number(v, out, f);
	case cJSON_String:
		return canon_string(v->valuestring, out);
	case cJSON_Array:
		return canon_array(v, out, depth, f);
	case cJSON_Object:
		return canon_object(v, out, depth, f);
	default:
		return fault_set(f, ERR_PARSE, "a value has no canonical form");
	}
}

enum err
canon_json(const cJSON *tree, struct buf *out, struct fault *f)
{
	if (tree == NULL)
		return fault_set(f, ERR_PARSE, "there is nothing to write in canonical form");
	return canon_value(tree, out, 0, f);
}
