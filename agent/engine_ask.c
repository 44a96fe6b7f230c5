/* engine_ask.c - one connection, one request, one reply. */
#include "engine_internal.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

struct engine_ask {
	uv_pipe_t pipe;
	uv_timer_t timer;
	uv_connect_t connect;
	uv_write_t write;
	struct buf request, reply;
	char space[4096];
	struct engine_answer answer;
	bool ended;
	unsigned open_handles;
	void (*done)(void *ctx, const struct engine_answer *a);
	void *ctx;
};

static void
handle_closed(uv_handle_t *h)
{
	struct engine_ask *a = h->data;

	if (--a->open_handles > 0)
		return;
	a->answer.raw = buf_text(&a->reply);
	a->answer.raw_len = a->reply.len;
	if (a->done != NULL)
		a->done(a->ctx, &a->answer);
	buf_free(&a->request);
	buf_free(&a->reply);
	free(a);
}

static void
end(struct engine_ask *a, enum err e)
{
	if (a->ended)
		return;
	a->ended = true;
	a->answer.err = e;
	uv_close((uv_handle_t *)&a->pipe, handle_closed);
	uv_close((uv_handle_t *)&a->timer, handle_closed);
}

static void
timed_out(uv_timer_t *t)
{
	end(t->data, ERR_TIMEOUT);
}

static void
give_space(uv_handle_t *h, size_t wanted, uv_buf_t *b)
{
	struct engine_ask *a = h->data;

	(void)wanted;
	*b = uv_buf_init(a->space, sizeof a->space);
}

static void
read_some(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct engine_ask *a = s->data;
	const char *nul = NULL;

	if (n == 0)
		return;
	if (n > 0) {
		nul = memchr(b->base, '\0', (size_t)n);
		if (buf_append(&a->reply, b->base,
			nul != NULL ? (size_t)(nul - b->base) : (size_t)n) != OK) {
			end(a, ERR_TOOBIG);
			return;
		}
		if (nul == NULL)
			return;
	}
	if (n < 0 && a->reply.len == 0)
		end(a, ERR_CLOSED);
	else
		end(a, clamd_parse(&a->answer.reply, buf_text(&a->reply), a->reply.len, false));
}

/* clamd may answer and close before it has read all of a stream: the reply still counts. */
static void
wrote(uv_write_t *w, int status)
{
	(void)w;
	(void)status;
}

static void
connected(uv_connect_t *c, int status)
{
	struct engine_ask *a = c->data;
	uv_buf_t b = uv_buf_init((char *)a->request.data, (unsigned)a->request.len);

	if (a->ended)
		return;
	if (status != 0) {
		end(a, ERR_UNREACHABLE);
		return;
	}
	if (uv_write(&a->write, (uv_stream_t *)&a->pipe, &b, 1, wrote) != 0 ||
	    uv_read_start((uv_stream_t *)&a->pipe, give_space, read_some) != 0)
		end(a, ERR_IO);
}

enum err
engine_ask(struct engine_ask **out, uv_loop_t *loop, const char *socket, const void *request,
    size_t n, unsigned timeout_ms, void (*done)(void *ctx, const struct engine_answer *a),
    void *ctx)
{
	struct engine_ask *a = calloc(1, sizeof *a);

	*out = NULL;
	if (a == NULL)
		return ERR_NOMEM;
	buf_init(&a->request, n);
	buf_init(&a->reply, LIMIT_CLAMD_REPLY);
	if (buf_append(&a->request, request, n) != OK) {
		free(a);
		return ERR_NOMEM;
	}
	a->done = done;
	a->ctx = ctx;
	(void)uv_pipe_init(loop, &a->pipe, 0);
	(void)uv_timer_init(loop, &a->timer);
	a->pipe.data = a->timer.data = a->connect.data = a;
	a->open_handles = 2;
	(void)uv_timer_start(&a->timer, timed_out, timeout_ms, 0);
	uv_pipe_connect(&a->connect, &a->pipe, socket, connected);
	*out = a;
	return OK;
}

void
engine_ask_cancel(struct engine_ask *a)
{
	if (a == NULL)
		return;
	a->done = NULL;
	end(a, ERR_CANCELED);
}
