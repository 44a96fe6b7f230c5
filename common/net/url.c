/* url.c - URLs that our configuration and policies may name; see addr.h. */
#include "net/addr.h"

#include "base/text.h"

#include <string.h>

static const struct {
	const char *name;
	uint16_t port;
} url_schemes[] = { { "http", 80 }, { "https", 443 }, { "ftp", 21 } };

static enum err
url_scheme(struct url *u, const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < sizeof(url_schemes) / sizeof(url_schemes[0]); i++) {
		if (!text_eq_nocase(p, n, url_schemes[i].name))
			continue;
		u->port = url_schemes[i].port;
		return text_copy(u->scheme, sizeof(u->scheme), url_schemes[i].name, n);
	}
	return ERR_PARSE;
}

enum err
url_parse(struct url *u, const char *p, size_t n, struct fault *f)
{
	size_t i, sep = 0, start, end;
	enum err e;

	memset(u, 0, sizeof(*u));
	for (i = 0; i < n; i++)
		if ((unsigned char)p[i] <= ' ' || (unsigned char)p[i] >= 0x7f || p[i] == '#' ||
		    p[i] == '\\')
			return fault_set(f, ERR_PARSE,
			    "a URL may hold no spaces, control or non-ASCII characters, '\\' or "
			    "'#'");
	while (sep + 3 <= n && memcmp(p + sep, "://", 3) != 0)
		sep++;
	if (sep + 3 > n || url_scheme(u, p, sep) != OK)
		return fault_set(f, ERR_PARSE, "a URL must begin with http://, https:// or ftp://");
	start = end = sep + 3;
	while (end < n && p[end] != '/' && p[end] != '?')
		end++;
	if (end > start && memchr(p + start, '@', end - start) != NULL)
		return fault_set(f, ERR_PARSE, "a URL may hold no user name or password");
	e = addr_parse_hostport(p + start, end - start, u->port, false, u->host, &u->port, f);
	if (e != OK)
		return e;
	u->host_is_v6 = strchr(u->host, ':') != NULL;
	if (u->host_is_v6 && p[start] != '[')
		return fault_set(
		    f, ERR_PARSE, "an IPv6 address in a URL stands between '[' and ']'");
	if (end < n && p[end] == '?')
		return fault_set(f, ERR_PARSE, "a URL with a query needs a path in front of '?'");
	e = end == n ? text_copy(u->path, sizeof(u->path), "/", 1)
		     : text_copy(u->path, sizeof(u->path), p + end, n - end);
	return e == OK ? OK
		       : fault_set(
			     f, e, "the path of a URL may be %zu bytes long", sizeof(u->path) - 1);
}
