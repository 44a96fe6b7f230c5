/* event_list.c - one body into a list of checked events, with the position of what is wrong. */
#include "proto/event.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

struct span {
	size_t begin, end;
};

static size_t
skip_space(const char *p, size_t at, size_t end)
{
	while (at < end && strchr(" \t\r\n", p[at]) != NULL && p[at] != '\0')
		at++;
	return at;
}

/* One element of the array in p from *at, which is behind '[' or ','. Moves *at behind the
 * element's end. False when limit comes first. Strings and nesting only: the scan checks the rest.
 */
static bool
next_element(const char *p, size_t limit, size_t *at, struct span *out)
{
	size_t depth = 0;
	bool quoted = false;

	out->begin = *at = skip_space(p, *at, limit);
	for (; *at < limit; (*at)++) {
		char c = p[*at];

		if (quoted) {
			*at += c == '\\';
			quoted = c != '"';
		} else if (c == '"') {
			quoted = true;
		} else if (c == '{' || c == '[') {
			depth++;
		} else if (depth == 0 && (c == ',' || c == ']')) {
			out->end = (*at)++;
			return true;
		} else if ((c == '}' || c == ']') && depth > 0) {
			depth--;
		}
	}
	out->end = limit;
	return false;
}

static enum err
add(struct event_list *l, cJSON *take, size_t max, struct fault *f)
{
	if (l->n == max) {
		cJSON_Delete(take);
		return fault_set(f, ERR_TOOBIG, "more than %zu events", max);
	}
	l->items[l->n++] = take;
	return OK;
}

static enum err
check_size(size_t bytes, struct fault *f)
{
	if (bytes > LIMIT_EVENT_BYTES)
		return fault_set(
		    f, ERR_TOOBIG, "an event is longer than %d bytes", LIMIT_EVENT_BYTES);
	return OK;
}

static enum err
parse_batch(struct event_list *out, const char *p, size_t n, size_t max, struct event_where *w,
    struct fault *f)
{
	size_t at = skip_space(p, 0, n) + 1;
	struct span element;
	cJSON *tree, *item;
	enum err e;

	e = json_parse(&tree, p, n, JSON_EVENT, f);
	if (e != OK)
		return e;
	if (!cJSON_IsArray(tree)) {
		cJSON_Delete(tree);
		return fault_set(f, ERR_PARSE, "a batch must be an array of events");
	}
	while (e == OK && (item = tree->child) != NULL) {
		(void)next_element(p, n, &at, &element);
		*w = (struct event_where){ out->n, element.begin };
		e = check_size(element.end - element.begin, f);
		if (e == OK)
			e = event_check(item, f);
		if (e == OK)
			e = add(out, cJSON_DetachItemViaPointer(tree, item), max, f);
	}
	cJSON_Delete(tree);
	return e;
}

static enum err
parse_one(struct event_list *out, const char *p, size_t n, size_t max, struct fault *f)
{
	cJSON *tree = NULL;
	enum err e = check_size(n, f);

	if (e == OK)
		e = json_parse(&tree, p, n, JSON_EVENT, f);
	if (e == OK)
		e = event_check(tree, f);
	if (e == OK)
		return add(out, tree, max, f);
	cJSON_Delete(tree);
	return e;
}

static enum err
parse_lines(struct event_list *out, const char *p, size_t n, size_t max, struct event_where *w,
    struct fault *f)
{
	size_t begin = 0;
	enum err e = OK;

	while (e == OK && begin < n) {
		const char *lf = memchr(p + begin, '\n', n - begin);
		size_t end = lf != NULL ? (size_t)(lf - p) : n;
		size_t text = skip_space(p, begin, end), where = 0;

		w->index = out->n;
		w->offset = text;
		if (text < end) {
			e = check_size(end - text, f);
			if (e == OK &&
			    (e = json_scan(p + text, end - text, JSON_EVENT, &where, f)) != OK)
				w->offset = text + where;
			if (e == OK)
				e = parse_one(out, p + text, end - text, max, f);
		}
		begin = end + 1;
	}
	return e;
}

static size_t
elements_before(const char *p, size_t limit)
{
	size_t at = skip_space(p, 0, limit), count = 0;
	struct span element;

	if (at >= limit || p[at++] != '[')
		return 0;
	while (next_element(p, limit, &at, &element))
		count++;
	return count;
}

static enum err
parse_any(struct event_list *out, enum event_format format, const char *p, size_t n, size_t max,
    struct event_where *w, struct fault *f)
{
	size_t first = skip_space(p, 0, n);
	enum err e;

	if (format == EVENT_NDJSON)
		return parse_lines(out, p, n, max, w, f);
	e = json_scan(p, n, JSON_EVENT, &w->offset, f);
	if (e != OK) {
		w->index = elements_before(p, w->offset < n ? w->offset : n);
		return e;
	}
	w->offset = first;
	if (format == EVENT_BATCH || p[first] == '[')
		return parse_batch(out, p, n, max, w, f);
	return parse_one(out, p, n, max, f);
}

enum err
event_list_parse(struct event_list *out, enum event_format format, const char *p, size_t n,
    size_t max_events, struct event_where *w, struct fault *f)
{
	struct event_where unused = { 0 };
	enum err e;

	*out = (struct event_list){ 0 };
	w = w != NULL ? w : &unused;
	*w = (struct event_where){ 0 };
	out->items = calloc(max_events > 0 ? max_events : 1, sizeof *out->items);
	if (out->items == NULL)
		return fault_set(f, ERR_NOMEM, "memory ran out");
	e = parse_any(out, format, p, n, max_events, w, f);
	if (e != OK)
		event_list_free(out);
	return e;
}

void
event_list_free(struct event_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		cJSON_Delete(l->items[i]);
	free(l->items);
	*l = (struct event_list){ 0 };
}
