/* httpc.h - asynchronous HTTP and HTTPS client: libcurl's multi interface on the uv loop. Loop
 * thread only. With https the peer must prove a fleet identity (pki_verify inside the handshake)
 * instead of a host name. No redirects, cookies, netrc, proxies from the environment, or resumed
 * TLS sessions; connections are kept and reused. One httpc has one identity and one trust; a
 * request that names the peer it wants gets a connection of its own, so that no kept connection can
 * stand for somebody else. */
#ifndef ATALAIA_NET_HTTPC_H
#define ATALAIA_NET_HTTPC_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "net/pki.h"

#include <uv.h>

struct httpc;
struct httpc_call;

struct httpc_tls {
	const char *cert_pem, *key_pem; /* own identity; NULL: none (enrolment) */
	struct pki_trust trust;
	struct pki_expect expect; /* .server is always true */
};

/* tls NULL: https is refused. Everything is copied. curlset_global() is called inside. */
MUST_CHECK enum err httpc_new(
    struct httpc **out, uv_loop_t *loop, const struct httpc_tls *tls, struct fault *f);
/* New certificate, CA list or revocations: for connections made from now on; kept connections of
 * before are not reused. */
MUST_CHECK enum err httpc_set_tls(struct httpc *, const struct httpc_tls *tls, struct fault *f);
/* Local address (a literal) of connections made from now on; "" or NULL: the system's choice.
 * ERR_TOOBIG. */
MUST_CHECK enum err httpc_set_source(struct httpc *, const char *address);
/* Ends every call (done gets ERR_CANCELED), closes all handles; `closed` (may be NULL) is the last
 * call. Not from within `data`. */
void httpc_close(struct httpc *, void (*closed)(void *ctx), void *ctx);

struct httpc_response {	     /* valid during the callback */
	enum err err;	     /* OK: a whole HTTP answer came, whatever its status */
	int status;	     /* 0 when none came */
	const uint8_t *body; /* followed by a NUL; NULL-safe text with len 0 */
	size_t len;
	struct fault fault;		 /* sentence when err != OK */
	const struct pki_identity *peer; /* NULL for plain http */
	uint64_t bytes_in, bytes_out;	 /* heads and bodies */
	void *easy;			 /* private */
};
const char *httpc_field(
    const struct httpc_response *, const char *name); /* any case; first value or NULL */

/* What Retry-After asks for, in milliseconds; 0 when absent, a date, or over max_s (RFC
 * 9110, 10.2.3). */
uint64_t httpc_retry_after_ms(const struct httpc_response *, uint32_t max_s);

struct httpc_request {	    /* copied */
	const char *method; /* NULL: GET, or POST with a body */
	const char *url;
	const char *const *headers; /* "Name: value", NULL-terminated, or NULL */
	const void *body;
	size_t body_len;
	size_t max_body;	       /* of the answer; 0: LIMIT_HTTP_BODY. More is ERR_TOOBIG */
	uint32_t connect_ms, total_ms; /* 0: 15 s; 0: 60 s. A long-poll sets total_ms itself */
	uint32_t stall_ms;	       /* no byte for so long: ERR_TIMEOUT; 0: never */
	const char *unix_socket;       /* NULL: TCP */
	const char *proxy;	       /* NULL: none */
	const char *expect_name;       /* the peer's name in its SAN; NULL: as the httpc says */
	/* Streaming: pieces of the body go here instead of being kept (max_body still counts,
	 * UINT64_MAX: no limit). Only for status 200. false ends the call: done gets ERR_CANCELED.
	 */
	bool (*data)(void *ctx, const uint8_t *p, size_t n);
	void (*done)(void *ctx,
	    const struct httpc_response
		*r); /* exactly once, never inside httpc_start; not after httpc_cancel */
	void *ctx;
};
MUST_CHECK enum err httpc_start(
    struct httpc *, const struct httpc_request *q, struct httpc_call **out, struct fault *f);
void httpc_cancel(struct httpc_call
	*); /* done will not be called; fine from within data or another call's done */

#endif
