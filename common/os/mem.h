/* mem.h - memory of the machine, and files that live in memory only. */
#ifndef ATALAIA_OS_MEM_H
#define ATALAIA_OS_MEM_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Bytes that programs can still get without swapping. Blocking but short (reads /proc/meminfo). */
MUST_CHECK enum err mem_available(uint64_t *bytes);
/* One heap for all threads, whose free end goes back to the system: for programs that are idle most
 * of the time. Before the first thread. Nothing where the C library has no such choice. */
void mem_one_heap(void);
/* A file without a name that holds these bytes, at offset 0; O_CLOEXEC; the caller closes it. A
 * child that inherits it as descriptor N opens it as /proc/self/fd/N. name is for debuggers only.
 */
MUST_CHECK enum err mem_file(const char *name, const void *p, size_t n, int *fd);

/* Gives memory that was freed back to the system; a few milliseconds for a large heap. */
void mem_give_back(void);

#endif
