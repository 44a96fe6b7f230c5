/* httpd.h - HTTP/1.1 server on libuv for all our ports, plain or TLS, TCP or unix socket. Loop
 * thread only. A table of routes says what exists; the route is found when the head is complete, so
 * a refusal never waits for a body. A handler answers now or later: exactly one http_reply*,
 * http_problem* or http_stream call for each request. The request is valid until that call (for
 * streams: until `stop`), or until its cancel callback ran because the client vanished or the
 * server closes. A client that closes its sending side is gone. Idle connections own no buffers;
 * deadlines are kept by one tick per server. */
#ifndef ATALAIA_NET_HTTPD_H
#define ATALAIA_NET_HTTPD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "net/addr.h"
#include "net/pki.h"
#include "net/tls.h"

#include <cjson/cJSON.h>
#include <uv.h>

struct httpd;
struct http_req;

/* Route flags. Identity flags are checked per request: 401 without a certificate, 403 for another
 * role or an expired one. */
#define HTTP_NEED_AGENT 0x1u
#define HTTP_NEED_CONSOLE 0x2u /* both: either */
#define HTTP_EXPIRED_OK                                                                            \
	0x4u /* renewal: an expired certificate that the TLS configuration let in by grace */
#define HTTP_STREAM_BODY                                                                           \
	0x8u /* run is called at the head; the handler then calls http_body_stream */

struct http_route {
	const char *method; /* exact; "GET" also serves HEAD (the body is left away) */
	const char *path;   /* "/v1/tasks/{}/cancel": {} is one segment, http_param(r, 0); a last
			       segment "*" takes the rest, slashes too */
	unsigned flags;
	size_t body_max; /* 0: no body is accepted; a larger one is answered 413 */
	void (*run)(struct http_req *r, void *ctx);
};

/* Somebody was turned away. The texts and the request live during the call. */
struct http_refusal {
	const char *peer;	       /* IP; "" on a unix socket */
	const struct pki_identity *id; /* NULL: no certificate that holds */
	const char *method, *path;     /* "" when it came to no request */
	int status;		       /* 0: no answer (handshake, connection) */
	const char *code, *why;	       /* stable word; sentence */
	const struct http_req *req;    /* NULL: none yet */
	bool told;		       /* http_told: there is a better event of it */
};

struct httpd_options {
	const char *name;		 /* in logs, borrowed: "tasks", "events" */
	const struct http_route *routes; /* borrowed, first match wins */
	size_t n_routes;
	void *ctx; /* for run and gate */
	/* Before any route; false when it has answered (bearer token, address list). May be NULL.
	 */
	bool (*gate)(struct http_req *r, void *ctx);
	struct tls_config *tls; /* NULL: plain. The server takes its own reference */
	/* Every refusal: a connection past a limit, a TLS handshake that failed, an answer of 400
	 * or more by http_problem* (but not a file that is not there: code not-found of a route).
	 * Each is logged as well. NULL: neither. */
	void (*refused)(void *ctx, const struct http_refusal *x);
	bool local_only;   /* binds loopback only, refuses Origin and a Host that is not loopback:
			      2226, 2227 */
	bool local_forced; /* the operator insists on another address for local_only */
	uint32_t max_connections; /* 0: LIMIT_HTTP_CONNECTIONS */
	uint32_t max_per_address; /* 0: no limit */
	const struct cidr_list
	    *wide; /* borrowed, may be NULL: NAT addresses that get max_per_wide */
	uint32_t max_per_wide;
	uint32_t handshakes_per_s,
	    handshake_burst; /* new TLS connections per source; 0: no limit */
	uint32_t head_ms, body_ms, idle_ms,
	    write_ms; /* 0: 10 s, 30 s, 60 s, 30 s. The TLS handshake shares head_ms */
};

MUST_CHECK enum err httpd_new(
    struct httpd **out, uv_loop_t *loop, const struct httpd_options *o, struct fault *f);
/* host: a literal ("127.0.0.1", "::", "::1"); port 0: any. The real port comes back. May be called
 * several times. IPv6 sockets are v6-only. */
MUST_CHECK enum err httpd_listen(
    struct httpd *, const char *host, uint16_t port, uint16_t *real, struct fault *f);
/* A socket left over by a dead process is replaced; a live one is ERR_BUSY. mode as for chmod.
 * Removed at close. */
MUST_CHECK enum err httpd_listen_unix(
    struct httpd *, const char *path, unsigned mode, struct fault *f);
void httpd_set_tls(struct httpd *, struct tls_config *); /* new certificate for new connections */
/* Stops accepting, closes idle connections, gives running ones up to drain_ms (long-polls and event
 * streams end at once), then closes all. `closed` (may be NULL) is the last call; the server is
 * freed after it. Call once. */
