/* enroll.c - the conversation of an enrolment: learn the console's certificate under the pinned CA,
 * then send the request with a proof bound to it. */
#include "enroll.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "enroll_store.h"
#include "inventory.h"
#include "net/httpc.h"
#include "net/loop.h"
#include "os/file.h"
#include "sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 3u

struct enrolment {
	uv_loop_t loop;
	const struct agent_conf *conf;
	struct token token;
	struct httpc *http;
	struct httpc_call *call;
	uv_timer_t timer;
	struct buf key, csr;
	uint8_t leaf[PKI_SHA256], csr_sha256[PKI_SHA256], proof[ENROLL_MAC];
	char host[256], machine[65];
	unsigned tries;
	int exit_status;
	struct fault fault;
	struct buf left_out;
	char agent[40];
	bool again;
};

static void ask_leaf(struct enrolment *n);

static void
finish(struct enrolment *n, int status)
{
	n->exit_status = status;
	httpc_close(n->http, NULL, NULL);
	uv_close((uv_handle_t *)&n->timer, NULL);
}

static void
on_timer(uv_timer_t *t)
{
	ask_leaf(t->data);
}

static void
later(struct enrolment *n, uint32_t seconds)
{
	if (++n->tries >= TRIES) {
		finish(n, ENROLL_EXIT_LATER);
		return;
	}
	fault_reset(&n->fault);
	(void)uv_timer_start(&n->timer, on_timer, (uint64_t)seconds * 1000, 0);
}

/* A certificate that is out of its time under the right CA is nearly always this PC's clock. */
static void
connection_failed(struct enrolment *n, const struct httpc_response *r)
{
	if (r->err == ERR_EXPIRED) {
		(void)fault_set(&n->fault, ERR_EXPIRED,
		    "%s; check this PC's clock first (date, timedatectl)", fault_text(&r->fault));
		finish(n, ENROLL_EXIT_REFUSED);
	} else if (r->err == ERR_AUTH || r->err == ERR_VERIFY || r->err == ERR_PARSE) {
		(void)fault_set(&n->fault, r->err,
		    "%s:%u does not prove to be the console of this token: %s", n->token.host,
		    n->token.port, fault_text(&r->fault));
		finish(n, ENROLL_EXIT_REFUSED);
	} else {
		(void)fault_set(&n->fault, r->err, "%s:%u cannot be reached: %s", n->token.host,
		    n->token.port, fault_text(&r->fault));
		finish(n, ENROLL_EXIT_LATER);
	}
}

static enum err
endpoint(struct enrolment *n, char *url, size_t size)
{
	struct source s = { 0 };

	(void)snprintf(s.host, sizeof s.host, "%s", n->token.host);
	return source_url(url, size, "https", &s, n->token.port, ENROLL_PATH + 1);
}

static void
take_answer(struct enrolment *n, const struct httpc_response *r)
{
	struct enroll_answer a;
	enum err e;

	e = enroll_answer_open(&a, &n->token, n->proof, (const char *)r->body, r->len, &n->fault);
	if (e != OK) {
		finish(n, ENROLL_EXIT_REFUSED);
		return;
	}
	e = enroll_store(n->conf, &n->token, &a, buf_text(&n->key), &n->left_out, &n->fault);
	(void)snprintf(n->agent, sizeof n->agent, "%s", a.agent);
	enroll_answer_free(&a);
	finish(n, e == OK ? ENROLL_EXIT_OK : ENROLL_EXIT_REFUSED);
}

static void
refused(struct enrolment *n, const struct httpc_response *r)
{
	const char *code = "", *detail = "", *wait = httpc_field(r, "Retry-After");
	uint32_t seconds = 5;
	cJSON *t = NULL;

	if (json_parse(&t, (const char *)r->body, r->len, JSON_EVENT, NULL) == OK) {
		if (json_opt_string(t, "code", "", &code, NULL) != OK)
			code = "";
		if (json_opt_string(t, "detail", "", &detail, NULL) != OK)
			detail = "";
	}
	(void)fault_set(&n->fault, ERR_DENIED, "the console refused the enrolment (%d %s): %s%s",
	    r->status, code, detail,
	    strcmp(code, ENROLL_CODE_TOKEN) == 0
		? "; the token may be used up, expired or mistyped: ask for a new one"
		: "");
	if (strcmp(code, ENROLL_CODE_CSR) == 0)
		enroll_pending_drop(n->conf->state);
	if (r->status == 429 || r->status == 503) {
		if (wait != NULL && text_u32(wait, strlen(wait), 60, &seconds) != OK)
			seconds = 5;
		cJSON_Delete(t);
		later(n, seconds);
		return;
	}
	cJSON_Delete(t);
	finish(n, ENROLL_EXIT_REFUSED);
}

static void
request_done(void *ctx, const struct httpc_response *r)
{
	struct enrolment *n = ctx;

	n->call = NULL;
	if (r->err != OK)
		connection_failed(n, r);
	else if (r->peer == NULL || !pki_equal(r->peer->cert_sha256, n->leaf, PKI_SHA256)) {
		(void)fault_set(
		    &n->fault, ERR_AUTH, "the console changed its certificate meanwhile");
		later(n, 1);
	} else if (r->status == 200)
		take_answer(n, r);
	else
		refused(n, r);
}

