#include "update/tuf_path.h"

#include "update/hash.h"

#include <string.h>

/* Bytes of the UTF-8 character at s; 1 for anything odd. */
static size_t
char_len(const char *s)
{
	size_t n = 1;

	while (((unsigned char)s[n] & 0xc0) == 0x80)
		n++;
	return n;
}

/* A set at p ("[...]"): returns its length, or 0 when it is never closed (then '[' is itself).
 * *hit says whether c, a character of n bytes, is in it; ranges compare single bytes only. */
static size_t
match_set(const char *p, const char *c, size_t n, bool *hit)
{
	size_t i = 1;
	bool negate = p[i] == '!', in = false;

	if (negate)
		i++;
	for (size_t first = i; p[i] != '\0' && (p[i] != ']' || i == first);) {
		size_t len = char_len(p + i);

		if (p[i] == '/')
			return 0;
		if (p[i + 1] == '-' && p[i + 2] != ']' && p[i + 2] != '\0') {
			if (n == 1 && (unsigned char)p[i] <= (unsigned char)*c
			    && (unsigned char)*c <= (unsigned char)p[i + 2])
				in = true;
			i += 2 + char_len(p + i + 2);
			continue;
		}
		if (len == n && memcmp(p + i, c, n) == 0)
			in = true;
		i += len;
	}
	if (p[i] != ']')
		return 0;
	*hit = in != negate;
	return i + 1;
}

/* Matches one pattern element at *p against the character at *s; moves both on success. */
static bool
match_one(const char **p, const char **s)
{
	size_t n, len;
	bool hit = false;

	if (**s == '\0')
		return false;
	n = char_len(*s);
	if (**p == '?' && **s != '/') {
		*p += 1;
		*s += n;
		return true;
	}
	if (**p == '[' && **s != '/') {
		len = match_set(*p, *s, n, &hit);
		if (len > 0) {
			*p += hit ? len : 0;
			*s += hit ? n : 0;
			return hit;
		}
	}
	if (**p != **s || **p == '?')
		return false;
	(*p)++;
	(*s)++;
	return true;
}

bool
tuf_path_match(const char *pattern, const char *path)
{
	const char *p = pattern, *s = path;
	const char *star = NULL, *resume = NULL; /* where to take the last '*' up again */

	while (*s != '\0' || *p != '\0') {
		if (*p == '*') {
			star = ++p;
			resume = s;
			continue;
		}
		if (match_one(&p, &s))
			continue;
		/* Let the last '*' of this component take one byte more. */
		if (star == NULL || *resume == '\0' || *resume == '/')
			return false;
		s = ++resume;
		p = star;
	}
	return true;
}

bool
tuf_path_hash_prefix(const char *prefix, const char *path)
{
	char text[HASH_SHA256_TEXT];
	size_t n = strlen(prefix);

	hash_sha256_text(path, strlen(path), text);
	return n > 0 && n <= strlen(text) && memcmp(prefix, text, n) == 0;
}

static bool
plain(char c, bool slash)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')
	    || c == '.' || c == '_' || c == '~' || c == '-' || (slash && c == '/');
}

static enum err
encode(const char *s, bool slash, struct buf *out)
{
	enum err e = OK;

	for (; e == OK && *s != '\0'; s++) {
		if (plain(*s, slash))
			e = buf_append(out, s, 1);
		else
			e = buf_printf(out, "%%%02X", (unsigned)(unsigned char)*s);
	}
	return e;
}

enum err
tuf_path_encode(const char *name, struct buf *out)
{
	if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return ERR_PARSE;
	return encode(name, false, out);
}

enum err
tuf_path_encode_url(const char *path, struct buf *out)
{
	return encode(path, true, out);
}
