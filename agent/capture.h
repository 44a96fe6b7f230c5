/* capture.h - a child whose output is wanted: programs of engines, `atalaia doctor`. Loop's thread.
 * The environment is a PATH and a locale: secrets of ours stay here. */
#ifndef ATALAIA_AGENT_CAPTURE_H
#define ATALAIA_AGENT_CAPTURE_H

#include "base/err.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define CAPTURE_FDS 32

struct capture;

struct captured {
	int64_t status; /* -1: a signal ended it */
	uint64_t peak;	/* bytes of memory when its first output came; 0: not known */
	int signal;
	const char *out, *err; /* text, cut at LIMIT_CAPTURE */
	bool cut;
};

/* argv[0] is a path. fds[i] is inherited as descriptor 3 + i. done is called once, later. */
MUST_CHECK enum err capture_start(struct capture **out, uv_loop_t *loop, const char *const *argv,
    const int *fds, size_t n_fds, void (*done)(void *ctx, const struct captured *r), void *ctx,
    struct fault *f);
void capture_cancel(struct capture *r); /* kills; done will not be called; NULL is fine */

#endif
