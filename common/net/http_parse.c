/* http_parse.c - see http_parse.h. The head is collected (bounded), checked byte by byte as it
 * comes, and then read by http_parser; what that library lets through in its non-strict
 * distribution build (bare LF, spaces in names, loose chunk ends) never reaches it. Bodies are
 * framed here. */
#include "net/http_parse.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/text.h"
#include "net/http_head.h"

#include <http_parser.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_DIGITS 8 /* up to 4 GiB - 1 in one chunk */

enum state {
	S_HEAD,
	S_LENGTH,
	S_SIZE,
	S_SIZE_LF,
	S_CHUNK,
	S_CHUNK_CR,
	S_CHUNK_LF,
	S_LAST_CR,
	S_LAST_LF,
	S_END,
	S_BAD
};

struct http_parse {
	enum state state;
	struct buf raw; /* the head so far */
	size_t line;	/* bytes of the current line, its CR included */
	bool after_cr;
	struct http_head *head;
	uint64_t left; /* bytes of the body or chunk to come */
	unsigned digits;
	const uint8_t *chunk;
	size_t chunk_len;
	int status;
	const char *reason;
};

enum err
http_parse_new(struct http_parse **out)
{
	struct http_parse *p = calloc(1, sizeof(*p));

	*out = p;
	if (p == NULL)
		return ERR_NOMEM;
	buf_init(&p->raw, LIMIT_HTTP_HEAD);
	return OK;
}

void
http_parse_free(struct http_parse *p)
{
	if (p == NULL)
		return;
	buf_free(&p->raw);
	http_head_free(p->head);
	free(p);
}

const struct http_head *
http_parse_head(const struct http_parse *p)
{
	return p->head;
}

struct http_head *
http_parse_take_head(struct http_parse *p)
{
	struct http_head *h = p->head;

	p->head = NULL;
	return h;
}

const uint8_t *
http_parse_chunk(const struct http_parse *p, size_t *n)
{
	*n = p->chunk_len;
	return p->chunk;
}

bool
http_parse_idle(const struct http_parse *p)
{
	return p->state == S_HEAD && p->raw.len == 0;
}

int
http_parse_status(const struct http_parse *p)
{
	return p->status;
}

const char *
http_parse_reason(const struct http_parse *p)
{
	return p->reason != NULL ? p->reason : "";
}

static enum http_event
bad(struct http_parse *p, int status, const char *reason)
{
	p->state = S_BAD;
	p->status = status;
	p->reason = reason;
	buf_free(&p->raw);
	return HTTPP_BAD;
}

/* --- the head --- */

/* http_parser's findings: spans into the raw head. */
struct found {
	struct http_span method, target;
	struct http_span fields[2 * LIMIT_HTTP_FIELDS];
	size_t n; /* names and values */
	bool too_many, complete, keep_alive;
};

static int
on_url(http_parser *hp, const char *at, size_t n)
{
	struct found *f = hp->data;

	if (f->target.p != NULL)
		return 1;
	f->target = (struct http_span){ at, n };
	return 0;
}

static int
on_span(http_parser *hp, const char *at, size_t n, size_t parity)
{
	struct found *f = hp->data;

	if (f->n == 2 * LIMIT_HTTP_FIELDS)
		f->too_many = true;
	if (f->too_many || f->n % 2 != parity)
		return 1;
	f->fields[f->n++] = (struct http_span){ at, n };
	return 0;
}

static int
on_field(http_parser *hp, const char *at, size_t n)
{
	return on_span(hp, at, n, 0);
}

static int
on_value(http_parser *hp, const char *at, size_t n)
{
	return on_span(hp, at, n, 1);
}

static int
on_headers_complete(http_parser *hp)
{
	struct found *f = hp->data;

	f->complete = true;
	f->keep_alive = http_should_keep_alive(hp) != 0;
	return 1; /* the body is ours */
}

/* One space on each side of the target and nothing else: the library takes more. */
static bool
line_is_exact(const char *raw, const struct found *f)
{
	const char *space = strchr(raw, ' '), *version = f->target.p + f->target.n;

	return space != NULL && f->target.p == space + 1 && strncmp(version, " HTTP/1.", 8) == 0 &&
	       version[8] != '\0' && version[9] == '\r';
}

