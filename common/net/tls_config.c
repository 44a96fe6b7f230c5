/* tls_config.c - see tls.h. */
#include "net/tls_config.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define TICKET_LIFE_S                                                                              \
	3600 /* a resumed session is judged afresh, so this only bounds how long a ticket key      \
		lives */

static const int suites[] = {
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	0,
};

#if MBEDTLS_VERSION_NUMBER >= 0x03010000
static const uint16_t curves[] = { MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
	MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, 0 };
#else
static const mbedtls_ecp_group_id curves[] = { MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP256R1,
	MBEDTLS_ECP_DP_NONE };
#endif

struct tls_config *
tls_config_ref(struct tls_config *c)
{
	c->refs++;
	return c;
}

void
tls_config_unref(struct tls_config *c)
{
	if (c == NULL || --c->refs > 0)
		return;
	mbedtls_ssl_config_free(&c->conf);
	mbedtls_ssl_ticket_free(&c->tickets);
	mbedtls_x509_crt_free(&c->chain);
	mbedtls_pk_free(&c->key);
	pki_anchor_free(c->anchor);
	free(c);
}

bool
tls_config_admits(const struct tls_config *c, const struct pki_identity *peer, struct fault *f)
{
	if (c->admit == NULL || c->admit(c->admit_ctx, peer))
		return true;
	(void)fault_set(
	    f, ERR_AUTH, "the %s '%s' is not admitted here", pki_role_word(peer->role), peer->name);
	return false;
}

static enum err
copy_expect(struct tls_config *c, const struct pki_expect *x)
{
	enum err e = OK;

	c->expect = (struct pki_expect){ .role = x->role, .server = c->client };
	if (x->org != NULL) {
		e = text_copy(c->org, sizeof(c->org), x->org, strlen(x->org));
		c->expect.org = c->org;
	}
	if (e == OK && x->name != NULL) {
		e = text_copy(c->name, sizeof(c->name), x->name, strlen(x->name));
		c->expect.name = c->name;
	}
	return e;
}

static enum err
load_own(struct tls_config *c, const struct tls_options *o, struct fault *f)
{
	enum err e;
	int ret;

	if (o->chain_pem == NULL)
		return c->client ? OK : fault_set(f, ERR_INVAL, "a TLS server needs a certificate");
	if ((e = pki_parse_chain(&c->chain, o->chain_pem, f)) != OK ||
	    (e = pki_parse_key(&c->key, o->key_pem, f)) != OK)
		return e;
	if (PK_CHECK_PAIR(&c->chain.pk, &c->key) != 0)
		return fault_set(f, ERR_AUTH,
		    "the private key does not belong to the first certificate of its chain");
	ret = mbedtls_ssl_conf_own_cert(&c->conf, &c->chain, &c->key);
	return ret == 0 ? OK : pki_mbed_fault(f, ERR_NOMEM, ret, "the certificate cannot be used");
}

static int
auth_mode(const struct tls_config *c)
{
	/* A client judges the chain itself after the handshake and before any byte, because a pin
	 * names a CA that only the peer has. */
	if (c->client || c->auth == TLS_AUTH_NONE)
		return MBEDTLS_SSL_VERIFY_NONE;
	return c->auth == TLS_AUTH_REQUIRED ? MBEDTLS_SSL_VERIFY_REQUIRED
					    : MBEDTLS_SSL_VERIFY_OPTIONAL;
}

static enum err
set_tickets(struct tls_config *c, struct fault *f)
{
	int ret;

	if (c->client) {
		mbedtls_ssl_conf_session_tickets(&c->conf, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
		return OK;
	}
	ret = mbedtls_ssl_ticket_setup(
	    &c->tickets, pki_rng, NULL, MBEDTLS_CIPHER_AES_256_GCM, TICKET_LIFE_S);
	if (ret != 0)
		return pki_mbed_fault(f, ERR_NOMEM, ret, "session tickets cannot be set up");
	mbedtls_ssl_conf_session_tickets_cb(
	    &c->conf, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse, &c->tickets);
	return OK;
}

static enum err
set_protocol(struct tls_config *c, struct fault *f)
{
	int ret = mbedtls_ssl_config_defaults(&c->conf,
	    c->client ? MBEDTLS_SSL_IS_CLIENT : MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
	    MBEDTLS_SSL_PRESET_DEFAULT);

	if (ret != 0)
		return pki_mbed_fault(f, ERR_NOMEM, ret, "TLS cannot be configured");
	SSL_CONF_TLS12(&c->conf);
	mbedtls_ssl_conf_rng(&c->conf, pki_rng, NULL);
	mbedtls_ssl_conf_ciphersuites(&c->conf, suites);
#if MBEDTLS_VERSION_NUMBER >= 0x03010000
	mbedtls_ssl_conf_groups(&c->conf, curves);
#else
	mbedtls_ssl_conf_curves(&c->conf, curves);
#endif
	mbedtls_ssl_conf_cert_profile(&c->conf, &pki_profile);
#ifdef MBEDTLS_SSL_RENEGOTIATION
	mbedtls_ssl_conf_renegotiation(&c->conf, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
	mbedtls_ssl_conf_authmode(&c->conf, auth_mode(c));
	if (!c->client)
		mbedtls_ssl_conf_ca_chain(&c->conf, &c->anchor->cas, NULL);
	return set_tickets(c, f);
}

enum err
tls_config_new(struct tls_config **out, const struct tls_options *o, struct fault *f)
{
	struct tls_config *c = calloc(1, sizeof(*c));
	enum err e;

	*out = NULL;
	if (c == NULL)
		return fault_set(f, ERR_NOMEM, "no memory for a TLS configuration");
	c->refs = 1;
	c->client = o->client;
	c->auth = o->auth;
	c->admit = o->admit;
	c->admit_ctx = o->admit_ctx;
	mbedtls_ssl_config_init(&c->conf);
	mbedtls_x509_crt_init(&c->chain);
	mbedtls_pk_init(&c->key);
	mbedtls_ssl_ticket_init(&c->tickets);
	e = copy_expect(c, &o->expect);
	if (e == OK)
		e = pki_anchor_new(&c->anchor, &o->trust, f);
	if (e == OK)
		e = set_protocol(c, f);
	if (e == OK)
		e = load_own(c, o, f);
	if (e != OK) {
		tls_config_unref(c);
		return e;
	}
	*out = c;
	return OK;
}
