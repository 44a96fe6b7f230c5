#include "base/text.h"

#include <string.h>

enum err
text_u64(const char *p, size_t n, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	size_t i;

	if (n == 0 || (n > 1 && p[0] == '0'))
		return ERR_PARSE;
	for (i = 0; i < n; i++) {
		unsigned d = (unsigned)((unsigned char)p[i] - '0');

		if (d > 9)
			return ERR_PARSE;
		if (v > (UINT64_MAX - d) / 10)
			return ERR_TOOBIG;
		v = v * 10 + d;
	}
	if (v > max)
		return ERR_TOOBIG;
	*out = v;
	return OK;
}

enum err
text_u32(const char *p, size_t n, uint32_t max, uint32_t *out)
{
	uint64_t v;
	enum err e = text_u64(p, n, max, &v);

	if (e == OK)
		*out = (uint32_t)v;
	return e;
}

struct unit {
	const char *name;
	uint64_t factor;
};

/* A number and one of the unit names (the first has the empty name). */
static enum err
number_with_unit(const char *p, size_t n, const struct unit *units, size_t count, uint64_t *out)
{
	size_t digits = 0, i;
	uint64_t v;
	enum err e;

	while (digits < n && p[digits] >= '0' && p[digits] <= '9')
		digits++;
	e = text_u64(p, digits, UINT64_MAX, &v);
	if (e != OK)
		return e;
	for (i = 0; i < count; i++) {
		if (!text_eq_nocase(p + digits, n - digits, units[i].name))
			continue;
		if (v > UINT64_MAX / units[i].factor)
			return ERR_TOOBIG;
		*out = v * units[i].factor;
		return OK;
	}
	return ERR_PARSE;
}

enum err
text_size(const char *p, size_t n, uint64_t *out)
{
	static const struct unit units[] = {
		{ "", 1 },
		{ "b", 1 },
		{ "k", 1ull << 10 },
		{ "kb", 1ull << 10 },
		{ "m", 1ull << 20 },
		{ "mb", 1ull << 20 },
		{ "g", 1ull << 30 },
		{ "gb", 1ull << 30 },
		{ "t", 1ull << 40 },
		{ "tb", 1ull << 40 },
	};

	return number_with_unit(p, n, units, sizeof units / sizeof *units, out);
}

enum err
text_duration_ms(const char *p, size_t n, uint64_t *out)
{
	static const struct unit units[] = {
		{ "", 1000 },
		{ "s", 1000 },
		{ "ms", 1 },
		{ "m", 60000 },
		{ "h", 3600000 },
		{ "d", 86400000 },
	};

	return number_with_unit(p, n, units, sizeof units / sizeof *units, out);
}

enum err
text_bool(const char *p, size_t n, bool *out)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };
	size_t i;

	for (i = 0; i < 4; i++) {
		if (text_eq_nocase(p, n, yes[i])) {
			*out = true;
			return OK;
		}
		if (text_eq_nocase(p, n, no[i])) {
			*out = false;
			return OK;
		}
	}
	return ERR_PARSE;
}

bool
text_eq(const char *p, size_t n, const char *literal)
{
	return strlen(literal) == n && (n == 0 || memcmp(p, literal, n) == 0);
}

static unsigned char
lower(char c)
{
	unsigned char u = (unsigned char)c;

	return u >= 'A' && u <= 'Z' ? (unsigned char)(u + 32) : u;
}

bool
text_eq_nocase(const char *p, size_t n, const char *literal)
{
	size_t i;

	if (strlen(literal) != n)
		return false;
	for (i = 0; i < n; i++)
		if (lower(p[i]) != lower(literal[i]))
			return false;
	return true;
}

bool
text_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool
text_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

enum err
text_copy(char *dst, size_t size, const char *src, size_t n)
{
	if (size == 0)
		return ERR_TOOBIG;
	dst[0] = '\0';
	if (n >= size)
		return ERR_TOOBIG;
	memcpy(dst, src, n);
	dst[n] = '\0';
	return OK;
}

/* Length of the UTF-8 character at p (RFC 3629 section 4), 0 when there is none. */
static size_t
utf8_char(const uint8_t *p, size_t n)
{
	uint8_t lo = 0x80, hi = 0xbf;
	size_t len, i;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (len > n)
		return 0;
	if (p[0] == 0xe0)
		lo = 0xa0;
	else if (p[0] == 0xed)
		hi = 0x9f;
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;
	if (p[1] < lo || p[1] > hi)
		return 0;
	for (i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

bool
text_utf8_valid(const uint8_t *p, size_t n)
{
	size_t i = 0, k;

	while (i < n) {
		k = utf8_char(p + i, n - i);
		if (k == 0)
			return false;
		i += k;
	}
	return true;
}

static bool
name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

bool
text_is_file_name(const char *p, size_t n)
{
	size_t i;

	if (n == 0 || n > 255 || text_eq(p, n, ".") || text_eq(p, n, ".."))
		return false;
	for (i = 0; i < n; i++)
		if (!name_byte(p[i]))
			return false;
	return true;
}

bool
text_is_target_path(const char *p, size_t n)
{
	size_t start = 0, i;

	if (n == 0 || n > 1024)
		return false;
	for (i = 0; i <= n; i++) {
		if (i < n && p[i] != '/')
			continue;
		if (!text_is_file_name(p + start, i - start))
			return false;
		start = i + 1;
	}
	return true;
}

bool
text_is_role_name(const char *p, size_t n)
{
	size_t i;

	if (n == 0 || n > 64)
		return false;
	for (i = 0; i < n; i++)
		if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= '0' && p[i] <= '9') || p[i] == '-'))
			return false;
	return true;
}

bool
text_is_uuid(const char *p, size_t n)
{
	size_t i;

	if (n != 36)
		return false;
	for (i = 0; i < n; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? p[i] != '-'
			 : !((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f')))
			return false;
	}
	return true;
}

size_t
text_unseen(const uint8_t *p, size_t n)
{
	uint8_t b = n > 1 ? p[1] : 0, c = n > 2 ? p[2] : 0;

	if (n == 0)
		return 0;
	if (p[0] < 0x20 || p[0] == 0x7f)
		return 1;
	if (p[0] == 0xc2 && b >= 0x80 && b <= 0x9f) /* C1: U+009B begins a command as ESC [ does */
		return 2;
	if (p[0] == 0xe2 && b == 0x80 && (c == 0x8e || c == 0x8f || (c >= 0xa8 && c <= 0xae)))
		return 3; /* marks, lines and overrides of direction */
	if (p[0] == 0xe2 && b == 0x81 && c >= 0xa6 && c <= 0xa9)
		return 3; /* isolates */
	return 0;
}

enum err
text_printable(struct buf *out, const uint8_t *p, size_t n, size_t max)
{
	static const char hex[] = "0123456789abcdef";
	size_t start = out->len, unseen_to = 0, unseen, i;
	enum err e = OK;

	for (i = 0; i < n && e == OK; i++) {
		char esc[4] = { '\\', 'x', hex[p[i] >> 4], hex[p[i] & 15] };
		bool plain;

		unseen = text_unseen(p + i, n - i);
		if (unseen > 0)
			unseen_to = i + unseen;
		plain = i >= unseen_to && p[i] != '"' && p[i] != '\\';
		if (out->len - start + (plain ? 1 : 4) > max)
			return buf_puts(out, "...");
		e = plain ? buf_append(out, &p[i], 1) : buf_append(out, esc, 4);
	}
	return e;
}
