/* tickets.h - which uploads with a ticket (proto/ticket.h) a drop box has taken already. A ring of
 * LIMIT_DROPBOX_TICKETS records in one file of the box; the oldest are forgotten. Blocking, any
 * thread.
 *
 * A record is on the disk before the upload gets its final name, so after a kill at any step: the
 * upload was taken if, and only if, it has a record here and no unfinished file in the box. */
#ifndef ATALAIA_UA_TICKETS_H
#define ATALAIA_UA_TICKETS_H

#include "base/err.h"

#include <stdint.h>
#include <uv.h>

#define TICKETS_JOURNAL ".tickets"

struct tickets {
	int dir;	 /* of the box; borrowed, set by the owner */
	uv_mutex_t lock; /* one writer at a time chooses a place */
};

MUST_CHECK enum err tickets_init(struct tickets *t);
void tickets_free(struct tickets *t);
/* ERR_NOTFOUND: never taken, or forgotten. size: of the whole file. */
MUST_CHECK enum err tickets_find(struct tickets *t, const char *ticket, uint64_t *size);
MUST_CHECK enum err tickets_add(struct tickets *t, const char *ticket, uint64_t size);
/* Is the content of this file the one that the ticket speaks of? ERR_VERIFY: no. */
MUST_CHECK enum err tickets_check(int fd, const char *ticket);

#endif
