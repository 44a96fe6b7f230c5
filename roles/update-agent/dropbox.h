/* dropbox.h - uploads: one flat folder, names chosen here, quotas, nothing to read back. Loop
 * thread; the disk is a worker's. A finished upload is one file `UTC_PEER_RANDOM_NAME`
 * (20261124T140600Z_7f000001_9f86d081884c7d65_mwav.log); one that runs is `.part-RANDOM`. */
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
 * the floor; ERR_IO. */
typedef void (*upload_cb)(void *ctx, enum err e);

/* Checks the quotas and makes the temporary file; done comes from the loop. name: what the client
 * called it (only harmless characters are kept). */
MUST_CHECK enum err upload_begin(struct upload **out, struct dropbox *, const struct addr *peer,
    const char *name, upload_cb done, void *ctx);
/* One write at a time. The bytes belong to the upload until done. */
void upload_write(struct upload *, const void *p, size_t n, upload_cb done, void *ctx);
/* fsync, rename, fsync of the folder, done, and the upload is gone. */
void upload_commit(struct upload *, upload_cb done, void *ctx);
/* Forgets it and removes the file; a running step is waited for in the background. */
void upload_drop(struct upload *);

#endif
