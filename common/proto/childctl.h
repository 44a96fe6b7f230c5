/* childctl.h - the one protocol between the agent and its children: JSON objects, one a line, at
 * most LIMIT_CHILD_LINE bytes, over the child's stdin and stdout. The reader is pure (bytes in,
 * messages out); the stream part joins it to libuv pipes.
 *
 *   child -> agent: hello, ready, progress, detection, unreadable, result, status, metrics
 *   agent -> child: config, changed, status, stop
 *
 * What is legal when is a table in childctl.c: hello first, config exactly once, nothing but status
 * after result. Anything else, an oversize line, bad JSON or bytes left over at the end is fatal.
 */
#ifndef ATALAIA_PROTO_CHILDCTL_H
#define ATALAIA_PROTO_CHILDCTL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <uv.h>

enum childctl_side { CHILDCTL_AGENT, CHILDCTL_CHILD }; /* who is reading */

struct childctl_reader {
	enum childctl_side side;
	unsigned state;
	struct buf line;
};

typedef enum err (*childctl_message_cb)(void *ctx, const char *type, cJSON *message);

void childctl_reader_init(struct childctl_reader *r, enum childctl_side side);
void childctl_reader_free(struct childctl_reader *r);
/* Feeds bytes; calls cb for each legal message, whose tree is freed after cb returns. ERR_PARSE bad
 * JSON, ERR_TOOBIG line, ERR_STATE message not legal now, or what cb returned. */
MUST_CHECK enum err childctl_reader_feed(struct childctl_reader *r, const char *p, size_t n,
    childctl_message_cb cb, void *ctx, struct fault *f);
/* At end of input: ERR_PARSE when bytes are left over. */
MUST_CHECK enum err childctl_reader_end(const struct childctl_reader *r, struct fault *f);

cJSON *childctl_new(const char *type); /* {"type": type}; NULL on no memory */
/* Appends the message as one line; ERR_TOOBIG past LIMIT_CHILD_LINE. */
MUST_CHECK enum err childctl_format(const cJSON *message, struct buf *out);

/* --- libuv side, both ends. Owned by the loop's thread. --- */
struct childctl;
struct childctl_handlers {
	/* Not OK ends the connection with that code. */
	enum err (*message)(void *ctx, const char *type, cJSON *message);
	/* Once: the other side ended (code OK) or broke the protocol. Only childctl_close may
	 * follow. */
	void (*ended)(void *ctx, const struct fault *f);
};
/* Child side: takes descriptors 0 and 1 and sends hello. */
MUST_CHECK enum err childctl_open_child(struct childctl **out, uv_loop_t *loop, const char *program,
    const struct childctl_handlers *h, void *ctx, struct fault *f);
/* Agent side, before uv_spawn: makes the two pipes and fills stdio[0] and stdio[1] for it. Call
 * childctl_start after uv_spawn succeeded, childctl_close when it did not. */
MUST_CHECK enum err childctl_open_agent(struct childctl **out, uv_loop_t *loop,
    uv_stdio_container_t stdio[2], const struct childctl_handlers *h, void *ctx);
MUST_CHECK enum err childctl_start(struct childctl *c);
/* Sends and frees the message, also on error. ERR_TOOBIG when 1 MiB is waiting already. */
MUST_CHECK enum err childctl_send(struct childctl *c, cJSON *message);
/* Sends what is queued (at most deadline_ms), closes the handles, frees, then calls done. */
void childctl_close(struct childctl *c, unsigned deadline_ms, void (*done)(void *ctx), void *ctx);

#endif
