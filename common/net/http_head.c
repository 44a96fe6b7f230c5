/* http_head.c - see http_head.h. Everything lives in one block: the struct, the pairs, a copy of
 * the head, and the decoded target. */
#include "net/http_head.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define MAX_LENGTH ((1ull << 53) - 1)

struct refusal {
	int *status;
	const char **reason;
};

static bool
refuse(struct refusal r, int status, const char *reason)
{
	*r.status = status;
	*r.reason = reason;
	return false;
}

void
http_head_free(struct http_head *h)
{
	free(h);
}

static const char *
pair_find(const struct http_pair *pairs, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(pairs[i].name, name) == 0)
			return pairs[i].value;
	return NULL;
}

const char *
http_head_field(const struct http_head *h, const char *name)
{
	return pair_find(h->fields, h->n_fields, name);
}

const char *
http_head_query(const struct http_head *h, const char *name)
{
	return pair_find(h->query, h->n_query, name);
}

static size_t
field_count(const struct http_head *h, const char *name)
{
	size_t i, n = 0;

	for (i = 0; i < h->n_fields; i++)
		n += strcmp(h->fields[i].name, name) == 0;
	return n;
}

/* RFC 9110 5.6.2 token; lower-cased in place. */
static bool
lower_token(char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] - 'A' + 'a');
		else if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= '0' && p[i] <= '9')) &&
			 (p[i] == '\0' || strchr("!#$%&'*+-.^_`|~", p[i]) == NULL))
			return false;
	}
	return n > 0;
}

static bool
build_fields(struct http_pair *pairs, char *copy, const char *raw, const struct http_span *spans,
    size_t n, struct refusal r)
{
	size_t i;

	for (i = 0; i < n; i++) {
		char *name = copy + (spans[2 * i].p - raw),
		     *value = copy + (spans[2 * i + 1].p - raw);
		size_t name_len = spans[2 * i].n, len = spans[2 * i + 1].n;

		if (!lower_token(name, name_len) ||
		    raw[spans[2 * i].p - raw + (ptrdiff_t)name_len] != ':')
			return refuse(
			    r, 400, "a header field's name is not a token followed by ':'");
		while (len > 0 && (*value == ' ' || *value == '\t')) {
			value++;
			len--;
		}
		while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
			len--;
		name[name_len] = '\0';
		value[len] = '\0';
		pairs[i] = (struct http_pair){ name, value };
	}
	return true;
}

/* Decodes %XX in place (and '+' when form); false for bad digits or a NUL or control byte. An
 * encoded '/' is refused in a path. */
static bool
percent_decode(char *s, bool form)
{
	char *w = s;
	uint8_t v;
	size_t got;

	for (; *s != '\0'; s++) {
		if (*s == '+' && form) {
			*w++ = ' ';
			continue;
		}
		if (*s != '%') {
			*w++ = *s;
			continue;
		}
		if (s[1] == '\0' || s[2] == '\0' || text_unhex(&v, 1, s + 1, 2, &got) != OK ||
		    v < ' ' || v == 0x7f)
			return false;
		if (!form && (v == '/' || v == '\\'))
			return false;
		*w++ = (char)v;
		s += 2;
	}
	*w = '\0';
	return true;
}

