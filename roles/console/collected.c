#include "collected.h"

#include "base/log.h"
#include "os/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
is_old(int dir, const char *name, int64_t before)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
	       (int64_t)st.st_mtim.tv_sec * 1000 < before;
}

/* One agent's folder. */
static enum err
prune_agent(int dir, const char *agent, int64_t before)
{
	int fd = openat(dir, agent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *one;
	struct fault f = { 0 };
	enum err e = OK;

	if (d == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return OK;
	}
	while (e == OK && (one = readdir(d)) != NULL) {
		if (one->d_name[0] == '.' || !is_old(fd, one->d_name, before))
			continue;
		e = file_remove_tree(fd, one->d_name, &f);
		if (e == OK)
			log_info("collected.pruned", "agent=%s task=%s", log_q(agent),
			    log_q(one->d_name));
		else
			log_error("collected.prune", "error=%s", log_q(fault_text(&f)));
	}
	(void)closedir(d);
	return e;
}

enum err
collected_prune(const struct options *o, int64_t before)
{
	char path[STATE_PATH];
	struct dirent *one;
	DIR *d;
	enum err e = options_path(o, DIR_COLLECTED, path, NULL);

	d = e == OK ? opendir(path) : NULL;
	while (d != NULL && e == OK && (one = readdir(d)) != NULL)
		if (one->d_name[0] != '.')
			e = prune_agent(dirfd(d), one->d_name, before);
	if (d != NULL)
		(void)closedir(d);
	return e;
}
