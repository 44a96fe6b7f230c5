/* pki_make.c - keys, CSRs, the CA, and certificates; see pki.h. mbedTLS 2.28 has no helper for URI
 * SANs, EKU or PKCS#8: the DER is built here. */
#include "net/pki_x509.h"

#include "base/limits.h"
#include "base/text.h"
#include "net/addr.h"
#include "net/pki_san.h"

#include <mbedtls/asn1write.h>
#include <mbedtls/ecp.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/x509_csr.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PEM_ROOM 8192 /* one certificate, CSR or key of ours is under 2 KiB */
#define SERIAL_BYTES 16

/* --- keys --- */

static enum err
make_key(mbedtls_pk_context *pk)
{
	if (mbedtls_pk_setup(pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) != 0)
		return ERR_NOMEM;
	return mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*pk), pki_rng, NULL) == 0
		   ? OK
		   : ERR_IO;
}

/* PrivateKeyInfo (RFC 5208) around the SEC 1 form that mbedTLS writes. mbedTLS writes DER
 * backwards, from the end of the room. */
static int
wrap_pkcs8(const mbedtls_pk_context *pk, uint8_t *room, size_t size, uint8_t **start)
{
	uint8_t *p = room + size;
	int ret, len, id = 0;

	if ((len = mbedtls_pk_write_key_der((mbedtls_pk_context *)(uintptr_t)pk, room, size)) < 0)
		return len;
	p -= len;
	if ((ret = mbedtls_asn1_write_len(&p, room, (size_t)len)) < 0)
		return ret;
	len += ret;
	if ((ret = mbedtls_asn1_write_tag(&p, room, MBEDTLS_ASN1_OCTET_STRING)) < 0)
		return ret;
	len += ret;
	if ((id = mbedtls_asn1_write_oid(&p, room, MBEDTLS_OID_EC_GRP_SECP256R1,
		 MBEDTLS_OID_SIZE(MBEDTLS_OID_EC_GRP_SECP256R1))) < 0)
		return id;
	if ((ret = mbedtls_asn1_write_algorithm_identifier(&p, room,
		 MBEDTLS_OID_EC_ALG_UNRESTRICTED, MBEDTLS_OID_SIZE(MBEDTLS_OID_EC_ALG_UNRESTRICTED),
		 (size_t)id)) < 0)
		return ret;
	len += ret;
	if ((ret = mbedtls_asn1_write_int(&p, room, 0)) < 0)
		return ret;
	len += ret;
	if ((ret = mbedtls_asn1_write_len(&p, room, (size_t)len)) < 0)
		return ret;
	len += ret;
	if ((ret = mbedtls_asn1_write_tag(
		 &p, room, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE)) < 0)
		return ret;
	*start = p;
	return len + ret;
}

static enum err
key_to_pem(struct buf *pem, const mbedtls_pk_context *pk)
{
	uint8_t der[512], *start = der;
	unsigned char text[1024];
	size_t used;
	int len = wrap_pkcs8(pk, der, sizeof(der), &start);
	enum err e = ERR_IO;

	if (len > 0 &&
	    mbedtls_pem_write_buffer("-----BEGIN PRIVATE KEY-----\n", "-----END PRIVATE KEY-----\n",
		start, (size_t)len, text, sizeof(text), &used) == 0)
		e = buf_puts(pem, (const char *)text);
	mbedtls_platform_zeroize(der, sizeof(der));
	mbedtls_platform_zeroize(text, sizeof(text));
	return e;
}

enum err
pki_key_new(struct buf *key_pem)
{
	mbedtls_pk_context pk;
	enum err e;

	mbedtls_pk_init(&pk);
	e = make_key(&pk);
	if (e == OK)
		e = key_to_pem(key_pem, &pk);
	mbedtls_pk_free(&pk);
	return e;
}

/* --- CSRs --- */

enum err
pki_csr_new(struct buf *csr_pem, const char *key_pem, const char *cn, struct fault *f)
{
	unsigned char text[PEM_ROOM];
	char subject[PKI_NAME + 4];
	mbedtls_x509write_csr w;
	mbedtls_pk_context pk;
	enum err e;
	int ret;

	mbedtls_pk_init(&pk);
	mbedtls_x509write_csr_init(&w);
	(void)snprintf(
	    subject, sizeof(subject), "CN=%s", pki_is_name(cn, strlen(cn)) ? cn : "agent");
	e = pki_parse_key(&pk, key_pem, f);
	if (e == OK) {
		mbedtls_x509write_csr_set_md_alg(&w, MBEDTLS_MD_SHA256);
		mbedtls_x509write_csr_set_key(&w, &pk);
		ret = mbedtls_x509write_csr_set_subject_name(&w, subject);
		if (ret == 0)
			ret = mbedtls_x509write_csr_pem(&w, text, sizeof(text), pki_rng, NULL);
		e = ret == 0
			? buf_puts(csr_pem, (const char *)text)
			: pki_mbed_fault(f, ERR_IO, ret, "a certificate request cannot be written");
	}
	mbedtls_x509write_csr_free(&w);
	mbedtls_pk_free(&pk);
	return e;
}

