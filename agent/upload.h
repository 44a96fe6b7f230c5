/* upload.h - sends one file to the console in pieces (proto/upload.h): resumed where the console
 * says, read and hashed in a worker. Loop's thread. */
#ifndef ATALAIA_AGENT_UPLOAD_H
#define ATALAIA_AGENT_UPLOAD_H

#include "agent.h"
#include "base/err.h"

struct upload;

struct upload_order {	     /* strings are copied */
	const char *route;   /* "v1/tasks/ID/files/NAME" */
	const char *path;    /* the file here */
	uint64_t rate_limit; /* bytes a second, 0: none */
	unsigned tries;	     /* in a row without progress, 0: 20, a quarter of an hour */
	void (*progress)(void *ctx, uint64_t done, uint64_t total); /* may be NULL */
	/* Exactly once, never from inside upload_start; ERR_NOTFOUND: this console takes no
	 * uploads; ERR_STATE: there is no such file here; ERR_DENIED: it will never take this one.
	 */
	void (*done)(void *ctx, enum err e, const char *why);
	void *ctx;
};

MUST_CHECK enum err upload_start(
    struct upload **out, struct agent *a, const struct upload_order *o);
void upload_cancel(struct upload *u); /* done gets ERR_CANCELED from the loop */

#endif
