/* tls.c - see tls.h. mbedTLS reads from the slice that tls_feed was given and writes into tls_out:
 * no socket, no copy of the input. */
#include "net/tls.h"

#include "base/clock.h"
#include "base/limits.h"
#include "net/tls_config.h"

#include <stdlib.h>
#include <string.h>

#define PLAIN_PIECE 16384 /* the largest record's content */

struct tls {
	mbedtls_ssl_context ssl;
	struct tls_config *config;
	enum tls_state state;
	struct buf out;
	const uint8_t *in; /* what is left of the slice being fed */
	size_t in_len;
	struct pki_judge judge; /* of the certificate in a full handshake */
	struct pki_identity peer;
	bool has_peer, resumed;
	struct fault fault;
};

static int
bio_send(void *ctx, const unsigned char *p, size_t n)
{
	struct tls *t = ctx;

	return buf_append(&t->out, p, n) == OK ? (int)n : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

static int
bio_recv(void *ctx, unsigned char *p, size_t n)
{
	struct tls *t = ctx;

	if (t->in_len == 0)
		return MBEDTLS_ERR_SSL_WANT_READ;
	if (n > t->in_len)
		n = t->in_len;
	memcpy(p, t->in, n);
	t->in += n;
	t->in_len -= n;
	return (int)n;
}

/* In the handshake: the judge first, then the owner's hook. Both refusals are fatal whatever the
 * authentication mode. */
static int
judge_peer(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	struct tls *t = ctx;
	int ret;

	t->judge.now_ms = clock_wall_ms();
	ret = pki_judge_cert(&t->judge, crt, depth, flags);
	if (ret == 0 && depth == 0 && !tls_config_admits(t->config, &t->peer, &t->fault))
		return MBEDTLS_ERR_X509_FATAL_ERROR;
	return ret;
}

enum err
tls_new(struct tls **out, struct tls_config *c)
{
	struct tls *t = calloc(1, sizeof(*t));
	int ret;

	*out = NULL;
	if (t == NULL)
		return ERR_NOMEM;
	mbedtls_ssl_init(&t->ssl);
	buf_init(&t->out, LIMIT_TLS_PLAIN);
	t->config = tls_config_ref(c);
	t->judge = (struct pki_judge){
		.anchor = c->anchor, .expect = c->expect, .out = &t->peer, .fault = &t->fault
	};
	ret = mbedtls_ssl_setup(&t->ssl, &c->conf);
	if (ret != 0) {
		tls_free(t);
		return ERR_NOMEM;
	}
	mbedtls_ssl_set_bio(&t->ssl, t, bio_send, bio_recv, NULL);
	if (!c->client)
		mbedtls_ssl_set_verify(&t->ssl, judge_peer, t);
	*out = t;
	return OK;
}

void
tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	mbedtls_ssl_free(&t->ssl);
	tls_config_unref(t->config);
	buf_free(&t->out);
	free(t);
}

