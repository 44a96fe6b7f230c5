/* httpd_conn.c - one connection: bytes in (plain or TLS), deadlines, closing. See httpd_int.h for
 * who frees what. */
#include "net/httpd_int.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define PAUSE_AT LIMIT_HTTP_HEAD /* unparsed bytes held before reading stops */

/* --- closing --- */

static void
on_closed(uv_handle_t *h)
{
	struct http_conn *c = h->data;
	struct httpd *d = c->d;

	if (c->req != NULL)
		req_free(c->req);
	httpd_forget_later(c);
	if (c->next != NULL)
		c->next->link = c->link;
	*c->link = c->next;
	if (c->counted)
		peers_leave(d->peers, &c->peer);
	tls_free(c->tls);
	http_parse_free(c->parse);
	buf_free(&c->in);
	free(c);
	d->stats.connections--;
	httpd_handle_gone(d);
}

/* Best effort: what TLS wants to say before the socket goes. */
static void
say_bye(struct http_conn *c)
{
	struct buf *out = tls_out(c->tls);
	uv_buf_t b;

	tls_bye(c->tls);
	if (out->len > 0 && conn_queue(c) == 0) {
		b = uv_buf_init((char *)out->data, (unsigned)out->len);
		(void)uv_try_write(&c->h.stream, &b, 1);
	}
	buf_free(out);
}

void
conn_close(struct http_conn *c, const char *why)
{
	char peer[ADDR_TEXT];

	if (c->why != NULL) /* the first reason wins */
		return;
	c->why = why;
	if (c->admitted)
		c->d->admitted--;
	log_debug("http.close", "server=%s peer=%s why=\"%s\"", c->d->o.name,
	    addr_format(peer, &c->peer), why);
	if (c->tls != NULL)
		say_bye(c);
	if (c->req != NULL && c->req->file != NULL) {
		file_drop(c->req->file);
		c->req->file = NULL;
	}
	uv_close(&c->h.any, on_closed);
}

/* --- phases and deadlines --- */

static uint64_t
moved_in(const struct http_conn *c)
{
	return c->bytes_in;
}

static uint64_t
moved_out(const struct http_conn *c)
{
	return c->submitted - conn_queue(c) + c->file_bytes;
}

void
conn_phase(struct http_conn *c, enum http_phase phase)
{
	const struct httpd_options *o = &c->d->o;
	uint64_t now = clock_mono_ms();

	c->phase = phase;
	c->due = 0;
	c->due_mark = moved_in(c);
	switch (phase) {
	case PH_HEAD:
		c->due = now + o->head_ms;
		break;
	case PH_IDLE:
		c->due = now + o->idle_ms;
		break;
	case PH_BODY:
		c->due = now + o->body_ms;
		break;
	case PH_LINGER:
		c->due = now + HTTP_LINGER_MS;
		break;
	case PH_WAIT:  /* the handler's time */
	case PH_DRAIN: /* the write deadline watches */
		break;
	}
}

static void
phase_timeout(struct http_conn *c)
{
	struct http_req *r = c->req;

	if (c->phase == PH_IDLE &&
	    conn_queue(c) > 0) { /* still taking the last answer: the write deadline watches */
		conn_phase(c, PH_IDLE);
		return;
	}
	if (c->phase == PH_BODY &&
	    (moved_in(c) - c->due_mark >= HTTP_MIN_MOVE || (r != NULL && r->body_paused))) {
		conn_phase(c, PH_BODY);
		return;
	}
	if (c->phase == PH_LINGER || c->phase == PH_IDLE) {
		conn_close(c, "idle");
		return;
	}
	c->d->stats.timeouts++;
	if (c->tls != NULL && tls_state(c->tls) == TLS_HANDSHAKE)
		conn_close(c, "handshake took too long");
	else if (c->phase == PH_HEAD && http_parse_idle(c->parse))
		conn_close(c, "no request came");
	else
		req_bad(c, 408, "the request did not come in time");
}

