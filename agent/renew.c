/* renew.c - see renew.h. */
#include "renew.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "identity.h"
#include "net/httpc.h"
#include "os/file.h"
#include "os/rand.h"
#include "policies.h"
#include "proto/enroll.h"
#include "task_pull.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS 300000u
#define LONGEST_MS (6 * 3600000ull) /* timers are monotonic, certificates are not: look often */

struct renewal {
	struct agent *agent;
	struct httpc_call *call;
	uv_timer_t timer;
	uv_work_t work;
	char *cert, *ca; /* of the answer, on their way to the disk */
	char state[4096];
	struct identity *fresh;
	enum err err;
	struct fault fault;
	bool busy, closing;
	void (*closed)(void *ctx);
	void *closed_ctx;
};

static void look(struct renewal *r);

int64_t
renewal_due(int64_t not_before, int64_t not_after)
{
	if (not_after <= not_before)
		return not_before;
	return not_before + (not_after - not_before) / 3 * 2;
}

static void
on_timer(uv_timer_t *t)
{
	look(t->data);
}

static void
wait_ms(struct renewal *r, uint64_t ms)
{
	if (ms > LONGEST_MS)
		ms = LONGEST_MS;
	if (!r->closing)
		(void)uv_timer_start(
		    &r->timer, on_timer, ms + rand_below((uint32_t)(ms / 8 + 1)), 0);
}

static void
timer_closed(uv_handle_t *h)
{
	struct renewal *r = h->data;

	free(r->cert);
	free(r->ca);
	identity_free(r->fresh);
	r->closed(r->closed_ctx);
	free(r);
}

static void
maybe_close(struct renewal *r)
{
	if (r->closing && !r->busy)
		uv_close((uv_handle_t *)&r->timer, timer_closed);
}

/* The key stays, so one file decides: cert.pem. The CA list goes first, it only adds trust that the
 * authority allows. */
static void
store_work(uv_work_t *w)
{
	struct renewal *r = w->data;
	char path[4200];

	(void)snprintf(path, sizeof path, "%s/identity/ca.pem", r->state);
	r->err = file_replace(path, r->ca, strlen(r->ca), 0640, &r->fault);
	(void)snprintf(path, sizeof path, "%s/identity/cert.pem", r->state);
	if (r->err == OK)
		r->err = file_replace(path, r->cert, strlen(r->cert), 0640, &r->fault);
	if (r->err == OK)
		r->err = identity_load(&r->fresh, r->state, &r->fault);
}

static void
stored(uv_work_t *w, int status)
{
	struct renewal *r = w->data;

	r->busy = false;
	if (r->err == OK && !r->closing) {
		agent_take_identity(r->agent, r->fresh);
		r->fresh = NULL;
		log_info(
		    "identity.renewed", "serial=%s", identity_cert(r->agent->identity)->serial);
	} else if (r->err != OK) {
		log_error("identity.renewal", "why=%s", log_q(fault_text(&r->fault)));
	}
	wait_ms(r, r->err == OK ? 1000 : RETRY_MS);
	maybe_close(r);
}

/* Each CA of a new list, not only the first: one that the authority does not know is no CA of ours.
 */
static enum err
check_cas(const char *pem, const struct authority *au, struct fault *f)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	uint8_t spki[PKI_SHA256];
	enum err e = strstr(pem, begin) == NULL ? fault_set(f, ERR_PARSE, "no CA was named") : OK;

	for (const char *p = strstr(pem, begin); e == OK && p != NULL; p = strstr(p + 1, begin)) {
		e = pki_spki_sha256(spki, (const uint8_t *)p, strlen(p), f);
		if (e == OK && (au == NULL || !authority_ca_allowed(au, spki)))
			e = fault_set(
			    f, ERR_AUTH, "the console names a CA that the authority does not list");
	}
	return e;
}

static enum err
check(struct renewal *r, struct fault *f)
{
	const struct identity *id = r->agent->identity;
	const struct authority *au = policies_authority(r->agent->policies);
	struct pki_trust trust = { .ca_pem = r->ca };
	struct pki_expect expect = { PKI_AGENT, identity_org(id), identity_agent(id), false };
	struct pki_identity got;
	struct pki_der chain;
	struct buf der;
	enum err e;

	buf_init(&der, LIMIT_PEM_BYTES);
	e = pki_key_matches(identity_key_pem(id), r->cert, f);
	if (e == OK)
		e = pki_pem_to_der(&der, r->cert, strlen(r->cert), f);
	chain.p = der.data;
	chain.n = der.len;
	if (e == OK)
		e = pki_verify(&trust, &expect, &chain, 1, agent_now(r->agent), &got, f);
	if (e == OK && strcmp(r->ca, identity_ca_pem(id)) != 0)
		e = check_cas(r->ca, au, f);
	buf_free(&der);
	return e;
}

