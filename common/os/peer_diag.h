/* peer_diag.h - asks the kernel for the owner of one TCP socket (sock_diag(7)): microseconds, where
 * /proc/net/tcp was seen to take 10 ms because it walks the whole table. For peer.c only. */
#ifndef ATALAIA_OS_PEER_DIAG_H
#define ATALAIA_OS_PEER_DIAG_H

#include "base/err.h"

#include <stdint.h>
#include <sys/socket.h>

/* ERR_NOTFOUND: there is no such socket; ERR_UNSUPPORTED: this kernel cannot be asked. */
MUST_CHECK enum err peer_diag_uid(
    const struct sockaddr *local, const struct sockaddr *remote, uint32_t *uid);

#endif
