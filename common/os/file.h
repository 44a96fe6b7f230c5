/* file.h - files that survive a crash. Blocking: call from a worker thread or before the loop runs.
 * Every descriptor is O_CLOEXEC. Paths are ours; names from outside go through beneath.h. */
#ifndef ATALAIA_OS_FILE_H
#define ATALAIA_OS_FILE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Appends the whole file to out (out->max bounds it: ERR_TOOBIG). ERR_NOTFOUND when absent. */
MUST_CHECK enum err file_read(const char *path, struct buf *out, struct fault *f);
MUST_CHECK enum err file_read_at(int dirfd, const char *name, struct buf *out, struct fault *f);
/* Temporary name in the same folder, write, fsync, rename over the name, fsync of the folder.
 * On any error the old file stands. */
MUST_CHECK enum err file_replace(
    const char *path, const void *p, size_t n, unsigned mode, struct fault *f);
/* Same without the fsync of the folder: the caller syncs once for a batch. */
MUST_CHECK enum err file_replace_at(
    int dirfd, const char *name, const void *p, size_t n, unsigned mode, struct fault *f);
MUST_CHECK enum err file_write_all(int fd, const void *p, size_t n); /* EINTR, short writes */
MUST_CHECK enum err file_sync(int fd);				     /* fsync, EINTR */
MUST_CHECK enum err file_sync_dir(const char *path, struct fault *f);
MUST_CHECK enum err file_make_dirs(const char *path, unsigned mode, struct fault *f);
/* Removes a tree without following links; absent is OK. */
MUST_CHECK enum err file_remove_tree(int dirfd, const char *name, struct fault *f);
/* A file without a name on the file system of dir: gone when *fd is closed, crash or not. */
MUST_CHECK enum err file_unnamed(const char *dir, int *fd, struct fault *f);
/* readdir that tells a failing disk from the end: NULL with *e as it was, or an error in *e. */
struct dirent *file_next(DIR *dir, enum err *e, struct fault *f);
/* Also true when the disk fails to say: who then opens it learns why. */
bool file_exists(const char *path);
MUST_CHECK enum err file_size(const char *path, uint64_t *out);
/* dir + '/' + name; ERR_TOOBIG when it does not fit in size. */
MUST_CHECK enum err file_join(char *dst, size_t size, const char *dir, const char *name);

/* An exclusive lock on path (made when absent), held while *fd is open; ERR_BUSY when another
 * process has it. */
MUST_CHECK enum err file_lock(const char *path, int *fd, struct fault *f);

/* Bytes free for this user, and the size of the file system. */
MUST_CHECK enum err file_disk(
    const char *path, uint64_t *free_bytes, uint64_t *total_bytes, struct fault *f);

#endif