static void
take_answer(struct renewal *r, const struct httpc_response *resp)
{
	const char *cert, *ca;
	struct fault f = { 0 };
	cJSON *t = NULL;
	enum err e;

	e = json_parse(&t, (const char *)resp->body, resp->len, JSON_EVENT, &f);
	if (e == OK)
		e = json_get_string(t, "certificate", &cert, &f);
	if (e == OK)
		e = json_get_string(t, "ca", &ca, &f);
	if (e == OK) {
		free(r->cert);
		free(r->ca);
		r->cert = strdup(cert);
		r->ca = strdup(ca);
		e = r->cert == NULL || r->ca == NULL ? ERR_NOMEM : check(r, &f);
	}
	cJSON_Delete(t);
	if (e != OK) {
		log_error("identity.renewal", "why=%s", log_q(fault_text(&f)));
		wait_ms(r, RETRY_MS);
		return;
	}
	fault_reset(&r->fault);
	r->busy = true;
	(void)uv_queue_work(&r->agent->loop, &r->work, store_work, stored);
}

static void
renewed(void *ctx, const struct httpc_response *resp)
{
	struct renewal *r = ctx;

	r->call = NULL;
	if (resp->err == OK && resp->status == 200) {
		take_answer(r, resp);
		return;
	}
	log_warn("identity.renewal", "status=%d why=%s", resp->status,
	    resp->err == OK ? "refused" : log_q(fault_text(&resp->fault)));
	wait_ms(r, RETRY_MS);
}

static enum err
ask(struct renewal *r, struct fault *f)
{
	static const char *const headers[] = { "Content-Type: application/json", NULL };
	const struct identity *id = r->agent->identity;
	struct httpc_request q = { 0 };
	struct buf csr, body;
	char url[512];
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : OK;

	buf_init(&csr, LIMIT_PEM_BYTES);
	buf_init(&body, LIMIT_PEM_BYTES);
	if (e == OK)
		e = pki_csr_new(&csr, identity_key_pem(id), identity_agent(id), f);
	if (e == OK)
		e = json_add_string(o, "csr", buf_text(&csr));
	if (e == OK)
		e = json_print(o, &body);
	if (e == OK)
		e = console_url(r->agent, url, sizeof url, ENROLL_RENEW_PATH + 1);
	q.url = url;
	q.headers = headers;
	q.body = body.data;
	q.body_len = body.len;
	q.done = renewed;
	q.ctx = r;
	if (e == OK)
		e = httpc_start(r->agent->console, &q, &r->call, f);
	cJSON_Delete(o);
	buf_free(&csr);
	buf_free(&body);
	return e;
}

static void
look(struct renewal *r)
{
	const struct pki_identity *c = identity_cert(r->agent->identity);
	int64_t due = renewal_due(c->not_before, c->not_after), now = clock_wall_ms();
	struct fault f = { 0 };

	if (r->closing || r->call != NULL || r->busy)
		return;
	if (now < due) {
		wait_ms(r, (uint64_t)(due - now));
		return;
	}
	if (ask(r, &f) != OK) {
		log_error("identity.renewal", "why=%s", log_q(fault_text(&f)));
		wait_ms(r, RETRY_MS);
	}
}

enum err
renewal_new(struct renewal **out, struct agent *a)
{
	struct renewal *r = calloc(1, sizeof *r);

	if (r == NULL)
		return ERR_NOMEM;
	r->agent = a;
	r->work.data = r->timer.data = r;
	(void)snprintf(r->state, sizeof r->state, "%s", a->conf->state);
	(void)uv_timer_init(&a->loop, &r->timer);
	*out = r;
	return OK;
}

void
renewal_start(struct renewal *r)
{
	look(r);
}

void
renewal_close(struct renewal *r, void (*closed)(void *ctx), void *ctx)
{
	r->closing = true;
	r->closed = closed;
	r->closed_ctx = ctx;
	if (r->call != NULL)
		httpc_cancel(r->call);
	r->call = NULL;
	maybe_close(r);
}
