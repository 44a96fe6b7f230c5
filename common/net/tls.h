/* tls.h - TLS as a pure transform: encrypted bytes in and out, plain bytes in and out; no sockets.
 * mbedTLS behind it (2.28 and 3.6). TLS 1.2, X25519 and P-256, ECDHE-ECDSA with AES-GCM or
 * ChaCha20-Poly1305, tickets, no renegotiation. Loop thread only. A certificate that is given must
 * be good: chain, time, EKU, identity and the `admit` hook are checked inside the handshake and
 * again when a session is resumed, before one plain byte comes out. */
#ifndef ATALAIA_NET_TLS_H
#define ATALAIA_NET_TLS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "net/pki.h"

enum tls_auth { TLS_AUTH_NONE, TLS_AUTH_OPTIONAL, TLS_AUTH_REQUIRED };

struct tls_options {
	bool client;	       /* client side: for tests and probes */
	const char *chain_pem; /* leaf, then CA; NULL for an anonymous client */
	const char *key_pem;
	struct pki_trust trust;	  /* copied */
	struct pki_expect expect; /* of the peer; copied. .server is set by the mode */
	enum tls_auth auth;	  /* server: client certificates; clients always verify */
	/* Last word on a verified identity, inside the handshake; false refuses. May be NULL. Must
	 * not block. */
	bool (*admit)(void *ctx, const struct pki_identity *peer);
	void *admit_ctx;
};

/* Shared by many connections; counted, so that a listener can change its certificate while old
 * connections live. */
struct tls_config;
MUST_CHECK enum err tls_config_new(
    struct tls_config **out, const struct tls_options *o, struct fault *f);
struct tls_config *tls_config_ref(struct tls_config *);
void tls_config_unref(struct tls_config *); /* NULL is fine */

enum tls_state { TLS_HANDSHAKE, TLS_OPEN, TLS_CLOSED /* peer said goodbye */, TLS_FAILED };

struct tls;
MUST_CHECK enum err tls_new(
    struct tls **out, struct tls_config *c); /* a client starts with tls_feed(t, NULL, 0, ...) */
void tls_free(struct tls *);		     /* NULL is fine */
/* Bytes from the peer. Plain bytes go to `plain` in pieces; it must not free the tls. Returns OK,
 * ERR_CLOSED or what tls_fault says. After an error tls_out may hold an alert that should still be
 * sent. */
MUST_CHECK enum err tls_feed(struct tls *, const uint8_t *p, size_t n,
    void (*plain)(void *ctx, const uint8_t *p, size_t n), void *ctx);
MUST_CHECK enum err tls_write(struct tls *, const uint8_t *p,
    size_t n);			   /* plain bytes to the peer; ERR_STATE before TLS_OPEN */
void tls_bye(struct tls *);	   /* close_notify into tls_out */
struct buf *tls_out(struct tls *); /* what to send; the caller consumes or resets it */
enum tls_state tls_state(const struct tls *);
const struct pki_identity *tls_peer(
    const struct tls *);	      /* NULL: no certificate was given, or not open yet */
bool tls_resumed(const struct tls *); /* server: the identity came from a resumed session */
const struct fault *tls_fault(const struct tls *);

/* Client side only: keep a session for another connection (tests of resumption). */
struct tls_session;
MUST_CHECK enum err tls_session_get(struct tls_session **out, struct tls *t);
MUST_CHECK enum err tls_session_set(
    struct tls *fresh, const struct tls_session *s); /* before the first feed */
void tls_session_free(struct tls_session *);

#endif
