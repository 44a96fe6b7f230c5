#include "os/sock.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Headers older than Linux 6.5 do not know it; the number is the same on every architecture. */
#ifndef __NR_cachestat
#define __NR_cachestat 451
#endif

struct cachestat_range_ {
	uint64_t offset, length;
};
struct cachestat_ {
	uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

static enum err
map_errno(int sys)
{
	switch (sys) {
	case EAGAIN:
	case EINTR:
		return ERR_AGAIN;
	case EPIPE:
	case ECONNRESET:
	case ECONNABORTED:
	case ENOTCONN:
	case ETIMEDOUT:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
		return ERR_CLOSED;
	case EADDRINUSE:
		return ERR_BUSY;
	default:
		return err_from_errno(sys);
	}
}

enum err
sock_listen(const struct sockaddr *sa, socklen_t len, int backlog, int *fd)
{
	int one = 1, s, sys;

	s = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s < 0)
		return map_errno(errno);
	if (sa->sa_family == AF_INET6)
		(void)setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	/* Closed transfers of this port in TIME_WAIT must not exhaust a small range. */
	(void)setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(s, sa, len) != 0 || listen(s, backlog) != 0) {
		sys = errno;
		(void)close(s);
		return map_errno(sys);
	}
	*fd = s;
	return OK;
}

enum err
sock_port(int fd, uint16_t *port)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) != 0)
		return map_errno(errno);
	/* The kernel filled it. NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage) */
	*port = ntohs(ss.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&ss)->sin6_port
					       : ((struct sockaddr_in *)&ss)->sin_port);
	return OK;
}

enum err
sock_accept(int listener, int *fd, struct sockaddr_storage *peer)
{
	socklen_t len = sizeof(*peer);

	*fd = accept4(listener, (struct sockaddr *)peer, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (*fd >= 0)
		return OK;
	/* The client was gone before we took it: wait for the next. */
	return errno == ECONNABORTED ? ERR_AGAIN : map_errno(errno);
}

void
sock_close(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

void
sock_abort(int fd)
{
	struct linger hard = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	sock_close(fd);
}

enum err
sock_inline_urgent(int fd)
{
	int one = 1;

	return setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one)) == 0 ? OK
										: map_errno(errno);
}

static enum err
moved_or_errno(ssize_t r, size_t *moved)
{
	*moved = r > 0 ? (size_t)r : 0;
	return r >= 0 ? OK : map_errno(errno);
}

enum err
sock_send(int fd, const void *p, size_t n, size_t *moved)
{
	return moved_or_errno(send(fd, p, n, MSG_NOSIGNAL), moved);
}

enum err
sock_send_last(int fd, const void *p, size_t n, size_t *moved)
{
	return moved_or_errno(send(fd, p, n, MSG_NOSIGNAL | MSG_MORE), moved);
}

enum err
sock_read_memory(int file, uint64_t offset, void *p, size_t n)
{
	struct iovec v = { p, n };

	return preadv2(file, &v, 1, (off_t)offset, RWF_NOWAIT) == (ssize_t)n ? OK : ERR_AGAIN;
}

enum err
sock_recv(int fd, void *p, size_t n, size_t *moved)
{
	return moved_or_errno(recv(fd, p, n, 0), moved);
}

enum err
sock_send_file(int fd, int file, uint64_t offset, size_t n, size_t *moved)
{
	off_t at = (off_t)offset;

	return moved_or_errno(sendfile(fd, file, &at, n), moved);
}

bool
sock_file_in_memory(int file, uint64_t offset, size_t n)
{
	struct cachestat_range_ range = { offset, n };
	struct cachestat_ got = { 0 };
	long page = sysconf(_SC_PAGESIZE);
	uint64_t first, last;

	if (n == 0)
		return true;
	if (page <= 0 || syscall(__NR_cachestat, file, &range, &got, 0) != 0)
		return false;
	first = offset / (uint64_t)page;
	last = (offset + n - 1) / (uint64_t)page;
	return got.cached >= last - first + 1;
}

uint64_t
sock_unsent(int fd)
{
	int n = 0;

	return ioctl(fd, SIOCOUTQ, &n) == 0 && n > 0 ? (uint64_t)n : 0;
}
