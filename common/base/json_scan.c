/* json_scan.c - the strict pre-scan: one pass over the bytes, no recursion, n log n at the worst.
 * Duplicate member names are found when an object closes: its names, decoded (so "a" and "\u0061"
 * are the same name), are sorted and neighbours compared. Sorting, not hashing: nobody can choose
 * names that make it slow. */
#include "base/json_scan.h"
#include "base/json.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct name {
	const struct buf *text; /* where decoded names lie */
	size_t at, len;
	size_t where; /* offset in the document, for the message */
};

struct scan {
	const char *p;
	size_t n, i;
	enum json_mode mode;
	struct fault *f;
	struct buf text;    /* decoded names of the open objects, one after another */
	struct name *names; /* the same names, in order */
	size_t used, room;
	struct {
		bool object;
		size_t first_name;
	} stack[JSON_MAX_DEPTH];
	size_t depth;
};

static enum err
bad(struct scan *s, const char *what)
{
	return fault_set(s->f, ERR_PARSE, "byte %zu: %s", s->i, what);
}

static void
skip_space(struct scan *s)
{
	while (s->i < s->n && (s->p[s->i] == ' ' || s->p[s->i] == '\t' || s->p[s->i] == '\n' ||
				  s->p[s->i] == '\r'))
		s->i++;
}

static int
compare_names(const void *left, const void *right)
{
	const struct name *a = left, *b = right;
	size_t n = a->len < b->len ? a->len : b->len;
	int c = n == 0 ? 0 : memcmp(a->text->data + a->at, b->text->data + b->at, n);

	return c != 0 ? c : (a->len > b->len) - (a->len < b->len);
}

static enum err
add_name(struct scan *s, size_t at, size_t where)
{
	size_t room = s->room == 0 ? 32 : s->room * 2;
	struct name *p;

	if (s->used == s->room) {
		p = realloc(s->names, room * sizeof *p);
		if (p == NULL)
			return fault_set(s->f, ERR_NOMEM, "no memory to check member names");
		s->names = p;
		s->room = room;
	}
	s->names[s->used++] = (struct name){ &s->text, at, s->text.len - at, where };
	return OK;
}

/* Refuses an object in which a name stands twice, and forgets its names. */
static enum err
close_object(struct scan *s)
{
	size_t first = s->stack[s->depth - 1].first_name, k;
	struct name *names = s->names + first;

	if (s->used == first)
		return OK;
	if (s->used - first > 1)
		qsort(names, s->used - first, sizeof *names, compare_names);
	for (k = 1; k < s->used - first; k++)
		if (compare_names(&names[k - 1], &names[k]) == 0) {
			s->i = names[k].where > names[k - 1].where ? names[k].where
								   : names[k - 1].where;
			return bad(s, "a member name stands twice in one object");
		}
	for (k = 0; k < s->used - first; k++)
		if (names[k].at < s->text.len)
			s->text.len = names[k].at;
	s->used = first;
	return OK;
}

static int
hex4(const char *p)
{
	uint8_t b[2];

	return text_unhex(b, 2, p, 4, NULL) == OK ? b[0] << 8 | b[1] : -1;
}

static enum err
put_utf8(struct buf *out, uint32_t c)
{
	uint8_t b[4];
	size_t n;

	if (c < 0x80) {
		b[0] = (uint8_t)c;
		n = 1;
	} else if (c < 0x800) {
		b[0] = (uint8_t)(0xc0 | c >> 6);
		b[1] = (uint8_t)(0x80 | (c & 63));
		n = 2;
	} else if (c < 0x10000) {
		b[0] = (uint8_t)(0xe0 | c >> 12);
		b[1] = (uint8_t)(0x80 | (c >> 6 & 63));
		b[2] = (uint8_t)(0x80 | (c & 63));
		n = 3;
	} else {
		b[0] = (uint8_t)(0xf0 | c >> 18);
		b[1] = (uint8_t)(0x80 | (c >> 12 & 63));
		b[2] = (uint8_t)(0x80 | (c >> 6 & 63));
		b[3] = (uint8_t)(0x80 | (c & 63));
		n = 4;
	}
	return buf_append(out, b, n);
}