void httpd_close(struct httpd *, uint64_t drain_ms, void (*closed)(void *ctx), void *ctx);

struct httpd_stats {
	uint64_t accepted, refused, requests, bytes_in, bytes_out, handshakes_failed, timeouts;
	uint32_t connections, pending; /* now */
};
struct httpd_stats httpd_stats(const struct httpd *);

/* --- the request --- */
const char *http_method(const struct http_req *);
/* NULL before the gate is passed. */
const struct http_route *http_route_of(const struct http_req *);
const char *http_path(const struct http_req *);			   /* decoded */
const char *http_query(const struct http_req *, const char *name); /* decoded, NULL when absent */
/* Decimal query item; dflt when absent; ERR_PARSE / ERR_TOOBIG. */
MUST_CHECK enum err http_query_u64(
    const struct http_req *, const char *name, uint64_t max, uint64_t dflt, uint64_t *out);
const char *http_field(const struct http_req *, const char *lower_case_name);
bool http_type_is(const struct http_req *,
    const char *type); /* media type of the body without parameters, any case */
const char *http_param(
    const struct http_req *, size_t i); /* what {} or * stood for; "" past the last */
const uint8_t *http_body(const struct http_req *, size_t *n); /* buffered body; followed by a NUL */
const struct addr *http_peer(const struct http_req *);
uv_os_fd_t http_peer_fd(
    const struct http_req *); /* for peer credentials; not for reading or closing */
const struct pki_identity *http_identity(const struct http_req *); /* NULL: no client certificate */
/* Marks a long-poll: counted in stats.pending, and cancelled at once when the server closes. Other
 * pending requests get the drain time. */
void http_may_wait(struct http_req *);
uv_loop_t *http_loop(const struct http_req *);
void *http_data(const struct http_req *); /* the handler's own pointer */
void http_set_data(struct http_req *, void *data);
/* Called once, and the request is gone after it, when the client vanishes or the server closes
 * before an answer was given (never for streams: `stop`). */
void http_on_cancel(struct http_req *, void (*cancel)(struct http_req *, void *ctx), void *ctx);

/* Streamed bodies (HTTP_STREAM_BODY): data is called with each piece, then once with n == 0 and
 * last == true. The total stays under body_max (else the client gets 413 and cancel runs).
 * http_body_pause stops reading until http_body_resume. Answering early ends the upload. */
void http_body_stream(struct http_req *,
    void (*data)(struct http_req *, const uint8_t *p, size_t n, bool last, void *ctx), void *ctx);
void http_body_pause(struct http_req *);
void http_body_resume(struct http_req *);

/* --- the answer --- */
/* Before the reply. Name and value are copied; one with control bytes is left out and logged. */
void http_set(struct http_req *, const char *name, const char *value);
void http_setf(struct http_req *, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* type NULL: no Content-Type. The body is copied. n == 0 is fine (204, 304). */
void http_reply(struct http_req *, int status, const char *type, const void *body, size_t n);
void http_reply_json(struct http_req *, int status, const cJSON *tree);
/* RFC 9457 problem document:
 * {"type":"about:blank","status","title","code":"stable-code","detail":"sentence"}. */
void http_problem(struct http_req *, int status, const char *code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* A problem document that the caller wrote, with members of its own; code and why as in it. */
void http_problem_body(struct http_req *, int status, const char *code, const char *why,
    const void *body, size_t n);
/* Before a problem: the handler makes an event of the refusal itself. */
void http_told(struct http_req *);
/* Sends length bytes of an open file from offset and closes fd, always; Content-Length is set, the
 * caller sets Content-Range and ETag. Pieces go through the thread pool, one connection after the
 * other; TLS connections get read instead of sendfile. A file that is shorter ends the connection.
 */
void http_reply_file(
    struct http_req *, int status, const char *type, int fd, uint64_t offset, uint64_t length);

/* A generated body. `proceed` is called when the connection takes more; the source answers each
 * proceed with one http_stream_write, now or later (that is how server-sent events wait). `stop` is
 * called once at the end, finished or not; the request is gone after it. */
struct http_source {
	void (*proceed)(struct http_req *, void *ctx);
	void (*stop)(struct http_req *, void *ctx);
};
#define HTTP_LENGTH_UNKNOWN UINT64_MAX /* chunked, or until close for HTTP/1.0 */
void http_stream(struct http_req *, int status, const char *type, uint64_t length,
    const struct http_source *s, void *ctx);
/* Copies. last: the body is complete; stop follows from the loop. Without an open proceed:
 * ERR_STATE. */
MUST_CHECK enum err http_stream_write(struct http_req *, const void *p, size_t n, bool last);
void http_stream_abort(struct http_req
	*); /* the connection is cut, so that the client sees a broken body; stop follows */

#endif