static enum err
csr_load(mbedtls_x509_csr *csr, const char *pem, size_t n, struct fault *f)
{
	char text[PEM_ROOM];
	uint8_t hash[MBEDTLS_MD_MAX_SIZE];
	const mbedtls_md_info_t *md;
	int ret;

	if (text_copy(text, sizeof(text), pem, n) != OK || strlen(text) != n)
		return fault_set(f, ERR_PARSE,
		    "a certificate request is longer than %d bytes or holds a NUL", PEM_ROOM - 1);
	if ((ret = mbedtls_x509_csr_parse(csr, (const unsigned char *)text, n + 1)) != 0)
		return pki_mbed_fault(f, ERR_PARSE, ret, "a certificate request cannot be read");
	if (!pki_is_p256(&csr->pk) || csr->MBEDTLS_PRIVATE(sig_md) != MBEDTLS_MD_SHA256)
		return fault_set(
		    f, ERR_UNSUPPORTED, "a certificate request must be ECDSA P-256 with SHA-256");
	md = mbedtls_md_info_from_type(csr->MBEDTLS_PRIVATE(sig_md));
	if (mbedtls_md(md, csr->cri.p, csr->cri.len, hash) != 0 ||
	    mbedtls_pk_verify(&csr->pk, csr->MBEDTLS_PRIVATE(sig_md), hash, mbedtls_md_get_size(md),
		csr->MBEDTLS_PRIVATE(sig).p, csr->MBEDTLS_PRIVATE(sig).len) != 0)
		return fault_set(f, ERR_AUTH, "a certificate request is not signed by its own key");
	return OK;
}

enum err
pki_csr_read(struct pki_csr *out, const char *csr_pem, size_t n, struct fault *f)
{
	mbedtls_x509_csr csr;
	uint8_t der[256];
	enum err e;
	int len;

	memset(out, 0, sizeof(*out));
	mbedtls_x509_csr_init(&csr);
	e = csr_load(&csr, csr_pem, n, f);
	if (e == OK) {
		len = mbedtls_pk_write_pubkey_der(&csr.pk, der, sizeof(der));
		pki_sha256(out->csr_sha256, csr.raw.p, csr.raw.len);
		if (len > 0)
			pki_sha256(out->spki_sha256, der + sizeof(der) - len, (size_t)len);
		else
			e = pki_mbed_fault(f, ERR_IO, len, "a public key cannot be written");
	}
	mbedtls_x509_csr_free(&csr);
	return e;
}

/* --- certificates --- */

static enum err
cert_validity(mbedtls_x509write_cert *w, int64_t not_before, int64_t not_after)
{
	time_t from = (time_t)(not_before / 1000), to = (time_t)(not_after / 1000);
	char a[16], b[16];
	struct tm tm;

	if (not_after <= not_before || gmtime_r(&from, &tm) == NULL ||
	    strftime(a, sizeof(a), "%Y%m%d%H%M%S", &tm) != 14)
		return ERR_INVAL;
	if (gmtime_r(&to, &tm) == NULL || strftime(b, sizeof(b), "%Y%m%d%H%M%S", &tm) != 14)
		return ERR_INVAL;
	return mbedtls_x509write_crt_set_validity(w, a, b) == 0 ? OK : ERR_INVAL;
}

static int
cert_serial(mbedtls_x509write_cert *w)
{
	uint8_t serial[SERIAL_BYTES];

	if (pki_random(serial, sizeof(serial)) != OK)
		return -1;
	serial[0] =
	    (uint8_t)((serial[0] & 0x7f) | 0x40); /* positive, and always of the same length */
#if MBEDTLS_VERSION_NUMBER >= 0x03040000
	return mbedtls_x509write_crt_set_serial_raw(w, serial, sizeof(serial));
#else
	mbedtls_mpi n;
	int ret;

	mbedtls_mpi_init(&n);
	ret = mbedtls_mpi_read_binary(&n, serial, sizeof(serial));
	if (ret == 0)
		ret = mbedtls_x509write_crt_set_serial(w, &n);
	mbedtls_mpi_free(&n);
	return ret;
#endif
}

/* Names, keys, serial number and times: what a CA and a leaf have in common. */
static enum err
cert_begin(mbedtls_x509write_cert *w, const char *subject, mbedtls_pk_context *key,
    const char *issuer, mbedtls_pk_context *issuer_key, int64_t not_before, int64_t not_after,
    struct fault *f)
{
	int ret;

