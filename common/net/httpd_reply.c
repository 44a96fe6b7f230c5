/* httpd_reply.c - answers: whole, problem documents, and generated bodies. See httpd.h. */
#include "net/httpd_int.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *
status_title(int status)
{
	static const struct {
		int status;
		const char *title;
	} titles[] = {
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 206, "Partial Content" },
		{ 301, "Moved Permanently" },
		{ 302, "Found" },
		{ 303, "See Other" },
		{ 304, "Not Modified" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 410, "Gone" },
		{ 411, "Length Required" },
		{ 412, "Precondition Failed" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 416, "Range Not Satisfiable" },
		{ 417, "Expectation Failed" },
		{ 422, "Unprocessable Content" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
		{ 507, "Insufficient Storage" },
	};
	size_t i;

	for (i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
		if (titles[i].status == status)
			return titles[i].title;
	return "Status";
}

/* IMF-fixdate, RFC 9110 5.6.7; by hand, because strftime follows the locale. */
static void
date_text(char out[40])
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
		"Sep", "Oct", "Nov", "Dec" };
	time_t t = (time_t)(clock_wall_ms() / 1000);
	struct tm tm;

	out[0] = '\0';
	if (gmtime_r(&t, &tm) == NULL)
		return;
	(void)snprintf(out, 40, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday % 7],
	    tm.tm_mday, months[tm.tm_mon % 12], (tm.tm_year + 1900) % 10000, tm.tm_hour, tm.tm_min,
	    tm.tm_sec);
}

/* --- heads --- */

