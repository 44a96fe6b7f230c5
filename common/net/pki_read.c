/* pki_read.c - certificates into identities; see pki.h. */
#include "net/pki_x509.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"

#include <mbedtls/asn1.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#define SAN_URI                                                                                    \
	(MBEDTLS_ASN1_CONTEXT_SPECIFIC | 6) /* GeneralName [6] IA5String, RFC 5280 4.2.1.6 */
#define SCHEME "atalaia://"

const char *
pki_role_word(enum pki_role r)
{
	return r == PKI_AGENT ? "agent" : r == PKI_CONSOLE ? "console" : "none";
}

bool
pki_is_name(const char *p, size_t n)
{
	size_t i;

	if (n == 0 || n >= PKI_NAME)
		return false;
	for (i = 0; i < n; i++)
		if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z') ||
			(p[i] >= '0' && p[i] <= '9') || p[i] == '-' || p[i] == '_' ||
			(p[i] == '.' && i > 0)))
			return false;
	return true;
}

int
pki_rng(void *unused, unsigned char *p, size_t n)
{
	return uv_random(NULL, NULL, p, n, 0, NULL) == 0 ? 0 : -1;
}

enum err
pki_random(void *p, size_t n)
{
	return pki_rng(NULL, p, n) == 0 ? OK : ERR_IO;
}

enum err
pki_mbed_fault(struct fault *f, enum err e, int ret, const char *what)
{
	return fault_set(f, e, "%s (mbedTLS -0x%04x)", what, (unsigned)-ret);
}

bool
pki_is_p256(const mbedtls_pk_context *pk)
{
	return (mbedtls_pk_get_type(pk) == MBEDTLS_PK_ECKEY ||
		   mbedtls_pk_get_type(pk) == MBEDTLS_PK_ECDSA) &&
	       mbedtls_pk_ec(*pk)->MBEDTLS_PRIVATE(grp).id == MBEDTLS_ECP_DP_SECP256R1;
}

enum err
pki_parse_chain(mbedtls_x509_crt *crt, const char *pem, struct fault *f)
{
	size_t n = strlen(pem);
	int ret;

	if (n > LIMIT_PEM)
		return fault_set(
		    f, ERR_TOOBIG, "a certificate file is longer than %d bytes", LIMIT_PEM);
	ret = mbedtls_x509_crt_parse(crt, (const unsigned char *)pem, n + 1);
	if (ret > 0)
		return fault_set(
		    f, ERR_PARSE, "%d of the certificates in a PEM text cannot be read", ret);
	return ret == 0 ? OK : pki_mbed_fault(f, ERR_PARSE, ret, "no PEM certificate can be read");
}

enum err
pki_parse_key(mbedtls_pk_context *pk, const char *pem, struct fault *f)
{
	int ret = PK_PARSE_KEY(pk, (const unsigned char *)pem, strlen(pem) + 1);

	if (ret != 0)
		return pki_mbed_fault(f, ERR_PARSE, ret, "no PEM private key can be read");
	return pki_is_p256(pk)
		   ? OK
		   : fault_set(f, ERR_UNSUPPORTED, "the private key is not of type ECDSA P-256");
}

static bool
is_pem(const uint8_t *p, size_t n)
{
	return n > 0 && p[0] != 0x30; /* DER begins with SEQUENCE */
}

enum err
pki_pem_to_der(struct buf *der, const char *pem, size_t n, struct fault *f)
{
	char text[LIMIT_PEM + 1];
	mbedtls_pem_context ctx;
	size_t used;
	enum err e = OK;
	int ret;

	if (text_copy(text, sizeof(text), pem, n) != OK || strlen(text) != n)
		return fault_set(f, ERR_PARSE, "a certificate text is too long or holds a NUL");
	mbedtls_pem_init(&ctx);
	ret = mbedtls_pem_read_buffer(&ctx, "-----BEGIN CERTIFICATE-----",
	    "-----END CERTIFICATE-----", (const unsigned char *)text, NULL, 0, &used);
	if (ret != 0)
		e = pki_mbed_fault(f, ERR_PARSE, ret, "no PEM certificate can be read");
	else
		e = buf_append(der, ctx.MBEDTLS_PRIVATE(buf), ctx.MBEDTLS_PRIVATE(buflen));
	mbedtls_pem_free(&ctx);
	return e;
}