/* At the 'u' of \uXXXX; a high surrogate must be followed by \u and a low one. */
static enum err
unicode_escape(struct scan *s, uint32_t *out)
{
	int hi, lo;

	if (s->n - s->i < 5 || (hi = hex4(s->p + s->i + 1)) < 0)
		return bad(s, "\\u needs four hexadecimal digits");
	if (hi == 0)
		return bad(s, "\\u0000 is not accepted");
	if (hi >= 0xdc00 && hi <= 0xdfff)
		return bad(s, "a low surrogate stands alone");
	s->i += 5;
	*out = (uint32_t)hi;
	if (hi < 0xd800 || hi > 0xdbff)
		return OK;
	if (s->n - s->i < 6 || s->p[s->i] != '\\' || s->p[s->i + 1] != 'u' ||
	    (lo = hex4(s->p + s->i + 2)) < 0xdc00 || lo > 0xdfff)
		return bad(s, "a high surrogate stands alone");
	s->i += 6;
	*out = 0x10000u + (((uint32_t)hi - 0xd800u) << 10) + ((uint32_t)lo - 0xdc00u);
	return OK;
}

/* At the character behind a backslash. */
static enum err
escape(struct scan *s, struct buf *decoded)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at;
	uint32_t c = 0;
	enum err e;

	if (s->i < s->n && s->p[s->i] == 'u') {
		e = unicode_escape(s, &c);
		if (e != OK)
			return e;
	} else {
		at = s->i < s->n && s->p[s->i] != '\0' ? strchr(from, s->p[s->i]) : NULL;
		if (at == NULL)
			return bad(s, "an escape that JSON does not have");
		c = (uint8_t)to[at - from];
		s->i++;
	}
	return decoded == NULL ? OK : put_utf8(decoded, c);
}

/* At the opening quote. Decodes into `decoded` unless NULL. UTF-8 was checked for the whole text.
 */
static enum err
string(struct scan *s, struct buf *decoded)
{
	size_t start = ++s->i;
	enum err e = OK;

	for (;;) {
		char c;

		if (s->i >= s->n)
			return bad(s, "a string has no end");
		c = s->p[s->i];
		if ((unsigned char)c < 0x20)
			return bad(s, "a control byte inside a string");
		if (c != '"' && c != '\\') {
			s->i++;
			continue;
		}
		if (decoded != NULL)
			e = buf_append(decoded, s->p + start, s->i - start);
		s->i++;
		if (e != OK)
			return e;
		if (c == '"')
			return OK;
		e = escape(s, decoded);
		if (e != OK)
			return e;
		start = s->i;
	}
}

static size_t
count_digits(const struct scan *s, size_t at)
{
	size_t n = 0;

	while (at + n < s->n && s->p[at + n] >= '0' && s->p[at + n] <= '9')
		n++;
	return n;
}

/* RFC 8259 section 6; in signed documents integers 0..2^53-1 only. */
static enum err
number(struct scan *s)
{
	size_t start = s->i, digits;
	uint64_t v;

	if (s->p[s->i] == '-')
		s->i++;
	digits = count_digits(s, s->i);
	if (digits == 0 || (digits > 1 && s->p[s->i] == '0'))
		return bad(s, "not a number as JSON writes them");
	s->i += digits;
	if (s->i < s->n && s->p[s->i] == '.') {
		digits = count_digits(s, ++s->i);
		if (digits == 0)
			return bad(s, "a number ends at its point");
		s->i += digits;
	}
	if (s->i < s->n && (s->p[s->i] == 'e' || s->p[s->i] == 'E')) {
		s->i++;
		if (s->i < s->n && (s->p[s->i] == '+' || s->p[s->i] == '-'))
			s->i++;
		digits = count_digits(s, s->i);
		if (digits == 0)
			return bad(s, "a number has no exponent");
		s->i += digits;
	}
	if (s->i - start > 40)
		return bad(s, "a number of more than 40 characters");
	if (s->mode == JSON_SIGNED && text_u64(s->p + start, s->i - start, JSON_MAX_INT, &v) != OK)
		return bad(s, "a signed document holds integers from 0 to 2^53-1 only");
	if (s->mode == JSON_EVENT && !json_number_finite(s->p + start, s->i - start))
		return bad(s, "a number that is not finite");
	return OK;
}