static bool
path_is_clean(const char *path)
{
	const char *s = path;

	if (!text_utf8_valid((const uint8_t *)path, strlen(path)) || strchr(path, '\\') != NULL)
		return false;
	while ((s = strchr(s, '/')) != NULL) {
		size_t n;

		s++;
		n = strcspn(s, "/");
		if ((n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
			return false;
	}
	return true;
}

static size_t
count_items(const char *p, size_t n)
{
	size_t i, items = 1;

	for (i = 0; i < n; i++)
		items += p[i] == '&' || p[i] == '?';
	return items;
}

static bool
build_query(struct http_head *h, struct http_pair *pairs, char *q, struct refusal r)
{
	while (q != NULL && *q != '\0') {
		char *next = strchr(q, '&'), *eq;

		if (next != NULL)
			*next++ = '\0';
		if (*q != '\0') {
			if (h->n_query == LIMIT_HTTP_QUERY)
				return refuse(r, 414, "more query items than this server reads");
			eq = strchr(q, '=');
			if (eq != NULL)
				*eq++ = '\0';
			else
				eq = q + strlen(q);
			if (!percent_decode(q, true) || !percent_decode(eq, true) ||
			    !text_utf8_valid((const uint8_t *)eq, strlen(eq)))
				return refuse(
				    r, 400, "the query is not percent-encoded UTF-8 text");
			if (pair_find(pairs, h->n_query, q) != NULL)
				return refuse(r, 400, "a query item is given twice");
			pairs[h->n_query++] = (struct http_pair){ q, eq };
		}
		q = next;
	}
	h->query = pairs;
	return true;
}

/* copy holds the target twice needed: `text` is its own NUL-terminated copy that is cut and decoded
 * in place. */
static bool
build_target(struct http_head *h, struct http_pair *pairs, char *text, struct refusal r)
{
	char *q, *s;

	for (s = text; *s != '\0'; s++)
		if (*s <= ' ' || *s >= 0x7f || *s == '#')
			return refuse(r, 400,
			    "the request target holds a character that must be percent-encoded");
	if (text[0] != '/')
		return refuse(r, 400, "the request target must begin with '/'");
	q = strchr(text, '?');
	if (q != NULL)
		*q++ = '\0';
	if (!percent_decode(text, false) || !path_is_clean(text))
		return refuse(r, 400,
		    "the path is not clean percent-encoded UTF-8 without '.' and '..' segments");
	h->path = text;
	return build_query(h, pairs, q, r);
}

struct http_head *
http_head_build(const char *raw, size_t n, struct http_span method, struct http_span target,
    const struct http_span *fields, size_t n_fields, int *status, const char **reason)
{
	struct refusal r = { status, reason };
	size_t items = count_items(target.p, target.n);
	struct http_head *h = calloc(
	    1, sizeof(*h) + (n_fields + items) * sizeof(struct http_pair) + n + 1 + target.n + 1);
	struct http_pair *pairs;
	char *copy, *text;

	if (h == NULL) {
		(void)refuse(r, 500, "no memory");
		return NULL;
	}
	pairs = (struct http_pair *)(void *)(h + 1);
	copy = (char *)(pairs + n_fields + items);
	text = copy + n + 1;
	memcpy(copy, raw, n);
	memcpy(text, target.p, target.n);
	copy[method.n] = '\0';
	copy[(size_t)(target.p - raw) + target.n] = '\0';
	h->method = copy;
	h->target = copy + (target.p - raw);
	h->fields = pairs;
	h->n_fields = n_fields;
	if (!build_fields(pairs, copy, raw, fields, n_fields, r) ||
	    !build_target(h, pairs + n_fields, text, r)) {
		http_head_free(h);
		return NULL;
	}
	return h;
}

static bool
host_is_valid(const char *host)
{
	static const char legal[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]";

	return host[strspn(host, legal)] == '\0';
}

/* RFC 9112 6.3, without any choice left to two readers of the same bytes. */
static bool
frame_body(struct http_head *h, struct refusal r)
{
	const char *length = http_head_field(h, "content-length"),
		   *coding = http_head_field(h, "transfer-encoding");

	if (field_count(h, "content-length") + field_count(h, "transfer-encoding") > 1)
		return refuse(
		    r, 400, "Content-Length and Transfer-Encoding together, or one of them twice");
	if (coding != NULL) {
		if (h->minor == 0)
			return refuse(r, 400, "Transfer-Encoding in an HTTP/1.0 request");
		if (!text_eq_nocase(coding, strlen(coding), "chunked"))
			return refuse(r, 501, "a transfer coding other than chunked");
		h->chunked = true;
	} else if (length != NULL &&
		   text_u64(length, strlen(length), MAX_LENGTH, &h->content_length) != OK) {
		return refuse(r, 400, "Content-Length is not a decimal number");
	}
	h->has_body = h->chunked || h->content_length > 0;
	return true;
}

bool
http_head_frame(struct http_head *h, int *status, const char **reason)
{
	struct refusal r = { status, reason };
	const char *host = http_head_field(h, "host"), *expect = http_head_field(h, "expect");

	if ((host == NULL && h->minor == 1) || field_count(h, "host") > 1)
		return refuse(r, 400, "HTTP/1.1 needs exactly one Host field");
	if (host != NULL && !host_is_valid(host))
		return refuse(r, 400, "the Host field holds what no host name has");
	if (expect != NULL && !text_eq_nocase(expect, strlen(expect), "100-continue"))
		return refuse(r, 417, "an expectation other than 100-continue");
	if (!frame_body(h, r))
		return false;
	h->expect_continue = expect != NULL && h->minor == 1 && h->has_body;
	return true;
}
