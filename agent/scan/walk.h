/* walk.h - regular files below some paths, one after the other, opened by descriptors all the way:
 * no link is followed, no other mount entered unless asked. Blocking; one thread. */
#ifndef ATALAIA_SCAN_WALK_H
#define ATALAIA_SCAN_WALK_H

#include "base/err.h"
#include "config.h"

#include <stdint.h>

struct walk;

struct walk_file {
	char *path; /* the receiver frees */
	int fd;	    /* the receiver closes */
	uint64_t size, dev, ino;
	int64_t mtime;
};

/* unread is told of everything that should have been scanned and could not be opened. */
MUST_CHECK enum err walk_open(struct walk **out, const struct scan_config *c,
    void (*unread)(void *ctx, const char *path, const char *error), void *ctx);
void walk_close(struct walk *w); /* NULL is fine */
/* ERR_NOTFOUND: no more files. ERR_NOMEM. */
MUST_CHECK enum err walk_next(struct walk *w, struct walk_file *out);

/* Pure: is this path excluded? An item with * ? or [ is a pattern for the whole path (fnmatch(3)),
 * any other names a folder or file with everything below. */
bool walk_excluded(const struct scan_config *c, const char *path);

#endif
