/* httpc_site.h - a server with the fleet's certificates and a client to ask it. */
#ifndef ATALAIA_TESTS_HTTPC_SITE_H
#define ATALAIA_TESTS_HTTPC_SITE_H

#include "net/httpc.h"
#include "net/httpd.h"

#include "net_world.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

struct site {
	uv_loop_t loop;
	struct httpd *d;
	struct httpc *c;
	struct world_fleet fleet, other;
	uint16_t port;
	bool server_closed, client_closed;
	struct http_req *waiting;
	size_t canceled, ticks;
	int admit; /* what the hook says; -1: no hook */
};

static inline void
on_who(struct http_req *r, void *ctx)
{
	const struct pki_identity *id = http_identity(r);

	http_set(r, "ETag", "\"7\"");
	http_reply(r, 200, "text/plain", id != NULL ? id->name : "nobody",
	    strlen(id != NULL ? id->name : "nobody"));
}

static inline void
on_echo(struct http_req *r, void *ctx)
{
	size_t n;
	const uint8_t *p = http_body(r, &n);

	http_reply(r, http_type_is(r, "application/json") ? 200 : 415, "text/plain", p, n);
}

static inline void
on_big(struct http_req *r, void *ctx)
{
	char *p = calloc(1, 3 << 20);

	assert_non_null(p);
	memset(p, 'x', 3 << 20);
	http_reply(r, 200, "text/plain", p, 3 << 20);
	free(p);
}

static inline void
on_cancel(struct http_req *r, void *ctx)
{
	struct site *s = ctx;

	s->canceled++;
	s->waiting = NULL;
}

static inline void
on_wait(struct http_req *r, void *ctx)
{
	struct site *s = ctx;

	s->waiting = r;
	http_may_wait(r);
	http_on_cancel(r, on_cancel, s);
}

static inline void
sse_proceed(struct http_req *r, void *ctx)
{
	char line[32];

	(void)snprintf(line, sizeof(line), "data: %zu\n\n", ((struct site *)ctx)->ticks++);
	(void)!http_stream_write(r, line, strlen(line), false);
}

static inline void
sse_stop(struct http_req *r, void *ctx)
{
	((struct site *)ctx)->canceled++;
}

static inline void
on_sse(struct http_req *r, void *ctx)
{
	static const struct http_source source = { sse_proceed, sse_stop };

	http_stream(r, 200, "text/event-stream", HTTP_LENGTH_UNKNOWN, &source, ctx);
}

static inline void
on_own_file(struct http_req *r, void *ctx)
{
	char path[] = "/tmp/atalaia-httpc-XXXXXX";
	char block[200000];
	int fd = mkstemp(path);

	memset(block, 'f', sizeof(block));
	assert_true(fd >= 0);
	(void)unlink(path);
	assert_int_equal(write(fd, block, sizeof(block)), (ssize_t)sizeof(block));
	http_reply_file(r, 200, "application/octet-stream", fd, 0, sizeof(block));
}

static const struct http_route routes[] = {
	{ "GET", "/who", 0, 0, on_who },
	{ "GET", "/agent", HTTP_NEED_AGENT, 0, on_who },
	{ "GET", "/console", HTTP_NEED_CONSOLE, 0, on_who },
	{ "POST", "/renew", HTTP_NEED_AGENT | HTTP_EXPIRED_OK, 1000, on_who },
	{ "POST", "/echo", 0, 100000, on_echo },
	{ "GET", "/big", 0, 0, on_big },
	{ "GET", "/wait", 0, 0, on_wait },
	{ "GET", "/sse", 0, 0, on_sse },
	{ "GET", "/file", 0, 0, on_own_file },
};

static inline bool
admit(void *ctx, const struct pki_identity *peer)
{
	return ((struct site *)ctx)->admit != 0;
}

/* A server with the console's certificate; trust and grace as a console has them. tls false: plain.
 */
