/* guard.h - the confinement of atalaia-scan: it may read files everywhere and talk to unix sockets,
 * and nothing else: no writing, no network, no programs (but for the command engine, which is one).
 */
#ifndef ATALAIA_SCAN_GUARD_H
#define ATALAIA_SCAN_GUARD_H

#include "config.h"
#include "os/confine.h"

MUST_CHECK enum err guard_apply(
    const struct scan_config *c, struct confine_report *out, struct fault *f);
/* A test's look from inside the pool: tries what must be refused. NULL: all was refused, else what
 * was not. */
const char *guard_probe(void);

#endif
