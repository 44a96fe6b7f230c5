/* serve --self-test-confinement: confines itself as serve does, then tries from inside libuv's pool
 * what an intruder would try. One line each on stdout; exit 0 when every one was refused. */
#include "serve.h"

#include "base/log.h"
#include "net/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct attempt {
	const char *name;
	bool (*refused)(const struct serve *s);
};

static bool
denied(long r)
{
	return r < 0 && (errno == EACCES || errno == EPERM);
}

static bool
read_passwd(const struct serve *s)
{
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

	return denied(fd);
}

static bool
list_root_folder(const struct serve *s)
{
	return denied(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static bool
climb_from_root(const struct serve *s)
{
	return denied(openat(files_root_fd(s->files), "../", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static bool
write_in_mirror(const struct serve *s)
{
	return denied(
	    openat(files_root_fd(s->files), "self-test", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static bool
connect_out(const struct serve *s)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(9) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return denied(fd < 0 ? fd : connect(fd, (struct sockaddr *)&in, sizeof(in)));
}

static bool
connect_by_send(const struct serve *s)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(9) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		return denied(fd);
	/* TCP Fast Open connects without connect(2). */
	return denied(
	    sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&in, sizeof(in)));
}

static bool
send_datagram(const struct serve *s)
{
	return denied(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static bool
execute(const struct serve *s)
{
	static char name[] = "true";
	char *argv[] = { name, NULL };

	return denied(execve("/bin/true", argv, argv + 1));
}

static bool
signal_parent(const struct serve *s)
{
	return denied(kill(getppid(), 0));
}

static bool
trace_parent(const struct serve *s)
{
	return denied(ptrace(PTRACE_SEIZE, getppid(), NULL, NULL));
}

static const struct attempt attempts[] = {
	{ "read-passwd", read_passwd },
	{ "list-root-folder", list_root_folder },
	{ "climb-from-root", climb_from_root },
	{ "write-in-mirror", write_in_mirror },
	{ "connect", connect_out },
	{ "connect-by-send", connect_by_send },
	{ "send-datagram", send_datagram },
	{ "execute", execute },
	{ "signal-parent", signal_parent },
	{ "trace-parent", trace_parent },
};

#define ATTEMPTS (sizeof(attempts) / sizeof(attempts[0]))

struct trial {
	uv_work_t work;
	const struct serve *serve;
	bool refused[ATTEMPTS];
};

static void
in_pool(uv_work_t *w)
{
	struct trial *t = w->data;
	size_t i;

	for (i = 0; i < ATTEMPTS; i++)
		t->refused[i] = attempts[i].refused(t->serve);
}

static void
after(uv_work_t *w, int status)
{
}

static int
report(const struct trial *t)
{
	bool all = true;
	size_t i;

	for (i = 0; i < ATTEMPTS; i++) {
		(void)printf("%s %s\n", attempts[i].name, t->refused[i] ? "refused" : "POSSIBLE");
		all = all && t->refused[i];
	}
	return all ? 0 : 1;
}

int
self_test_main(const char *file)
{
	static struct serve s;
	static struct trial t;
	struct fault f = { 0 };
	int status = 1;

	if (options_load(&s.options, &s.conf, file, &f) != OK || uv_loop_init(&s.loop) != 0) {
		(void)fprintf(stderr, "atalaia-update-agent: %s\n", fault_text(&f));
		return 2;
	}
	if (serve_prepare(&s, &f) == OK) {
		t.serve = &s;
		t.work.data = &t;
		(void)printf("%s\n", s.confined.text);
		(void)uv_queue_work(&s.loop, &t.work, in_pool, after);
		(void)uv_run(&s.loop, UV_RUN_DEFAULT);
		status = report(&t);
	} else {
		(void)fprintf(stderr, "atalaia-update-agent: %s\n", fault_text(&f));
	}
	if (!loop_end(&s.loop))
		status = 1;
	serve_free(&s);
	return status;
}
