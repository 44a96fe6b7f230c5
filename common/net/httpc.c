/* httpc.c - see httpc.h. Calls end in httpc_progress only, outside of every curl function, so that
 * `done` may start, cancel and close. */
#include "net/httpc_int.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "net/curlset.h"

#include <stdlib.h>
#include <string.h>

#define TOTAL_MS 60000

/* --- the client --- */

static void
on_soon(uv_timer_t *t)
{
	httpc_progress(t->data);
}

static void
soon(struct httpc *c)
{
	if (!uv_is_closing((uv_handle_t *)&c->soon))
		(void)uv_timer_start(&c->soon, on_soon, 0, 0);
}

enum err
httpc_new(struct httpc **out, uv_loop_t *loop, const struct httpc_tls *tls, struct fault *f)
{
	struct httpc *c;
	enum err e = curlset_global();

	*out = NULL;
	if (e != OK)
		return fault_set(f, e, "libcurl cannot be started");
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return fault_set(f, ERR_NOMEM, "no memory for an HTTP client");
	c->loop = loop;
	if (tls != NULL && (e = curl_identity_new(&c->identity, tls, f)) != OK) {
		free(c);
		return e;
	}
	if (io_open(c) != OK) {
		curl_identity_unref(c->identity);
		free(c);
		return fault_set(f, ERR_NOMEM, "no memory for an HTTP client");
	}
	(void)uv_timer_init(loop, &c->soon);
	c->soon.data = c;
	c->handles++;
	*out = c;
	return OK;
}

enum err
httpc_set_tls(struct httpc *c, const struct httpc_tls *tls, struct fault *f)
{
	struct curl_identity *fresh = NULL;
	enum err e = tls != NULL ? curl_identity_new(&fresh, tls, f) : OK;

	if (e != OK)
		return e;
	curl_identity_unref(c->identity);
	c->identity = fresh;
	return OK;
}

void
httpc_handle_gone(struct httpc *c)
{
	void (*closed)(void *) = c->closed;
	void *ctx = c->closed_ctx;

	if (--c->handles > 0)
		return;
	curl_identity_unref(c->identity);
	free(c);
	if (closed != NULL)
		closed(ctx);
}

static void
on_soon_closed(uv_handle_t *h)
{
	httpc_handle_gone(h->data);
}

/* All calls are out of the multi: it may go, and with it every kept connection. */
static void
end_client(struct httpc *c)
{
	if (c->ended)
		return;
	c->ended = true;
	(void)curl_multi_cleanup(c->multi);
	io_close(c);
	uv_close((uv_handle_t *)&c->soon, on_soon_closed);
}

void
httpc_close(struct httpc *c, void (*closed)(void *ctx), void *ctx)
{
	struct httpc_call *k;

	c->closing = true;
	c->closed = closed;
	c->closed_ctx = ctx;
	for (k = c->calls; k != NULL; k = k->next)
		k->stopped = true;
	soon(c); /* done callbacks come from the loop, never from here */
}

/* --- what curl tells --- */

static size_t
on_data(char *p, size_t one, size_t n, void *ctx)
{
	struct httpc_call *k = ctx;
	long status = 0;

	k->got += n;
	if (k->canceled || k->stopped || k->wrong_peer)
		return CURL_WRITEFUNC_ERROR;
	if (k->max_body != SIZE_MAX && k->got > k->max_body) {
		k->too_big = true;
		return CURL_WRITEFUNC_ERROR;
	}
	(void)curl_easy_getinfo(k->easy, CURLINFO_RESPONSE_CODE, &status);
	if (k->stream && status == 200) {
		k->stopped = !k->data(k->ctx, (const uint8_t *)p, n);
		return k->stopped ? CURL_WRITEFUNC_ERROR : n;
	}
	if (buf_append(&k->body, p, n) == OK)
		return n;
	k->too_big = true;
	return CURL_WRITEFUNC_ERROR;
}

/* Per request, because a kept connection may outlive the certificate that opened it. */
static bool
peer_is_right(struct httpc_call *k)
{
	k->has_peer = curl_verify_peer(k->easy, &k->peer);
	if (!k->has_peer ||
	    (k->expect_name[0] != '\0' && strcmp(k->expect_name, k->peer.name) != 0))
		return false;
	return clock_wall_ms() <= k->peer.not_after;
}

