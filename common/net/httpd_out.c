/* httpd_out.c - bytes out of one connection, plain or TLS, and its orderly end. See httpd_int.h. */
#include "net/httpd_int.h"

#include <stdlib.h>
#include <string.h>

struct write_block {
	uv_write_t w;
	struct http_conn *c;
	char data[];
};

size_t
conn_queue(const struct http_conn *c)
{
	return c->why == NULL ? uv_stream_get_write_queue_size(&c->h.stream) : 0;
}

static void
on_written(uv_write_t *w, int status)
{
	struct write_block *b = w->data;
	struct http_conn *c = b->c;

	free(b);
	if (c->why != NULL)
		return;
	if (status != 0)
		conn_close(c, "the client does not take the answer");
	else
		httpd_later(c);
}

/* What the kernel does not take at once is copied: the caller's memory is free when this returns.
 */
static void
send_raw(struct http_conn *c, const uv_buf_t *bufs, unsigned n)
{
	size_t total = 0, skip = 0, at = 0;
	struct write_block *b;
	uv_buf_t rest;
	unsigned i;
	int ret;

	for (i = 0; i < n; i++)
		total += bufs[i].len;
	c->submitted += total;
	c->d->stats.bytes_out += total;
	if (conn_queue(c) == 0 && (ret = uv_try_write(&c->h.stream, bufs, n)) != UV_EAGAIN) {
		if (ret < 0) {
			conn_close(c, "the client does not take the answer");
			return;
		}
		skip = (size_t)ret;
	}
	if (skip == total)
		return;
	b = malloc(sizeof(*b) + total - skip);
	if (b == NULL) {
		conn_close(c, "no memory");
		return;
	}
	b->c = c;
	b->w.data = b;
	for (i = 0; i < n; i++) {
		size_t drop = skip < bufs[i].len ? skip : bufs[i].len;

		memcpy(b->data + at, bufs[i].base + drop, bufs[i].len - drop);
		at += bufs[i].len - drop;
		skip -= drop;
	}
	rest = uv_buf_init(b->data, (unsigned)at);
	if (uv_write(&b->w, &c->h.stream, &rest, 1, on_written) != 0) {
		free(b);
		conn_close(c, "the client does not take the answer");
	}
}

void
conn_flush_tls(struct http_conn *c)
{
	struct buf *out = tls_out(c->tls);
	uv_buf_t b;

	if (out->len == 0 || c->why != NULL)
		return;
	b = uv_buf_init((char *)out->data, (unsigned)out->len);
	send_raw(c, &b, 1);
	buf_free(out);
}

void
conn_send(struct http_conn *c, const uv_buf_t *bufs, unsigned n)
{
	unsigned i;

	if (c->why != NULL)
		return;
	if (c->tls == NULL) {
		send_raw(c, bufs, n);
		return;
	}
	for (i = 0; i < n; i++) {
		if (tls_write(c->tls, (const uint8_t *)bufs[i].base, bufs[i].len) != OK) {
			conn_close(c, "TLS cannot write");
			return;
		}
	}
	conn_flush_tls(c);
}

struct shutdown_block {
	uv_shutdown_t s;
};

static void
on_shutdown(uv_shutdown_t *s, int status)
{
	free(s->data);
}

/* The last byte is with the kernel. A client that is still sending gets time to read the answer
 * first. */
void
conn_drained(struct http_conn *c, bool unread)
{
	struct shutdown_block *b;

	if (!unread) {
		conn_close(c, "answered");
		return;
	}
	b = malloc(sizeof(*b));
	if (b == NULL || uv_shutdown(&b->s, &c->h.stream, on_shutdown) != 0) {
		free(b);
		conn_close(c, "answered");
		return;
	}
	b->s.data = b;
	conn_phase(c, PH_LINGER);
	buf_free(&c->in);
	httpd_later(c); /* reads on, and throws away */
}

void
conn_finish(struct http_conn *c, bool unread)
{
	if (c->why != NULL || c->phase == PH_DRAIN || c->phase == PH_LINGER)
		return;
	conn_phase(c, PH_DRAIN);
	c->unread = unread;
	if (c->tls != NULL) {
		tls_bye(c->tls);
		conn_flush_tls(c);
	}
	if (c->why == NULL && conn_queue(c) == 0)
		conn_drained(c, unread);
}
