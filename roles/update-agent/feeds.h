/* feeds.h - what is published below the root: for each feed the bytes and version of its
 * timestamp.json. Read again by a worker when somebody says that it changed, and at intervals; kept
 * in memory in between. The version is a hint out of unverified bytes: whoever downloads verifies.
 */
#ifndef ATALAIA_UA_FEEDS_H
#define ATALAIA_UA_FEEDS_H

#include "options.h"

#include "base/buf.h"

#include <uv.h>

#define FEED_ETAG 80

struct feed {
	struct feed *next;
	char name[256];
	struct buf body;
	uint64_t version;
	char etag[FEED_ETAG];
	/* which file it was */
	uint64_t inode, size;
	int64_t mtime, mtime_ns;
	bool present;  /* false: it vanished; waiters may still hang on it */
	void *waiters; /* versions.c */
};

struct feeds;
/* root_fd is borrowed. changed is called from the loop for each feed with a new timestamp. */
MUST_CHECK enum err feeds_new(struct feeds **out, uv_loop_t *loop, int root_fd,
    void (*changed)(void *ctx, struct feed *), void *ctx);
/* Looks at the folder in a worker; asked again meanwhile, it looks once more afterwards. */
void feeds_refresh(struct feeds *);
struct feed *feeds_find(struct feeds *, const char *name); /* NULL: no such feed now */
struct feed *feeds_first(struct feeds *); /* follow ->next; skip those not present */
/* Frees all after a running look has ended, then calls done. */
void feeds_close(struct feeds *, void (*done)(void *ctx), void *ctx);

/* Strong validator of a file that is never changed in place. */
void feed_etag(char out[FEED_ETAG], uint64_t inode, uint64_t size, int64_t mtime, int64_t mtime_ns);

#endif
