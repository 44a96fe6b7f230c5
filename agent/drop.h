/* drop.h - sends one file of this PC by way of a drop box: sealed with this PC's identity
 * (proto/dropped.h), put by atalaia-fetch into the first box that takes it; the mirrors carry it
 * on. Loop's thread. */
#ifndef ATALAIA_AGENT_DROP_H
#define ATALAIA_AGENT_DROP_H

#include "agent.h"
#include "base/err.h"

struct drop;

struct drop_order {		 /* strings are copied */
	const char *task, *name; /* what it is at the console */
	const char *path;	 /* the file here */
	/* Exactly once, never from inside drop_start. OK: `why` is the name of the box's PC;
	 * ERR_STATE: there is no such file here; ERR_UNREACHABLE: no box took it. */
	void (*done)(void *ctx, enum err e, const char *why);
	void *ctx;
};

MUST_CHECK enum err drop_start(struct drop **out, struct agent *a, const struct drop_order *o);
void drop_cancel(struct drop *d); /* done gets ERR_CANCELED from the loop */

#endif
