/* guard.h - doctor listens to mirrors, and may run for an agent that holds keys: it gives up every
 * file but those that names and addresses need, and every new program. */
#ifndef ATALAIA_OPERATOR_GUARD_H
#define ATALAIA_OPERATOR_GUARD_H

#include "base/err.h"
#include "base/fault.h"

/* Before anything starts a thread. A kernel without Landlock or seccomp is no error here. */
MUST_CHECK enum err guard_doctor(struct fault *f);

#endif