static enum err
fail(struct tls *t, enum err e, int ret, const char *what)
{
	t->state = TLS_FAILED;
	if (ret == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
		what = "the peer refused the TLS connection by an alert";
	return pki_mbed_fault(&t->fault, e, ret, what);
}

/* A client always, a server when the session was resumed: the certificate is judged here, before
 * any plain byte. */
static enum err
judge_after(struct tls *t)
{
	const mbedtls_x509_crt *crt = mbedtls_ssl_get_peer_cert(&t->ssl);
	enum err e;

	if (t->judge.judged)
		return t->judge.verdict;
	if (crt == NULL) {
		if (!t->config->client && t->config->auth != TLS_AUTH_REQUIRED)
			return OK;
		return fault_set(&t->fault, ERR_AUTH, "the peer showed no certificate");
	}
	t->resumed = !t->config->client;
	e = pki_anchor_check(t->config->anchor, &t->config->expect,
	    (mbedtls_x509_crt *)(uintptr_t)crt, clock_wall_ms(), &t->peer, &t->fault);
	if (e == OK && !tls_config_admits(t->config, &t->peer, &t->fault))
		e = ERR_AUTH;
	t->judge.judged = true;
	return e;
}

static enum err
handshake(struct tls *t)
{
	int ret = mbedtls_ssl_handshake(&t->ssl);
	enum err e;

	if (ret == MBEDTLS_ERR_SSL_WANT_READ)
		return OK;
	if (ret != 0)
		return fail(t,
		    t->judge.judged && t->judge.verdict != OK ? t->judge.verdict : ERR_AUTH, ret,
		    "the TLS handshake failed");
	e = judge_after(t);
	if (e != OK) {
		(void)mbedtls_ssl_send_alert_message(
		    &t->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL, MBEDTLS_SSL_ALERT_MSG_ACCESS_DENIED);
		t->state = TLS_FAILED;
		return e;
	}
	t->has_peer = t->judge.judged;
	t->state = TLS_OPEN;
	return OK;
}

static enum err
read_plain(struct tls *t, void (*plain)(void *ctx, const uint8_t *p, size_t n), void *ctx)
{
	uint8_t piece[PLAIN_PIECE];

	for (;;) {
		int ret = mbedtls_ssl_read(&t->ssl, piece, sizeof(piece));

		if (ret > 0) {
			plain(ctx, piece, (size_t)ret);
			continue;
		}
		if (ret == MBEDTLS_ERR_SSL_WANT_READ)
			return OK;
		if (ret == 0 || ret == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
			t->state = TLS_CLOSED;
			return ERR_CLOSED;
		}
		return fail(t, ERR_IO, ret, "the TLS connection broke");
	}
}

enum err
tls_feed(struct tls *t, const uint8_t *p, size_t n,
    void (*plain)(void *ctx, const uint8_t *p, size_t n), void *ctx)
{
	enum err e = OK;

	if (t->state == TLS_CLOSED)
		return ERR_CLOSED;
	if (t->state == TLS_FAILED)
		return t->fault.code != OK ? t->fault.code : ERR_IO;
	t->in = p;
	t->in_len = n;
	if (t->state == TLS_HANDSHAKE)
		e = handshake(t);
	if (e == OK && t->state == TLS_OPEN)
		e = read_plain(t, plain, ctx);
	t->in = NULL;
	t->in_len = 0;
	return e;
}

enum err
tls_write(struct tls *t, const uint8_t *p, size_t n)
{
	if (t->state != TLS_OPEN)
		return ERR_STATE;
	while (n > 0) {
		int ret = mbedtls_ssl_write(&t->ssl, p, n);

		if (ret <= 0)
			return fail(
			    t, t->out.len > 0 ? ERR_TOOBIG : ERR_IO, ret, "TLS cannot write");
		p += ret;
		n -= (size_t)ret;
	}
	return OK;
}

void
tls_bye(struct tls *t)
{
	if (t->state == TLS_OPEN)
		(void)mbedtls_ssl_close_notify(&t->ssl);
}

struct buf *
tls_out(struct tls *t)
{
	return &t->out;
}

enum tls_state
tls_state(const struct tls *t)
{
	return t->state;
}

const struct pki_identity *
tls_peer(const struct tls *t)
{
	return t->state != TLS_HANDSHAKE && t->has_peer ? &t->peer : NULL;
}

bool
tls_resumed(const struct tls *t)
{
	return t->resumed;
}

const struct fault *
tls_fault(const struct tls *t)
{
	return &t->fault;
}

struct tls_session {
	mbedtls_ssl_session s;
};

enum err
tls_session_get(struct tls_session **out, struct tls *t)
{
	struct tls_session *s = calloc(1, sizeof(*s));

	*out = NULL;
	if (s == NULL)
		return ERR_NOMEM;
	mbedtls_ssl_session_init(&s->s);
	if (mbedtls_ssl_get_session(&t->ssl, &s->s) != 0) {
		tls_session_free(s);
		return ERR_STATE;
	}
	*out = s;
	return OK;
}

enum err
tls_session_set(struct tls *fresh, const struct tls_session *s)
{
	return mbedtls_ssl_set_session(&fresh->ssl, &s->s) == 0 ? OK : ERR_STATE;
}

void
tls_session_free(struct tls_session *s)
{
	if (s == NULL)
		return;
	mbedtls_ssl_session_free(&s->s);
	free(s);
}
