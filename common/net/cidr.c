/* cidr.c - address lists; see addr.h. */
#include "net/addr.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* Bit i of an address, most significant first. */
static int
ip_bit(const uint8_t ip[16], unsigned i)
{
	return (ip[i / 8] >> (7 - i % 8)) & 1;
}

enum err
cidr_parse(struct cidr *out, const char *p, size_t n, struct fault *f)
{
	const char *slash = n > 0 ? memchr(p, '/', n) : NULL;
	size_t ip_len = slash != NULL ? (size_t)(slash - p) : n;
	uint32_t bits, max;

	memset(out, 0, sizeof(*out));
	if (addr_parse_ip(&out->base, p, ip_len) != OK)
		return fault_set(f, ERR_PARSE, "'%.*s' is no IP address or network like 10.0.0.0/8",
		    (int)(n > 60 ? 60 : n), p);
	bits = max = out->base.family == ADDR_V4 ? 32 : 128;
	if (slash != NULL && text_u32(slash + 1, n - ip_len - 1, max, &bits) != OK)
		return fault_set(f, ERR_PARSE,
		    "behind '/' in '%.*s' must stand a number from 0 to %u", (int)(n > 60 ? 60 : n),
		    p, (unsigned)max);
	out->bits = (uint8_t)bits;
	for (; bits < max; bits++)
		if (ip_bit(out->base.ip, bits) != 0)
			return fault_set(f, ERR_PARSE,
			    "'%.*s' has bits set behind its prefix: write the network's first "
			    "address",
			    (int)n, p);
	return OK;
}

bool
cidr_match(const struct cidr *c, const struct addr *a)
{
	unsigned whole = c->bits / 8, rest = c->bits % 8;

	if (c->base.family != a->family || memcmp(c->base.ip, a->ip, whole) != 0)
		return false;
	return rest == 0 || (c->base.ip[whole] >> (8 - rest)) == (a->ip[whole] >> (8 - rest));
}

static bool
is_separator(char c)
{
	return c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

enum err
cidr_list_parse(struct cidr_list *out, const char *text, struct fault *f)
{
	enum err e = OK;

	out->items = NULL;
	out->n = 0;
	while (e == OK) {
		struct cidr *grown;
		size_t n = 0;

		while (is_separator(*text))
			text++;
		if (*text == '\0')
			return OK;
		while (text[n] != '\0' && !is_separator(text[n]))
			n++;
		grown = realloc(out->items, (out->n + 1) * sizeof(*grown));
		if (grown == NULL) {
			e = fault_set(f, ERR_NOMEM, "no memory for an address list");
			break;
		}
		out->items = grown;
		e = cidr_parse(&out->items[out->n], text, n, f);
		out->n++;
		text += n;
	}
	cidr_list_free(out);
	return e;
}

bool
cidr_list_match(const struct cidr_list *l, const struct addr *a)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (cidr_match(&l->items[i], a))
			return true;
	return false;
}

void
cidr_list_free(struct cidr_list *l)
{
	free(l->items);
	l->items = NULL;
	l->n = 0;
}
