#include "link.h"

#include "base/limits.h"
#include "base/text.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SLICE_MS 100 /* how late a stop may be seen */
#define SEND_MS 60000

void
link_init(struct link *l, const atomic_bool *stop)
{
	*l = (struct link){ .fd = -1, .stop = stop };
	buf_init(&l->in, LIMIT_CLAMD_REPLY);
}

void
link_close(struct link *l)
{
	if (l->fd >= 0)
		(void)close(l->fd);
	l->fd = -1;
	buf_free(&l->in);
}

/* OK: ready; ERR_AGAIN: not within ms; ERR_CANCELED. */
static enum err
wait_for(struct link *l, short events, unsigned ms)
{
	struct pollfd p = { .fd = l->fd, .events = events };
	unsigned waited = 0;

	for (;;) {
		unsigned slice = ms - waited < SLICE_MS ? ms - waited : SLICE_MS;
		int k = poll(&p, 1, (int)slice);

		if (atomic_load(l->stop))
			return ERR_CANCELED;
		if (k > 0)
			return OK;
		if (k < 0 && errno != EINTR)
			return ERR_IO;
		waited += slice;
		if (waited >= ms)
			return ERR_AGAIN;
	}
}

static enum err
send_bytes(struct link *l, const char *p, size_t n, int file)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	enum err e;

	while (n > 0) {
		struct iovec iov = { (void *)(uintptr_t)p, n };
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t k;

		if (file >= 0) {
			struct cmsghdr *c;

			m.msg_control = control;
			m.msg_controllen = sizeof control;
			c = CMSG_FIRSTHDR(&m);
			c->cmsg_level = SOL_SOCKET;
			c->cmsg_type = SCM_RIGHTS;
			c->cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(c), &file, sizeof file);
		}
		k = sendmsg(l->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (k < 0 && errno == EAGAIN) {
			e = wait_for(l, POLLOUT, SEND_MS);
			if (e != OK)
				return e == ERR_AGAIN ? ERR_TIMEOUT : e;
			continue;
		}
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return ERR_CLOSED;
		file = -1; /* it went with the first byte */
		p += k;
		n -= (size_t)k;
	}
	return OK;
}

enum err
link_connect(struct link *l, const char *socket_path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	link_close(l);
	if (text_copy(sa.sun_path, sizeof sa.sun_path, socket_path, strlen(socket_path)) != OK)
		return ERR_INVAL;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return ERR_IO;
	l->next_id = 1;
	if (connect(l->fd, (struct sockaddr *)&sa, sizeof sa) != 0) {
		link_close(l);
		return ERR_UNREACHABLE;
	}
	return OK;
}

enum err
link_open(struct link *l, const char *socket_path)
{
	enum err e = link_connect(l, socket_path);

	if (e == OK)
		e = send_bytes(l, "zIDSESSION", 11, -1);
	if (e != OK)
		link_close(l);
	return e;
}

enum err
link_command(struct link *l, const char *command, const char *path)
{
	enum err e = l->fd < 0 ? ERR_CLOSED : send_bytes(l, command, strlen(command), -1);

	if (e == OK)
		e = send_bytes(l, " ", 1, -1);
	return e == OK ? send_bytes(l, path, strlen(path) + 1, -1) : e;
}

enum err
link_send_path(struct link *l, const char *path, uint32_t *id)
{
	enum err e = link_command(l, "zSCAN", path);

	if (e == OK)
		*id = l->next_id++;
	return e;
}

enum err
link_send(struct link *l, int file, uint32_t *id)
{
	enum err e;

	if (l->fd < 0)
		return ERR_CLOSED;
	e = send_bytes(l, "zFILDES", 8, -1);
	if (e == OK)
		e = send_bytes(l, "", 1, file);
	if (e == OK)
		*id = l->next_id++;
	return e;
}

/* One whole reply, its NUL included in *n. ERR_AGAIN: there is none yet. */
static enum err
whole_reply(const struct link *l, size_t *n)
{
	const uint8_t *nul = l->in.len > 0 ? memchr(l->in.data, '\0', l->in.len) : NULL;

	if (nul == NULL)
		return ERR_AGAIN;
	*n = (size_t)(nul - l->in.data) + 1;
	return OK;
}

static enum err
receive(struct link *l, unsigned ms, size_t *n)
{
	char chunk[4096];
	enum err e;

	while ((e = whole_reply(l, n)) == ERR_AGAIN) {
		ssize_t k;

		if (l->fd < 0)
			return ERR_CLOSED;
		e = wait_for(l, POLLIN, ms);
		if (e != OK)
			return e;
		k = recv(l->fd, chunk, sizeof chunk, MSG_DONTWAIT);
		if (k < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (k <= 0)
			return ERR_CLOSED;
		if (buf_append(&l->in, chunk, (size_t)k) != OK)
			return ERR_TOOBIG;
	}
	return e;
}

enum err
link_reply(struct link *l, unsigned ms, struct clamd_reply *out)
{
	size_t n;
	enum err e = receive(l, ms, &n);

	if (e != OK)
		return e;
	e = clamd_parse(out, (const char *)l->in.data, n - 1, true);
	buf_consume(&l->in, n);
	return e;
}

enum err
link_path_reply(struct link *l, unsigned ms, struct clamd_reply *out, char *path, size_t size)
{
	size_t n, len;
	enum err e = receive(l, ms, &n);

	if (e != OK)
		return e;
	e = clamd_parse_path(out, (const char *)l->in.data, n - 1, &len);
	if (e == OK)
		e = text_copy(path, size, (const char *)l->in.data, len);
	buf_consume(&l->in, n);
	return e;
}