static inline struct site *
site_open(bool tls, enum tls_auth auth)
{
	struct site *s = calloc(1, sizeof(*s));
	struct httpd_options o = {
		.name = "site", .routes = routes, .n_routes = sizeof(routes) / sizeof(routes[0])
	};
	struct tls_options t = { .auth = auth, .admit = admit };
	struct tls_config *config = NULL;
	struct fault f = { 0 };

	assert_non_null(s);
	s->admit = 1;
	world_fleet_new(&s->fleet, "acme");
	world_fleet_new(&s->other, "acme");
	assert_int_equal(uv_loop_init(&s->loop), 0);
	t.chain_pem = s->fleet.console.chain;
	t.key_pem = s->fleet.console.key;
	t.trust.ca_pem = s->fleet.ca;
	t.trust.expired_grace_ms = 180 * DAY;
	t.admit_ctx = o.ctx = s;
	if (tls && tls_config_new(&config, &t, &f) != OK)
		fail_msg("%s", fault_text(&f));
	o.tls = config;
	assert_int_equal(httpd_new(&s->d, &s->loop, &o, &f), OK);
	tls_config_unref(config);
	assert_int_equal(httpd_listen(s->d, "127.0.0.1", 0, &s->port, &f), OK);
	return s;
}

static inline void
on_server_closed(void *ctx)
{
	((struct site *)ctx)->server_closed = true;
}

static inline void
on_client_closed(void *ctx)
{
	((struct site *)ctx)->client_closed = true;
}

static inline void
site_close(struct site *s)
{
	if (s->c != NULL)
		httpc_close(s->c, on_client_closed, s);
	httpd_close(s->d, 1000, on_server_closed, s);
	assert_true(world_end(&s->loop));
	assert_true(s->server_closed);
	assert_true(s->c == NULL || s->client_closed);
	world_fleet_free(&s->fleet);
	world_fleet_free(&s->other);
	free(s);
}

struct answer {
	bool done;
	enum err err;
	int status;
	char body[256], text[400], etag[32], peer[PKI_NAME];
	size_t len;
};

static inline void
on_done(void *ctx, const struct httpc_response *r)
{
	struct answer *a = ctx;
	const char *etag = httpc_field(r, "etag");

	assert_false(a->done);
	a->done = true;
	a->err = r->err;
	a->status = r->status;
	a->len = r->len;
	(void)snprintf(a->body, sizeof(a->body), "%.200s", (const char *)r->body);
	(void)snprintf(a->text, sizeof(a->text), "%s", fault_text(&r->fault));
	(void)snprintf(a->etag, sizeof(a->etag), "%s", etag != NULL ? etag : "");
	(void)snprintf(a->peer, sizeof(a->peer), "%s", r->peer != NULL ? r->peer->name : "");
}

static inline bool
is_done(void *ctx)
{
	return ((struct answer *)ctx)->done;
}

static inline struct httpc_call *
start(struct site *s, struct httpc_request *q, struct answer *a, const char *path)
{
	struct httpc_call *call;
	struct fault f = { 0 };
	char url[128];

	memset(a, 0, sizeof(*a));
	(void)snprintf(url, sizeof(url), "%s:%u%s", q->url, s->port, path);
	q->url = url;
	q->done = on_done;
	q->ctx = a;
	if (httpc_start(s->c, q, &call, &f) != OK)
		fail_msg("%s", fault_text(&f));
	return call;
}

static inline void
get(struct site *s, const char *base, const char *path, struct answer *a)
{
	struct httpc_request q = { .url = base };

	start(s, &q, a, path);
	if (!world_run(&s->loop, is_done, a))
		fail_msg("no answer for %s", path);
}

#define HTTP "http://127.0.0.1"
#define HTTPS "https://127.0.0.1"

static inline void
client(struct site *s, const struct httpc_tls *t)
{
	struct fault f = { 0 };

	if (httpc_new(&s->c, &s->loop, t, &f) != OK)
		fail_msg("%s", fault_text(&f));
}

static inline struct httpc_tls
as(const struct world_cert *c, const char *ca)
{
	return (struct httpc_tls){
		.cert_pem = c != NULL ? c->chain : NULL,
		.key_pem = c != NULL ? c->key : NULL,
		.trust.ca_pem = ca,
		.expect.role = PKI_CONSOLE,
	};
}

#endif