void
conn_tick(struct http_conn *c, uint64_t now_ms)
{
	bool sending = conn_queue(c) > 0 || (c->req != NULL && c->req->file != NULL);

	if (c->why != NULL)
		return;
	if (!sending) {
		c->write_due = 0;
	} else if (c->write_due == 0 ||
		   (now_ms >= c->write_due && moved_out(c) - c->write_mark >= HTTP_MIN_MOVE)) {
		c->write_due = now_ms + c->d->o.write_ms;
		c->write_mark = moved_out(c);
	} else if (now_ms >= c->write_due) {
		c->d->stats.timeouts++;
		conn_close(c, "the client does not read");
		return;
	}
	if (c->due != 0 && now_ms >= c->due)
		phase_timeout(c);
}

/* --- bytes in --- */

static bool
can_parse(const struct http_conn *c)
{
	if (c->why != NULL || c->phase == PH_DRAIN || c->phase == PH_LINGER ||
	    conn_queue(c) > HTTP_LOW_WATER)
		return false;
	return c->req == NULL || (c->req->state == RQ_BODY && !c->req->body_paused);
}

static void
end_request(struct http_conn *c)
{
	struct http_req *r = c->req;
	bool keep = r->keep && r->body_done && !c->d->closing, unread = !r->body_done;

	c->req = NULL;
	req_free(r);
	if (keep)
		conn_phase(c, http_parse_idle(c->parse) && c->in.len == 0 ? PH_IDLE : PH_HEAD);
	else
		conn_finish(c, unread);
}

static void
on_head(struct http_conn *c)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct http_req *r = req_new(c, http_parse_take_head(c->parse));
	uv_buf_t b = uv_buf_init((char *)(uintptr_t)go_on, sizeof(go_on) - 1);

	c->req = r;
	if (r == NULL) {
		conn_close(c, "no memory");
		return;
	}
	c->d->stats.requests++;
	conn_phase(c, PH_BODY);
	if (!req_route(r))
		return;
	r->state = RQ_BODY;
	if ((r->route->flags & HTTP_STREAM_BODY) != 0) {
		r->body_paused = true; /* until http_body_stream */
		req_run(r);
	}
	if (r->head->expect_continue && r->state == RQ_BODY)
		conn_send(c, &b, 1);
}

static void
on_body(struct http_conn *c)
{
	struct http_req *r = c->req;
	size_t n;
	const uint8_t *p = http_parse_chunk(c->parse, &n);

	if (r == NULL) /* answered at its head */
		return;
	r->body_total += n;
	if (r->body_total > r->route->body_max ||
	    (r->on_body == NULL && buf_append(&r->body, p, n) != OK))
		req_bad(c, 413, "the body is larger than this route takes");
	else if (r->on_body != NULL)
		r->on_body(r, p, n, false, r->on_body_ctx);
}

static void
on_request(struct http_conn *c)
{
	struct http_req *r = c->req;

	r->body_done = true;
	r->state = RQ_PENDING;
	conn_phase(c, PH_WAIT);
	if ((r->route->flags & HTTP_STREAM_BODY) == 0)
		req_run(r);
	else if (r->on_body != NULL)
		r->on_body(r, NULL, 0, true, r->on_body_ctx);
}

/* Parses until more bytes, an answer or room is needed. Returns how many bytes were used. */
static size_t
parse_bytes(struct http_conn *c, const uint8_t *p, size_t n)
{
	size_t pos = 0, used;
	unsigned requests = 0;

	for (;;) {
		if (c->why == NULL && c->req != NULL && c->req->state == RQ_DONE)
			end_request(c);
		if (!can_parse(c))
			return pos;
		switch (http_parse_feed(c->parse, p + pos, n - pos, &used)) {
		case HTTPP_MORE:
			pos += used;
			if (c->phase == PH_IDLE && !http_parse_idle(c->parse))
				conn_phase(c, PH_HEAD);
			return pos;
		case HTTPP_HEAD:
			on_head(c);
			break;
		case HTTPP_BODY:
			on_body(c);
			break;
		case HTTPP_DONE:
			if (c->req != NULL)
				on_request(c);
			else /* answered at its head already */
				conn_phase(c, PH_IDLE);
			requests++;
			break;
		case HTTPP_BAD:
			req_bad(c, http_parse_status(c->parse), http_parse_reason(c->parse));
			break;
		}
		pos += used;
		if (requests == LIMIT_HTTP_PIPELINE) { /* the others' turn */
			httpd_later(c);
			return pos;
		}
	}
}

