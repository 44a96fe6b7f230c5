#include "ftp_conn.h"

#include "base/limits.h"
#include "base/log.h"
#include "os/descriptors.h"
#include "os/sock.h"

#include <stdlib.h>
#include <string.h>

#define READ_BYTES 8192
#define OUT_BYTES (LIMIT_FTP_REPLY + LIMIT_FTP_REPLY / 2)
#define QUEUE_BYTES (LIMIT_FTP_QUEUE + LIMIT_FTP_LINE + 3 * READ_BYTES)
#define LONG_LINE 0xffffu
#define WRITE_TIMEOUT 30000 /* a client that does not take a reply for so long is gone */

struct write {
	uv_write_t req;
	struct buf data;
};

static void conn_close(struct ftp_conn *c, const char *why);

void
ftp_conn_free_when_quiet(struct ftp_conn *c)
{
	struct ftp_server *s = c->server;

	if (!c->handle_closed || c->job != NULL || c->depth > 0)
		return;
	log_debug("ftp.closed", "why=%s", log_q(c->why));
	if (c->counted) {
		peers_leave(s->peers, &c->peer);
		s->stats.sessions--;
	}
	if (c->next != NULL)
		c->next->prev = c->prev;
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	ftp_session_free(&c->session);
	ftp_input_free(&c->input);
	buf_free(&c->queue);
	buf_free(&c->out);
	free(c);
	ftp_server_check_closed(s);
}

static void
handle_closed(uv_handle_t *h)
{
	struct ftp_conn *c = h->data;

	c->handle_closed = true;
	ftp_conn_free_when_quiet(c);
}

/* The one way out; first reason wins. The callers stand between enter and leave. */
static void
conn_close(struct ftp_conn *c, const char *why)
{
	if (c->why != NULL)
		return;
	c->why = why;
	if (c->data != NULL)
		ftp_data_abort(c->data, FTP_ABORTED);
	c->data = NULL;
	upload_drop(c->upload);
	c->upload = NULL;
	uv_close((uv_handle_t *)&c->tcp, handle_closed);
}

/* --- replies --- */

static void
on_written(uv_write_t *req, int status)
{
	struct write *w = (struct write *)req;
	struct ftp_conn *c = req->data;

	buf_free(&w->data);
	free(w);
	ftp_conn_enter(c);
	c->writing = false;
	if (status != 0)
		conn_close(c, "write failed");
	ftp_conn_leave(c);
}

/* What the socket did not take at once is written by the loop; until then no further line runs. */
static void
write_rest(struct ftp_conn *c, size_t sent)
{
	struct write *w = calloc(1, sizeof(*w));
	uv_buf_t b;

	if (w == NULL) {
		conn_close(c, "out of memory");
		return;
	}
	w->data = c->out;
	w->req.data = c;
	buf_init(&c->out, OUT_BYTES);
	b = uv_buf_init((char *)w->data.data + sent, (unsigned)(w->data.len - sent));
	if (uv_write(&w->req, (uv_stream_t *)&c->tcp, &b, 1, on_written) != 0) {
		buf_free(&w->data);
		free(w);
		conn_close(c, "write failed");
		return;
	}
	c->writing = true;
	c->write_ms = uv_now(c->server->loop);
}

void
ftp_conn_flush(struct ftp_conn *c)
{
	uv_buf_t b;
	int n;

	if (c->why != NULL || c->writing || c->out.len == 0)
		return;
	b = uv_buf_init((char *)c->out.data, (unsigned)c->out.len);
	n = uv_try_write((uv_stream_t *)&c->tcp, &b, 1);
	if (n == UV_EAGAIN)
		n = 0;
	if (n < 0)
		conn_close(c, "write failed");
	else if ((size_t)n < c->out.len)
		write_rest(c, (size_t)n);
	else
		buf_reset(&c->out);
}

/* --- lines --- */

static bool
may_run(const struct ftp_conn *c)
{
	return c->why == NULL && !c->leaving && !c->session.busy && !c->writing;
}

static void
run_line(struct ftp_conn *c, const char *line, size_t n, bool too_long)
{
	struct ftp_wish wish;

	c->server->stats.commands++;
	c->active_ms = uv_now(c->server->loop);
	wish.want = FTP_NOTHING;
	if (too_long)
		ftp_session_long(&c->session, &c->out);
	else
		ftp_session_line(&c->session, line, n, &c->out, &wish);
	if (wish.want == FTP_CLOSE)
		c->leaving = true;
	else if (wish.want != FTP_NOTHING)
		ftp_wish_carry_out(c, &wish);
	if (c->out.len > LIMIT_FTP_REPLY / 4)
		ftp_conn_flush(c);
	if (c->session.broken)
		conn_close(c, "replies not taken or out of memory");
}

