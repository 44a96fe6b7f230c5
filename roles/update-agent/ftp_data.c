#include "ftp_data_int.h"

#include "ftp_passive.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
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

	if (d->phase != ENDED || d->handles > 0 || d->working || d->waiting_cold)
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
	if (!d->listener_open)
		return;
	d->listener_open = false;
	uv_close((uv_handle_t *)&d->listener_poll, handle_closed);
	sock_close(
	    d->listener); /* allowed from uv_close on; the port is free for the next at once */
	d->listener = -1;
}

/* The one way out: first outcome wins. The owner hears of it once and forgets d. */
void
ftp_data_end(struct ftp_data *d, enum ftp_outcome_kind kind)
{
	ftp_data_cb cb = d->cb;

	if (d->phase == ENDED)
		return;
	d->phase = ENDED;
	d->cut = kind != FTP_DONE;
	listener_close(d);
	if (d->sock_open) {
		d->sock_open = false;
		uv_close((uv_handle_t *)&d->sock_poll, handle_closed);
		if (!d->working)
			sock_finish(d);
	}
	if (cb != NULL)
		cb(d->ctx, kind);
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

/* Starting a watcher anew costs libuv three system calls, so one that runs is left alone. */
void
ftp_data_want(struct ftp_data *d, int events)
{
	if (d->events == events)
		return;
	d->events = events;
	if (uv_poll_start(&d->sock_poll, events, on_sock) != 0)
		ftp_data_end(d, FTP_BROKEN);
}

void
ftp_data_pause(struct ftp_data *d)
{
	d->events = 0;
	(void)uv_poll_stop(&d->sock_poll);
}

static void
begin_if_ready(struct ftp_data *d)
{
	if (d->phase != CONNECTED || d->cb == NULL)
		return;
	d->phase = MOVING;
	d->since = uv_now(d->m->loop);
	d->cb(d->ctx, FTP_STARTED);
	if (d->phase != MOVING)
		return;
	if (d->upload != NULL)
		ftp_data_want(d, UV_READABLE);
	else
		ftp_data_pump(d);
}

/* The connection of somebody else is closed, and the wait goes on. */
static bool
accepted(struct ftp_data *d, int fd, const struct sockaddr_storage *ss)
{
	enum data_peer rule = (enum data_peer)d->m->options->data_peer;
	struct addr a;

	if (addr_from_sockaddr(&a, (const struct sockaddr *)ss) == OK) {
		d->same = addr_same_ip(&d->peer, &a);
		if (passive_peer_ok(d->upload != NULL ? DATA_PEER_SAME : rule, &d->peer, &a))
			return true;
	}
	d->m->strangers++;
	sock_abort(fd);
	return false;
}

static void
on_listener(uv_poll_t *h, int status, int events)
{
	struct ftp_data *d = h->data;
	struct sockaddr_storage ss;
	int fd;

	while (d->phase == LISTENING && sock_accept(d->listener, &fd, &ss) == OK) {
		if (!accepted(d, fd, &ss))
			continue;
		if (uv_poll_init(d->m->loop, &d->sock_poll, fd) != 0) {
			sock_abort(fd);
			continue;
		}
		d->sock = fd;
		d->sock_open = true;
		d->sock_poll.data = d;
		d->handles++;
		d->phase = CONNECTED;
		listener_close(d);
	}
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
	if (e == OK && uv_poll_init(m->loop, &d->listener_poll, d->listener) != 0)
		e = ERR_NOMEM;
	if (e != OK) {
		sock_close(d->listener);
		free(d);
		return e;
	}
	m->open++;
	d->handles = 1;
	d->listener_open = true;
	d->listener_poll.data = d;
	if (uv_poll_start(&d->listener_poll, UV_READABLE, on_listener) != 0) {
		ftp_data_end(d, FTP_BROKEN);
		return ERR_NOMEM;
	}
	*out = d;
	return OK;
}

/* A connection taken before the command was known is looked at again: uploads are stricter. What
 * waits in the listener's queue is taken now, without a turn of the loop. */
static void
ask(struct ftp_data *d, ftp_data_cb cb, void *ctx)
{
	d->cb = cb;
	d->ctx = ctx;
	d->since = uv_now(d->m->loop);
	if (d->phase == CONNECTED && d->upload != NULL && !d->same)
		ftp_data_end(d, FTP_BROKEN);
	else if (d->phase == CONNECTED)
		begin_if_ready(d);
	else
		on_listener(&d->listener_poll, 0, UV_READABLE);
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