static void
on_plain(void *ctx, const uint8_t *p, size_t n)
{
	struct http_conn *c = ctx;
	size_t used = 0;

	if (c->why != NULL || c->phase == PH_DRAIN || c->phase == PH_LINGER)
		return;
	if (c->in.len == 0)
		used = parse_bytes(c, p, n);
	if (used == n || c->why != NULL || c->phase == PH_DRAIN || c->phase == PH_LINGER)
		return;
	if (buf_append(&c->in, p + used, n - used) != OK)
		conn_close(c, "too many bytes ahead of an answer");
	else if (c->in.len >= PAUSE_AT)
		conn_read(c, false);
}

/* A client that only closed its sending side still gets an answer that is on its way; who waits for
 * one is gone. */
static void
client_left(struct http_conn *c)
{
	conn_read(c, false);
	if (conn_queue(c) > 0 &&
	    (c->phase == PH_DRAIN || c->req == NULL || c->req->state == RQ_DONE)) {
		conn_finish(c, false);
		c->unread = false;
	} else {
		conn_close(c, "client left");
	}
}

static void
on_tls(struct http_conn *c, const uint8_t *p, size_t n)
{
	bool shaking = tls_state(c->tls) == TLS_HANDSHAKE;
	enum err e = tls_feed(c->tls, p, n, on_plain, c);
	char peer[ADDR_TEXT];

	conn_flush_tls(c);
	if (e == OK || c->why != NULL)
		return;
	if (e == ERR_CLOSED) {
		client_left(c);
		return;
	}
	if (shaking) {
		c->d->stats.handshakes_failed++;
		(void)addr_format_ip(peer, &c->peer);
		log_info("tls.refused", "server=%s peer=%s why=%s", c->d->o.name, peer,
		    log_q(fault_text(tls_fault(c->tls))));
		refuse_conn(c, "handshake", fault_text(tls_fault(c->tls)));
	}
	if (c->req == NULL)
		conn_finish(c, true); /* so that the client can read the alert */
	else
		conn_close(c, "TLS broke");
}

static void
on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *b)
{
	struct http_conn *c = h->data;

	*b = uv_buf_init(c->d->read_room, sizeof(c->d->read_room));
}

static void
on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct http_conn *c = s->data;

	if (n == 0 || c->why != NULL)
		return;
	if (n < 0) {
		client_left(c);
		return;
	}
	c->bytes_in += (uint64_t)n;
	c->d->stats.bytes_in += (uint64_t)n;
	if (c->phase == PH_LINGER)
		return;
	if (c->tls != NULL)
		on_tls(c, (const uint8_t *)b->base, (size_t)n);
	else
		on_plain(c, (const uint8_t *)b->base, (size_t)n);
}

void
conn_read(struct http_conn *c, bool on)
{
	if (c->why != NULL || c->reading == on)
		return;
	c->reading = on;
	if (!on)
		(void)uv_read_stop(&c->h.stream);
	else if (uv_read_start(&c->h.stream, on_alloc, on_read) != 0)
		conn_close(c, "cannot read");
}

void
conn_turn(struct http_conn *c)
{
	size_t used;

	if (c->why != NULL)
		return;
	if (c->phase == PH_DRAIN && conn_queue(c) == 0)
		conn_drained(c, c->unread);
	if (c->phase == PH_LINGER)
		conn_read(c, true);
	if (c->why != NULL || c->phase == PH_DRAIN || c->phase == PH_LINGER)
		return;
	if (c->req != NULL && c->req->state == RQ_STREAM)
		req_proceed(c->req);
	else if (c->req != NULL && c->req->state == RQ_FILE)
		file_turn(c->req);
	used = parse_bytes(c, c->in.len > 0 ? c->in.data : (const uint8_t *)"", c->in.len);
	if (c->why != NULL)
		return;
	buf_consume(&c->in, used < c->in.len ? used : c->in.len);
	if (c->in.len == 0)
		buf_free(&c->in);
	if (c->in.len < PAUSE_AT)
		conn_read(c, true);
}
