/* Bytes of a transfer: files by sendfile, text, uploads. The loop sends what is in memory; a worker
 * waits for the disk. */
#include "ftp_data_int.h"

#include "base/limits.h"
#include "os/sock.h"

#include <unistd.h>

#define ASCII_BYTES 32768
#define WINDOW_BYTES LIMIT_FTP_PIECE /* how far ahead one question about the page cache looks */
#define SMALL_BYTES                                                                                \
	16384 /* a file so small is copied: cheaper than sendfile, and one packet less */
#define COLD_PIECE (1u << 20) /* what a worker takes from a slow disk before the next may */

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
		ftp_data_want(d, UV_WRITABLE);
	else
		ftp_data_end(d, e == ERR_CLOSED ? FTP_BROKEN : FTP_DISK);
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
		ftp_data_free_when_quiet(d);
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
		ftp_data_end(d, FTP_DISK);
		return;
	}
	d->offset += moved;
	count_out(d, moved);
	if (d->offset == d->size)
		ftp_data_end(d, FTP_DONE);
	else
		ftp_data_want(d, UV_WRITABLE);
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

	d->work_e =
	    sock_send_file(d->sock, d->file, d->offset, piece(d, COLD_PIECE), &d->work_moved);
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
		ftp_data_free_when_quiet(d);
}

/* The piece is not in memory: a worker waits for the disk. Few workers may, so that slow disks
 * leave some for others. */
static void
cold_start(struct ftp_data *d)
{
	struct ftp_mover *m = d->m;

	ftp_data_pause(d);
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

/* How many bytes from here the loop may send without waiting for the disk. Each page is asked about
 * once, far ahead; where one of them is missing, a shorter way is tried before a worker is. */
static size_t
in_memory(struct ftp_data *d)
{
	static const size_t windows[] = { WINDOW_BYTES, COLD_PIECE };

	for (size_t i = 0; i < 2 && d->offset >= d->cached_to; i++) {
		size_t ahead = piece(d, windows[i]);

		if (sock_file_in_memory(d->file, d->offset, ahead))
			d->cached_to = d->offset + ahead;
	}
	return d->offset < d->cached_to ? (size_t)(d->cached_to - d->offset) : 0;
}

/* The whole rest with the end of the connection behind it. */
static bool
sent_small(struct ftp_data *d)
{
	static uint8_t room[SMALL_BYTES]; /* loop thread only */
	size_t n = piece(d, SMALL_BYTES), moved = 0;
	enum err e;

	if (d->size - d->offset > SMALL_BYTES ||
	    sock_read_memory(d->file, d->offset, room, n) != OK)
		return false;
	e = sock_send_last(d->sock, room, n, &moved);
	file_sent(d, e, moved);
	return true;
}

static void
send_file(struct ftp_data *d)
{
	size_t moved = 0, n;
	enum err e;

	if (d->offset >= d->size) {
		ftp_data_end(d, FTP_DONE);
		return;
	}
	if (sent_small(d))
		return;
	n = in_memory(d);
	if (n == 0) {
		cold_start(d);
		return;
	}
	e = sock_send_file(d->sock, d->file, d->offset, n, &moved);
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
		ftp_data_free_when_quiet(d);
		return;
	}
	if (status != 0 || d->work_e != OK) {
		ftp_data_end(d, FTP_DISK);
		return;
	}
	d->offset += d->work_moved;
	d->text_at = 0;
	d->file_done = d->work_moved == 0;
	ftp_data_pump(d);
}

static void
refill(struct ftp_data *d)
{
	ftp_data_pause(d);
	d->working = true;
	d->work.data = d;
	(void)uv_queue_work(d->m->loop, &d->work, ascii_work, ascii_done);
}

void
ftp_data_pump(struct ftp_data *d)
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
		ftp_data_end(d, FTP_DONE);
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
	case ERR_VERIFY:
		return FTP_WRONG;
	case ERR_CLOSED:
	case ERR_CANCELED:
		return FTP_BROKEN;
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
		ftp_data_end(d, upload_outcome(e));
	else
		ftp_data_free_when_quiet(d);
}

static void
written(void *ctx, enum err e)
{
	struct ftp_data *d = ctx;

	d->working = false;
	if (d->phase != MOVING)
		ftp_data_free_when_quiet(d);
	else if (e != OK)
		ftp_data_end(d, upload_outcome(e));
	else
		ftp_data_want(d, UV_READABLE);
}

void
ftp_data_take(struct ftp_data *d)
{
	size_t n;
	enum err e = sock_recv(d->sock, d->received, RECEIVE_BYTES, &n);

	if (e == ERR_AGAIN)
		return;
	if (e != OK) {
		ftp_data_end(d, FTP_BROKEN);
		return;
	}
	ftp_data_pause(d);
	d->working = true;
	d->moved += n;
	d->m->bytes_in += n;
	if (n == 0)
		upload_commit(d->upload, committed, d);
	else
		upload_write(d->upload, d->received, n, written, d);
}
