/* curl_verify.c - see curl_verify.h. OpenSSL names live here only. OpenSSL's own chain building is
 * replaced: the peer's certificates go to pki_verify as DER, so that libcurl's side and mbedTLS's
 * side of the fleet believe exactly the same. */
#define ERR_STATE openssl_err_state /* OpenSSL has a type of this name */
#include <openssl/ssl.h>
#include <openssl/x509.h>
#undef ERR_STATE

#include "net/curl_verify.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct curl_identity {
	unsigned refs, generation;
	char *cert_pem, *key_pem, *ca_pem;
	uint8_t (*pins)[PKI_SHA256];
	char **revoked;
	size_t n_revoked;
	struct pki_trust trust;
	struct pki_expect expect;
	char org[PKI_NAME], name[PKI_NAME];
};

struct curl_verify {
	unsigned refs; /* loop thread only */
	struct curl_identity *id;
	char name[PKI_NAME];
	struct fault fault;
	struct pki_identity peer;
	bool ok;
};

/* --- identity --- */

void
curl_identity_unref(struct curl_identity *id)
{
	size_t i;

	if (id == NULL || --id->refs > 0)
		return;
	if (id->key_pem != NULL)
		OPENSSL_cleanse(id->key_pem, strlen(id->key_pem));
	free(id->cert_pem);
	free(id->key_pem);
	free(id->ca_pem);
	free(id->pins);
	for (i = 0; i < id->n_revoked && id->revoked != NULL; i++)
		free(id->revoked[i]);
	free(id->revoked);
	free(id);
}

struct curl_identity *
curl_identity_ref(struct curl_identity *id)
{
	id->refs++;
	return id;
}

static bool
copy_text(char **out, const char *s)
{
	*out = s != NULL ? strdup(s) : NULL;
	return s == NULL || *out != NULL;
}

static bool
copy_trust(struct curl_identity *id, const struct pki_trust *t)
{
	size_t i;

	if (!copy_text(&id->ca_pem, t->ca_pem))
		return false;
	if (t->n_pins > 0) {
		id->pins = calloc(t->n_pins, sizeof(*id->pins));
		if (id->pins == NULL)
			return false;
		memcpy(id->pins, t->pins, t->n_pins * sizeof(*id->pins));
	}
	if (t->n_revoked > 0) {
		id->revoked = calloc(t->n_revoked, sizeof(*id->revoked));
		if (id->revoked == NULL)
			return false;
		id->n_revoked = t->n_revoked;
		for (i = 0; i < t->n_revoked; i++)
			if (!copy_text(&id->revoked[i], t->revoked[i]))
				return false;
	}
	id->trust = (struct pki_trust){
		.ca_pem = id->ca_pem,
		.pins = (const uint8_t(*)[PKI_SHA256])id->pins,
		.n_pins = t->n_pins,
		.revoked = (const char *const *)id->revoked,
		.n_revoked = t->n_revoked,
		.expired_grace_ms = t->expired_grace_ms,
	};
	return true;
}

static bool
copy_expect(struct curl_identity *id, const struct pki_expect *x)
{
	id->expect = (struct pki_expect){ .role = x->role, .server = true };
	if (x->org != NULL) {
		if (text_copy(id->org, sizeof(id->org), x->org, strlen(x->org)) != OK)
			return false;
		id->expect.org = id->org;
	}
	if (x->name != NULL) {
		if (text_copy(id->name, sizeof(id->name), x->name, strlen(x->name)) != OK)
			return false;
		id->expect.name = id->name;
	}
	return true;
}

/* libcurl keeps connections and takes one again when its TLS settings are equal; trust and
 * revocations are none of its settings. A CA folder is, and with our hook it is never looked into:
 * one that does not exist, numbered, keeps connections of different trust apart. */
static unsigned
next_generation(void)
{
	static unsigned last; /* loop thread only */

	return ++last;
}

enum err
curl_identity_new(struct curl_identity **out, const struct httpc_tls *t, struct fault *f)
{
	struct curl_identity *id = calloc(1, sizeof(*id));

	*out = NULL;
	if (id == NULL)
		return fault_set(f, ERR_NOMEM, "no memory for an identity");
	id->refs = 1;
	id->generation = next_generation();
	if (!copy_text(&id->cert_pem, t->cert_pem) || !copy_text(&id->key_pem, t->key_pem) ||
	    !copy_trust(id, &t->trust) || !copy_expect(id, &t->expect)) {
		curl_identity_unref(id);
		return fault_set(f, ERR_INVAL,
		    "an identity cannot be kept: no memory, or an organisation or name past 64 "
		    "characters");
	}
	*out = id;
	return OK;
}

/* --- one handshake --- */

enum err
curl_verify_new(struct curl_verify **out, struct curl_identity *id, const char *expect_name)
{
	struct curl_verify *v = calloc(1, sizeof(*v));

	*out = NULL;
	if (v == NULL)
		return ERR_NOMEM;
	if (expect_name != NULL &&
	    text_copy(v->name, sizeof(v->name), expect_name, strlen(expect_name)) != OK) {
		free(v);
		return ERR_TOOBIG;
	}
	v->refs = 1;
	v->id = curl_identity_ref(id);
	*out = v;
	return OK;
}

