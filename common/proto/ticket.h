/* ticket.h - the name of an upload that may be cut and go on, and that a drop box takes once
 * however often it comes:
 *
 *   <ticket: 32 hex digits><SHA-256 of the file: 64 hex digits>-<name>
 *
 * The ticket is something that only the sender knows: without it nobody can ask about the upload,
 * go on with it or end it. The hash says when the file is whole. Pure. */
#ifndef ATALAIA_PROTO_TICKET_H
#define ATALAIA_PROTO_TICKET_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define TICKET_OWN 32  /* hex digits of the sender's own */
#define TICKET_HEX 96  /* with those of the hash */
#define TICKET_TEXT 97 /* and the NUL */

/* True when the name begins with a ticket and has a name behind it. */
bool ticket_in_name(const char *name);
/* secret: text that is the same whenever this file is sent, and that others cannot guess. sha256:
 * 64 hex digits. ERR_TOOBIG. */
MUST_CHECK enum err ticket_name(
    char *dst, size_t size, const char *secret, const char *sha256, const char *name);

#endif
