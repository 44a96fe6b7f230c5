/* loop.h - the end of a program's loop. */
#ifndef ATALAIA_NET_LOOP_H
#define ATALAIA_NET_LOOP_H

#include "base/err.h"

#include <stdbool.h>
#include <uv.h>

/* Closes the loop. False, and said in the log: a handle was left open, a mistake of ours that every
 * test looks for (handles-left, tests/lib/world.py). */
MUST_CHECK bool loop_end(uv_loop_t *loop);

#endif
