#include "os/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20
#endif
#define INSIDE (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

#define RETRIES 16 /* openat2 answers EAGAIN when a rename races with a ".." check */

enum err
beneath_open(int root, const char *path, int flags, unsigned mode, int *fd)
{
	struct open_how how = {
		.flags = (unsigned)flags | O_CLOEXEC | O_NOCTTY,
		.mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0,
		.resolve = INSIDE,
	};
	int i;

	for (i = 0; i < RETRIES; i++) {
		*fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
		if (*fd >= 0)
			return OK;
		if (errno != EAGAIN && errno != EINTR)
			break;
	}
	return err_from_errno(errno);
}

enum err
beneath_open_cached(int root, const char *path, int flags, int *fd)
{
	struct open_how how = {
		.flags = (unsigned)flags | O_CLOEXEC | O_NOCTTY,
		.resolve = INSIDE | RESOLVE_CACHED,
	};

	*fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
	if (*fd >= 0)
		return OK;
	/* A kernel without RESOLVE_CACHED says EINVAL. */
	return errno == EINVAL || errno == EINTR ? ERR_AGAIN : err_from_errno(errno);
}
