/* childctl_uv.c - the libuv half: one pipe in, one pipe out, one way to end. */
#include "proto/childctl.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUEUE_MAX (1u << 20) /* a child that does not read for this long is stuck */

struct childctl {
	uv_loop_t *loop;
	uv_pipe_t in, out;
	uv_timer_t deadline;
	struct childctl_reader reader;
	struct childctl_handlers handlers;
	void *ctx;
	bool ended, closing, handles_closed;
	size_t queued;
	unsigned writes, handles;
	void (*done)(void *ctx);
	void *done_ctx;
	char chunk[8192];
};

struct outgoing {
	uv_write_t req;
	struct childctl *c;
	struct buf bytes;
};

static void
end(struct childctl *c, const struct fault *f)
{
	if (c->ended || c->closing)
		return;
	c->ended = true;
	(void)uv_read_stop((uv_stream_t *)&c->in);
	c->handlers.ended(c->ctx, f);
}

static void
on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct childctl *c = h->data;

	*buf = uv_buf_init(c->chunk, sizeof c->chunk);
}

static enum err
on_message(void *ctx, const char *type, cJSON *message)
{
	struct childctl *c = ctx;

	return c->closing ? OK : c->handlers.message(c->ctx, type, message);
}

static void
on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct childctl *c = s->data;
	struct fault f = { OK, "" };
	enum err e;

	if (n == 0)
		return;
	if (n > 0)
		e = childctl_reader_feed(&c->reader, buf->base, (size_t)n, on_message, c, &f);
	else if (n == UV_EOF)
		e = childctl_reader_end(&c->reader, &f);
	else
		e = fault_set(&f, ERR_IO, "childctl pipe: %s", uv_strerror((int)n));
	if (e != OK && f.code == OK)
		(void)fault_set(&f, e, "childctl: %s", err_text(e));
	if (e != OK || n < 0)
		end(c, &f);
}

static struct childctl *
make(uv_loop_t *loop, enum childctl_side side, const struct childctl_handlers *h, void *ctx)
{
	struct childctl *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->loop = loop;
	c->handlers = *h;
	c->ctx = ctx;
	childctl_reader_init(&c->reader, side);
	(void)uv_pipe_init(loop, &c->in, 0);
	(void)uv_pipe_init(loop, &c->out, 0);
	(void)uv_timer_init(loop, &c->deadline);
	uv_unref((uv_handle_t *)&c->deadline);
	c->in.data = c->out.data = c->deadline.data = c;
	c->handles = 3;
	return c;
}

enum err
childctl_start(struct childctl *c)
{
	return uv_read_start((uv_stream_t *)&c->in, on_alloc, on_read) == 0 ? OK : ERR_IO;
}

static enum err
send_hello(struct childctl *c, const char *program)
{
	cJSON *m = childctl_new("hello");

	if (m == NULL || json_add_string(m, "program", program) != OK ||
	    json_add_string(m, "version", ATALAIA_VERSION) != OK ||
	    json_add_u64(m, "proto", 1) != OK || json_add_u64(m, "pid", (uint64_t)getpid()) != OK) {
		cJSON_Delete(m);
		return ERR_NOMEM;
	}
	return childctl_send(c, m);
}

enum err
childctl_open_child(struct childctl **out, uv_loop_t *loop, const char *program,
    const struct childctl_handlers *h, void *ctx, struct fault *f)
{
	struct childctl *c = make(loop, CHILDCTL_CHILD, h, ctx);
	enum err e = OK;
	int k;

	*out = NULL;
	if (c == NULL)
		return fault_set(f, ERR_NOMEM, "no memory to talk to the agent");
	k = uv_pipe_open(&c->in, STDIN_FILENO);
	if (k == 0)
		k = uv_pipe_open(&c->out, STDOUT_FILENO);
	if (k != 0)
		e = fault_set(
		    f, ERR_IO, "stdin and stdout must be pipes to the agent: %s", uv_strerror(k));
	if (e == OK)
		e = childctl_start(c);
	if (e == OK)
		e = send_hello(c, program);
	if (e != OK) {
		childctl_close(c, 0, NULL, NULL);
		return fault_set(f, e, "cannot talk to the agent: %s", err_text(e));
	}
	*out = c;
	return OK;
}

