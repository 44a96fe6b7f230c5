/* uplink_gzip.h - compression of batches. Pure. */
#ifndef ATALAIA_AGENT_UPLINK_GZIP_H
#define ATALAIA_AGENT_UPLINK_GZIP_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

/* Replaces the content by its gzip form (RFC 1952). On error, and when it would not be shorter
 * (ERR_TOOBIG), the content stands. */
MUST_CHECK enum err uplink_gzip(struct buf *b);
/* Does an Accept-Encoding value (RFC 9110 section 12.5.3) of a receiver's answer offer gzip? */
bool uplink_offers_gzip(const char *accept_encoding);

#endif
