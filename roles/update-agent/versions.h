/* versions.h - the version port (DESIGN section 6): GET /v1/{feed}/timestamp with have and wait,
 * GET /v1/feeds. Loop thread. */
#ifndef ATALAIA_UA_VERSIONS_H
#define ATALAIA_UA_VERSIONS_H

#include "feeds.h"
#include "options.h"

struct versions;

struct versions_stats {
	uint64_t requests, answered_new, timeouts; /* timeouts: 204 after the wait */
	uint32_t waiters;			   /* now */
	uint32_t connections;			   /* now */
};

/* bytes_out: how many bytes of downloads have left so far, to learn what one client's update
 * weighs; may be NULL. */
MUST_CHECK enum err versions_new(struct versions **out, uv_loop_t *loop, const struct options *o,
    int root_fd, uint64_t (*bytes_out)(void *ctx), void *ctx, struct fault *f);
MUST_CHECK enum err versions_listen(
    struct versions *, const char *host, uint16_t port, uint16_t *real, struct fault *f);
/* Somebody published: look now. */
void versions_refresh(struct versions *);
/* Looks every ms from now on: without an agent. */
void versions_poll(struct versions *, uint64_t ms);
struct versions_stats versions_stats(const struct versions *);
/* Waiters are answered 503 or closed. closed is the last call; freed after it. */
void versions_close(struct versions *, void (*closed)(void *ctx), void *ctx);

/* The next client that is told of a new version gets a slot in the outgoing budget. Pure: for
 * tests. */
struct spread {
	uint64_t budget;   /* bytes a second; 0: none */
	uint64_t expected; /* bytes of one update */
	double next_ms;	   /* when the line is free for the next download */
};
/* Seconds until the client should begin, at most an hour. */
uint32_t spread_take(struct spread *s, uint64_t now_ms);
/* After a publication's wave: bytes that left and clients that were told correct the expectation.
 */
void spread_learn(struct spread *s, uint64_t bytes, uint64_t clients);

#endif