void
curl_verify_unref(struct curl_verify *v)
{
	if (v == NULL || --v->refs > 0)
		return;
	curl_identity_unref(v->id);
	free(v);
}

const struct fault *
curl_verify_fault(const struct curl_verify *v)
{
	return &v->fault;
}

static void
on_ctx_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	curl_verify_unref(ptr);
}

static uv_once_t slot_once = UV_ONCE_INIT;
static int slot;

static void
make_slot(void)
{
	slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_ctx_free);
}

static int
to_der(unsigned char **out, X509 *x)
{
	*out = NULL;
	return x != NULL ? i2d_X509(x, out) : -1;
}

/* The leaf, then what else the peer sent. */
static enum err
verify_certs(struct curl_verify *v, X509 *leaf, STACK_OF(X509) * sent)
{
	struct pki_expect x = v->id->expect;
	struct pki_der chain[LIMIT_CHAIN];
	unsigned char *der[LIMIT_CHAIN];
	int i, len, n_sent = sent != NULL ? sk_X509_num(sent) : 0;
	size_t n = 0;
	enum err e = OK;

	if (v->name[0] != '\0')
		x.name = v->name;
	for (i = -1; i < n_sent && n < LIMIT_CHAIN && e == OK; i++) {
		X509 *c = i < 0 ? leaf : sk_X509_value(sent, i);

		if (i >= 0 && X509_cmp(c, leaf) == 0)
			continue;
		len = to_der(&der[n], c);
		if (len <= 0)
			e = fault_set(
			    &v->fault, ERR_PARSE, "the peer showed no readable certificate");
		else
			chain[n] = (struct pki_der){ der[n], (size_t)len }, n++;
	}
	if (e == OK)
		e = pki_verify(&v->id->trust, &x, chain, n, clock_wall_ms(), &v->peer, &v->fault);
	while (n > 0)
		OPENSSL_free(der[--n]);
	return e;
}

static int
on_verify(X509_STORE_CTX *ctx, void *arg)
{
	struct curl_verify *v = arg;

	fault_reset(&v->fault);
	v->ok = verify_certs(
		    v, X509_STORE_CTX_get0_cert(ctx), X509_STORE_CTX_get0_untrusted(ctx)) == OK;
	X509_STORE_CTX_set_error(ctx, v->ok ? X509_V_OK : X509_V_ERR_APPLICATION_VERIFICATION);
	return v->ok ? 1 : 0;
}

static CURLcode
on_ssl_ctx(CURL *easy, void *ssl_ctx, void *arg)
{
	struct curl_verify *v = arg;
	SSL_CTX *ctx = ssl_ctx;

	uv_once(&slot_once, make_slot);
	if (slot < 0 || SSL_CTX_set_ex_data(ctx, slot, v) != 1)
		return CURLE_OUT_OF_MEMORY;
	v->refs++; /* given back by on_ctx_free */
	SSL_CTX_set_cert_verify_callback(ctx, on_verify, v);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set1_groups_list(ctx, "X25519:P-256") != 1)
		return CURLE_SSL_CONNECT_ERROR;
	return CURLE_OK;
}

static CURLcode
set_blob(CURL *easy, CURLoption o, char *pem)
{
	struct curl_blob b = { .data = pem, .len = strlen(pem), .flags = CURL_BLOB_COPY };

	return curl_easy_setopt(easy, o, &b);
}

enum err
curl_verify_attach(struct curl_verify *v, CURL *easy)
{
	CURLcode code = curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
	char folder[64];

	(void)snprintf(folder, sizeof(folder), "/nonexistent/atalaia-trust-%u", v->id->generation);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, v);
	/* The hook above decides; curl must neither read the system's CA files nor compare host
	 * names. */
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_CAPATH, folder);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (code == CURLE_OK && v->id->cert_pem != NULL && v->id->key_pem != NULL) {
		code = set_blob(easy, CURLOPT_SSLCERT_BLOB, v->id->cert_pem);
		if (code == CURLE_OK)
			code = set_blob(easy, CURLOPT_SSLKEY_BLOB, v->id->key_pem);
	}
	return code == CURLE_OK ? OK : ERR_NOMEM;
}

bool
curl_verify_peer(CURL *easy, struct pki_identity *out)
{
	const struct curl_tlssessioninfo *info = NULL;
	const struct curl_verify *v;

	if (curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &info) != CURLE_OK || info == NULL ||
	    info->backend != CURLSSLBACKEND_OPENSSL || info->internals == NULL)
		return false;
	v = SSL_CTX_get_ex_data(SSL_get_SSL_CTX((SSL *)info->internals), slot);
	if (v == NULL || !v->ok)
		return false;
	*out = v->peer;
	return true;
}
