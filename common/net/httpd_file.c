/* httpd_file.c - file bodies. A job outlives its connection when the thread pool still works for
 * it, and frees itself then. Plain sockets: what the kernel has in memory goes out by sendfile in
 * the loop; else by sendfile in the pool, on a duplicate of the socket (libuv lets two watchers on
 * one socket only by two descriptors), then a wait until the socket takes more; so each connection
 * has at most one piece in the pool, and a cold file stalls nobody but its own client. TLS: reads
 * in the pool, pieces through conn_send. */
#include "net/httpd_int.h"

#include "base/log.h"
#include "os/sock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define SEND_PIECE                                                                                 \
	(256 * 1024) /* one sendfile: bounded time in the pool, few wake-ups at line speed */
#define READ_PIECE 32768
#define WARM_PIECE                                                                                 \
	(8u << 20) /* from memory, in the loop: a millisecond, and the others get their turn       \
		    */

struct http_file {
	struct http_req *r; /* NULL: dropped */
	struct httpd *d;
	int fd, sock; /* sock -1: read instead of sendfile */
	uint64_t offset, left;
	uv_fs_t fs;
	uv_work_t work; /* a piece that waits for the disk */
	size_t piece, moved;
	enum err e;
	uv_poll_t poll;
	bool busy, waiting;
	char *room; /* READ_PIECE bytes when sock is -1 */
};

static void
file_free(struct http_file *f)
{
	struct httpd *d = f->d;

	if (f->sock >= 0)
		(void)close(f->sock);
	(void)close(f->fd);
	free(f->room);
	free(f);
	httpd_handle_gone(d);
}

static void
on_poll_closed(uv_handle_t *h)
{
	file_free(h->data);
}

static void
file_end(struct http_file *f)
{
	if (f->r != NULL)
		f->r->file = NULL;
	f->r = NULL;
	if (f->busy)
		return; /* the piece under way ends it */
	if (f->sock >= 0)
		uv_close((uv_handle_t *)&f->poll, on_poll_closed);
	else
		file_free(f);
}

void
file_drop(struct http_file *f)
{
	file_end(f);
}

static void start_piece(struct http_file *f);

static void
stop_waiting(struct http_file *f)
{
	f->waiting = false;
	(void)uv_poll_stop(&f->poll);
}

/* The watcher runs on while pieces go out from memory: starting it anew costs three system calls.
 */
static void
on_writable(uv_poll_t *p, int status, int events)
{
	struct http_file *f = p->data;

	if (status < 0)
		conn_close(f->r->c, "the client does not take the answer");
	else
		start_piece(f);
}

static void
wait_writable(struct http_file *f)
{
	if (f->waiting)
		return;
	f->waiting = true;
	if (uv_poll_start(&f->poll, UV_WRITABLE, on_writable) != 0)
		conn_close(f->r->c, "cannot wait for the socket");
}

/* Counts a piece that went out; false when the file is finished, or the connection broken. */
static bool
advance(struct http_file *f, ssize_t n)
{
	struct http_req *r = f->r;

	if (n <= 0) {
		conn_close(r->c, n == 0 ? "a file is shorter than promised" : uv_err_name((int)n));
		return false;
	}
	f->offset += (uint64_t)n;
	f->left -= (uint64_t)n;
	if (f->left > 0)
		return true;
	file_end(f);
	req_done(r);
	return false;
}

static void
count_sent(struct http_file *f, size_t n)
{
	f->r->c->file_bytes += (uint64_t)n;
	f->d->stats.bytes_out += (uint64_t)n;
}

/* What sock_send_file said, of a worker or of the loop. */
static void
piece_sent(struct http_file *f, enum err e, size_t moved)
{
	if (e == ERR_AGAIN) {
		wait_writable(f);
		return;
	}
	count_sent(f, moved);
	if (advance(f, e == OK ? (ssize_t)moved : e == ERR_CLOSED ? UV_EPIPE : UV_EIO))
		wait_writable(f);
}

static void
send_work(uv_work_t *w)
{
	struct http_file *f = w->data;

	f->e = sock_send_file(f->sock, f->fd, f->offset, f->piece, &f->moved);
}

