/* http_parse.h - strict HTTP/1.x request parser: bytes in, events out. Pure: no sockets, no
 * globals, no clock. RFC 9112, and stricter: refuses Content-Length together with
 * Transfer-Encoding, repeated Content-Length, any coding but chunked, obs-fold, bare CR or LF, NUL
 * and control bytes, white space before ':', bad chunk sizes, a head past LIMIT_HTTP_HEAD, more
 * than LIMIT_HTTP_FIELDS fields, HTTP/1.1 without Host,
 * "." and ".." segments, an encoded '/' or NUL in the path, "%" without two digits.
 * Only http_parse.c includes <http_parser.h>; the head goes through both its rules and ours. */
#ifndef ATALAIA_NET_HTTP_PARSE_H
#define ATALAIA_NET_HTTP_PARSE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_pair {
	const char *name, *value; /* field names in lower case; values trimmed. Query items
				     percent-decoded, '+' is a space */
};

/* One request's head. One allocation, all text inside it is NUL-terminated and holds no NUL. */
struct http_head {
	const char *method; /* "GET", ... upper case as sent */
	const char *target; /* as sent */
	const char *path;   /* percent-decoded, starts with '/', valid UTF-8 */
	const struct http_pair *query;
	size_t n_query;
	const struct http_pair *fields;
	size_t n_fields;
	uint64_t content_length; /* 0 when chunked or absent */
	uint8_t minor;		 /* HTTP/1.minor */
	bool chunked, keep_alive, expect_continue, has_body;
};

/* First value or NULL. The name of a field is given in lower case. */
const char *http_head_field(const struct http_head *h, const char *name);
const char *http_head_query(const struct http_head *h, const char *name);

enum http_event {
	HTTPP_MORE, /* every byte was used; feed more */
	HTTPP_HEAD, /* http_parse_head is valid until the head is released */
	HTTPP_BODY, /* http_parse_chunk points into the bytes just fed */
	HTTPP_DONE, /* the request is complete; the next feed starts the next one */
	HTTPP_BAD,  /* http_parse_status and http_parse_reason say why; the connection must end */
};

struct http_parse;
MUST_CHECK enum err http_parse_new(struct http_parse **out);
void http_parse_free(struct http_parse *); /* NULL is fine */
/* Uses some of the n bytes of in, says how many in *used, and returns the next event. Call again
 * with the rest until HTTPP_MORE. */
enum http_event http_parse_feed(struct http_parse *, const uint8_t *in, size_t n, size_t *used);
const struct http_head *http_parse_head(const struct http_parse *);
struct http_head *http_parse_take_head(
    struct http_parse *); /* the caller owns it now and frees with http_head_free */
void http_head_free(struct http_head *);
const uint8_t *http_parse_chunk(const struct http_parse *, size_t *n);
bool http_parse_idle(
    const struct http_parse *); /* between requests: not one byte of the next has come */
int http_parse_status(const struct http_parse *);	  /* 400, 413, 414, 431, 501, 505 */
const char *http_parse_reason(const struct http_parse *); /* a constant sentence */

#endif
