/* ticket.c - see ticket.h. */
#include "proto/ticket.h"

#include "update/hash.h"

#include <stdio.h>
#include <string.h>

bool
ticket_in_name(const char *name)
{
	return strspn(name, "0123456789abcdef") == TICKET_HEX && name[TICKET_HEX] == '-' &&
	       name[TICKET_HEX + 1] != '\0';
}

enum err
ticket_name(char *dst, size_t size, const char *secret, const char *sha256, const char *name)
{
	char own[HASH_SHA256_TEXT];
	int n;

	hash_sha256_text(secret, strlen(secret), own);
	n = snprintf(dst, size, "%.*s%s-%s", TICKET_OWN, own, sha256, name);
	return n > 0 && (size_t)n < size && ticket_in_name(dst) ? OK : ERR_TOOBIG;
}