static void
on_sent(uv_work_t *w, int status)
{
	struct http_file *f = w->data;

	f->busy = false;
	if (f->r == NULL)
		file_end(f);
	else
		piece_sent(f, status == 0 ? f->e : ERR_CANCELED, f->moved);
}

static void
on_piece_read(uv_fs_t *fs)
{
	struct http_file *f = fs->data;
	ssize_t n = fs->result;
	struct http_conn *c;
	uv_buf_t v;

	uv_fs_req_cleanup(fs);
	f->busy = false;
	if (f->r == NULL) {
		file_end(f);
		return;
	}
	c = f->r->c;
	if (n > 0) {
		v = uv_buf_init(f->room, (unsigned)n);
		conn_send(c, &v, 1);
	}
	if (c->why == NULL && advance(f, n))
		httpd_later(c);
}

/* True when the piece is in memory and was given to the socket as far as it takes it. */
static bool
sent_from_memory(struct http_file *f)
{
	size_t piece = f->left < WARM_PIECE ? (size_t)f->left : WARM_PIECE, moved = 0;
	enum err e;

	if (!sock_file_in_memory(f->fd, f->offset, piece))
		return false;
	e = sock_send_file(f->sock, f->fd, f->offset, piece, &moved);
	piece_sent(f, e, moved);
	return true;
}

static void
start_piece(struct http_file *f)
{
	size_t piece = f->sock >= 0 ? SEND_PIECE : READ_PIECE;
	uv_buf_t v;
	int ret;

	if (f->sock >= 0 && sent_from_memory(f))
		return;
	if (f->waiting)
		stop_waiting(f);
	if (piece > f->left)
		piece = (size_t)f->left;
	f->busy = true;
	f->fs.data = f->work.data = f;
	if (f->sock >= 0) {
		f->piece = piece;
		ret = uv_queue_work(f->d->loop, &f->work, send_work, on_sent);
	} else {
		v = uv_buf_init(f->room, (unsigned)piece);
		ret =
		    uv_fs_read(f->d->loop, &f->fs, f->fd, &v, 1, (int64_t)f->offset, on_piece_read);
	}
	if (ret != 0) {
		f->busy = false;
		conn_close(f->r->c, "no memory");
	}
}

void
file_turn(struct http_req *r)
{
	struct http_file *f = r->file;

	/* sendfile writes beside libuv's queue: what libuv still holds (the head) must be out
	 * before. */
	if (f == NULL || f->busy || f->waiting ||
	    conn_queue(r->c) > (f->sock >= 0 ? 0 : HTTP_LOW_WATER))
		return;
	start_piece(f);
}

/* A duplicate of the socket with a watcher of its own, or -1. */
static int
own_socket(struct http_conn *c, uv_poll_t *poll)
{
	uv_os_fd_t fd;
	int sock;

	if (c->tls != NULL || uv_fileno(&c->h.any, &fd) != 0)
		return -1;
	sock = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (sock >= 0 && uv_poll_init(c->d->loop, poll, sock) != 0) {
		(void)close(sock);
		return -1;
	}
	return sock;
}

static struct http_file *
file_new(struct http_req *r, int fd, uint64_t offset, uint64_t length)
{
	struct http_file *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->r = r;
	f->d = r->c->d;
	f->fd = fd;
	f->offset = offset;
	f->left = length;
	f->poll.data = f;
	f->sock = own_socket(r->c, &f->poll);
	if (f->sock < 0 && (f->room = malloc(READ_PIECE)) == NULL) {
		free(f);
		return NULL;
	}
	f->d->handles++;
	return f;
}

void
http_reply_file(
    struct http_req *r, int status, const char *type, int fd, uint64_t offset, uint64_t length)
{
	r->owed = false;
	if (r->c->why != NULL || r->state == RQ_DONE || r->state == RQ_STREAM ||
	    r->state == RQ_FILE) {
		(void)close(fd);
		return;
	}
	r->state = RQ_FILE;
	if (req_send_head(r, status, type, length) != OK || r->no_body || length == 0) {
		(void)close(fd);
		req_done(r);
		return;
	}
	r->file = file_new(r, fd, offset, length);
	if (r->file == NULL) {
		(void)close(fd);
		conn_close(r->c, "no memory");
		return;
	}
	file_turn(r);
}
