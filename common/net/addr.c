/* addr.c - see addr.h. Literals are read by hand, because inet_pton wants a NUL and libc's other
 * readers accept "127.1" and octal. */
#include "net/addr.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static void
unmap_v4(struct addr *a)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	if (a->family != ADDR_V6 || memcmp(a->ip, mapped, sizeof(mapped)) != 0)
		return;
	a->family = ADDR_V4;
	a->scope = 0;
	memmove(a->ip, a->ip + 12, 4);
	memset(a->ip + 4, 0, 12);
}

enum err
addr_parse_ip(struct addr *out, const char *p, size_t n)
{
	char text[INET6_ADDRSTRLEN];
	size_t i;

	memset(out, 0, sizeof(*out));
	if (n == 0 || n >= sizeof(text) || memchr(p, '\0', n) != NULL)
		return ERR_PARSE;
	memcpy(text, p, n);
	text[n] = '\0';
	if (inet_pton(AF_INET, text, out->ip) == 1) {
		/* Some libcs take leading zeros, which other programs read as octal. */
		for (i = 0; i + 1 < n; i++)
			if (text[i] == '0' && (i == 0 || text[i - 1] == '.') && text[i + 1] != '.')
				return ERR_PARSE;
		out->family = ADDR_V4;
		return OK;
	}
	if (inet_pton(AF_INET6, text, out->ip) != 1)
		return ERR_PARSE;
	out->family = ADDR_V6;
	unmap_v4(out);
	return OK;
}

static bool
is_host_name(const char *p, size_t n)
{
	size_t i;

	if (n == 0 || n >= ADDR_HOST || p[0] == '-' || p[0] == '.')
		return false;
	for (i = 0; i < n; i++) {
		char c = p[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    c == '-' || c == '_')
			continue;
		if (c == '.' && p[i - 1] != '.')
			continue;
		return false;
	}
	return true;
}

/* A name or a literal without brackets. All-numeric forms must be real addresses, so that "1.2.3"
 * is not looked up. */
static bool
is_host(const char *p, size_t n)
{
	struct addr a;
	size_t i;

	if (addr_parse_ip(&a, p, n) == OK)
		return true;
	for (i = 0; i < n; i++)
		if (!(p[i] >= '0' && p[i] <= '9') && p[i] != '.')
			return is_host_name(p, n);
	return false;
}

static enum err
parse_port(const char *p, size_t n, bool zero_ok, uint16_t *port, struct fault *f)
{
	uint32_t v;

	if (text_u32(p, n, 65535, &v) != OK || (v == 0 && !zero_ok))
		return fault_set(f, ERR_PARSE,
		    "the port behind ':' must be a number from %d to 65535", zero_ok ? 0 : 1);
	*port = (uint16_t)v;
	return OK;
}

/* Splits "[v6]" or "[v6]:port"; rest is what stands behind ']'. */
static enum err
split_bracketed(const char *p, size_t n, const char **host, size_t *host_len, struct fault *f)
{
	const char *end = memchr(p, ']', n);
	struct addr a;

	if (end == NULL)
		return fault_set(f, ERR_PARSE, "'[' without ']' in an address");
	*host = p + 1;
	*host_len = (size_t)(end - p) - 1;
	if (addr_parse_ip(&a, *host, *host_len) != OK || memchr(*host, ':', *host_len) == NULL)
		return fault_set(f, ERR_PARSE, "between '[' and ']' must stand an IPv6 address");
	return OK;
}

enum err
addr_parse_hostport(const char *p, size_t n, uint16_t dflt_port, bool zero_ok, char host[ADDR_HOST],
    uint16_t *port, struct fault *f)
{
	const char *h = p, *rest, *colon;
	size_t hn = n;
	enum err e;

	host[0] = '\0';
	*port = dflt_port;
	if (n > 0 && p[0] == '[') {
		if ((e = split_bracketed(p, n, &h, &hn, f)) != OK)
			return e;
		rest = h + hn + 1;
	} else {
		colon = n > 0 ? memchr(p, ':', n) : NULL;
		if (colon != NULL && memchr(colon + 1, ':', n - (size_t)(colon + 1 - p)) != NULL)
			colon = NULL; /* a bare IPv6 address */
		hn = colon != NULL ? (size_t)(colon - p) : n;
		rest = p + hn;
		if (!is_host(h, hn))
			return fault_set(f, ERR_PARSE,
			    "not a host name or address: it must look like name:port, 1.2.3.4:port "
			    "or [::1]:port");
	}
	if (rest < p + n) {
		if (*rest != ':')
			return fault_set(f, ERR_PARSE, "behind ']' only ':' and a port may stand");
		if ((e = parse_port(rest + 1, n - (size_t)(rest + 1 - p), zero_ok, port, f)) != OK)
			return e;
	}
	return text_copy(host, ADDR_HOST, h, hn);
}

