/* net_world.h - for tests of common/net: a loop with a deadline, certificates of a small fleet, and
 * a client that sends exactly the bytes it is told. Everything is here, not in tests/lib, because
 * it needs cmocka and the replays of fuzz corpora do without. */
#ifndef ATALAIA_TESTS_NET_WORLD_H
#define ATALAIA_TESTS_NET_WORLD_H

#include "base/buf.h"
#include "base/clock.h"
#include "net/pki.h"
#include "test.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <uv.h>

#define DAY 86400000ll

struct world_cert {
	char *key, *cert, *chain; /* chain: cert and CA */
};
struct world_fleet {
	char *ca, *ca_key;
	struct world_cert console, agent;
};

static inline void
on_wake(uv_timer_t *t)
{
}

static inline void
on_wake_closed(uv_handle_t *h)
{
	free(h);
}

static inline bool
world_run(uv_loop_t *loop, bool (*done)(void *ctx), void *ctx)
{
	uv_timer_t *wake = calloc(1, sizeof(*wake));
	uint64_t end = clock_mono_ms() + 5000;
	bool ok;

	assert_non_null(wake);
	assert_int_equal(uv_timer_init(loop, wake), 0);
	assert_int_equal(uv_timer_start(wake, on_wake, 10, 10), 0);
	while (!(ok = done(ctx)) && clock_mono_ms() < end)
		(void)uv_run(loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)wake, on_wake_closed);
	(void)uv_run(loop, UV_RUN_NOWAIT);
	return ok;
}

static inline bool
world_end(uv_loop_t *loop)
{
	uint64_t end = clock_mono_ms() + 5000;

	while (uv_run(loop, UV_RUN_NOWAIT) != 0 && clock_mono_ms() < end)
		;
	return uv_loop_close(loop) == 0;
}

static inline char *
take(struct buf *b)
{
	char *s = strdup(buf_text(b));

	assert_non_null(s);
	buf_free(b);
	return s;
}

static inline struct pki_grant
world_grant(enum pki_role role, const char *name)
{
	int64_t now = clock_wall_ms();

	return (struct pki_grant){
		.role = role,
		.org = "acme",
		.name = name,
		.server_auth = true,
		.client_auth = true,
		.not_before = now - 60000,
		.not_after = now + DAY,
	};
}

static inline void
world_cert_new(struct world_cert *c, const struct world_fleet *f, const struct pki_grant *g)
{
	struct buf key, csr, cert;
	struct fault fault = { 0 };

	buf_init(&key, 65536);
	buf_init(&csr, 65536);
	buf_init(&cert, 65536);
	assert_int_equal(pki_key_new(&key), OK);
	assert_int_equal(pki_csr_new(&csr, buf_text(&key), "test", &fault), OK);
	if (pki_issue(&cert, buf_text(&csr), csr.len, f->ca, f->ca_key, g, NULL, &fault) != OK)
		fail_msg("%s", fault_text(&fault));
	c->key = take(&key);
	c->cert = strdup(buf_text(&cert));
	assert_int_equal(buf_puts(&cert, f->ca), OK);
	c->chain = take(&cert);
	buf_free(&csr);
}

static inline void
world_cert_free(struct world_cert *c)
{
	free(c->key);
	free(c->cert);
	free(c->chain);
}

static inline void
world_fleet_new(struct world_fleet *f, const char *org)
{
	struct buf ca, key;
	int64_t now = clock_wall_ms();
	struct pki_grant console = world_grant(PKI_CONSOLE, "main"),
			 agent = world_grant(PKI_AGENT, "0193a4f0-7b1c-7000-8000-0000000000aa");

	buf_init(&ca, 65536);
	buf_init(&key, 65536);
	assert_int_equal(
	    pki_ca_new(&ca, &key, org, now - 10 * 365 * DAY, now + 10 * 365 * DAY, NULL), OK);
	f->ca = take(&ca);
	f->ca_key = take(&key);
	console.org = agent.org = org;
	world_cert_new(&f->console, f, &console);
	world_cert_new(&f->agent, f, &agent);
}

static inline void
world_fleet_free(struct world_fleet *f)
{
	free(f->ca);
	free(f->ca_key);
	world_cert_free(&f->console);
	world_cert_free(&f->agent);
}

/* --- a client that sends exactly the bytes it is told --- */

struct raw {
	uv_tcp_t tcp;
	uv_connect_t connect;
	struct buf got;
	bool connected, eof, closed, gone;
};

static inline void
on_alloc(uv_handle_t *h, size_t n, uv_buf_t *b)
{
	static char room[65536];

	*b = uv_buf_init(room, sizeof(room));
}

static inline void
on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct raw *r = s->data;

	if (n < 0)
		r->eof = true;
	else
		assert_int_equal(buf_append(&r->got, b->base, (size_t)n), OK);
}

static inline void
on_connect(uv_connect_t *c, int status)
{
	struct raw *r = c->data;

	if (status != 0) {
		r->eof = true;
		return;
	}
	r->connected = true;
	assert_int_equal(uv_read_start((uv_stream_t *)&r->tcp, on_alloc, on_read), 0);
}

static inline bool
is_connected(void *ctx)
{
	struct raw *r = ctx;

	return r->connected || r->eof;
}

static inline void
raw_open(struct raw *r, uv_loop_t *loop, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	memset(r, 0, sizeof(*r));
	in.sin_port = htons(port);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	buf_init(&r->got, 64u << 20);
	assert_int_equal(uv_tcp_init(loop, &r->tcp), 0);
	r->tcp.data = r;
	r->connect.data = r;
	assert_int_equal(
	    uv_tcp_connect(&r->connect, &r->tcp, (struct sockaddr *)&in, on_connect), 0);
	assert_true(world_run(loop, is_connected, r));
}

static inline void
on_written(uv_write_t *w, int status)
{
	free(w);
}

static inline void
raw_send(struct raw *r, const void *p, size_t n)
{
	uv_write_t *w = malloc(sizeof(*w) + n);
	uv_buf_t b;

	assert_non_null(w);
	memcpy(w + 1, p, n);
	b = uv_buf_init((char *)(w + 1), (unsigned)n);
	if (uv_write(w, (uv_stream_t *)&r->tcp, &b, 1, on_written) != 0)
		free(w);
}

static inline void
raw_text(struct raw *r, const char *s)
{
	raw_send(r, s, strlen(s));
}

static inline void
on_raw_closed(uv_handle_t *h)
{
	struct raw *r = h->data;

	r->gone = true;
}

static inline void
raw_close(struct raw *r)
{
	if (!r->closed)
		uv_close((uv_handle_t *)&r->tcp, on_raw_closed);
	r->closed = true;
}

static inline bool
is_gone(void *ctx)
{
	return ((struct raw *)ctx)->gone;
}

static inline void
raw_free(struct raw *r)
{
	raw_close(r);
	assert_true(world_run(r->tcp.loop, is_gone, r));
	buf_free(&r->got);
}

static inline bool
raw_is_eof(void *r)
{
	return ((struct raw *)r)->eof;
}

static inline size_t
raw_count(const struct raw *r, const char *needle)
{
	const char *s = buf_text(&r->got);
	size_t n = 0;

	while ((s = strstr(s, needle)) != NULL) {
		n++;
		s++;
	}
	return n;
}

#endif
