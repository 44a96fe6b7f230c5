/* user.c - see user.h. */
#include "os/user.h"

#include <errno.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

enum err
user_become_owner(const char *folder, struct fault *f)
{
	struct stat st;

	if (geteuid() != 0 || stat(folder, &st) != 0 || st.st_uid == 0)
		return OK;
	if (setgroups(0, NULL) != 0 || setgid(st.st_gid) != 0 || setuid(st.st_uid) != 0)
		return fault_sys(f, errno, "cannot become the owner of %s", folder);
	return OK;
}
