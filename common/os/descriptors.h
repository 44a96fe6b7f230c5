/* descriptors.h - how many descriptors this program may hold, and who is turned away before they
 * run out: libuv asks a listener for the next connection until there is none, which without a free
 * descriptor is for ever, and its own spare cannot be opened again inside a confinement. */
#ifndef ATALAIA_OS_DESCRIPTORS_H
#define ATALAIA_OS_DESCRIPTORS_H

#include <stdbool.h>
#include <stdint.h>

/* Raises the limit to `need` where the system allows. Returns what may be held; 0: not known.
 * Before threads; may be called again. */
uint64_t descriptors_take(uint64_t need);
/* Whether this descriptor, just opened (always the lowest free number), is one of the last: what
 * strangers ask for is then closed again, the rest is for the program's own files. */
bool descriptors_tight(int fd);

#endif
