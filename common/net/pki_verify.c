/* pki_verify.c - whom to believe; see pki.h. mbedTLS builds the chain and checks signatures; times,
 * pins, identity and revocation are judged here. */
#include "net/pki_x509.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"

#include <mbedtls/ecp.h>
#include <stdlib.h>
#include <string.h>

#define TIME_FLAGS (MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE)

const mbedtls_x509_crt_profile pki_profile = {
	MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA256) | MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA384) |
	    MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA512),
	MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECKEY) | MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECDSA),
	MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP256R1),
	0,
};

void
pki_anchor_free(struct pki_anchor *a)
{
	if (a == NULL)
		return;
	mbedtls_x509_crt_free(&a->cas);
	free(a->pins);
	free(a->revoked);
	free(a);
}

static enum err
copy_revoked(struct pki_anchor *a, const struct pki_trust *t)
{
	size_t i;

	if (t->n_revoked == 0)
		return OK;
	a->revoked = calloc(t->n_revoked, sizeof(*a->revoked));
	if (a->revoked == NULL)
		return ERR_NOMEM;
	a->n_revoked = t->n_revoked;
	for (i = 0; i < t->n_revoked; i++)
		if (text_copy(a->revoked[i], PKI_SERIAL, t->revoked[i], strlen(t->revoked[i])) !=
		    OK)
			return ERR_TOOBIG;
	return OK;
}

static enum err
copy_pins(struct pki_anchor *a, const struct pki_trust *t)
{
	if (t->n_pins == 0)
		return OK;
	a->pins = calloc(t->n_pins, sizeof(*a->pins));
	if (a->pins == NULL)
		return ERR_NOMEM;
	memcpy(a->pins, t->pins, t->n_pins * sizeof(*a->pins));
	a->n_pins = t->n_pins;
	return OK;
}

enum err
pki_anchor_new(struct pki_anchor **out, const struct pki_trust *t, struct fault *f)
{
	struct pki_anchor *a = calloc(1, sizeof(*a));
	enum err e;

	*out = NULL;
	if (a == NULL) {
		(void)fault_set(f, ERR_NOMEM, "no memory for a trust list");
		return ERR_NOMEM;
	}
	mbedtls_x509_crt_init(&a->cas);
	a->grace_ms = t->expired_grace_ms;
	e = t->ca_pem != NULL ? pki_parse_chain(&a->cas, t->ca_pem, f) : OK;
	if (e == OK && (e = copy_pins(a, t)) == OK && (e = copy_revoked(a, t)) != OK)
		(void)fault_set(
		    f, e, "a revoked serial number is longer than %d digits", PKI_SERIAL - 1);
	if (e != OK) {
		(void)fault_set(f, e, "a trust list cannot be built");
		pki_anchor_free(a);
		return e;
	}
	*out = a;
	return OK;
}

/* --- the verdict on one leaf --- */

static void
span_text(char *out, size_t size, int64_t ms)
{
	long long s = ms / 1000;

	if (s >= 2 * 86400)
		(void)snprintf(out, size, "%lld days", s / 86400);
	else if (s >= 2 * 3600)
		(void)snprintf(out, size, "%lld hours", s / 3600);
	else
		(void)snprintf(out, size, "%lld seconds", s);
}

static enum err
judge_time(const struct pki_judge *j, const struct pki_identity *id)
{
	char since[32], now[CLOCK_TEXT];

	clock_format_s(now, j->now_ms);
	if (j->now_ms < id->not_before) {
		span_text(since, sizeof(since), id->not_before - j->now_ms);
		return fault_set(j->fault, ERR_EXPIRED,
		    "the certificate of %s '%s' is not valid for another %s: is the clock of this "
		    "PC right (%s)?",
		    pki_role_word(id->role), id->name, since, now);
	}
	if (j->now_ms > id->not_after && j->now_ms - id->not_after > j->anchor->grace_ms) {
		span_text(since, sizeof(since), j->now_ms - id->not_after);
		return fault_set(j->fault, ERR_EXPIRED,
		    "the certificate of %s '%s' expired %s ago (by this PC's clock, %s): renew or "
		    "enrol it again",
		    pki_role_word(id->role), id->name, since, now);
	}
	return OK;
}

