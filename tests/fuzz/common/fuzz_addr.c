/* fuzz_addr.c - addresses, host:port, lists and URLs: what is taken can be written and taken again.
 */
#include "net/addr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
try_ip(const char *p, size_t n)
{
	char text[ADDR_TEXT];
	struct addr a, b;

	if (addr_parse_ip(&a, p, n) != OK)
		return;
	addr_format_ip(text, &a);
	must(addr_parse_ip(&b, text, strlen(text)) == OK && addr_same_ip(&a, &b));
	(void)addr_format(text, &a);
}

static void
try_hostport(const char *p, size_t n)
{
	char host[ADDR_HOST], again[ADDR_HOST], text[ADDR_HOST + 16];
	uint16_t port, port2;
	struct fault f = { 0 };

	if (addr_parse_hostport(p, n, 1, true, host, &port, &f) != OK)
		return;
	must(host[0] != '\0' && strpbrk(host, "/@[] \t\r\n?#%") == NULL);
	(void)snprintf(
	    text, sizeof(text), strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, port);
	must(addr_parse_hostport(text, strlen(text), 2, true, again, &port2, &f) == OK &&
	     strcmp(host, again) == 0 && port == port2);
	(void)host_is_loopback(host);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct cidr_list l;
	struct url u;

	must(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	try_ip((const char *)data, size);
	try_hostport((const char *)data, size);
	if (url_parse(&u, (const char *)data, size, NULL) == OK)
		must(u.host[0] != '\0' && u.path[0] == '/' && u.port != 0 &&
		     strchr(u.host, '@') == NULL);
	if (cidr_list_parse(&l, text, NULL) == OK)
		cidr_list_free(&l);
	free(text);
	return 0;
}