bool
json_number_finite(const char *p, size_t n)
{
	char copy[48];
	double d;

	if (text_copy(copy, sizeof copy, p, n) != OK)
		return false;
	d = strtod(copy, NULL);
	return d - d == 0; /* false for infinities */
}

static enum err
literal(struct scan *s)
{
	static const char *const words[] = { "true", "false", "null" };
	size_t k, len;

	for (k = 0; k < 3; k++) {
		len = strlen(words[k]);
		if (s->n - s->i >= len && memcmp(s->p + s->i, words[k], len) == 0) {
			s->i += len;
			return OK;
		}
	}
	return bad(s, "a value was expected here");
}

static enum err
open_level(struct scan *s, bool object)
{
	if (s->depth == JSON_MAX_DEPTH)
		return bad(s, "nested deeper than 32 levels");
	s->stack[s->depth].object = object;
	s->stack[s->depth++].first_name = s->used;
	s->i++;
	return OK;
}

/* At a member name: name, colon. */
static enum err
member_name(struct scan *s)
{
	size_t at = s->text.len, where = s->i;
	enum err e;

	if (s->i >= s->n || s->p[s->i] != '"')
		return bad(s, "a member name was expected here");
	e = string(s, &s->text);
	if (e == OK)
		e = add_name(s, at, where);
	if (e != OK)
		return e;
	skip_space(s);
	if (s->i >= s->n || s->p[s->i] != ':')
		return bad(s, "a colon was expected here");
	s->i++;
	return OK;
}

/* One value or the opening of one. *closed: a value ended here (no level was opened). */
static enum err
value(struct scan *s, bool *closed)
{
	enum err e;
	char c;

	*closed = true;
	skip_space(s);
	if (s->i >= s->n)
		return bad(s, "the text ends where a value was expected");
	c = s->p[s->i];
	if (c == '"')
		return string(s, NULL);
	if (c == '-' || (c >= '0' && c <= '9'))
		return number(s);
	if (c != '{' && c != '[')
		return literal(s);
	e = open_level(s, c == '{');
	if (e != OK)
		return e;
	skip_space(s);
	if (s->i < s->n && s->p[s->i] == (c == '{' ? '}' : ']')) {
		s->i++;
		s->depth--;
		return OK;
	}
	*closed = false;
	return c == '{' ? member_name(s) : OK;
}

/* Behind a value: closes levels until a comma or the end of the outermost value. */
static enum err
after_value(struct scan *s, bool *done)
{
	for (;;) {
		*done = s->depth == 0;
		if (*done)
			return OK;
		skip_space(s);
		if (s->i >= s->n)
			return bad(s, "the text ends inside an object or array");
		if (s->p[s->i] == ',') {
			s->i++;
			skip_space(s);
			return s->stack[s->depth - 1].object ? member_name(s) : OK;
		}
		if (s->p[s->i] != (s->stack[s->depth - 1].object ? '}' : ']'))
			return bad(s, "a comma or the end of the object or array was expected");
		if (s->stack[s->depth - 1].object) {
			enum err e = close_object(s);

			if (e != OK)
				return e;
		}
		s->i++;
		s->depth--;
	}
}

static enum err
scan_all(struct scan *s)
{
	bool closed, done = false;
	enum err e;

	if (s->n >= 3 && memcmp(s->p, "\xef\xbb\xbf", 3) == 0)
		return bad(s, "a byte order mark");
	if (!text_utf8_valid((const uint8_t *)s->p, s->n))
		return bad(s, "the text is not valid UTF-8");
	while (!done) {
		e = value(s, &closed);
		if (e == OK && closed)
			e = after_value(s, &done);
		if (e != OK)
			return e;
	}
	skip_space(s);
	return s->i == s->n ? OK : bad(s, "bytes behind the end of the document");
}

enum err
json_scan(const char *p, size_t n, enum json_mode mode, size_t *where, struct fault *f)
{
	struct fault local = { OK, "" };
	struct scan s = { .p = p, .n = n, .mode = mode, .f = f != NULL ? f : &local };
	enum err e;

	buf_init(&s.text, n); /* decoded names are never longer than their text */
	e = scan_all(&s);
	if (e != OK && s.f->code == OK)
		(void)fault_set(s.f, e, "byte %zu: %s", s.i, err_text(e));
	if (where != NULL)
		*where = s.i;
	buf_free(&s.text);
	free(s.names);
	return e;
}