/* The first header line: the connection is there, so its identity can be noted, also when the
 * connection was kept from before. */
static size_t
on_header(char *p, size_t one, size_t n, void *ctx)
{
	struct httpc_call *k = ctx;

	if (k->verify == NULL || k->has_peer)
		return n;
	k->wrong_peer = !peer_is_right(k);
	return k->wrong_peer ? 0 : n;
}

static int
on_progress(void *ctx, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
	struct httpc_call *k = ctx;

	return k->canceled || k->stopped ? 1 : 0;
}

/* --- one call --- */

static void
call_free(struct httpc_call *k)
{
	if (k->link != NULL) {
		if (k->next != NULL)
			k->next->link = k->link;
		*k->link = k->next;
	}
	if (k->easy != NULL)
		curl_easy_cleanup(k->easy);
	curl_slist_free_all(k->headers);
	curl_verify_unref(k->verify);
	buf_free(&k->body);
	free(k->sent);
	free(k);
}

static enum err
result_of(const struct httpc_call *k)
{
	if (k->finished && k->code == CURLE_OK)
		return OK;
	if (k->too_big)
		return ERR_TOOBIG;
	if (k->stopped)
		return k->starved ? ERR_NOMEM : ERR_CANCELED;
	if (k->verify != NULL && curl_verify_fault(k->verify)->code != OK)
		return curl_verify_fault(k->verify)->code;
	if (k->wrong_peer)
		return ERR_AUTH;
	return k->finished ? curlset_err(k->code) : ERR_CANCELED;
}

static void
explain(const struct httpc_call *k, struct httpc_response *r)
{
	char *url = NULL;

	if (r->err == OK)
		return;
	(void)curl_easy_getinfo(k->easy, CURLINFO_EFFECTIVE_URL, &url);
	if (url == NULL)
		url = (char *)(uintptr_t) "?";
	if (r->err == ERR_TOOBIG)
		(void)fault_set(&r->fault, r->err, "%.150s: the answer is longer than %zu bytes",
		    url, k->max_body);
	else if (k->stopped)
		(void)fault_set(&r->fault, r->err, "%.150s: %s", url, err_text(r->err));
	else if (k->verify != NULL && curl_verify_fault(k->verify)->code != OK)
		(void)fault_set(
		    &r->fault, r->err, "%.150s: %s", url, fault_text(curl_verify_fault(k->verify)));
	else if (k->wrong_peer)
		(void)fault_set(&r->fault, r->err,
		    "%.150s: the connection belongs to another peer than the one asked for, or its "
		    "certificate has expired",
		    url);
	else
		(void)fault_set(&r->fault, r->err, "%.150s: %s", url,
		    k->curl_text[0] != '\0' ? k->curl_text : curl_easy_strerror(k->code));
}