static enum err
judge_identity(const struct pki_judge *j, const struct pki_identity *id)
{
	const struct pki_expect *x = &j->expect;
	size_t i;

	if (x->role != PKI_NONE && id->role != x->role)
		return fault_set(j->fault, ERR_AUTH,
		    "the peer is the %s '%s', but a certificate of the role %s is needed here",
		    pki_role_word(id->role), id->name, pki_role_word(x->role));
	if (x->org != NULL && strcmp(x->org, id->org) != 0)
		return fault_set(j->fault, ERR_AUTH,
		    "the peer belongs to the organisation '%s', not to '%s'", id->org, x->org);
	if (x->name != NULL && strcmp(x->name, id->name) != 0)
		return fault_set(j->fault, ERR_AUTH,
		    "the peer is the %s '%s', not '%s': has the address changed hands?",
		    pki_role_word(id->role), id->name, x->name);
	if (x->server ? !id->server_auth : !id->client_auth)
		return fault_set(j->fault, ERR_AUTH,
		    "the certificate of %s '%s' lacks the extended key usage %s",
		    pki_role_word(id->role), id->name, x->server ? "serverAuth" : "clientAuth");
	for (i = 0; i < j->anchor->n_revoked; i++)
		if (strcmp(j->anchor->revoked[i], id->serial) == 0)
			return fault_set(j->fault, ERR_AUTH,
			    "the certificate of %s '%s' (serial %s) is revoked",
			    pki_role_word(id->role), id->name, id->serial);
	return OK;
}

