/* guard.h - the confinement of this program: what a mirror's bytes could reach if they got the
 * better of a parser. Main thread, before the first other thread. */
#ifndef ATALAIA_FETCH_GUARD_H
#define ATALAIA_FETCH_GUARD_H

#include "config.h"

#include "base/fault.h"
#include "os/confine.h"

/* Makes the folders that the mode writes (they must exist to be allowed) and closes everything
 * else. ERR_UNSUPPORTED as confine_apply; *report says what the kernel gave. */
MUST_CHECK enum err guard_apply(const struct fetch_config *c, struct confine_report *report,
    struct fault *f);

/* For the tests: tries from the calling thread what must not work, and answers how many of the
 * tries did, naming the last in *what. */
unsigned guard_probe(const char *forbidden, const char **what);

#endif