enum err
childctl_open_agent(struct childctl **out, uv_loop_t *loop, uv_stdio_container_t stdio[2],
    const struct childctl_handlers *h, void *ctx)
{
	struct childctl *c = make(loop, CHILDCTL_AGENT, h, ctx);

	*out = c;
	if (c == NULL)
		return ERR_NOMEM;
	stdio[0].flags = (uv_stdio_flags)(UV_CREATE_PIPE | UV_READABLE_PIPE);
	stdio[0].data.stream = (uv_stream_t *)&c->out;
	stdio[1].flags = (uv_stdio_flags)(UV_CREATE_PIPE | UV_WRITABLE_PIPE);
	stdio[1].data.stream = (uv_stream_t *)&c->in;
	return OK;
}

static void
on_handle_closed(uv_handle_t *h)
{
	struct childctl *c = h->data;

	if (--c->handles > 0)
		return;
	childctl_reader_free(&c->reader);
	if (c->done != NULL)
		c->done(c->done_ctx);
	free(c);
}

static void
close_handles(struct childctl *c)
{
	if (c->handles_closed)
		return;
	c->handles_closed = true;
	uv_close((uv_handle_t *)&c->in, on_handle_closed);
	uv_close((uv_handle_t *)&c->out, on_handle_closed);
	uv_close((uv_handle_t *)&c->deadline, on_handle_closed);
}

static void
on_written(uv_write_t *req, int status)
{
	struct outgoing *o = req->data;
	struct childctl *c = o->c;
	struct fault f = { OK, "" };

	c->queued -= o->bytes.len;
	c->writes--;
	buf_free(&o->bytes);
	free(o);
	if (c->closing) {
		if (c->writes == 0 || status != 0)
			close_handles(c);
		return;
	}
	if (status != 0 && status != UV_EPIPE) {
		(void)fault_set(&f, ERR_IO, "childctl pipe: %s", uv_strerror(status));
		end(c, &f);
	}
}

enum err
childctl_send(struct childctl *c, cJSON *message)
{
	struct outgoing *o = NULL;
	enum err e = message != NULL ? OK : ERR_NOMEM;
	uv_buf_t b;

	if (e == OK && (c->closing || c->ended))
		e = ERR_CLOSED;
	if (e == OK && (o = calloc(1, sizeof *o)) == NULL)
		e = ERR_NOMEM;
	if (e == OK) {
		buf_init(&o->bytes, LIMIT_CHILD_LINE + 1);
		e = childctl_format(message, &o->bytes);
	}
	cJSON_Delete(message);
	if (e == OK && c->queued + o->bytes.len > QUEUE_MAX)
		e = ERR_TOOBIG;
	if (e == OK) {
		o->c = c;
		o->req.data = o;
		b = uv_buf_init((char *)o->bytes.data, (unsigned)o->bytes.len);
		if (uv_write(&o->req, (uv_stream_t *)&c->out, &b, 1, on_written) != 0)
			e = ERR_CLOSED;
	}
	if (e == OK) {
		c->queued += o->bytes.len;
		c->writes++;
	} else if (o != NULL) {
		buf_free(&o->bytes);
		free(o);
	}
	return e;
}

static void
on_deadline(uv_timer_t *t)
{
	close_handles(t->data);
}

void
childctl_close(struct childctl *c, unsigned deadline_ms, void (*done)(void *ctx), void *ctx)
{
	if (c == NULL || c->closing)
		return;
	c->closing = true;
	c->done = done;
	c->done_ctx = ctx;
	(void)uv_read_stop((uv_stream_t *)&c->in);
	if (c->writes == 0 || deadline_ms == 0) {
		close_handles(c);
		return;
	}
	uv_ref((uv_handle_t *)&c->deadline);
	(void)uv_timer_start(&c->deadline, on_deadline, deadline_ms, 0);
}