static enum err
judge_leaf(const struct pki_judge *j, const mbedtls_x509_crt *leaf, struct pki_identity *id)
{
	char issuer[128] = "";
	enum err e;

	if ((j->flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0) {
		(void)mbedtls_x509_dn_gets(issuer, sizeof(issuer), &leaf->issuer);
		return fault_set(j->fault, ERR_AUTH,
		    "the peer's certificate (issued by '%.100s') is not from a CA trusted here: "
		    "wrong server, or enrolled elsewhere",
		    issuer);
	}
	if (j->flags != 0)
		return fault_set(j->fault, ERR_AUTH,
		    "the peer's certificate uses a key, curve or signature that is not accepted "
		    "(flags 0x%x)",
		    j->flags);
	if (j->ca_expired)
		return fault_set(j->fault, ERR_EXPIRED,
		    "the CA's own certificate is outside its validity: check the clock, or rotate "
		    "the CA");
	if (leaf->MBEDTLS_PRIVATE(ca_istrue) != 0 || !pki_is_p256(&leaf->pk))
		return fault_set(j->fault, ERR_AUTH,
		    "the peer presents a CA certificate or a key that is not P-256");
	if ((e = pki_identity_of(id, leaf, j->fault)) != OK)
		return e;
	if ((e = judge_time(j, id)) != OK)
		return e;
	return judge_identity(j, id);
}

int
pki_judge_cert(void *judge, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	struct pki_judge *j = judge;
	struct pki_identity id;

	/* Only the two time flags are ours to take away; the rest stays and is fatal at the leaf.
	 */
	*flags &= ~(uint32_t)TIME_FLAGS;
	j->flags |= *flags;
	if (depth > 0) {
		int64_t from = pki_time_ms(&crt->valid_from), to = pki_time_ms(&crt->valid_to);

		j->ca_expired |=
		    from == INT64_MIN || to == INT64_MIN || j->now_ms < from || j->now_ms > to;
		return 0;
	}
	j->judged = true;
	j->verdict = judge_leaf(j, crt, &id);
	if (j->verdict != OK)
		return MBEDTLS_ERR_X509_FATAL_ERROR;
	if (j->out != NULL)
		*j->out = id;
	return 0;
}

/* --- whole chains --- */

/* The CA in chain[1..] whose key is pinned, as a list of its own. */
static enum err
pinned_ca(mbedtls_x509_crt *out, const struct pki_anchor *a, const mbedtls_x509_crt *chain,
    struct fault *f)
{
	const mbedtls_x509_crt *c;
	uint8_t spki[PKI_SHA256];
	size_t i;

	for (c = chain->next; c != NULL && c->raw.len > 0; c = c->next) {
		pki_sha256(spki, c->pk_raw.p, c->pk_raw.len);
		for (i = 0; i < a->n_pins; i++)
			if (memcmp(spki, a->pins[i], sizeof(spki)) == 0)
				return mbedtls_x509_crt_parse_der(out, c->raw.p, c->raw.len) == 0
					   ? OK
					   : ERR_NOMEM;
	}
	return fault_set(f, ERR_AUTH,
	    "the server shows no CA with the key that the token or configuration pins: wrong "
	    "server, or a man in the middle");
}

enum err
pki_anchor_check(const struct pki_anchor *a, const struct pki_expect *x, mbedtls_x509_crt *chain,
    int64_t now_ms, struct pki_identity *out, struct fault *f)
{
	struct pki_judge j = {
		.anchor = a, .expect = *x, .now_ms = now_ms, .out = out, .fault = f
	};
	mbedtls_x509_crt pinned, *cas = (mbedtls_x509_crt *)(uintptr_t)&a->cas;
	uint32_t flags = 0;
	enum err e = OK;
	int ret;

	mbedtls_x509_crt_init(&pinned);
	if (a->n_pins > 0) {
		e = pinned_ca(&pinned, a, chain, a->cas.raw.len > 0 ? NULL : f);
		if (e == OK)
			cas = &pinned;
		else if (a->cas.raw.len > 0)
			e = OK;
	} else if (a->cas.raw.len == 0) {
		e = fault_set(f, ERR_AUTH, "no CA is trusted here yet");
	}
	if (e == OK) {
		ret = mbedtls_x509_crt_verify_with_profile(
		    chain, cas, NULL, &pki_profile, NULL, &flags, pki_judge_cert, &j);
		if (j.judged)
			e = j.verdict;
		if (e == OK && (ret != 0 || !j.judged))
			e = pki_mbed_fault(
			    f, ERR_AUTH, ret, "the peer's certificate chain cannot be verified");
	}
	mbedtls_x509_crt_free(&pinned);
	return e;
}

enum err
pki_verify(const struct pki_trust *t, const struct pki_expect *x, const struct pki_der *chain,
    size_t n, int64_t now_ms, struct pki_identity *out, struct fault *f)
{
	struct pki_anchor *a;
	mbedtls_x509_crt crt;
	enum err e;
	size_t i;

	memset(out, 0, sizeof(*out));
	if (n == 0 || n > LIMIT_CHAIN)
		return fault_set(f, ERR_AUTH,
		    "the peer sent %zu certificates; 1 to %d are accepted", n, LIMIT_CHAIN);
	mbedtls_x509_crt_init(&crt);
	e = pki_anchor_new(&a, t, f);
	for (i = 0; i < n && e == OK; i++) {
		int ret = chain[i].n <= LIMIT_PEM
			      ? mbedtls_x509_crt_parse_der(&crt, chain[i].p, chain[i].n)
			      : -1;

		if (ret != 0)
			e = pki_mbed_fault(
			    f, ERR_PARSE, ret, "a certificate of the peer cannot be read");
	}
	if (e == OK)
		e = pki_anchor_check(a, x, &crt, now_ms, out, f);
	pki_anchor_free(a);
	mbedtls_x509_crt_free(&crt);
	return e;
}
