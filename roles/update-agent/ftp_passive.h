/* ftp_passive.h - finding a port for a passive listener. */
#ifndef ATALAIA_UA_FTP_PASSIVE_H
#define ATALAIA_UA_FTP_PASSIVE_H

#include "options.h"

/* A random free port of the range that is no service port of ours. ERR_BUSY: none is free. */
MUST_CHECK enum err passive_listen(
    const struct options *o, const struct addr *local, int *fd, uint16_t *port);
/* The address for 227: the public one for peers outside local_networks, else the local one.
 * ERR_UNSUPPORTED: IPv6. */
MUST_CHECK enum err passive_address(
    const struct options *o, const struct addr *local, const struct addr *peer, uint8_t out[4]);
/* May this source take a data connection of that peer? Uploads: the same address always. */
bool passive_peer_ok(enum data_peer rule, const struct addr *control, const struct addr *data);

#endif
