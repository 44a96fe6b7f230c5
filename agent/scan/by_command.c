/* by_command.c - one process for each file: the command engine. The file is its descriptor 3, named
 * /proc/self/fd/3, so that no path is opened twice. The child inherits our confinement. */
#include "scan.h"

#include "base/clock.h"
#include "base/log.h"
#include "proto/clamd.h"
#include "proto/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLICE_MS 100
#define FILE_DESCRIPTOR 3

static char *environment[] = { (char *)(uintptr_t) "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
	(char *)(uintptr_t) "LC_ALL=C", NULL };

/* What the child says, until it closes its output, the deadline, or a stop. */
static bool
read_output(struct scan *s, int fd, char *out, size_t size)
{
	uint64_t until = clock_mono_ms() + s->c->file_ms;
	char rest[4096];
	size_t used = 0;

	out[0] = '\0';
	while (clock_mono_ms() < until && !atomic_load(&s->stop)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, SLICE_MS) <= 0)
			continue;
		n = read(fd, rest, sizeof rest);
		if (n == 0 || (n < 0 && errno != EINTR))
			return true;
		if (n > 0 && used < size - 1) {
			size_t take = (size_t)n < size - 1 - used ? (size_t)n : size - 1 - used;

			memcpy(out + used, rest, take);
			used += take;
			out[used] = '\0';
		}
	}
	return false;
}

static pid_t
spawn(const struct command *c, int file, int out)
{
	posix_spawn_file_actions_t actions;
	pid_t pid = -1;
	int k = posix_spawn_file_actions_init(&actions);

	if (k != 0)
		return -1;
	k = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (k == 0)
		k = posix_spawn_file_actions_adddup2(&actions, out, 1);
	if (k == 0)
		k = posix_spawn_file_actions_adddup2(&actions, file, FILE_DESCRIPTOR);
	if (k == 0)
		k = posix_spawn(
		    &pid, c->argv[0], &actions, NULL, (char **)(uintptr_t)c->argv, environment);
	(void)posix_spawn_file_actions_destroy(&actions);
	return k == 0 ? pid : -1;
}

static void
scan_file(struct scan *s, const struct command *c, struct walk_file *f)
{
	char out[4096], name[CLAMD_NAME];
	int pipe_fd[2], status = 0;
	bool whole;
	pid_t pid;

	if (pipe2(pipe_fd, O_CLOEXEC) != 0) {
		scan_failed(s, f, "no pipe");
		return;
	}
	pid = spawn(c, f->fd, pipe_fd[1]);
	(void)close(pipe_fd[1]);
	if (pid < 0) {
		(void)close(pipe_fd[0]);
		s->err = fault_set(
		    &s->fault, ERR_NOTFOUND, "the scan command %s cannot be started", c->argv[0]);
		scan_failed(s, f, "not scanned");
		return;
	}
	whole = read_output(s, pipe_fd[0], out, sizeof out);
	(void)close(pipe_fd[0]);
	if (!whole)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	command_first_word(name, sizeof name, out);
	if (!whole)
		scan_failed(s, f,
		    atomic_load(&s->stop) ? "the scan was stopped" : "the engine takes too long");
	else if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
		scan_failed(s, f, "the scan command failed");
	else if (name[0] != '\0')
		scan_found(s, f, name);
	else
		scan_clean(s, f);
}

void
scan_by_command(struct scan *s)
{
	struct walk_file f;
	struct command c;

	if (command_make(&c, s->c->scan, s->c->set, "/proc/self/fd/3") != OK) {
		s->err = fault_set(&s->fault, ERR_INVAL,
		    "the scan command is not usable; see [engine] "
		    "command_scan");
		command_free(&c);
		return;
	}
	while (s->err == OK && scan_next(s, &f)) {
		if (f.size == 0)
			scan_clean(s, &f);
		else
			scan_file(s, &c, &f);
	}
	command_free(&c);
}