enum err
pki_parse_cert(mbedtls_x509_crt *crt, const uint8_t *p, size_t n, struct fault *f)
{
	struct buf der;
	enum err e;
	int ret;

	if (n > LIMIT_PEM)
		return fault_set(f, ERR_TOOBIG, "a certificate is longer than %d bytes", LIMIT_PEM);
	buf_init(&der, LIMIT_PEM);
	e = is_pem(p, n) ? pki_pem_to_der(&der, (const char *)p, n, f) : buf_append(&der, p, n);
	if (e == OK && (ret = mbedtls_x509_crt_parse_der(crt, der.data, der.len)) != 0)
		e = pki_mbed_fault(f, ERR_PARSE, ret, "a certificate cannot be read");
	if (e == OK && crt->raw.len != der.len)
		e = fault_set(f, ERR_PARSE, "bytes follow a certificate");
	buf_free(&der);
	return e;
}

int64_t
pki_time_ms(const mbedtls_x509_time *t)
{
	char text[CLOCK_TEXT];
	int64_t ms;

	(void)snprintf(text, sizeof(text), "%04u-%02u-%02uT%02u:%02u:%02uZ",
	    (unsigned)t->year % 10000, (unsigned)t->mon % 100, (unsigned)t->day % 100,
	    (unsigned)t->hour % 100, (unsigned)t->min % 100, (unsigned)t->sec % 100);
	return clock_parse(text, strlen(text), &ms) == OK ? ms : INT64_MIN;
}

/* org/role/name behind the scheme. */
static bool
parse_uri(struct pki_identity *out, const char *p, size_t n)
{
	const char *slash, *end = p + n;
	size_t scheme = strlen(SCHEME);

	if (n <= scheme || memcmp(p, SCHEME, scheme) != 0)
		return false;
	p += scheme;
	slash = memchr(p, '/', (size_t)(end - p));
	if (slash == NULL || !pki_is_name(p, (size_t)(slash - p)) ||
	    text_copy(out->org, sizeof(out->org), p, (size_t)(slash - p)) != OK)
		return false;
	p = slash + 1;
	slash = memchr(p, '/', (size_t)(end - p));
	if (slash == NULL)
		return false;
	out->role = text_eq(p, (size_t)(slash - p), "agent")	 ? PKI_AGENT
		    : text_eq(p, (size_t)(slash - p), "console") ? PKI_CONSOLE
								 : PKI_NONE;
	p = slash + 1;
	return out->role != PKI_NONE && pki_is_name(p, (size_t)(end - p)) &&
	       text_copy(out->name, sizeof(out->name), p, (size_t)(end - p)) == OK;
}

static enum err
read_san(struct pki_identity *out, const mbedtls_x509_crt *crt, struct fault *f)
{
	const mbedtls_x509_sequence *s;
	const mbedtls_x509_buf *uri = NULL;

	for (s = &crt->subject_alt_names; s != NULL; s = s->next) {
		if (s->buf.p == NULL || s->buf.tag != SAN_URI)
			continue;
		if (uri != NULL)
			return fault_set(
			    f, ERR_AUTH, "the certificate names more than one identity");
		uri = &s->buf;
	}
	if (uri == NULL)
		return fault_set(f, ERR_AUTH,
		    "the certificate names no fleet identity (URI SAN " SCHEME "org/role/name)");
	if (!parse_uri(out, (const char *)uri->p, uri->len))
		return fault_set(f, ERR_AUTH,
		    "the certificate's URI SAN is no fleet identity (" SCHEME "org/role/name)");
	return OK;
}