static void
run_queue(struct ftp_conn *c)
{
	char line[LIMIT_FTP_LINE + 1];
	size_t n;

	while (may_run(c) && c->queue.len >= 2) {
		n = c->queue.data[0] | (size_t)c->queue.data[1] << 8;
		if (n == LONG_LINE) {
			buf_consume(&c->queue, 2);
			run_line(c, "", 0, true);
			continue;
		}
		memcpy(line, c->queue.data + 2, n);
		line[n] = '\0';
		buf_consume(&c->queue, 2 + n);
		run_line(c, line, n, false);
	}
}

static void
enqueue(struct ftp_conn *c, const struct buf *line, bool too_long)
{
	size_t n = too_long ? LONG_LINE : line->len;
	uint8_t head[2] = { (uint8_t)(n & 255), (uint8_t)(n >> 8) };
	enum err e = buf_append(&c->queue, head, 2);

	if (e == OK && !too_long)
		e = buf_append(&c->queue, line->data, line->len);
	if (e != OK)
		conn_close(c, "too many commands at once");
}

/* A line that arrives while another one runs waits its turn, but ABOR stops the transfer now, and
 * STAT with nothing in front of it is answered in between (RFC 959 section 4.1.3). */
static void
take_line(struct ftp_conn *c, bool too_long)
{
	const struct buf *line = &c->input.line;
	const char *text = buf_text(line);

	if (c->queue.len == 0 && may_run(c)) {
		run_line(c, text, line->len, too_long);
		return;
	}
	if (c->session.busy && !too_long && ftp_session_is_abort(text, line->len)) {
		enqueue(c, line, false);
		ftp_wish_abort(c);
		return;
	}
	if (c->session.busy && !too_long && c->queue.len == 0 && c->data != NULL &&
	    ftp_session_is_stat(text, line->len)) {
		ftp_session_progress(&c->session, ftp_data_moved(c->data), &c->out);
		return;
	}
	enqueue(c, line, too_long);
}

static void
take_bytes(struct ftp_conn *c, const uint8_t *p, size_t n)
{
	size_t used;

	while (n > 0 && c->why == NULL && !c->leaving) {
		enum ftp_input_result r = ftp_input_feed(&c->input, p, n, &used);

		p += used;
		n -= used;
		if (r == FTP_INPUT_NOMEM)
			conn_close(c, "out of memory");
		else if (r != FTP_INPUT_MORE)
			take_line(c, r == FTP_INPUT_LONG);
		if (r != FTP_INPUT_MORE)
			c->line_ms = 0;
	}
	if (!ftp_input_partial(&c->input))
		c->line_ms = 0;
	else if (c->line_ms == 0)
		c->line_ms = uv_now(c->server->loop);
}

static void
on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *b)
{
	/* libuv reads and calls back before it asks again: one buffer serves all connections. */
	static char shared[READ_BYTES];

	*b = uv_buf_init(shared, sizeof(shared));
}

static void
on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *b)
{
	struct ftp_conn *c = h->data;

	if (n == 0)
		return;
	ftp_conn_enter(c);
	if (n < 0)
		conn_close(c, n == UV_EOF ? "client left" : "read failed");
	else
		take_bytes(c, (const uint8_t *)b->base, (size_t)n);
	ftp_conn_leave(c);
}

static void
set_reading(struct ftp_conn *c, bool on)
{
	if (c->reading == on)
		return;
	c->reading = on;
	if (!on)
		(void)uv_read_stop((uv_stream_t *)&c->tcp);
	else if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0)
		conn_close(c, "read failed");
}

void
ftp_conn_enter(struct ftp_conn *c)
{
	c->depth++;
}

static void
give_back_memory(struct ftp_conn *c)
{
	ftp_input_release(&c->input);
	if (c->queue.len == 0)
		buf_free(&c->queue);
	if (c->out.len == 0)
		buf_free(&c->out);
}

void
ftp_conn_leave(struct ftp_conn *c)
{
	if (c->depth == 1) {
		run_queue(c);
		ftp_conn_flush(c);
		run_queue(c); /* flushing may have made room */
		ftp_conn_flush(c);
		if (c->leaving && !c->writing)
			conn_close(c, "goodbye");
		if (c->why == NULL)
			set_reading(c, c->queue.len < LIMIT_FTP_QUEUE && !c->leaving);
		give_back_memory(c);
	}
	c->depth--;
	ftp_conn_free_when_quiet(c);
}

void
ftp_conn_outcome(struct ftp_conn *c, const struct ftp_outcome *o)
{
	if (c->why != NULL)
		return;
	c->active_ms = uv_now(c->server->loop);
	ftp_session_outcome(&c->session, o, &c->out);
	if (o->kind != FTP_STARTED && c->server->closing)
		ftp_conn_end(c, "The service is ending, come back soon.");
}

bool
ftp_conn_busy(const struct ftp_conn *c)
{
	return c->session.busy;
}

