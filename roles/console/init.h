/* init.h - makes everything a new console needs: CA, certificate, task key, policies feed with its
 * offline keys, first authority, default policy, admin token. Blocking; a program without a loop.
 */
#ifndef CONSOLE_INIT_H
#define CONSOLE_INIT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "options.h"

#include <stdbool.h>
#include <stdint.h>

struct init_plan {
	uint32_t authority_keys; /* made in offline/, one for each person */
	uint32_t authority_threshold;
	bool two_signatures; /* role.set, update.pin and agent.restart need a second, offline key */
};

/* ERR_EXISTS when this console was initialised before; a failed init leaves a folder that has to be
 * removed, and says so. */
MUST_CHECK enum err init_console(
    const struct options *o, const struct init_plan *plan, struct fault *f);
/* The first authority.json: this console, its task key, its CA. extra: a second task key's file or
 * NULL. */
MUST_CHECK enum err init_authority(
    const struct options *o, const char *extra, struct buf *out, struct fault *f);
/* New admin token of 256 bits, 0600. */
MUST_CHECK enum err init_admin_token(const struct options *o, struct fault *f);

#endif
