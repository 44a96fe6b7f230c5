/* peer.h - who is at the other end of a local connection. Blocking but short (reads /proc). */
#ifndef ATALAIA_OS_PEER_H
#define ATALAIA_OS_PEER_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct peer_id {
	uint32_t uid;
	int32_t pid;   /* -1 when unknown (TCP) */
	char exe[256]; /* "" when unknown */
};

/* Unix socket: SO_PEERCRED and /proc/PID/exe. */
MUST_CHECK enum err peer_unix(int fd, struct peer_id *out);
/* Loopback TCP: the uid that owns the other end, from /proc/net/tcp and tcp6. ERR_NOTFOUND when it
 * is gone already. `local` and `remote` as our accepted socket sees them. */
MUST_CHECK enum err peer_tcp(const struct sockaddr *local, const struct sockaddr *remote,
    struct peer_id *out);
/* Pure part: finds the uid in the text of /proc/net/tcp or tcp6. */
MUST_CHECK enum err peer_parse_proc(const char *text, size_t n, const struct sockaddr *local,
    const struct sockaddr *remote, uint32_t *uid);

#endif