static bool
is_clean(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

void
http_set(struct http_req *r, const char *name, const char *value)
{
	if (!is_clean(name) || !is_clean(value) || strchr(name, ':') != NULL ||
	    buf_printf(&r->extra, "%s: %s\r\n", name, value) != OK)
		log_warn("http.field", "name=%s why=\"control bytes or too long\"", log_q(name));
}

void
http_setf(struct http_req *r, const char *name, const char *fmt, ...)
{
	struct buf b;
	va_list ap;

	buf_init(&b, 4096);
	va_start(ap, fmt);
	if (buf_vprintf(&b, fmt, ap) == OK)
		http_set(r, name, buf_text(&b));
	va_end(ap);
	buf_free(&b);
}

static enum err
head_length(struct http_req *r, struct buf *b, int status, uint64_t length)
{
	r->chunked = false;
	if (status == 204 || (status >= 100 && status < 200))
		return OK;
	if (length != HTTP_LENGTH_UNKNOWN)
		return status == 304 ? OK
				     : buf_printf(b, "Content-Length: %" PRIu64 "\r\n", length);
	if (r->head->minor == 0) {
		r->keep = false;
		return OK;
	}
	r->chunked = true;
	return buf_puts(b, "Transfer-Encoding: chunked\r\n");
}

static enum err
compose_head(struct http_req *r, struct buf *b, int status, const char *type, uint64_t length)
{
	char date[40];
	enum err e;

	if (!r->body_done && r->head->has_body)
		r->keep = false;
	else
		r->body_done = r->body_done || !r->head->has_body;
	r->no_body = r->no_body || status == 204 || status == 304;
	date_text(date);
	e = buf_printf(b, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, status_title(status), date);
	if (e == OK)
		e = head_length(r, b, status, length);
	if (e == OK && type != NULL)
		e = buf_printf(b, "Content-Type: %s\r\n", type);
	if (e == OK && (!r->keep || r->c->d->closing))
		e = buf_puts(b, "Connection: close\r\n");
	else if (e == OK && r->head->minor == 0)
		e = buf_puts(b, "Connection: keep-alive\r\n");
	if (e == OK)
		e = buf_append(b, r->extra.data, r->extra.len);
	return e == OK ? buf_puts(b, "\r\n") : e;
}

enum err
req_send_head(struct http_req *r, int status, const char *type, uint64_t length)
{
	struct buf b;
	uv_buf_t v;
	enum err e;

	buf_init(&b, 2 * LIMIT_HTTP_HEAD);
	e = compose_head(r, &b, status, type, length);
	if (e == OK) {
		v = uv_buf_init((char *)b.data, (unsigned)b.len);
		conn_send(r->c, &v, 1);
	} else {
		conn_close(r->c, "no memory");
	}
	buf_free(&b);
	return r->c->why == NULL ? OK : ERR_CLOSED;
}

void
req_done(struct http_req *r)
{
	r->state = RQ_DONE;
	httpd_later(r->c);
}

/* True when the request still waits for its answer and the connection lives. */
static bool
may_answer(struct http_req *r)
{
	if (r->c->why != NULL)
		return false;
	if (r->state == RQ_DONE || r->state == RQ_STREAM || r->state == RQ_FILE) {
		log_error("http.twice", "server=%s path=%s", r->c->d->o.name, log_q(r->head->path));
		return false;
	}
	return true;
}

/* --- whole bodies --- */

static void
answer_small(struct http_req *r, int status, const char *type, const void *body, size_t n)
{
	uv_buf_t v[2];
	struct buf b;

	buf_init(&b, 2 * LIMIT_HTTP_HEAD);
	if (compose_head(r, &b, status, type, n) == OK) {
		v[0] = uv_buf_init((char *)b.data, (unsigned)b.len);
		v[1] = uv_buf_init((char *)(uintptr_t)body, (unsigned)n);
		conn_send(r->c, v, n > 0 && !r->no_body ? 2 : 1);
	} else {
		conn_close(r->c, "no memory");
	}
	buf_free(&b);
	req_done(r);
}

/* A large body is kept and given piece by piece, so that TLS and slow clients never hold it twice.
 */
struct big {
	size_t at, n;
	char data[];
};

static void
big_proceed(struct http_req *r, void *ctx)
{
	struct big *m = ctx;
	size_t n = m->n - m->at < HTTP_LOW_WATER ? m->n - m->at : HTTP_LOW_WATER;

	m->at += n;
	if (http_stream_write(r, m->data + m->at - n, n, m->at == m->n) != OK)
		log_debug("http.big", "path=%s why=closed", log_q(r->head->path));
}

static void
big_stop(struct http_req *r, void *ctx)
{
	free(ctx);
}

static void
answer_big(struct http_req *r, int status, const char *type, const void *body, size_t n)
{
	static const struct http_source source = { big_proceed, big_stop };
	struct big *m = malloc(sizeof(*m) + n);

	if (m == NULL) {
		answer_small(r, 500, NULL, NULL, 0);
		return;
	}
	m->at = 0;
	m->n = n;
	memcpy(m->data, body, n);
	http_stream(r, status, type, n, &source, m);
}

static void
answer(struct http_req *r, int status, const char *type, const void *body, size_t n)
{
	if (!may_answer(r))
		return;
	if (n > LIMIT_HTTP_ANSWER) {
		log_error("http.answer", "path=%s bytes=%zu why=\"larger than an answer may be\"",
		    log_q(r->head->path), n);
		answer_small(r, 500, NULL, NULL, 0);
	} else if (n > HTTP_LOW_WATER && !r->no_body) {
		answer_big(r, status, type, body, n);
	} else {
		answer_small(r, status, type, body, n);
	}
}

void
http_reply(struct http_req *r, int status, const char *type, const void *body, size_t n)
{
	r->owed = false;
	answer(r, status, type, body, n);
}

void
http_reply_json(struct http_req *r, int status, const cJSON *tree)
{
	struct buf b;

	r->owed = false;
	buf_init(&b, LIMIT_HTTP_ANSWER);
	if (json_print(tree, &b) == OK)
		answer(r, status, "application/json", b.data, b.len);
	else
		http_problem(r, 500, "no-memory", "the answer could not be written");
	buf_free(&b);
}

static enum err
problem_body(struct buf *b, int status, const char *code, const char *detail)
{
	enum err e = buf_printf(b,
	    "{\"type\":\"about:blank\",\"status\":%d,\"title\":\"%s\",\"code\":", status,
	    status_title(status));

	if (e == OK)
		e = json_quote(b, code, strlen(code));
	if (e == OK)
		e = buf_puts(b, ",\"detail\":");
	if (e == OK)
		e = json_quote(b, detail, strlen(detail));
	return e == OK ? buf_puts(b, "}\n") : e;
}

static void
answer_problem(struct http_req *r, int status, const char *code, const char *detail)
{
	struct buf b;

	refuse_req(r, status, code, detail);
	buf_init(&b, LIMIT_HTTP_HEAD);
	if (problem_body(&b, status, code, detail) != OK)
		buf_reset(&b); /* a status alone says enough */
	answer(r, status, "application/problem+json", b.data, b.len);
	buf_free(&b);
}

void
http_problem(struct http_req *r, int status, const char *code, const char *fmt, ...)
{
	char detail[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	r->owed = false;
	answer_problem(r, status, code, detail);
}

void
http_problem_body(struct http_req *r, int status, const char *code, const char *why,
    const void *body, size_t n)
{
	r->owed = false;
	refuse_req(r, status, code, why);
	answer(r, status, "application/problem+json", body, n);
}

void
http_told(struct http_req *r)
{
	r->told = true;
}

void
req_bad(struct http_conn *c, int status, const char *reason)
{
	struct buf b, body;
	uv_buf_t v;

	if (c->req != NULL) { /* `owed` stays: a handler that has it hears of the end by cancel */
		c->req->keep = false;
		answer_problem(c->req, status,
		    status == 408   ? "timeout"
		    : status == 413 ? "body-too-large"
				    : "bad-request",
		    reason);
		return;
	}
	refuse_head(c, status, status == 408 ? "timeout" : "bad-request", reason);
	buf_init(&b, LIMIT_HTTP_HEAD);
	buf_init(&body, LIMIT_HTTP_HEAD);
	if (problem_body(&body, status, status == 408 ? "timeout" : "bad-request", reason) == OK &&
	    buf_printf(&b,
		"HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: "
		"application/problem+json\r\nContent-Length: %zu\r\n\r\n%s",
		status, status_title(status), body.len, buf_text(&body)) == OK) {
		v = uv_buf_init((char *)b.data, (unsigned)b.len);
		conn_send(c, &v, 1);
	}
	buf_free(&b);
	buf_free(&body);
	conn_finish(c, true);
}

/* --- generated bodies --- */

void
http_stream(struct http_req *r, int status, const char *type, uint64_t length,
    const struct http_source *s, void *ctx)
{
	bool able = may_answer(r);

	r->owed = false;
	r->source = *s; /* stop is called in any case */
	r->source_ctx = ctx;
	r->left = length;
	r->event_stream = type != NULL && text_starts(type, "text/event-stream");
	if (!able)
		return;
	r->state = RQ_STREAM;
	if (req_send_head(r, status, type, length) != OK)
		return;
	if (r->no_body || length == 0)
		req_done(r);
	else
		httpd_later(r->c);
}

void
req_proceed(struct http_req *r)
{
	if (r->state != RQ_STREAM || r->proceed_open || r->c->why != NULL ||
	    conn_queue(r->c) > HTTP_LOW_WATER)
		return;
	r->proceed_open = true;
	r->source.proceed(r, r->source_ctx);
}

static void
send_piece(struct http_req *r, const void *p, size_t n, bool last)
{
	uv_buf_t v[4];
	unsigned k = 0;
	char size[24];

	if (r->chunked && n > 0) {
		(void)snprintf(size, sizeof(size), "%zx\r\n", n);
		v[k++] = uv_buf_init(size, (unsigned)strlen(size));
	}
	if (n > 0)
		v[k++] = uv_buf_init((char *)(uintptr_t)p, (unsigned)n);
	if (r->chunked && n > 0)
		v[k++] = uv_buf_init((char *)(uintptr_t) "\r\n", 2);
	if (r->chunked && last)
		v[k++] = uv_buf_init((char *)(uintptr_t) "0\r\n\r\n", 5);
	if (k > 0)
		conn_send(r->c, v, k);
}

enum err
http_stream_write(struct http_req *r, const void *p, size_t n, bool last)
{
	if (r->state != RQ_STREAM || !r->proceed_open)
		return ERR_STATE;
	r->proceed_open = false;
	if (r->c->why != NULL)
		return ERR_CLOSED;
	if (r->left != HTTP_LENGTH_UNKNOWN) {
		if (n > r->left || (last && n < r->left)) {
			log_error("http.length",
			    "path=%s why=\"the body has another length than promised\"",
			    log_q(r->head->path));
			conn_close(r->c, "wrong length");
			return ERR_TOOBIG;
		}
		r->left -= n;
		last = r->left == 0;
	}
	send_piece(r, p, n, last);
	if (last)
		req_done(r);
	else
		httpd_later(r->c);
	return r->c->why == NULL ? OK : ERR_CLOSED;
}

void
http_stream_abort(struct http_req *r)
{
	conn_close(r->c, "aborted by the handler");
}