static void
call_end(struct httpc_call *k)
{
	struct httpc_response r = { .err = result_of(k), .easy = k->easy };
	curl_off_t up = 0, down = 0;
	long status = 0, head = 0, sent_head = 0;

	if (k->canceled) {
		call_free(k);
		return;
	}
	(void)curl_easy_getinfo(k->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(k->easy, CURLINFO_HEADER_SIZE, &head);
	(void)curl_easy_getinfo(k->easy, CURLINFO_REQUEST_SIZE, &sent_head);
	(void)curl_easy_getinfo(k->easy, CURLINFO_SIZE_UPLOAD_T, &up);
	(void)curl_easy_getinfo(k->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
	r.status = (int)status;
	r.body = (const uint8_t *)buf_text(&k->body);
	r.len = k->body.len;
	r.peer = k->has_peer ? &k->peer : NULL;
	r.bytes_in = (uint64_t)down + (uint64_t)head;
	r.bytes_out = (uint64_t)up + (uint64_t)sent_head;
	explain(k, &r);
	k->done(k->ctx, &r);
	call_free(k);
}

/* One call that has to leave, or NULL. The list may change in every callback, so the search starts
 * afresh. */
static struct httpc_call *
next_leaver(struct httpc *c)
{
	struct httpc_call *k;

	for (k = c->calls; k != NULL; k = k->next)
		/* Freed calls have left the list. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		if (k->finished || k->canceled || k->stopped)
			return k;
	return NULL;
}

static void
collect_finished(struct httpc *c)
{
	struct httpc_call *k;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(c->multi, &left)) != NULL) {
		if (m->msg != CURLMSG_DONE ||
		    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &k) != CURLE_OK)
			continue;
		k->finished = true;
		k->code = m->data.result;
	}
}

void
httpc_progress(struct httpc *c)
{
	struct httpc_call *k;

	if (c->inside > 0 || c->ended)
		return;
	c->inside++;
	collect_finished(c);
	while ((k = next_leaver(c)) != NULL) {
		if (k->next != NULL)
			k->next->link = k->link;
		*k->link = k->next;
		k->link = NULL;
		k->next = NULL;
		(void)curl_multi_remove_handle(c->multi, k->easy);
		call_end(k);
		collect_finished(c);
	}
	c->inside--;
	if (c->closing && c->calls == NULL)
		end_client(c);
}

void
httpc_starve(struct httpc_call *k)
{
	k->starved = k->stopped = true;
	soon(k->c);
}

void
httpc_cancel(struct httpc_call *k)
{
	k->canceled = true;
	soon(k->c);
}

const char *
httpc_field(const struct httpc_response *r, const char *name)
{
	struct curl_header *h;

	return r->easy != NULL &&
		       curl_easy_header(r->easy, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK
		   ? h->value
		   : NULL;
}

uint64_t
httpc_retry_after_ms(const struct httpc_response *r, uint32_t max_s)
{
	const char *v = httpc_field(r, "Retry-After");
	uint32_t s;

	return v != NULL && text_u32(v, strlen(v), max_s, &s) == OK ? (uint64_t)s * 1000 : 0;
}

/* --- starting --- */

static enum err
add_header(struct httpc_call *k, const char *line)
{
	struct curl_slist *grown = curl_slist_append(k->headers, line);

	if (grown == NULL)
		return ERR_NOMEM;
	k->headers = grown;
	return OK;
}

static enum err
set_headers(struct httpc_call *k, const struct httpc_request *q)
{
	/* No "Expect: 100-continue": our bodies are small, and a lost second per upload is worse.
	 */
	enum err e = add_header(k, "Expect:");
	size_t i;

	for (i = 0; e == OK && q->headers != NULL && q->headers[i] != NULL; i++)
		e = add_header(k, q->headers[i]);
	if (e == OK && curl_easy_setopt(k->easy, CURLOPT_HTTPHEADER, k->headers) != CURLE_OK)
		e = ERR_NOMEM;
	return e;
}

static enum err
set_body(struct httpc_call *k, const struct httpc_request *q)
{
	CURLcode code = CURLE_OK;

	if (q->body != NULL) {
		k->sent = malloc(q->body_len + 1);
		if (k->sent == NULL)
			return ERR_NOMEM;
		memcpy(k->sent, q->body, q->body_len);
		code = curl_easy_setopt(k->easy, CURLOPT_POST, 1L);
		if (code == CURLE_OK)
			code = curl_easy_setopt(
			    k->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_len);
		if (code == CURLE_OK)
			code = curl_easy_setopt(k->easy, CURLOPT_POSTFIELDS, k->sent);
	} else if (q->method != NULL && strcmp(q->method, "HEAD") == 0) {
		code = curl_easy_setopt(k->easy, CURLOPT_NOBODY, 1L);
	}
	if (code == CURLE_OK && q->method != NULL && strcmp(q->method, "GET") != 0 &&
	    strcmp(q->method, "HEAD") != 0)
		code = curl_easy_setopt(k->easy, CURLOPT_CUSTOMREQUEST, q->method);
	return code == CURLE_OK ? OK : ERR_NOMEM;
}

static enum err
set_callbacks(struct httpc_call *k)
{
	CURLcode code = curl_easy_setopt(k->easy, CURLOPT_WRITEFUNCTION, on_data);

	if (code == CURLE_OK)
		code = curl_easy_setopt(k->easy, CURLOPT_WRITEDATA, k);
	if (code == CURLE_OK)
		code = curl_easy_setopt(k->easy, CURLOPT_HEADERFUNCTION, on_header);
	if (code == CURLE_OK)
		code = curl_easy_setopt(k->easy, CURLOPT_HEADERDATA, k);
	if (code == CURLE_OK)
		code = curl_easy_setopt(k->easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	if (code == CURLE_OK)
		code = curl_easy_setopt(k->easy, CURLOPT_XFERINFODATA, k);
	if (code == CURLE_OK)
		code = curl_easy_setopt(k->easy, CURLOPT_NOPROGRESS, 0L);
	if (code == CURLE_OK) /* 64 KiB else, kept while a long-poll stands */
		code = curl_easy_setopt(k->easy, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(k->easy, CURLOPT_PRIVATE, k);
	if (code == CURLE_OK)
		code = curl_easy_setopt(k->easy, CURLOPT_ERRORBUFFER, k->curl_text);
	return code == CURLE_OK ? OK : ERR_NOMEM;
}

static enum err
set_tls(struct httpc_call *k, const struct httpc_request *q)
{
	enum err e;

	if (k->c->identity == NULL)
		return OK; /* https is not among the protocols then */
	if (q->expect_name != NULL) {
		if ((e = text_copy(k->expect_name, sizeof(k->expect_name), q->expect_name,
			 strlen(q->expect_name))) != OK)
			return e;
		if (curl_easy_setopt(k->easy, CURLOPT_FRESH_CONNECT, 1L) != CURLE_OK ||
		    curl_easy_setopt(k->easy, CURLOPT_FORBID_REUSE, 1L) != CURLE_OK)
			return ERR_NOMEM;
	}
	if (!text_starts(q->url, "https:"))
		return OK;
	if ((e = curl_verify_new(&k->verify, k->c->identity, q->expect_name)) != OK)
		return e;
	return curl_verify_attach(k->verify, k->easy);
}

static enum err
set_up(struct httpc_call *k, const struct httpc_request *q, struct fault *f)
{
	struct curlset s = {
		.protocols = k->c->identity != NULL ? "http,https" : "http",
		.proxy = q->proxy,
		.connect_ms = q->connect_ms,
		.total_ms = q->total_ms != 0 ? q->total_ms : TOTAL_MS,
		.stall_s = (q->stall_ms + 999) / 1000,
		.stall_bytes = 1,
		.unix_socket = q->unix_socket,
		.source = k->c->source,
	};
	enum err e;

	k->max_body = q->max_body != 0 ? q->max_body : LIMIT_HTTP_BODY;
	buf_init(&k->body, q->data != NULL ? LIMIT_HTTP_BODY : k->max_body);
	k->stream = q->data != NULL;
	k->data = q->data;
	k->done = q->done;
	k->ctx = q->ctx;
	k->easy = curl_easy_init();
	if (k->easy == NULL)
		return fault_set(f, ERR_NOMEM, "no memory for a request");
	e = curlset_apply(k->easy, &s);
	if (e == OK && curl_easy_setopt(k->easy, CURLOPT_URL, q->url) != CURLE_OK)
		e = ERR_INVAL;
	if (e == OK)
		e = set_headers(k, q);
	if (e == OK)
		e = set_body(k, q);
	if (e == OK)
		e = set_callbacks(k);
	if (e == OK)
		e = set_tls(k, q);
	io_add(k->c, k->easy);
	return e == OK ? OK : fault_set(f, e, "a request to %.150s cannot be prepared", q->url);
}

enum err
httpc_set_source(struct httpc *c, const char *address)
{
	return text_copy(c->source, sizeof(c->source), address == NULL ? "" : address,
	    address == NULL ? 0 : strlen(address));
}

enum err
httpc_start(
    struct httpc *c, const struct httpc_request *q, struct httpc_call **out, struct fault *f)
{
	struct httpc_call *k;
	enum err e;

	if (out != NULL)
		*out = NULL;
	if (c->closing)
		return fault_set(f, ERR_STATE, "the HTTP client is closing");
	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return fault_set(f, ERR_NOMEM, "no memory for a request");
	k->c = c;
	e = set_up(k, q, f);
	if (e == OK && curl_multi_add_handle(c->multi, k->easy) != CURLM_OK)
		e = fault_set(f, ERR_NOMEM, "no memory for a request");
	if (e != OK) {
		call_free(k);
		return e;
	}
	k->next = c->calls;
	k->link = &c->calls;
	if (k->next != NULL)
		k->next->link = &k->next;
	c->calls = k;
	if (out != NULL)
		*out = k;
	return OK;
}
