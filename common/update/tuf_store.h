/* tuf_store.h - the folder of trusted files. One holder at a time (flock on DIR/.lock); every file
 * is replaced atomically and its folder synced before the call returns, so that after a crash each
 * name holds the old bytes or the new ones. Private to common/update/tuf*. */
#ifndef ATALAIA_UPDATE_TUF_STORE_H
#define ATALAIA_UPDATE_TUF_STORE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"

#include <stdint.h>

struct tuf_store {
	char *dir;
	int dirfd, lock;
};

/* Makes dir when absent, takes the lock (ERR_BUSY), removes what a killed process left half
 * written. */
MUST_CHECK enum err tuf_store_open(struct tuf_store *s, const char *dir, struct fault *f);
void tuf_store_close(struct tuf_store *s);
/* The file of a role: "<percent-encoded role>.json". ERR_NOTFOUND when absent. */
MUST_CHECK enum err tuf_store_read(const struct tuf_store *s, const char *role, struct buf *out,
    struct fault *f);
MUST_CHECK enum err tuf_store_write(const struct tuf_store *s, const char *role, const void *p,
    size_t n, struct fault *f);
MUST_CHECK enum err tuf_store_remove(const struct tuf_store *s, const char *role, struct fault *f);
/* The newest verified time, in "verified-time"; 0 when there is none or it is unreadable. */
int64_t tuf_store_read_time(const struct tuf_store *s);
MUST_CHECK enum err tuf_store_write_time(const struct tuf_store *s, int64_t ms, struct fault *f);

#endif
