/* proc.h - other programs of this PC, as far as anybody may see them. Blocking but short. */
#ifndef ATALAIA_OS_PROC_H
#define ATALAIA_OS_PROC_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct proc {
	int pid;
	int64_t started;    /* wall ms; 0: not known */
	uint64_t anonymous; /* bytes of memory that no file backs */
	uint64_t peak;	    /* bytes that it had at most at a time */
	char args[4096];    /* its command line: words, each with its NUL, and one NUL more */
};

/* Processes of this name (15 bytes at most count), *n of them, at most max. ERR_UNSUPPORTED where
 * processes cannot be listed. */
MUST_CHECK enum err proc_named(const char *name, struct proc *out, size_t max, size_t *n);
/* Memory of one process. ERR_NOTFOUND when it is gone. */
MUST_CHECK enum err proc_memory(int pid, uint64_t *anonymous, uint64_t *peak);

#endif
