/* user.h - a command that an administrator runs as root, and whose files belong to a service's
 * user. Before any thread is started. */
#ifndef ATALAIA_OS_USER_H
#define ATALAIA_OS_USER_H

#include "base/err.h"
#include "base/fault.h"

/* As root, and when `folder` is there and belongs to somebody else: becomes its owner, for good.
 * Otherwise nothing. */
MUST_CHECK enum err user_become_owner(const char *folder, struct fault *f);

#endif
