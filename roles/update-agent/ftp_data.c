#include "ftp_data.h"

#include "ftp_passive.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "os/sock.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECEIVE_BYTES 65536
#define ASCII_BYTES 32768
#define WINDOW_BYTES (2u << 20) /* how far ahead one question about the page cache looks */

enum phase { LISTENING, CONNECTED, MOVING, ENDED };

struct ftp_data {
	struct ftp_mover *m;
	enum phase phase;
	struct addr peer;
	uv_poll_t listener_poll, sock_poll;
	unsigned handles;            /* uv handles whose close callback is due */
	bool listener_open, sock_open;
	bool same;                   /* the data connection comes from the very peer */
	int listener, sock;

	/* the transfer */
	ftp_data_cb cb;              /* NULL: none was asked for */
	void *ctx;
	enum ftp_outcome_kind outcome;
	bool cut;                    /* end with a reset */
	int file;
	bool ascii, file_done;
	uint64_t offset, size, cached_to;
	struct buf text;
	size_t text_at;
	struct upload *upload;
	uint8_t *received;           /* RECEIVE_BYTES while an upload runs */

	/* worker */
	uv_work_t work;
	bool working, waiting_cold;
	struct ftp_data *cold_next;
	enum err work_e;
	size_t work_moved;

	/* deadlines */
	uint64_t since;              /* transfer asked, or start of the stall window */
	uint64_t moved, moved_mark;
};

static void pump(struct ftp_data *d);
static void receive(struct ftp_data *d);

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

static void
free_when_quiet(struct ftp_data *d)
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
	free_when_quiet(d);
}

static void
listener_close(struct ftp_data *d)
{
	if (!d->listener_open)
		return;
	d->listener_open = false;
	uv_close((uv_handle_t *)&d->listener_poll, handle_closed);
	sock_close(d->listener); /* allowed from uv_close on; the port is free for the next at once */
	d->listener = -1;
}

/* The one way out: first outcome wins. The owner hears of it once and forgets d. */
static void
end(struct ftp_data *d, enum ftp_outcome_kind kind)
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
	free_when_quiet(d);
}

static void
on_sock(uv_poll_t *h, int status, int events)
{
	struct ftp_data *d = h->data;

	if (d->phase != MOVING)
		return;
	if (status < 0)
		end(d, FTP_BROKEN);
	else if (d->upload != NULL)
		receive(d);
	else
		pump(d);
}

static void
want(struct ftp_data *d, int events)
{
	if (uv_poll_start(&d->sock_poll, events, on_sock) != 0)
		end(d, FTP_BROKEN);
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
		want(d, UV_READABLE);
	else
		pump(d);
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
		end(d, FTP_BROKEN);
		return ERR_NOMEM;
	}
	*out = d;
	return OK;
}

/* A connection taken before the command was known is looked at again: uploads are stricter. What waits in the
 * listener's queue is taken now, without a turn of the loop. */
static void
ask(struct ftp_data *d, ftp_data_cb cb, void *ctx)
{
	d->cb = cb;
	d->ctx = ctx;
	d->since = uv_now(d->m->loop);
	if (d->phase == CONNECTED && d->upload != NULL && !d->same)
		end(d, FTP_BROKEN);
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
		end(d, FTP_BUSY);
		return;
	}
	ask(d, cb, ctx);
}

void
ftp_data_abort(struct ftp_data *d, enum ftp_outcome_kind kind)
{
	end(d, kind);
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
			end(d, FTP_NO_DATA);
		return;
	}
	if (now - d->since < o->stall_timeout)
		return;
	/* Bytes in the kernel's buffer have not moved: a slow line empties megabytes of it for minutes. */
	unsent = d->upload == NULL ? sock_unsent(d->sock) : 0;
	moved = d->moved > unsent ? d->moved - unsent : 0;
	if (moved < d->moved_mark + LIMIT_FTP_STALL) {
		end(d, FTP_SLOW);
		return;
	}
	d->moved_mark = moved;
	d->since = now;
}

/* --- sending --- */

static void
count_out(struct ftp_data *d, size_t n)
{
	d->moved += n;
	d->m->bytes_out += n;
}

static void
send_failed(struct ftp_data *d, enum err e)
{
	if (e == ERR_AGAIN)
		want(d, UV_WRITABLE);
	else
		end(d, e == ERR_CLOSED ? FTP_BROKEN : FTP_DISK);
}

static void cold_start(struct ftp_data *d);

static void
cold_next(struct ftp_mover *m)
{
	struct ftp_data *d = m->cold_first;

	if (d == NULL || m->cold_running >= LIMIT_FTP_COLD)
		return;
	m->cold_first = d->cold_next;
	if (m->cold_first == NULL)
		m->cold_last = NULL;
	d->cold_next = NULL;
	d->waiting_cold = false;
	if (d->phase == MOVING) {
		cold_start(d);
	} else {
		free_when_quiet(d);
		cold_next(m);
	}
}

static void
file_sent(struct ftp_data *d, enum err e, size_t moved)
{
	if (e != OK) {
		send_failed(d, e);
		return;
	}
	/* The file became shorter than it was when it was opened. Nothing of ours does that. */
	if (moved == 0) {
		end(d, FTP_DISK);
		return;
	}
	d->offset += moved;
	count_out(d, moved);
	if (d->offset == d->size)
		end(d, FTP_DONE);
	else
		want(d, UV_WRITABLE);
}

static size_t
piece(const struct ftp_data *d, size_t max)
{
	uint64_t left = d->size - d->offset;

	return left < max ? (size_t)left : max;
}