	mbedtls_x509write_crt_set_version(w, MBEDTLS_X509_CRT_VERSION_3);
	mbedtls_x509write_crt_set_md_alg(w, MBEDTLS_MD_SHA256);
	mbedtls_x509write_crt_set_subject_key(w, key);
	mbedtls_x509write_crt_set_issuer_key(w, issuer_key);
	if ((ret = mbedtls_x509write_crt_set_subject_name(w, subject)) != 0 ||
	    (ret = mbedtls_x509write_crt_set_issuer_name(w, issuer)) != 0 ||
	    (ret = cert_serial(w)) != 0)
		return pki_mbed_fault(f, ERR_IO, ret, "a certificate cannot be prepared");
	if (cert_validity(w, not_before, not_after) != OK)
		return fault_set(f, ERR_INVAL,
		    "a certificate's end must lie behind its beginning, both in the years 1950 to "
		    "9999");
	if ((ret = mbedtls_x509write_crt_set_subject_key_identifier(w)) != 0 ||
	    (ret = mbedtls_x509write_crt_set_authority_key_identifier(w)) != 0)
		return pki_mbed_fault(
		    f, ERR_IO, ret, "a certificate's key identifiers cannot be written");
	return OK;
}

static enum err
cert_finish(mbedtls_x509write_cert *w, struct buf *pem, struct fault *f)
{
	unsigned char text[PEM_ROOM];
	int ret = mbedtls_x509write_crt_pem(w, text, sizeof(text), pki_rng, NULL);

	return ret == 0 ? buf_puts(pem, (const char *)text)
			: pki_mbed_fault(f, ERR_IO, ret, "a certificate cannot be signed");
}

enum err
pki_ca_new(struct buf *ca_pem, struct buf *ca_key_pem, const char *org, int64_t not_before,
    int64_t not_after, struct fault *f)
{
	char subject[2 * PKI_NAME + 32];
	mbedtls_x509write_cert w;
	mbedtls_pk_context pk;
	enum err e;
	int ret;

	if (!pki_is_name(org, strlen(org)))
		return fault_set(f, ERR_INVAL,
		    "an organisation's name is 1 to 64 of the characters A-Z a-z 0-9 . _ -");
	(void)snprintf(subject, sizeof(subject), "O=%s,CN=%.40s fleet CA", org, org);
	mbedtls_pk_init(&pk);
	mbedtls_x509write_crt_init(&w);
	e = make_key(&pk);
	if (e == OK)
		e = cert_begin(&w, subject, &pk, subject, &pk, not_before, not_after, f);
	if (e == OK && ((ret = mbedtls_x509write_crt_set_basic_constraints(&w, 1, 0)) != 0 ||
			   (ret = mbedtls_x509write_crt_set_key_usage(&w,
				MBEDTLS_X509_KU_KEY_CERT_SIGN | MBEDTLS_X509_KU_CRL_SIGN)) != 0))
		e = pki_mbed_fault(f, ERR_IO, ret, "a CA's constraints cannot be written");
	if (e == OK)
		e = cert_finish(&w, ca_pem, f);
	if (e == OK)
		e = key_to_pem(ca_key_pem, &pk);
	mbedtls_x509write_crt_free(&w);
	mbedtls_pk_free(&pk);
	return e;
}

static enum err
grant_check(const struct pki_grant *g, struct fault *f)
{
	if (!pki_is_name(g->org, strlen(g->org)) || !pki_is_name(g->name, strlen(g->name)) ||
	    (g->role != PKI_AGENT && g->role != PKI_CONSOLE))
		return fault_set(f, ERR_INVAL,
		    "an identity needs a role, and an org and name of 1 to 64 of the characters "
		    "A-Z a-z 0-9 . _ -");
	if (!g->server_auth && !g->client_auth)
		return fault_set(
		    f, ERR_INVAL, "a certificate without serverAuth and clientAuth is of no use");
	return OK;
}

static int
cert_extensions(mbedtls_x509write_cert *w, const struct pki_grant *g, struct fault *f)
{
	uint8_t room[PKI_SAN_ROOM], *start;
	int len, ret;

	if ((ret = mbedtls_x509write_crt_set_basic_constraints(w, 0, -1)) != 0 ||
	    (ret = mbedtls_x509write_crt_set_key_usage(w, MBEDTLS_X509_KU_DIGITAL_SIGNATURE)) != 0)
		return ret;
	if ((len = pki_san_write(room, sizeof(room), &start, g, f)) < 0)
		return len;
	if ((ret = mbedtls_x509write_crt_set_extension(w, MBEDTLS_OID_SUBJECT_ALT_NAME,
		 MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME), 0, start, (size_t)len)) != 0)
		return ret;
	if ((len = pki_eku_write(room, sizeof(room), &start, g->server_auth, g->client_auth)) < 0)
		return len;
	return mbedtls_x509write_crt_set_extension(w, MBEDTLS_OID_EXTENDED_KEY_USAGE,
	    MBEDTLS_OID_SIZE(MBEDTLS_OID_EXTENDED_KEY_USAGE), 0, start, (size_t)len);
}

