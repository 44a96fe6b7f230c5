#include "os/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RETRIES 16 /* openat2 answers EAGAIN when a rename races with a ".." check */

enum err
beneath_open(int root, const char *path, int flags, unsigned mode, int *fd)
{
	struct open_how how = {
		.flags = (unsigned)flags | O_CLOEXEC | O_NOCTTY,
		.mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
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
