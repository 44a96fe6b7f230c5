/* tls_config.h - private to tls*: what connections share. */
#ifndef ATALAIA_NET_TLS_CONFIG_H
#define ATALAIA_NET_TLS_CONFIG_H

#include "net/pki_x509.h"
#include "net/tls.h"

#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>

struct tls_config {
	unsigned refs;
	bool client;
	enum tls_auth auth;
	mbedtls_ssl_config conf;
	mbedtls_x509_crt chain;
	mbedtls_pk_context key;
	mbedtls_ssl_ticket_context tickets; /* keys live and die with this configuration: a new
					       certificate ends old sessions */
	struct pki_anchor *anchor;
	struct pki_expect expect;
	char org[PKI_NAME], name[PKI_NAME]; /* what expect points at */
	bool (*admit)(void *ctx, const struct pki_identity *peer);
	void *admit_ctx;
};

bool tls_config_admits(
    const struct tls_config *c, const struct pki_identity *peer, struct fault *f);

#endif