static void
send_request(struct enrolment *n)
{
	static const char *const headers[] = { "Content-Type: application/json", NULL };
	struct enroll_request q = { 0 };
	struct httpc_request h = { 0 };
	struct buf body;
	char url[512];
	enum err e;

	buf_init(&body, LIMIT_HTTP_BODY);
	enroll_proof(n->proof, &n->token, n->leaf, n->csr_sha256);
	q.token_id = n->token.id;
	q.csr = buf_text(&n->csr);
	q.host = n->host;
	q.machine_id = n->machine;
	q.version = ATALAIA_VERSION;
	memcpy(q.proof, n->proof, sizeof q.proof);
	q.task_port = n->conf->task_port;
	e = enroll_request_write(&q, &body);
	if (e == OK)
		e = endpoint(n, url, sizeof url);
	h.url = url;
	h.headers = headers;
	h.body = body.data;
	h.body_len = body.len;
	h.max_body = LIMIT_ENROLMENT_BYTES;
	h.done = request_done;
	h.ctx = n;
	if (e == OK)
		e = httpc_start(n->http, &h, &n->call, &n->fault);
	buf_free(&body);
	if (e != OK) {
		(void)fault_set(&n->fault, e, "the request could not be made");
		finish(n, ENROLL_EXIT_REFUSED);
	}
}

static void
leaf_known(void *ctx, const struct httpc_response *r)
{
	struct enrolment *n = ctx;

	n->call = NULL;
	if (r->err != OK || r->peer == NULL) {
		connection_failed(n, r);
		return;
	}
	memcpy(n->leaf, r->peer->cert_sha256, sizeof n->leaf);
	send_request(n);
}

/* Any answer will do: the handshake has shown the certificate. */
static void
ask_leaf(struct enrolment *n)
{
	struct httpc_request h = { 0 };
	char url[512];
	enum err e = endpoint(n, url, sizeof url);

	h.url = url;
	h.done = leaf_known;
	h.ctx = n;
	if (e == OK)
		e = httpc_start(n->http, &h, &n->call, &n->fault);
	if (e != OK) {
		(void)fault_set(&n->fault, e, "the request could not be made");
		finish(n, ENROLL_EXIT_REFUSED);
	}
}

static enum err
prepare(struct enrolment *n, const char *token, struct fault *f)
{
	char path[4300];
	size_t size = sizeof n->host;
	struct pki_csr csr = { { 0 }, { 0 } };
	enum err e;

	e = token_decode(&n->token, token, strlen(token), f);
	if (e != OK) {
		n->exit_status = ENROLL_EXIT_CONFIG;
		return e;
	}
	e = file_make_dirs(n->conf->state, 0750, f);
	if (e != OK)
		return e;
	(void)snprintf(path, sizeof path, "%s/identity/identity.json", n->conf->state);
	if (file_exists(path) && !n->again)
		return fault_set(f, ERR_EXISTS,
		    "this PC is enrolled already; use --again to replace its "
		    "identity");
	if (n->conf->host[0] != '\0')
		(void)snprintf(n->host, sizeof n->host, "%s", n->conf->host);
	else if (uv_os_gethostname(n->host, &size) != 0)
		(void)snprintf(n->host, sizeof n->host, "unknown");
	inventory_machine(n->machine);
	e = enroll_pending(n->conf->state, n->host, &n->key, &n->csr, f);
	if (e == OK)
		e = pki_csr_read(&csr, buf_text(&n->csr), n->csr.len, f);
	memcpy(n->csr_sha256, csr.csr_sha256, sizeof n->csr_sha256);
	return e;
}

static enum err
start(struct enrolment *n, struct fault *f)
{
	struct httpc_tls tls = { 0 };
	const uint8_t(*pin)[PKI_SHA256] = (const uint8_t(*)[PKI_SHA256]) & n->token.ca_spki;
	enum err e;

	tls.trust.pins = pin;
	tls.trust.n_pins = 1;
	tls.expect.role = PKI_CONSOLE;
	tls.expect.server = true;
	e = httpc_new(&n->http, &n->loop, &tls, f);
	if (e != OK)
		return e;
	(void)uv_timer_init(&n->loop, &n->timer);
	n->timer.data = n;
	ask_leaf(n);
	(void)uv_run(&n->loop, UV_RUN_DEFAULT);
	return OK;
}

static void
tell(const struct enrolment *n)
{
	if (n->exit_status != ENROLL_EXIT_OK) {
		(void)fprintf(stderr, "atalaia-agent: %s\n", fault_text(&n->fault));
		return;
	}
	(void)printf(
	    "enrolled agent=%s console=%s:%u\n", n->agent, n->token.host, (unsigned)n->token.port);
	if (n->left_out.len > 0)
		(void)fprintf(stderr,
		    "atalaia-agent: not followed, because neither the token nor a package "
		    "vouches for the root: %s\n",
		    buf_text(&n->left_out));
}

int
enroll_run(const struct agent_conf *conf, const char *token, bool again)
{
	struct enrolment *n = calloc(1, sizeof *n);
	int status;
	enum err e;

	if (n == NULL || uv_loop_init(&n->loop) != 0) {
		free(n);
		(void)fprintf(stderr, "atalaia-agent: memory ran out\n");
		return ENROLL_EXIT_LATER;
	}
	n->conf = conf;
	n->again = again;
	buf_init(&n->key, LIMIT_PEM_BYTES);
	buf_init(&n->csr, LIMIT_PEM_BYTES);
	buf_init(&n->left_out, 1024);
	n->exit_status = ENROLL_EXIT_REFUSED;
	e = prepare(n, token, &n->fault);
	if (e == OK)
		e = start(n, &n->fault);
	tell(n);
	status = n->exit_status;
	if (!loop_end(&n->loop) && status == 0)
		status = AGENT_EXIT_LEFT;
	token_wipe(&n->token);
	buf_wipe(&n->key);
	buf_free(&n->csr);
	buf_free(&n->left_out);
	free(n);
	(void)e;
	return status;
}