static enum http_event
parse_head(struct http_parse *p)
{
	static const http_parser_settings settings = {
		.on_url = on_url,
		.on_header_field = on_field,
		.on_header_value = on_value,
		.on_headers_complete = on_headers_complete,
	};
	struct found found;
	http_parser hp;
	const char *raw = buf_text(&p->raw), *reason = "the head is not valid HTTP/1.1";
	int status = 400;

	memset(&found, 0, sizeof(found));
	http_parser_init(&hp, HTTP_REQUEST);
	hp.data = &found;
	(void)http_parser_execute(&hp, &settings, raw, p->raw.len);
	if (found.too_many)
		return bad(p, 431, "more header fields than this server reads");
	if (HTTP_PARSER_ERRNO(&hp) == HPE_INVALID_METHOD)
		return bad(p, 501, "the method is not known");
	if (HTTP_PARSER_ERRNO(&hp) == HPE_INVALID_VERSION ||
	    (found.complete && (hp.http_major != 1 || hp.http_minor > 1)))
		return bad(p, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
	if (HTTP_PARSER_ERRNO(&hp) != HPE_OK || !found.complete || found.target.p == NULL ||
	    found.n % 2 != 0 || !line_is_exact(raw, &found))
		return bad(p, 400, reason);
	found.method = (struct http_span){ raw, (size_t)(found.target.p - raw) - 1 };
	p->head = http_head_build(raw, p->raw.len, found.method, found.target, found.fields,
	    found.n / 2, &status, &reason);
	if (p->head == NULL)
		return bad(p, status, reason);
	p->head->minor = (uint8_t)hp.http_minor;
	p->head->keep_alive = found.keep_alive;
	if (!http_head_frame(p->head, &status, &reason))
		return bad(p, status, reason);
	buf_free(&p->raw);
	p->left = p->head->content_length;
	p->state = p->head->chunked ? S_SIZE : p->left > 0 ? S_LENGTH : S_END;
	p->digits = 0;
	return HTTPP_HEAD;
}

/* One byte of the head; NULL or why it is refused. */
static const char *
check_byte(const struct http_parse *p, uint8_t c, bool first)
{
	if (c == '\n')
		return p->after_cr ? NULL : "a line ends with LF alone";
	if (p->after_cr)
		return "CR without LF";
	if (c == '\r')
		return first ? "an empty line before the request" : NULL;
	if (p->line == 0 && (c == ' ' || c == '\t'))
		return "a folded header line";
	if ((c < ' ' && c != '\t') || c == 0x7f)
		return "a control byte in the head";
	return NULL;
}

/* Checks up to the end of the head, *end behind it; NULL or why it is refused. */
static const char *
scan_head(struct http_parse *p, const uint8_t *in, size_t n, size_t *end, bool *whole)
{
	const char *why;
	size_t i;

	*whole = false;
	for (i = 0; i < n && !*whole; i++) {
		if ((why = check_byte(p, in[i], p->raw.len + i == 0)) != NULL)
			return why;
		*whole = in[i] == '\n' && p->line == 1; /* a line of CR alone */
		p->line = in[i] == '\n' ? 0 : p->line + 1;
		p->after_cr = in[i] == '\r';
	}
	*end = i;
	return NULL;
}

static enum http_event
feed_head(struct http_parse *p, const uint8_t *in, size_t n, size_t *used)
{
	const char *why;
	bool whole;

	if (p->raw.len == 0 && n > 0) {
		http_head_free(p->head);
		p->head = NULL;
	}
	why = scan_head(p, in, n, used, &whole);
	if (why != NULL)
		return bad(p, 400, why);
	if (buf_append(&p->raw, in, *used) != OK)
		return bad(p,
		    p->raw.len > 0 && memchr(p->raw.data, '\n', p->raw.len) == NULL ? 414 : 431,
		    "the head is longer than this server reads");
	return whole ? parse_head(p) : HTTPP_MORE;
}

/* --- the body --- */

static enum http_event
feed_data(struct http_parse *p, const uint8_t *in, size_t n, size_t *used, enum state after)
{
	if (n == 0)
		return HTTPP_MORE;
	p->chunk = in;
	p->chunk_len = n < p->left ? n : (size_t)p->left;
	p->left -= p->chunk_len;
	*used = p->chunk_len;
	if (p->left == 0)
		p->state = after;
	return HTTPP_BODY;
}

/* A byte of a chunk's size line. Extensions are refused: nobody sends them but smugglers. */
static bool
size_byte(struct http_parse *p, uint8_t c)
{
	int v = text_hex_digit((char)c);

	if (c == '\r' && p->digits > 0) {
		p->state = S_SIZE_LF;
		return true;
	}
	if (v < 0 || p->digits == CHUNK_DIGITS)
		return false;
	p->left = p->digits == 0 ? (uint64_t)v : p->left * 16 + (uint64_t)v;
	p->digits++;
	return true;
}

/* A byte of the framing between chunks: what must come, and what follows. */
static bool
frame_byte(struct http_parse *p, uint8_t c)
{
	switch (p->state) {
	case S_SIZE:
		return size_byte(p, c);
	case S_SIZE_LF:
		p->state = p->left > 0 ? S_CHUNK : S_LAST_CR;
		return c == '\n';
	case S_CHUNK_CR:
		p->state = S_CHUNK_LF;
		return c == '\r';
	case S_CHUNK_LF:
		p->state = S_SIZE;
		p->digits = 0;
		return c == '\n';
	case S_LAST_CR: /* trailers are refused too */
		p->state = S_LAST_LF;
		return c == '\r';
	default:
		p->state = S_END;
		return c == '\n';
	}
}

static enum http_event
feed_frame(struct http_parse *p, const uint8_t *in, size_t n, size_t *used)
{
	size_t i;

	for (i = 0; i < n && p->state != S_CHUNK && p->state != S_END; i++) {
		*used = i + 1;
		if (!frame_byte(p, in[i]))
			return bad(p, 400, "the chunked body is not framed as RFC 9112 says");
	}
	return HTTPP_MORE;
}

enum http_event
http_parse_feed(struct http_parse *p, const uint8_t *in, size_t n, size_t *used)
{
	enum http_event e;
	size_t more = 0;

	*used = 0;
	p->chunk = NULL;
	p->chunk_len = 0;
	if (p->state == S_BAD)
		return HTTPP_BAD;
	if (p->state == S_HEAD)
		return feed_head(p, in, n, used);
	if (p->state == S_LENGTH)
		return feed_data(p, in, n, used, S_END);
	if (p->state != S_CHUNK && p->state != S_END) {
		e = feed_frame(p, in, n, used);
		if (e != HTTPP_MORE)
			return e;
	}
	if (p->state == S_CHUNK) {
		e = feed_data(p, in + *used, n - *used, &more, S_CHUNK_CR);
		*used += more;
		return e;
	}
	if (p->state == S_END) {
		p->state = S_HEAD;
		p->line = 0;
		p->after_cr = false;
		return HTTPP_DONE;
	}
	return HTTPP_MORE;
}
