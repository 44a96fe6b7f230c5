/* dropbox.h - uploads: one flat folder, names chosen here, quotas, nothing to read back. Loop
 * thread; the disk is a worker's. A finished upload is one file `UTC_PEER_RANDOM_NAME`
 * (20261124T140600Z_7f000001_9f86d081884c7d65_mwav.log); one that runs is `.part-RANDOM`, or
 * `.open-TICKET` when the client gave it a ticket (proto/ticket.h): such a one may be cut and go
 * on, and is taken once however often it comes. */
#ifndef ATALAIA_UA_DROPBOX_H
#define ATALAIA_UA_DROPBOX_H

#include "options.h"

#include <uv.h>

struct dropbox;
struct upload;

/* Opens the folder, counts what is there and removes `.part-` files of an earlier run. Blocking:
 * before the loop runs. */
MUST_CHECK enum err dropbox_open(
    struct dropbox **out, uv_loop_t *loop, const struct options *o, struct fault *f);
void dropbox_close(struct dropbox *);		   /* no upload may be alive; NULL is fine */
uint64_t dropbox_received(const struct dropbox *); /* files since the start */

/* Results: OK; ERR_DENIED quota of this sender; ERR_TOOBIG file or box full; ERR_NOSPACE disk below
 * the floor; ERR_INVAL it cannot go on there; ERR_VERIFY not the content that its ticket speaks of;
 * ERR_CLOSED cut: the rest may follow; ERR_CANCELED another connection goes on with it; ERR_IO. */
typedef void (*upload_cb)(void *ctx, enum err e);

struct upload_order {
	const struct addr *peer;
	const char *name;   /* what the client called it (only harmless characters are kept) */
	uint64_t announced; /* a shorter one is cut; 0: nothing was said */
	/* With a ticket in the name only: go on at `rest`, or at what upload_ask answered. */
	uint64_t rest;
	bool append;
};

/* Checks the quotas and makes the temporary file; done comes from the loop. An upload with a ticket
 * ends an earlier one with the same: its line is dead. */
MUST_CHECK enum err upload_begin(
    struct upload **out, struct dropbox *, const struct upload_order *, upload_cb done, void *ctx);
/* One write at a time. The bytes belong to the upload until done. */
void upload_write(struct upload *, const void *p, size_t n, upload_cb done, void *ctx);
/* No more bytes come: fsync, rename, fsync of the folder, done, and the upload is gone. */
void upload_commit(struct upload *, upload_cb done, void *ctx);
/* Forgets it; the file goes, or waits for its rest when it has a ticket. A running step is waited
 * for in the background. */
void upload_drop(struct upload *);

/* How much is here of the upload with this ticket; ends one that runs. In done and only there:
 * upload_have. ERR_NOTFOUND: nothing. */
MUST_CHECK enum err upload_ask(
    struct upload **out, struct dropbox *, const char *name, upload_cb done, void *ctx);
/* One byte less than there is while it is not finished, so that a client that believes it has sent
 * everything sends the end again, and is answered. */
uint64_t upload_have(const struct upload *);

#endif