enum err
addr_from_sockaddr(struct addr *out, const struct sockaddr *sa)
{
	memset(out, 0, sizeof(*out));
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;

		out->family = ADDR_V4;
		memcpy(out->ip, &in->sin_addr, 4);
		out->port = ntohs(in->sin_port);
		return OK;
	}
	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;

		out->family = ADDR_V6;
		memcpy(out->ip, &in6->sin6_addr, 16);
		out->port = ntohs(in6->sin6_port);
		out->scope = in6->sin6_scope_id;
		unmap_v4(out);
		return OK;
	}
	if (sa->sa_family == AF_UNIX) {
		out->family = ADDR_UNIX;
		return OK;
	}
	return ERR_UNSUPPORTED;
}

enum err
addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out, socklen_t *len)
{
	memset(out, 0, sizeof(*out));
	if (a->family == ADDR_V4) {
		struct sockaddr_in *in = (struct sockaddr_in *)(void *)out;

		in->sin_family = AF_INET;
		memcpy(&in->sin_addr, a->ip, 4);
		in->sin_port = htons(a->port);
		*len = sizeof(*in);
		return OK;
	}
	if (a->family == ADDR_V6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)out;

		in6->sin6_family = AF_INET6;
		memcpy(&in6->sin6_addr, a->ip, 16);
		in6->sin6_port = htons(a->port);
		in6->sin6_scope_id = a->scope;
		*len = sizeof(*in6);
		return OK;
	}
	*len = 0;
	return ERR_UNSUPPORTED;
}

bool
addr_is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	if (a->family == ADDR_UNIX)
		return true;
	if (a->family == ADDR_V4)
		return a->ip[0] == 127;
	return a->family == ADDR_V6 && memcmp(a->ip, one, 16) == 0;
}

bool
addr_is_any(const struct addr *a)
{
	static const uint8_t zero[16];

	return (a->family == ADDR_V4 || a->family == ADDR_V6) && memcmp(a->ip, zero, 16) == 0;
}

bool
addr_same_ip(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, 16) == 0 && a->scope == b->scope;
}

const char *
addr_format_ip(char out[ADDR_TEXT], const struct addr *a)
{
	size_t n;

	if (a->family == ADDR_UNIX || a->family == ADDR_NONE) {
		(void)snprintf(out, ADDR_TEXT, "%s", a->family == ADDR_UNIX ? "unix" : "none");
		return out;
	}
	if (inet_ntop(a->family == ADDR_V4 ? AF_INET : AF_INET6, a->ip, out, ADDR_TEXT) == NULL)
		out[0] = '\0';
	n = strlen(out);
	if (a->scope != 0)
		(void)snprintf(out + n, ADDR_TEXT - n, "%%%u", (unsigned)a->scope);
	return out;
}

const char *
addr_format(char out[ADDR_TEXT], const struct addr *a)
{
	char ip[ADDR_TEXT];

	addr_format_ip(ip, a);
	if (a->family == ADDR_V4)
		(void)snprintf(out, ADDR_TEXT, "%.45s:%u", ip, a->port);
	else if (a->family == ADDR_V6)
		(void)snprintf(out, ADDR_TEXT, "[%.60s]:%u", ip, a->port);
	else
		(void)snprintf(out, ADDR_TEXT, "%.45s", ip);
	return out;
}

bool
host_is_loopback(const char *host)
{
	size_t n = strlen(host);
	struct addr a;

	if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
		host++;
		n -= 2;
	}
	if (text_eq_nocase(host, n, "localhost"))
		return true;
	return addr_parse_ip(&a, host, n) == OK && addr_is_loopback(&a);
}
