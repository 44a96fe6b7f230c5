/* capture.c - see capture.h. */
#include "capture.h"

#include "base/buf.h"
#include "base/limits.h"
#include "os/proc.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct capture {
	uv_process_t process;
	uv_pipe_t pipe[2]; /* its stdout and stderr */
	struct buf text[2];
	char space[4096];
	struct captured ran;
	unsigned open_handles, waiting; /* waiting: exit and two ends of output */
	bool closing, exited, canceled;
	void (*done)(void *ctx, const struct captured *r);
	void *ctx;
};

static void
handle_closed(uv_handle_t *h)
{
	struct capture *r = h->data;

	if (--r->open_handles > 0)
		return;
	r->ran.out = buf_text(&r->text[0]);
	r->ran.err = buf_text(&r->text[1]);
	if (r->done != NULL)
		r->done(r->ctx, &r->ran);
	buf_free(&r->text[0]);
	buf_free(&r->text[1]);
	free(r);
}

static void
close_all(struct capture *r)
{
	if (r->closing)
		return;
	r->closing = true;
	uv_close((uv_handle_t *)&r->process, handle_closed);
	uv_close((uv_handle_t *)&r->pipe[0], handle_closed);
	uv_close((uv_handle_t *)&r->pipe[1], handle_closed);
}

static void
one_ended(struct capture *r)
{
	if (--r->waiting == 0 && !r->closing)
		close_all(r);
}

static void
exited(uv_process_t *p, int64_t status, int sig)
{
	struct capture *r = p->data;

	r->ran.status = sig != 0 ? -1 : status;
	r->ran.signal = sig;
	r->exited = true;
	if (r->canceled)
		close_all(r);
	else
		one_ended(r);
}

static void
give_space(uv_handle_t *h, size_t wanted, uv_buf_t *b)
{
	struct capture *r = h->data;

	(void)wanted;
	*b = uv_buf_init(r->space, sizeof r->space);
}

/* More than the limit is read and thrown away, so that the child does not block on its output. */
static void
read_some(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct capture *r = s->data;
	struct buf *text = &r->text[s == (uv_stream_t *)&r->pipe[1]];
	uint64_t anonymous;

	if (n > 0 && r->ran.peak == 0 &&
	    proc_memory(r->process.pid, &anonymous, &r->ran.peak) != OK)
		r->ran.peak = 0; /* it has ended: nothing to be seen any more */
	if (n > 0 && buf_append(text, b->base, (size_t)n) != OK)
		r->ran.cut = true;
	if (n < 0) {
		(void)uv_read_stop(s);
		one_ended(r);
	}
}

/* Such a program needs no more than these; secrets of our environment stay here. */
static char *environment[] = { (char *)(uintptr_t) "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
	(char *)(uintptr_t) "LC_ALL=C", NULL };

enum err
capture_start(struct capture **out, uv_loop_t *loop, const char *const *argv, const int *fds,
    size_t n_fds, void (*done)(void *ctx, const struct captured *r), void *ctx, struct fault *f)
{
	struct capture *r = calloc(1, sizeof *r);
	uv_stdio_container_t stdio[3 + CAPTURE_FDS] = { { .flags = UV_IGNORE } };
	uv_process_options_t o = { .file = argv[0],
		.args = (char **)(uintptr_t)argv,
		.env = environment,
		.exit_cb = exited,
		.stdio = stdio,
		.stdio_count = 3 + (int)n_fds };
	int k;

	*out = NULL;
	if (r == NULL)
		return fault_set(f, ERR_NOMEM, "memory ran out");
	for (int i = 0; i < 2; i++) {
		buf_init(&r->text[i], LIMIT_CAPTURE);
		(void)uv_pipe_init(loop, &r->pipe[i], 0);
		r->pipe[i].data = r;
		stdio[1 + i].flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE;
		stdio[1 + i].data.stream = (uv_stream_t *)&r->pipe[i];
	}
	for (size_t i = 0; i < n_fds; i++) {
		stdio[3 + i].flags = UV_INHERIT_FD;
		stdio[3 + i].data.fd = fds[i];
	}
	r->process.data = r;
	r->open_handles = 3;
	k = uv_spawn(loop, &r->process, &o);
	if (k != 0) { /* the process handle is initialised all the same and must be closed */
		close_all(r);
		return fault_set(
		    f, ERR_NOTFOUND, "%s cannot be started: %s", argv[0], uv_strerror(k));
	}
	r->waiting = 3;
	(void)uv_read_start((uv_stream_t *)&r->pipe[0], give_space, read_some);
	(void)uv_read_start((uv_stream_t *)&r->pipe[1], give_space, read_some);
	r->done = done;
	r->ctx = ctx;
	*out = r;
	return OK;
}

/* Closing the process handle alone would leave a zombie: the exit is awaited, the ends of the
 * output are not, because a grandchild may hold them. */
void
capture_cancel(struct capture *r)
{
	if (r == NULL)
		return;
	r->done = NULL;
	r->canceled = true;
	if (r->exited)
		close_all(r);
	else
		(void)uv_process_kill(&r->process, SIGKILL);
}
