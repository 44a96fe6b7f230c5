#include "os/resolve.h"

#include <netdb.h>
#include <string.h>

enum err
resolve_host(const char *name, struct sockaddr_storage *out, size_t max, size_t *n)
{
	const struct addrinfo want = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;

	*n = 0;
	if (getaddrinfo(name, NULL, &want, &list) != 0)
		return ERR_NOTFOUND;
	for (const struct addrinfo *i = list; i != NULL && *n < max; i = i->ai_next) {
		if (i->ai_addrlen > sizeof out[0])
			continue;
		memset(&out[*n], 0, sizeof out[0]);
		memcpy(&out[*n], i->ai_addr, i->ai_addrlen);
		(*n)++;
	}
	freeaddrinfo(list);
	return *n > 0 ? OK : ERR_NOTFOUND;
}
