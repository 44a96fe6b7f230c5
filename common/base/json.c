/* json.c - trees and their getters and builders. Integers are exact: 2^53-1 fits cJSON's double. */
#include "base/json.h"

#include "base/clock.h"
#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum err
json_parse(cJSON **out, const char *p, size_t n, enum json_mode mode, struct fault *f)
{
	enum err e = json_scan(p, n, mode, NULL, f);

	*out = NULL;
	if (e != OK)
		return e;
	*out = cJSON_ParseWithLengthOpts(p, n, NULL, 0);
	/* After an accepted scan cJSON can only lack memory (or a newer, stricter rule of its own).
	 */
	return *out != NULL ? OK : fault_set(f, ERR_NOMEM, "no memory for a JSON document");
}

cJSON *
json_get(const cJSON *object, const char *name)
{
	return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, name) : NULL;
}

/* The member, checked for type; *missing tells absence from a wrong type. */
static enum err
typed(const cJSON *object, const char *name, int type_mask, const char *type, cJSON **out,
    struct fault *f)
{
	*out = json_get(object, name);
	if (*out == NULL)
		return fault_set(f, ERR_NOTFOUND, "member '%s' is missing", name);
	if (((*out)->type & 0xff & type_mask) == 0)
		return fault_set(f, ERR_PARSE, "member '%s' must be %s", name, type);
	return OK;
}

enum err
json_get_string(const cJSON *object, const char *name, const char **out, struct fault *f)
{
	cJSON *m;
	enum err e = typed(object, name, cJSON_String, "a string", &m, f);

	if (e == OK)
		*out = m->valuestring;
	return e;
}

enum err
json_get_u64(const cJSON *object, const char *name, uint64_t max, uint64_t *out, struct fault *f)
{
	cJSON *m;
	enum err e = typed(object, name, cJSON_Number, "an integer", &m, f);

	if (e != OK)
		return e;
	if (m->valuedouble < 0 || m->valuedouble > (double)JSON_MAX_INT ||
	    floor(m->valuedouble) != m->valuedouble)
		return fault_set(
		    f, ERR_PARSE, "member '%s' must be an integer from 0 to 2^53-1", name);
	if ((uint64_t)m->valuedouble > max)
		return fault_set(
		    f, ERR_TOOBIG, "member '%s' is over its limit of %" PRIu64, name, max);
	*out = (uint64_t)m->valuedouble;
	return OK;
}

enum err
json_get_bool(const cJSON *object, const char *name, bool *out, struct fault *f)
{
	cJSON *m;
	enum err e = typed(object, name, cJSON_True | cJSON_False, "true or false", &m, f);

	if (e == OK)
		*out = cJSON_IsTrue(m);
	return e;
}

enum err
json_get_object(const cJSON *object, const char *name, cJSON **out, struct fault *f)
{
	return typed(object, name, cJSON_Object, "an object", out, f);
}

enum err
json_get_array(const cJSON *object, const char *name, cJSON **out, struct fault *f)
{
	return typed(object, name, cJSON_Array, "an array", out, f);
}

enum err
json_opt_string(
    const cJSON *object, const char *name, const char *dflt, const char **out, struct fault *f)
{
	*out = dflt;
	return json_get(object, name) == NULL ? OK : json_get_string(object, name, out, f);
}

enum err
json_opt_u64(const cJSON *object, const char *name, uint64_t max, uint64_t dflt, uint64_t *out,
    struct fault *f)
{
	*out = dflt;
	return json_get(object, name) == NULL ? OK : json_get_u64(object, name, max, out, f);
}

enum err
json_opt_bool(const cJSON *object, const char *name, bool dflt, bool *out, struct fault *f)
{
	*out = dflt;
	return json_get(object, name) == NULL ? OK : json_get_bool(object, name, out, f);
}

const char *
json_unknown_member(const cJSON *object, const char *const *allowed)
{
	const cJSON *m;
	size_t i;

	if (!cJSON_IsObject(object)) /* items of an array have no names */
		return NULL;
	cJSON_ArrayForEach(m, object)
	{
		for (i = 0; allowed[i] != NULL; i++)
			if (strcmp(m->string, allowed[i]) == 0)
				break;
		if (allowed[i] == NULL)
			return m->string;
	}
	return NULL;
}

static enum err
add(cJSON *object, const char *name, cJSON *item)
{
	if (item != NULL && cJSON_AddItemToObject(object, name, item))
		return OK;
	cJSON_Delete(item);
	return ERR_NOMEM;
}

enum err
json_add_string(cJSON *object, const char *name, const char *value)
{
	if (!text_utf8_valid((const uint8_t *)value, strlen(value)))
		return ERR_PARSE;
	return add(object, name, cJSON_CreateString(value));
}