void
ftp_conn_end(struct ftp_conn *c, const char *why)
{
	ftp_conn_enter(c);
	if (c->why == NULL && !c->leaving) {
		ftp_session_farewell(&c->out, why);
		c->leaving = true;
		if (c->data != NULL && ftp_data_busy(c->data))
			ftp_data_abort(c->data, FTP_SLOW);
	}
	ftp_conn_leave(c);
}

static const char *
overdue(const struct ftp_conn *c, uint64_t now)
{
	const struct options *o = c->server->o;

	if (c->line_ms != 0 && now - c->line_ms >= o->line_timeout)
		return "The command line took too long.";
	if (c->session.state != FTP_READY && now - c->born_ms >= o->login_timeout)
		return "The login took too long.";
	if (!c->session.busy && now - c->active_ms >= o->idle_timeout)
		return "Idle for too long.";
	return NULL;
}

void
ftp_conn_tick(struct ftp_conn *c, uint64_t now)
{
	const char *why;

	ftp_conn_enter(c);
	if (c->data != NULL)
		ftp_data_tick(c->data, now);
	why = overdue(c, now);
	if (c->why == NULL && c->writing && now - c->write_ms >= WRITE_TIMEOUT) {
		c->server->stats.timeouts++;
		conn_close(c, "replies not taken");
	} else if (c->why == NULL && !c->leaving && why != NULL) {
		c->server->stats.timeouts++;
		ftp_conn_end(c, why);
	}
	ftp_conn_leave(c);
}

/* --- birth --- */

static uint32_t
cap_for(const struct ftp_server *s, const struct addr *peer)
{
	return cidr_list_match(&s->o->nat_addresses, peer) ? s->o->max_sessions_per_nat
							   : s->o->max_sessions_per_address;
}

static enum err
addresses(struct ftp_conn *c)
{
	struct sockaddr_storage ss;
	int n = sizeof(ss);
	uv_os_fd_t fd;

	if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&ss, &n) != 0 ||
	    addr_from_sockaddr(&c->peer, (struct sockaddr *)&ss) != OK)
		return ERR_CLOSED;
	n = sizeof(ss);
	if (uv_tcp_getsockname(&c->tcp, (struct sockaddr *)&ss, &n) != 0 ||
	    addr_from_sockaddr(&c->local, (struct sockaddr *)&ss) != OK)
		return ERR_CLOSED;
	if (uv_fileno((uv_handle_t *)&c->tcp, &fd) != 0 || sock_inline_urgent(fd) != OK)
		return ERR_CLOSED;
	(void)uv_tcp_nodelay(&c->tcp, 1);
	return OK;
}

/* Over a cap the answer is 421 before a byte of the client is looked at; the refused do not count,
 * so that a flood from one address takes no place of the others. */
static void
greet_or_refuse(struct ftp_conn *c)
{
	struct ftp_server *s = c->server;
	const char *refusal = NULL;
	uv_os_fd_t fd;

	if (s->stats.sessions >= s->o->max_sessions ||
	    uv_fileno((uv_handle_t *)&c->tcp, &fd) != 0 || descriptors_tight(fd))
		refusal = "Too many sessions, try later.";
	else if (!peers_enter(s->peers, &c->peer, cap_for(s, &c->peer)))
		refusal = "Too many sessions from your address, try later.";
	if (refusal != NULL) {
		s->stats.refused++;
		ftp_conn_end(c, refusal);
		return;
	}
	c->counted = true;
	s->stats.sessions++;
	s->stats.accepted++;
	ftp_session_greet(&c->session, &c->out);
	set_reading(c, true);
}

static void
unborn(uv_handle_t *h)
{
	struct ftp_conn *c = h->data;

	c->server->handles--;
	ftp_server_check_closed(c->server);
	free(c);
}

static void
register_conn(struct ftp_server *s, struct ftp_conn *c)
{
	c->next = s->conns;
	if (c->next != NULL)
		c->next->prev = c;
	s->conns = c;
	c->born_ms = c->active_ms = uv_now(s->loop);
	ftp_session_init(&c->session, c->local.family == ADDR_V6, s->box != NULL);
	ftp_input_init(&c->input);
	buf_init(&c->queue, QUEUE_BYTES);
	buf_init(&c->out, OUT_BYTES);
}

bool
ftp_conn_accept(struct ftp_server *s, uv_stream_t *listener)
{
	struct ftp_conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return false;
	c->server = s;
	if (uv_tcp_init(s->loop, &c->tcp) != 0) {
		free(c);
		return false;
	}
	c->tcp.data = c;
	if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0 || addresses(c) != OK) {
		s->handles++;
		uv_close((uv_handle_t *)&c->tcp, unborn);
		return true;
	}
	register_conn(s, c);
	ftp_conn_enter(c);
	greet_or_refuse(c);
	/* Freed by the close callback only. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	ftp_conn_leave(c);
	return true;
}
