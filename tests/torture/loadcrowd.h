/* loadcrowd.h - what readers and waiters share: the crowd, its errors, dialing, HTTP answers. */
#ifndef ATALAIA_TESTS_LOADCROWD_H
#define ATALAIA_TESTS_LOADCROWD_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct waiter {
	uv_tcp_t tcp;
	uv_connect_t connect;
	struct buf in;
	uint64_t have;
};

static struct {
	uv_loop_t loop;
	uv_timer_t tick;
	uv_pipe_t input;
	const char *host, *feed;
	int ftp_port, http_port, version_port;
	bool over;
	uint64_t last; /* version */
	unsigned ticks;
	uint64_t rounds[2], bytes, answers, empty, newest, errors;
	char first[1024];
	struct waiter *waiters;
	size_t n_waiters;
} crowd;

static inline void
failed(const char *who, const char *what, const char *more)
{
	if (crowd.errors++ == 0)
		(void)snprintf(
		    crowd.first, sizeof crowd.first, "%.600s: %s %.200s", who, what, more);
}

static inline void
on_room(uv_handle_t *h, size_t n, uv_buf_t *b)
{
	static char room[65536];

	*b = uv_buf_init(room, sizeof room);
}

/* The socket takes a short request at once, or something is wrong. */
static inline void
say(uv_tcp_t *tcp, const char *text)
{
	uv_buf_t b = uv_buf_init((char *)(uintptr_t)text, (unsigned)strlen(text));

	if (uv_try_write((uv_stream_t *)tcp, &b, 1) != (int)b.len)
		failed("client", "cannot send", text);
}

static inline void
dial(uv_tcp_t *tcp, uv_connect_t *c, int port, uv_connect_cb cb)
{
	struct sockaddr_in to;

	if (uv_tcp_init(&crowd.loop, tcp) != 0 || uv_ip4_addr(crowd.host, port, &to) != 0 ||
	    uv_tcp_connect(c, tcp, (struct sockaddr *)&to, cb) != 0)
		failed("client", "cannot connect", "");
}

/* The length of the answer's head and of its body; 0 while the head is not whole. */
static inline size_t
http_head(struct buf *in, size_t *body, int *status)
{
	const char *text = buf_text(in), *end = strstr(text, "\r\n\r\n"), *length;

	if (end == NULL)
		return 0;
	length = strstr(text, "Content-Length: ");
	*body = length != NULL && length < end ? (size_t)strtoul(length + 16, NULL, 10) : 0;
	*status = (int)strtol(text + 9, NULL, 10);
	return (size_t)(end - text) + 4;
}

#endif
