/* backup.h - the state folder as one file: a strict pack (update/pack.h) of keys, certificates,
 * policies repository and a consistent copy of the database. It holds every secret of the console:
 * 0600. Blocking. The caller must hold the policies repository (feed.h), so that no publication
 * runs. */
#ifndef CONSOLE_BACKUP_H
#define CONSOLE_BACKUP_H

#include "base/err.h"
#include "base/fault.h"
#include "options.h"

/* Replaces path atomically. The folder offline/ is left out: those keys are not this machine's. */
MUST_CHECK enum err backup_write(const struct options *o, const char *path, struct fault *f);
/* Into a state folder that is absent or empty; otherwise ERR_EXISTS. A broken file leaves nothing.
 */
MUST_CHECK enum err backup_read(const struct options *o, const char *path, struct fault *f);

#endif