static bool
has_eku(const mbedtls_x509_crt *crt, const char *oid, size_t n)
{
	return CRT_HAS_EKU(crt) && mbedtls_x509_crt_check_extended_key_usage(crt, oid, n) == 0;
}

static enum err
read_serial(struct pki_identity *out, const mbedtls_x509_crt *crt, struct fault *f)
{
	const uint8_t *p = crt->serial.p;
	size_t n = crt->serial.len;

	while (n > 1 && *p == 0) {
		p++;
		n--;
	}
	if (n == 0 || n > 20)
		return fault_set(
		    f, ERR_PARSE, "the certificate's serial number is longer than 20 bytes");
	text_hex(out->serial, p, n);
	return OK;
}

enum err
pki_identity_of(struct pki_identity *out, const mbedtls_x509_crt *crt, struct fault *f)
{
	enum err e;

	memset(out, 0, sizeof(*out));
	out->not_before = pki_time_ms(&crt->valid_from);
	out->not_after = pki_time_ms(&crt->valid_to);
	if (out->not_before == INT64_MIN || out->not_after == INT64_MIN)
		return fault_set(f, ERR_PARSE, "the certificate's validity is no real date");
	pki_sha256(out->spki_sha256, crt->pk_raw.p, crt->pk_raw.len);
	pki_sha256(out->cert_sha256, crt->raw.p, crt->raw.len);
	out->server_auth =
	    has_eku(crt, MBEDTLS_OID_SERVER_AUTH, MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH));
	out->client_auth =
	    has_eku(crt, MBEDTLS_OID_CLIENT_AUTH, MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH));
	e = read_serial(out, crt, f);
	return e == OK ? read_san(out, crt, f) : e;
}

enum err
pki_identity_read(struct pki_identity *out, const uint8_t *p, size_t n, struct fault *f)
{
	mbedtls_x509_crt crt;
	enum err e;

	mbedtls_x509_crt_init(&crt);
	e = pki_parse_cert(&crt, p, n, f);
	if (e == OK)
		e = pki_identity_of(out, &crt, f);
	mbedtls_x509_crt_free(&crt);
	return e;
}

enum err
pki_spki_sha256(uint8_t out[PKI_SHA256], const uint8_t *p, size_t n, struct fault *f)
{
	mbedtls_x509_crt crt;
	enum err e;

	mbedtls_x509_crt_init(&crt);
	e = pki_parse_cert(&crt, p, n, f);
	if (e == OK)
		pki_sha256(out, crt.pk_raw.p, crt.pk_raw.len);
	mbedtls_x509_crt_free(&crt);
	return e;
}

enum err
pki_public_pem(struct buf *out, const uint8_t *cert, size_t n, struct fault *f)
{
	unsigned char text[1024];
	mbedtls_x509_crt crt;
	enum err e;

	mbedtls_x509_crt_init(&crt);
	e = pki_parse_cert(&crt, cert, n, f);
	if (e == OK && mbedtls_pk_write_pubkey_pem(&crt.pk, text, sizeof(text)) != 0)
		e = fault_set(f, ERR_PARSE, "the certificate's key cannot be read");
	if (e == OK)
		e = buf_puts(out, (const char *)text);
	mbedtls_x509_crt_free(&crt);
	return e;
}

enum err
pki_key_matches(const char *key_pem, const char *cert_pem, struct fault *f)
{
	mbedtls_x509_crt crt;
	mbedtls_pk_context key;
	enum err e;

	mbedtls_x509_crt_init(&crt);
	mbedtls_pk_init(&key);
	e = pki_parse_key(&key, key_pem, f);
	if (e == OK)
		e = pki_parse_cert(&crt, (const uint8_t *)cert_pem, strlen(cert_pem), f);
	if (e == OK && (!pki_is_p256(&crt.pk) || PK_CHECK_PAIR(&crt.pk, &key) != 0))
		e = fault_set(f, ERR_AUTH, "the private key does not belong to the certificate");
	mbedtls_pk_free(&key);
	mbedtls_x509_crt_free(&crt);
	return e;
}