static void
cold_work(uv_work_t *w)
{
	struct ftp_data *d = w->data;

	d->work_e = sock_send_file(d->sock, d->file, d->offset, piece(d, LIMIT_FTP_PIECE),
	    &d->work_moved);
}

static void
cold_done(uv_work_t *w, int status)
{
	struct ftp_data *d = w->data;
	struct ftp_mover *m = d->m;

	d->working = false;
	m->cold_running--;
	cold_next(m);
	if (d->phase == MOVING)
		file_sent(d, status == 0 ? d->work_e : ERR_CANCELED, d->work_moved);
	else
		free_when_quiet(d);
}

/* The piece is not in memory: a worker waits for the disk. Few workers may, so that slow disks leave some for others. */
static void
cold_start(struct ftp_data *d)
{
	struct ftp_mover *m = d->m;

	(void)uv_poll_stop(&d->sock_poll);
	if (m->cold_running >= LIMIT_FTP_COLD) {
		d->waiting_cold = true;
		if (m->cold_last != NULL)
			m->cold_last->cold_next = d;
		else
			m->cold_first = d;
		m->cold_last = d;
		return;
	}
	d->working = true;
	d->work.data = d;
	m->cold_running++;
	(void)uv_queue_work(m->loop, &d->work, cold_work, cold_done);
}

static bool
in_memory(struct ftp_data *d)
{
	size_t n = piece(d, LIMIT_FTP_PIECE), ahead = piece(d, WINDOW_BYTES);

	if (d->offset + n <= d->cached_to)
		return true;
	if (!sock_file_in_memory(d->file, d->offset, ahead)) {
		ahead = n;
		if (!sock_file_in_memory(d->file, d->offset, ahead))
			return false;
	}
	d->cached_to = d->offset + ahead;
	return true;
}

static void
send_file(struct ftp_data *d)
{
	size_t moved = 0;
	enum err e;

	if (d->offset >= d->size) {
		end(d, FTP_DONE);
		return;
	}
	if (!in_memory(d)) {
		cold_start(d);
		return;
	}
	e = sock_send_file(d->sock, d->file, d->offset, piece(d, LIMIT_FTP_PIECE), &moved);
	file_sent(d, e, moved);
}

/* RFC 959 type ASCII: every line end goes out as CRLF; one that is CRLF already stays as it is. */
static void
ascii_work(uv_work_t *w)
{
	struct ftp_data *d = w->data;
	uint8_t raw[ASCII_BYTES];
	ssize_t n = pread(d->file, raw, sizeof(raw), (off_t)d->offset), i;
	uint8_t before = d->text.len > 0 ? d->text.data[d->text.len - 1] : 0;

	buf_reset(&d->text);
	d->work_e = n < 0 ? ERR_IO : OK;
	d->work_moved = n > 0 ? (size_t)n : 0;
	for (i = 0; d->work_e == OK && i < n; i++) {
		if (raw[i] == '\n' && before != '\r')
			d->work_e = buf_append(&d->text, "\r", 1);
		if (d->work_e == OK)
			d->work_e = buf_append(&d->text, &raw[i], 1);
		before = raw[i];
	}
}

static void
ascii_done(uv_work_t *w, int status)
{
	struct ftp_data *d = w->data;

	d->working = false;
	if (d->phase != MOVING) {
		free_when_quiet(d);
		return;
	}
	if (status != 0 || d->work_e != OK) {
		end(d, FTP_DISK);
		return;
	}
	d->offset += d->work_moved;
	d->text_at = 0;
	d->file_done = d->work_moved == 0;
	pump(d);
}

static void
refill(struct ftp_data *d)
{
	(void)uv_poll_stop(&d->sock_poll);
	d->working = true;
	d->work.data = d;
	(void)uv_queue_work(d->m->loop, &d->work, ascii_work, ascii_done);
}

static void
pump(struct ftp_data *d)
{
	size_t moved;
	enum err e;

	while (d->text_at < d->text.len) {
		e = sock_send(d->sock, d->text.data + d->text_at, d->text.len - d->text_at, &moved);
		if (e != OK) {
			send_failed(d, e);
			return;
		}
		d->text_at += moved;
		count_out(d, moved);
	}
	if (d->file < 0 || d->file_done)
		end(d, FTP_DONE);
	else if (d->ascii)
		refill(d);
	else
		send_file(d);
}

/* --- receiving --- */

static enum ftp_outcome_kind
upload_outcome(enum err e)
{
	switch (e) {
	case OK:
		return FTP_DONE;
	case ERR_DENIED:
		return FTP_QUOTA;
	case ERR_TOOBIG:
	case ERR_NOSPACE:
		return FTP_FULL;
	default:
		return FTP_DISK;
	}
}

static void
committed(void *ctx, enum err e)
{
	struct ftp_data *d = ctx;

	d->working = false;
	d->upload = NULL;
	if (d->phase == MOVING)
		end(d, upload_outcome(e));
	else
		free_when_quiet(d);
}

static void
written(void *ctx, enum err e)
{
	struct ftp_data *d = ctx;

	d->working = false;
	if (d->phase != MOVING)
		free_when_quiet(d);
	else if (e != OK)
		end(d, upload_outcome(e));
	else
		want(d, UV_READABLE);
}

static void
receive(struct ftp_data *d)
{
	size_t n;
	enum err e = sock_recv(d->sock, d->received, RECEIVE_BYTES, &n);

	if (e == ERR_AGAIN)
		return;
	if (e != OK) {
		end(d, FTP_BROKEN);
		return;
	}
	(void)uv_poll_stop(&d->sock_poll);
	d->working = true;
	d->moved += n;
	d->m->bytes_in += n;
	if (n == 0)
		upload_commit(d->upload, committed, d);
	else
		upload_write(d->upload, d->received, n, written, d);
}
