/* beneath.h - opening names that came from outside, under a root descriptor and never elsewhere.
 * openat2(2) with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS. */
#ifndef ATALAIA_OS_BENEATH_H
#define ATALAIA_OS_BENEATH_H

#include "base/err.h"

/* flags as open(2); O_CLOEXEC and O_NOCTTY are added. "." is the root itself; an absolute path, a
 * link or a climb is ERR_DENIED, absence ERR_NOTFOUND. *fd is the caller's to close. */
MUST_CHECK enum err beneath_open(int root, const char *path, int flags, unsigned mode, int *fd);

/* The same for reading an existing name, in the loop's thread: ERR_AGAIN when the answer would need
 * the disk (RESOLVE_CACHED, Linux 5.12; always ERR_AGAIN before), and then a worker must ask again.
 */
MUST_CHECK enum err beneath_open_cached(int root, const char *path, int flags, int *fd);

#endif
