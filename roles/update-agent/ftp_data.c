#include "ftp_data_int.h"

#include "ftp_passive.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "os/descriptors.h"
#include "os/sock.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A cut transfer ends with a reset, so that nobody takes it for a whole one. */
static void
sock_finish(struct ftp_data *d)
{
	if (d->cut && d->sock >= 0)
		sock_abort(d->sock);
	else
		sock_close(d->sock);
	d->sock = -1;
}

void
ftp_data_free_when_quiet(struct ftp_data *d)
{
	struct ftp_mover *m = d->m;

	if (d->phase != ENDED || d->handles > 0 || d->working || d->waiting_cold || d->pinned)
		return;
	if (d->file >= 0)
		(void)close(d->file);
	sock_finish(d);
	upload_drop(d->upload);
	free(d->received);
	buf_free(&d->text);
	free(d);
	if (--m->open == 0 && m->all_closed != NULL)
		m->all_closed(m->ctx);
}

static void
handle_closed(uv_handle_t *h)
{
	struct ftp_data *d = h->data;

	d->handles--;
	ftp_data_free_when_quiet(d);
}

static void
listener_close(struct ftp_data *d)
{
	if (d->listener_polled)
		uv_close((uv_handle_t *)&d->listener_poll, handle_closed);
	d->listener_polled = false;
	/* Allowed from uv_close on; the port is free for the next at once. */
	sock_close(d->listener);
	d->listener = -1;
}

/* The one way out: first outcome wins. The owner hears of it once and forgets d. A client that
 * waits for the reply gets it before we tidy up. */
void
ftp_data_end(struct ftp_data *d, enum ftp_outcome_kind kind)
{
	ftp_data_cb cb = d->cb;

	if (d->phase == ENDED)
		return;
	d->phase = ENDED;
	d->cut = kind != FTP_DONE;
	if (cb != NULL)
		cb(d->ctx, kind);
	if (d->sock_polled)
		uv_close((uv_handle_t *)&d->sock_poll, handle_closed);
	d->sock_polled = false;
	if (!d->working)
		sock_finish(d);
	listener_close(d);
	ftp_data_free_when_quiet(d);
}

static void
on_sock(uv_poll_t *h, int status, int events)
{
	struct ftp_data *d = h->data;

	if (d->phase != MOVING)
		return;
	if (status < 0)
		ftp_data_end(d, FTP_BROKEN);
	else if (d->upload != NULL)
		ftp_data_take(d);
	else
		ftp_data_pump(d);
}

static bool
watch(struct ftp_data *d, uv_poll_t *h, bool *polled, int fd, int events, uv_poll_cb cb)
{
	if (!*polled && uv_poll_init(d->m->loop, h, fd) != 0)
		return false;
	d->handles += !*polled;
	*polled = true;
	h->data = d;
	return uv_poll_start(h, events, cb) == 0;
}

/* A watcher costs libuv some system calls: made only when the socket does not take a small file at
 * once, and left alone while it runs. */
void
ftp_data_want(struct ftp_data *d, int events)
{
	if (d->events == events)
		return;
	d->events = events;
	if (!watch(d, &d->sock_poll, &d->sock_polled, d->sock, events, on_sock))
		ftp_data_end(d, FTP_BROKEN);
}

void
ftp_data_pause(struct ftp_data *d)
{
	d->events = 0;
	if (d->sock_polled)
		(void)uv_poll_stop(&d->sock_poll);
}