enum err
json_add_u64(cJSON *object, const char *name, uint64_t value)
{
	if (value > JSON_MAX_INT)
		return ERR_TOOBIG;
	return add(object, name, cJSON_CreateNumber((double)value));
}

enum err
json_add_time(cJSON *object, const char *name, int64_t wall_ms)
{
	char text[CLOCK_TEXT];

	clock_format(text, wall_ms);
	return json_add_string(object, name, text);
}

enum err
json_add_bool(cJSON *object, const char *name, bool value)
{
	return add(object, name, cJSON_CreateBool(value));
}

enum err
json_add_object(cJSON *object, const char *name, cJSON **out)
{
	*out = cJSON_CreateObject();
	return add(object, name, *out);
}

enum err
json_add_array(cJSON *object, const char *name, cJSON **out)
{
	*out = cJSON_CreateArray();
	return add(object, name, *out);
}

enum err
json_append(cJSON *array_or_null, cJSON *item)
{
	if (array_or_null != NULL && item != NULL && cJSON_AddItemToArray(array_or_null, item))
		return OK;
	cJSON_Delete(item);
	return ERR_NOMEM;
}

enum err
json_append_string(cJSON *array, const char *value)
{
	if (!text_utf8_valid((const uint8_t *)value, strlen(value)))
		return ERR_PARSE;
	return json_append(array, cJSON_CreateString(value));
}

enum err
json_quote(struct buf *out, const char *s, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	size_t start = 0, i;
	enum err e = buf_puts(out, "\"");

	for (i = 0; i <= n && e == OK; i++) {
		unsigned char c = i < n ? (unsigned char)s[i] : 0;
		char esc[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

		if (i < n && c >= 0x20 && c != '"' && c != '\\')
			continue;
		e = buf_append(out, s + start, i - start);
		start = i + 1;
		if (e != OK || i == n)
			break;
		if (c == '"' || c == '\\')
			e = buf_append(out, c == '"' ? "\\\"" : "\\\\", 2);
		else
			e = buf_append(out, esc, 6);
	}
	return e == OK ? buf_puts(out, "\"") : e;
}

static enum err
print_number(const cJSON *item, struct buf *out)
{
	double d = item->valuedouble;

	if (floor(d) == d && d >= -(double)JSON_MAX_INT && d <= (double)JSON_MAX_INT)
		return buf_printf(out, "%.0f", d);
	return d - d == 0 ? buf_printf(out, "%.17g", d) : ERR_INVAL;
}

static enum err
indent(struct buf *out, int level)
{
	return level < 0 ? OK : buf_printf(out, "\n%*s", level * 2, "");
}

/* Trees come from json_parse (depth <= 32) or from our own builders: the recursion is bounded.
 * level < 0: compact. */
static enum err
print(const cJSON *item, struct buf *out, int level, int depth)
{
	bool object = cJSON_IsObject(item);
	const cJSON *m;
	enum err e;

	if (depth > 2 * JSON_MAX_DEPTH)
		return ERR_TOOBIG;
	if (cJSON_IsString(item))
		return json_quote(out, item->valuestring, strlen(item->valuestring));
	if (cJSON_IsNumber(item))
		return print_number(item, out);
	if (cJSON_IsRaw(item))
		return buf_puts(out, item->valuestring);
	if (item == NULL || (!object && !cJSON_IsArray(item)))
		return buf_puts(out, cJSON_IsTrue(item)	   ? "true"
				     : cJSON_IsFalse(item) ? "false"
							   : "null");
	e = buf_puts(out, object ? "{" : "[");
	cJSON_ArrayForEach(m, item)
	{
		if (e == OK && m != item->child)
			e = buf_puts(out, ",");
		if (e == OK)
			e = indent(out, level < 0 ? -1 : level + 1);
		if (e == OK && object)
			e = json_quote(out, m->string, strlen(m->string));
		if (e == OK && object)
			e = buf_puts(out, level < 0 ? ":" : ": ");
		if (e == OK)
			e = print(m, out, level < 0 ? -1 : level + 1, depth + 1);
		if (e != OK)
			return e;
	}
	if (e == OK && item->child != NULL)
		e = indent(out, level);
	return e == OK ? buf_puts(out, object ? "}" : "]") : e;
}

enum err
json_print(const cJSON *tree, struct buf *out)
{
	return print(tree, out, -1, 0);
}

enum err
json_print_pretty(const cJSON *tree, struct buf *out)
{
	enum err e = print(tree, out, 0, 0);

	return e == OK ? buf_puts(out, "\n") : e;
}
