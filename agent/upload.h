/* upload.h - sends one file to the console in pieces (proto/upload.h): resumed where the console
 * says, read and hashed in a worker. Loop's thread. */
#ifndef ATALAIA_AGENT_UPLOAD_H
#define ATALAIA_AGENT_UPLOAD_H

#include "agent.h"
#include "base/err.h"

struct upload;

/* done exactly once, never from inside the call; ERR_NOTFOUND: this console takes no uploads;
 * ERR_STATE: there is no such file here. Copies its strings. */
MUST_CHECK enum err upload_start(struct upload **out, struct agent *a, const char *task,
    const char *name, const char *path, void (*progress)(void *ctx, uint64_t done, uint64_t total),
    void (*done)(void *ctx, enum err e, const char *why), void *ctx);
void upload_cancel(struct upload *u); /* done gets ERR_CANCELED from the loop */

#endif
