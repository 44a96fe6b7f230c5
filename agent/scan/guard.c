#include "guard.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum err
guard_apply(const struct scan_config *c, struct confine_report *out, struct fault *f)
{
	struct confine_path paths[] = { { "/", CONFINE_READ | (c->command ? CONFINE_EXEC : 0u) },
		{ "/dev/null", CONFINE_READ | CONFINE_WRITE } };
	const struct confine_spec spec = { .paths = paths,
		.path_count = 2,
		.may_connect = true,
		.unix_only = true,
		.may_exec = c->command };

	return confine_apply(&spec, out, f);
}

const char *
guard_probe(void)
{
	static const char name[] = "/tmp/atalaia-scan-probe";
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0) {
		(void)close(fd);
		(void)unlink(name);
		return "a file was written";
	}
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		(void)close(fd);
		return "a network socket was made";
	}
	fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return "a file could not be read";
	(void)close(fd);
	return NULL;
}