static void
begin_if_ready(struct ftp_data *d)
{
	if (d->phase != CONNECTED || d->cb == NULL)
		return;
	d->phase = MOVING;
	d->since = uv_now(d->m->loop);
	d->pinned = true; /* the owner may end it from within */
	d->cb(d->ctx, FTP_STARTED);
	if (d->phase == MOVING && d->upload != NULL)
		ftp_data_want(d, UV_READABLE);
	else if (d->phase == MOVING)
		ftp_data_pump(d);
	/* Pinned until here, which the analyzer forgets at the call.
	 * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	d->pinned = false;
	listener_close(d);
	ftp_data_free_when_quiet(d);
}

/* The connection of somebody else, or one too many, is closed, and the wait goes on. */
static bool
accepted(struct ftp_data *d, int fd, const struct sockaddr_storage *ss)
{
	enum data_peer rule = (enum data_peer)d->m->options->data_peer;
	struct addr a;

	if (addr_from_sockaddr(&a, (const struct sockaddr *)ss) == OK) {
		d->same = addr_same_ip(&d->peer, &a);
		if (passive_peer_ok(d->upload != NULL ? DATA_PEER_SAME : rule, &d->peer, &a) &&
		    !descriptors_tight(fd))
			return true;
	}
	d->m->strangers++;
	sock_abort(fd);
	return false;
}

/* Takes the rightful connection out of the listener's queue, if it is there. A listener that is
 * not watched is closed by the caller, when nobody waits for that. */
static void
look_for_client(struct ftp_data *d)
{
	struct sockaddr_storage ss;
	int fd;

	while (d->phase == LISTENING && sock_accept(d->listener, &fd, &ss) == OK) {
		if (!accepted(d, fd, &ss))
			continue;
		d->sock = fd;
		d->phase = CONNECTED;
		if (d->listener_polled)
			listener_close(d);
	}
}

static void
on_listener(uv_poll_t *h, int status, int events)
{
	struct ftp_data *d = h->data;

	look_for_client(d);
	begin_if_ready(d);
}

enum err
ftp_data_listen(struct ftp_data **out, struct ftp_mover *m, const struct addr *local,
    const struct addr *peer, uint16_t *port)
{
	struct ftp_data *d = calloc(1, sizeof(*d));
	enum err e;

	*out = NULL;
	if (d == NULL)
		return ERR_NOMEM;
	d->m = m;
	d->peer = *peer;
	d->sock = d->listener = d->file = -1;
	buf_init(&d->text, LIMIT_FTP_LISTING);
	e = passive_listen(m->options, local, &d->listener, port);
	if (e != OK) {
		free(d);
		return e;
	}
	m->open++;
	*out = d;
	return OK;
}

/* Most clients are connected by now, so the listener is watched only when it must be waited for. A
 * connection taken before the command was known is looked at again: uploads are stricter. */
static void
ask(struct ftp_data *d, ftp_data_cb cb, void *ctx)
{
	d->cb = cb;
	d->ctx = ctx;
	d->since = uv_now(d->m->loop);
	look_for_client(d);
	if (d->phase == CONNECTED && d->upload != NULL && !d->same)
		ftp_data_end(d, FTP_BROKEN);
	else if (d->phase == CONNECTED)
		begin_if_ready(d);
	else if (!watch(d, &d->listener_poll, &d->listener_polled, d->listener, UV_READABLE,
		     on_listener))
		ftp_data_end(d, FTP_BUSY);
}

void
ftp_data_send_file(struct ftp_data *d, int fd, uint64_t offset, uint64_t size, bool ascii,
    ftp_data_cb cb, void *ctx)
{
	d->file = fd;
	d->offset = offset;
	d->cached_to = offset;
	d->size = size;
	d->ascii = ascii;
	ask(d, cb, ctx);
}

void
ftp_data_send_text(struct ftp_data *d, struct buf *text, ftp_data_cb cb, void *ctx)
{
	struct buf empty;

	buf_init(&empty, text->max);
	d->text = *text;
	*text = empty;
	ask(d, cb, ctx);
}

void
ftp_data_receive(struct ftp_data *d, struct upload *u, ftp_data_cb cb, void *ctx)
{
	d->upload = u;
	d->received = malloc(RECEIVE_BYTES);
	if (d->received == NULL) {
		d->cb = cb;
		d->ctx = ctx;
		ftp_data_end(d, FTP_BUSY);
		return;
	}
	ask(d, cb, ctx);
}

void
ftp_data_abort(struct ftp_data *d, enum ftp_outcome_kind kind)
{
	ftp_data_end(d, kind);
}

uint64_t
ftp_data_moved(const struct ftp_data *d)
{
	return d->moved;
}

bool
ftp_data_busy(const struct ftp_data *d)
{
	return d->cb != NULL;
}

void
ftp_data_tick(struct ftp_data *d, uint64_t now)
{
	const struct options *o = d->m->options;
	uint64_t moved, unsent;

	/* Strangers must not fill the queue before the command comes. */
	if (d->cb == NULL && d->phase == LISTENING)
		look_for_client(d);
	if (d->phase == CONNECTED)
		listener_close(d);
	if (d->cb == NULL || d->phase == ENDED)
		return;
	if (d->phase != MOVING) {
		if (now - d->since >= o->accept_timeout)
			ftp_data_end(d, FTP_NO_DATA);
		return;
	}
	if (now - d->since < o->stall_timeout)
		return;
	/* Bytes in the kernel's buffer have not moved: a slow line empties megabytes of it for
	 * minutes. */
	unsent = d->upload == NULL ? sock_unsent(d->sock) : 0;
	moved = d->moved > unsent ? d->moved - unsent : 0;
	if (moved < d->moved_mark + LIMIT_FTP_STALL) {
		ftp_data_end(d, FTP_SLOW);
		return;
	}
	d->moved_mark = moved;
	d->since = now;
}
