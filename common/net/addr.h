/* addr.h - IP addresses, host:port, CIDR lists and URLs out of text. Pure: no look-ups, no sockets,
 * no allocation but cidr_list. An IPv4-mapped IPv6 address is always turned into IPv4, so that
 * caps, lists and comparisons see one form. */
#ifndef ATALAIA_NET_ADDR_H
#define ATALAIA_NET_ADDR_H

#include "base/err.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDR_TEXT 72  /* "[ipv6%scope]:port" and a NUL */
#define ADDR_HOST 256 /* a DNS name or literal and a NUL */

enum addr_family { ADDR_NONE, ADDR_V4, ADDR_V6, ADDR_UNIX };

struct addr {
	enum addr_family family;
	uint8_t ip[16]; /* network order; IPv4 uses the first four */
	uint16_t port;	/* host order */
	uint32_t scope; /* interface index of fe80:: addresses */
};

/* A literal address without port or brackets. ERR_PARSE for anything else (names, "127.1",
 * "010.0.0.1"). */
MUST_CHECK enum err addr_parse_ip(struct addr *out, const char *p, size_t n);
/* "name", "name:port", "1.2.3.4:port", "[::1]:port", "::1". Without port: dflt_port. The host is
 * written without brackets. ERR_PARSE with a sentence when it has another form or characters no
 * host name has. Port 0 is allowed only when zero_ok. */
MUST_CHECK enum err addr_parse_hostport(const char *p, size_t n, uint16_t dflt_port, bool zero_ok,
    char host[ADDR_HOST], uint16_t *port, struct fault *f);
MUST_CHECK enum err addr_from_sockaddr(
    struct addr *out, const struct sockaddr *sa); /* ERR_UNSUPPORTED for other families */
MUST_CHECK enum err addr_to_sockaddr(
    const struct addr *a, struct sockaddr_storage *out, socklen_t *len);

bool addr_is_loopback(const struct addr *a); /* 127.0.0.0/8, ::1, and unix sockets */
bool addr_is_any(const struct addr *a);	     /* 0.0.0.0, :: */
bool addr_same_ip(const struct addr *a, const struct addr *b); /* ports are not compared */
/* "1.2.3.4:80", "[::1]:80", "unix"; addr_format_ip leaves port and brackets away. Both return out.
 */
const char *addr_format(char out[ADDR_TEXT], const struct addr *a);
const char *addr_format_ip(char out[ADDR_TEXT], const struct addr *a);
bool host_is_loopback(
    const char *host); /* "localhost" or a loopback literal; a Host header's value without port */

struct cidr {
	struct addr base; /* host bits are zero */
	uint8_t bits;
};
struct cidr_list {
	struct cidr *items;
	size_t n;
};
MUST_CHECK enum err cidr_parse(struct cidr *out, const char *p, size_t n,
    struct fault *f); /* "10.0.0.0/8", "fe80::/10", a single address; host bits set: error */
bool cidr_match(const struct cidr *c, const struct addr *a);
/* Items separated by commas or white space; "" is an empty list. */
MUST_CHECK enum err cidr_list_parse(struct cidr_list *out, const char *text, struct fault *f);
bool cidr_list_match(const struct cidr_list *l, const struct addr *a); /* false for an empty list */
void cidr_list_free(struct cidr_list *l);

/* scheme://host[:port][/path][?query]. Refused: userinfo, fragment, control bytes, spaces, names
 * past the sizes here. */
struct url {
	char scheme[8];	      /* lower case: "http", "https", "ftp" */
	char host[ADDR_HOST]; /* without brackets */
	bool host_is_v6;
	uint16_t port;	 /* explicit, or the scheme's default */
	char path[1024]; /* with leading '/', query included, as written */
};
MUST_CHECK enum err url_parse(struct url *out, const char *p, size_t n, struct fault *f);

#endif