/* The CA's key and certificate must be a pair that may sign. */
static enum err
load_ca(mbedtls_x509_crt *ca, mbedtls_pk_context *key, const char *ca_pem, const char *ca_key_pem,
    struct fault *f)
{
	enum err e = pki_parse_cert(ca, (const uint8_t *)ca_pem, strlen(ca_pem), f);

	if (e == OK)
		e = pki_parse_key(key, ca_key_pem, f);
	if (e == OK && (ca->MBEDTLS_PRIVATE(ca_istrue) == 0 || PK_CHECK_PAIR(&ca->pk, key) != 0))
		e = fault_set(f, ERR_AUTH,
		    "the CA's certificate and key do not belong together, or it is no CA");
	return e;
}

static enum err
issue(struct buf *cert_pem, mbedtls_x509_csr *csr, mbedtls_x509_crt *ca, mbedtls_pk_context *ca_key,
    const struct pki_grant *g, struct fault *f)
{
	char subject[2 * PKI_NAME + 16], issuer[512];
	int64_t ca_end = pki_time_ms(&ca->valid_to);
	mbedtls_x509write_cert w;
	enum err e;
	int ret;

	(void)snprintf(subject, sizeof(subject), "O=%s,CN=%s", g->org, g->name);
	if (mbedtls_x509_dn_gets(issuer, sizeof(issuer), &ca->subject) < 0)
		return fault_set(f, ERR_INVAL, "the CA's subject name is too long");
	mbedtls_x509write_crt_init(&w);
	e = cert_begin(&w, subject, &csr->pk, issuer, ca_key, g->not_before,
	    g->not_after < ca_end ? g->not_after : ca_end, f);
	if (e == OK && (ret = cert_extensions(&w, g, f)) != 0)
		e = pki_mbed_fault(f, ERR_IO, ret, "a certificate's extensions cannot be written");
	if (e == OK)
		e = cert_finish(&w, cert_pem, f);
	mbedtls_x509write_crt_free(&w);
	return e;
}

/* What was issued must pass our own verification at its first moment: an unusual CA name or time is
 * found here and not by the fleet. */
static enum err
proofread(const char *cert_pem, const char *ca_pem, const struct pki_grant *g,
    struct pki_identity *id, struct fault *f)
{
	struct pki_trust trust = { .ca_pem = ca_pem };
	struct pki_expect expect = {
		.role = g->role, .org = g->org, .name = g->name, .server = g->server_auth
	};
	struct pki_der der;
	struct buf b;
	enum err e;

	buf_init(&b, LIMIT_PEM);
	e = pki_pem_to_der(&b, cert_pem, strlen(cert_pem), f);
	der = (struct pki_der){ b.data, b.len };
	if (e == OK)
		e = pki_verify(&trust, &expect, &der, 1, g->not_before, id, f);
	buf_free(&b);
	if (e != OK)
		fault_prefix(f, "the certificate just issued is not valid");
	return e;
}

enum err
pki_issue(struct buf *cert_pem, const char *csr_pem, size_t csr_len, const char *ca_pem,
    const char *ca_key_pem, const struct pki_grant *g, struct pki_identity *identity,
    struct fault *f)
{
	struct pki_identity id;
	mbedtls_x509_csr csr;
	mbedtls_x509_crt ca;
	mbedtls_pk_context ca_key;
	struct buf cert;
	enum err e = grant_check(g, f);

	buf_init(&cert, PEM_ROOM);
	mbedtls_x509_csr_init(&csr);
	mbedtls_x509_crt_init(&ca);
	mbedtls_pk_init(&ca_key);
	if (e == OK)
		e = csr_load(&csr, csr_pem, csr_len, f);
	if (e == OK)
		e = load_ca(&ca, &ca_key, ca_pem, ca_key_pem, f);
	if (e == OK)
		e = issue(&cert, &csr, &ca, &ca_key, g, f);
	if (e == OK)
		e = proofread(buf_text(&cert), ca_pem, g, &id, f);
	if (e == OK)
		e = buf_append(cert_pem, cert.data, cert.len);
	if (e == OK && identity != NULL)
		*identity = id;
	mbedtls_pk_free(&ca_key);
	mbedtls_x509_crt_free(&ca);
	mbedtls_x509_csr_free(&csr);
	buf_free(&cert);
	return e;
}
