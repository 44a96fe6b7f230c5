/* resolve.h - names to addresses as this PC sees them: hosts file, DNS and whatever else is
 * configured. Blocks, for as long as the resolver waits: worker thread only. */
#ifndef ATALAIA_OS_RESOLVE_H
#define ATALAIA_OS_RESOLVE_H

#include "base/err.h"

#include <stddef.h>
#include <sys/socket.h>

/* Writes up to max addresses and how many. ERR_NOTFOUND: the name leads nowhere, for whatever
 * reason. */
MUST_CHECK enum err resolve_host(
    const char *name, struct sockaddr_storage *out, size_t max, size_t *n);

#endif
