/* test_httpd.c - the server over loopback: framing, keep-alive, pipelining, long-polls, vanishing and slow clients, files, streams, closing. */
#include "net/httpd.h"

#include "net_world.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

struct site {
	uv_loop_t loop;
	struct httpd *d;
	uint16_t port;
	bool closed;
	struct http_req *waiting[2000];
	size_t n_waiting, canceled, stopped, uploaded, upload_ends;
	int proceeds;
	char file[64];
};

static void
on_hello(struct http_req *r, void *ctx)
{
	const char *name = http_query(r, "name");

	http_set(r, "X-Test", "yes");
	http_reply(r, 200, "text/plain", name != NULL ? name : "hello", strlen(name != NULL ? name : "hello"));
}

static void
on_echo(struct http_req *r, void *ctx)
{
	size_t n;
	const uint8_t *p = http_body(r, &n);

	http_reply(r, 200, "application/octet-stream", p, n);
}

static void
on_task(struct http_req *r, void *ctx)
{
	http_reply(r, 200, "text/plain", http_param(r, 0), strlen(http_param(r, 0)));
}

static void
on_cancel(struct http_req *r, void *ctx)
{
	struct site *s = ctx;

	s->canceled++;
}

static void
on_wait(struct http_req *r, void *ctx)
{
	struct site *s = ctx;

	http_may_wait(r);
	http_on_cancel(r, on_cancel, s);
	s->waiting[s->n_waiting++] = r;
}

static void
stream_proceed(struct http_req *r, void *ctx)
{
	struct site *s = ctx;
	char piece[32768];

	memset(piece, 'a' + s->proceeds % 26, sizeof(piece));
	s->proceeds++;
	(void)!http_stream_write(r, piece, sizeof(piece), s->proceeds == 64);
}

static void
stream_stop(struct http_req *r, void *ctx)
{
	struct site *s = ctx;

	s->stopped++;
}

static const struct http_source stream_source = { stream_proceed, stream_stop };

static void
on_stream(struct http_req *r, void *ctx)
{
	uint64_t known;

	if (http_query_u64(r, "known", 1, 0, &known) != OK) {
		http_problem(r, 400, "bad-query", "known must be 0 or 1");
		return;
	}
	http_stream(r, 200, "text/plain", known ? 64 * 32768 : HTTP_LENGTH_UNKNOWN, &stream_source, ctx);
}

static void
on_file(struct http_req *r, void *ctx)
{
	struct site *s = ctx;
	uint64_t offset, length;
	int fd = open(s->file, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(http_query_u64(r, "offset", UINT32_MAX, 0, &offset), OK);
	assert_int_equal(http_query_u64(r, "length", UINT32_MAX, 8 << 20, &length), OK);
	http_reply_file(r, 200, "application/octet-stream", fd, offset, length);
}

static void
upload_data(struct http_req *r, const uint8_t *p, size_t n, bool last, void *ctx)
{
	struct site *s = ctx;

	s->uploaded += n;
	s->upload_ends += last;
	if (last)
		http_reply(r, 201, NULL, NULL, 0);
}

static void
on_upload(struct http_req *r, void *ctx)
{
	http_on_cancel(r, on_cancel, ctx);
	http_body_stream(r, upload_data, ctx);
}

static const struct http_route routes[] = {
	{ "GET", "/hello", 0, 0, on_hello },
	{ "POST", "/echo", 0, 100000, on_echo },
	{ "GET", "/v1/tasks/{}/state", 0, 0, on_task },
	{ "GET", "/wait", 0, 0, on_wait },
	{ "GET", "/stream", 0, 0, on_stream },
	{ "GET", "/files/*", 0, 0, on_file },
	{ "PUT", "/upload", HTTP_STREAM_BODY, 4 << 20, on_upload },
};

static const struct httpd_options defaults = { .name = "test" };

static void
on_site_closed(void *ctx)
{
	((struct site *)ctx)->closed = true;
}

static struct site *
site_open(const struct httpd_options *base)
{
	struct site *s = calloc(1, sizeof(*s));
	struct httpd_options o = *base;
	struct fault f = { 0 };

	assert_non_null(s);
	assert_int_equal(uv_loop_init(&s->loop), 0);
	o.routes = routes;
	o.n_routes = sizeof(routes) / sizeof(routes[0]);
	o.ctx = s;
	assert_int_equal(httpd_new(&s->d, &s->loop, &o, &f), OK);
	if (httpd_listen(s->d, "127.0.0.1", 0, &s->port, &f) != OK)
		fail_msg("%s", fault_text(&f));
	assert_int_not_equal(s->port, 0);
	return s;
}

static void
site_close(struct site *s)
{
	httpd_close(s->d, 1000, on_site_closed, s);
	assert_true(world_end(&s->loop));
	assert_true(s->closed);
	free(s);
}

/* Sends text and waits until the server closes. */
static void
talk(struct site *s, struct raw *r, const char *text)
{
	raw_open(r, &s->loop, s->port);
	raw_text(r, text);
	if (!world_run(&s->loop, raw_is_eof, r))
		fail_msg("no end after: %s", buf_text(&r->got));
}

static bool
starts(const struct raw *r, const char *s)
{
	return strncmp(buf_text(&r->got), s, strlen(s)) == 0;
}

static void
test_simple(void **state)
{
	struct site *s = site_open(&defaults);
	struct raw r;

	talk(s, &r, "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	assert_true(starts(&r, "HTTP/1.1 200 OK\r\nDate: "));
	assert_int_equal(raw_count(&r, "\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nConnection: close\r\nX-Test: yes\r\n\r\nhello"), 1);
	raw_free(&r);
	talk(s, &r, "HEAD /hello?name=%20abc HTTP/1.0\r\n\r\n");
	assert_int_equal(raw_count(&r, "Content-Length: 4\r\n"), 1);
	assert_int_equal(raw_count(&r, "abc"), 0);
	raw_free(&r);
	talk(s, &r, "GET /v1/tasks/a%20b/state HTTP/1.0\r\n\r\n");
	assert_int_equal(raw_count(&r, "\r\n\r\na b"), 1);
	raw_free(&r);
	site_close(s);
}

static void
test_refusals(void **state)
{
	static const struct {
		const char *send, *status, *code;
	} cases[] = {
		{ "GET /none HTTP/1.0\r\n\r\n", "404 Not Found", "\"code\":\"not-found\"" },
		{ "POST /hello HTTP/1.0\r\n\r\n", "405 Method", "\r\nAllow: GET\r\n" },
		{ "GET /hello HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", "413 ", "body-too-large" },
		{ "POST /echo HTTP/1.0\r\nContent-Length: 100001\r\n\r\n", "413 ", "body-too-large" },
		{ "GET /hello HTTP/1.1\r\n\r\n", "400 ", "exactly one Host" },
		{ "GET /hello HTTP/1.1\nHost: x\n\n", "400 ", "LF alone" },
		{ "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400 ", "bad-request" },
		{ "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "400 ", "chunked" },
		{ "GET /v1/tasks//state HTTP/1.0\r\n\r\n", "404 ", "not-found" },
		{ "GET /hello/ HTTP/1.0\r\n\r\n", "404 ", "not-found" },
	};
	struct site *s = site_open(&defaults);
	struct raw r;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		talk(s, &r, cases[i].send);
		if (strstr(buf_text(&r.got), cases[i].status) == NULL || strstr(buf_text(&r.got), cases[i].code) == NULL)
			fail_msg("case %zu: %s", i, buf_text(&r.got));
		assert_int_equal(raw_count(&r, "application/problem+json"), 1);
		raw_free(&r);
	}
	site_close(s);
}

static bool
has_40(void *ctx)
{
	return raw_count(ctx, "HTTP/1.1 200 OK") == 40;
}

static void
test_pipeline(void **state)
{
	struct site *s = site_open(&defaults);
	struct raw r;
	struct buf b;
	size_t i;

	raw_open(&r, &s->loop, s->port);
	buf_init(&b, 1 << 20);
	for (i = 0; i < 20; i++)
		assert_int_equal(buf_printf(&b, "GET /hello?name=n%zu HTTP/1.1\r\nHost: x\r\n\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nbody%02zu", i, i),
		    OK);
	raw_send(&r, b.data, b.len);
	assert_true(world_run(&s->loop, has_40, &r));
	for (i = 0; i < 20; i++) {      /* every answer in its place */
		char want[16];

		(void)snprintf(want, sizeof(want), "n%zu", i);
		assert_true(raw_count(&r, want) >= 1);
	}
	assert_true(strstr(strstr(buf_text(&r.got), "n19"), "body19") != NULL);
	assert_int_equal(httpd_stats(s->d).requests, 40);
	/* the same, one byte at a time */
	buf_reset(&r.got);
	for (i = 0; i < b.len; i++)
		raw_send(&r, b.data + i, 1);
	assert_true(world_run(&s->loop, has_40, &r));
	buf_free(&b);
	raw_free(&r);
	site_close(s);
}

static bool
is_waiting(void *ctx)
{
	return ((struct site *)ctx)->n_waiting > 0;
}

/* An answer larger than the socket takes still arrives when the client has closed its sending side. */
static void
test_half_close(void **state)
{
	struct site *s = site_open(&defaults);
	uv_shutdown_t shut;
	struct raw r;
	struct buf b;

	buf_init(&b, 1 << 20);
	raw_open(&r, &s->loop, s->port);
	assert_int_equal(buf_printf(&b, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n%060000d", 0), OK);
	raw_send(&r, b.data, b.len);
	assert_int_equal(uv_shutdown(&shut, (uv_stream_t *)&r.tcp, NULL), 0);
	assert_true(world_run(&s->loop, raw_is_eof, &r));
	assert_true(r.got.len > 60000);
	buf_free(&b);
	raw_free(&r);
	site_close(s);
}

static bool
has_continue(void *ctx)
{
	return raw_count(ctx, "HTTP/1.1 100 Continue\r\n\r\n") == 1;
}

static void
test_continue(void **state)
{
	struct site *s = site_open(&defaults);
	struct raw r;

	raw_open(&r, &s->loop, s->port);
	raw_text(&r, "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	assert_true(world_run(&s->loop, has_continue, &r));
	raw_text(&r, "abc");
	assert_true(world_run(&s->loop, raw_is_eof, &r));
	assert_int_equal(raw_count(&r, "200 OK"), 1);
	raw_free(&r);
	/* refused before the body is invited */
	talk(s, &r, "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 300000\r\n\r\n");
	assert_int_equal(raw_count(&r, "100 Continue"), 0);
	assert_int_equal(raw_count(&r, "413 "), 1);
	raw_free(&r);
	site_close(s);
}

/* Closing lets an answer finish that the client is still taking. */
static void
test_drain(void **state)
{
	struct site *s = site_open(&defaults);
	struct raw r;

	raw_open(&r, &s->loop, s->port);
	raw_text(&r, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	while (s->proceeds == 0)
		(void)uv_run(&s->loop, UV_RUN_ONCE);
	httpd_close(s->d, 4000, on_site_closed, s);
	assert_true(world_run(&s->loop, raw_is_eof, &r));
	assert_int_equal(raw_count(&r, "\r\n0\r\n\r\n"), 1);
	raw_free(&r);
	assert_true(world_end(&s->loop));
	assert_true(s->closed);
	free(s);
}

static bool
is_canceled(void *ctx)
{
	return ((struct site *)ctx)->canceled > 0;
}

static bool
has_answer(void *ctx)
{
	return raw_count(ctx, "204 No Content") == 1 && raw_count(ctx, "hello") == 1;
}

static void
test_wait(void **state)
{
	struct site *s = site_open(&defaults);
	struct raw r;

	raw_open(&r, &s->loop, s->port);
	raw_text(&r, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(world_run(&s->loop, is_waiting, s));
	assert_int_equal(httpd_stats(s->d).pending, 1);
	http_reply(s->waiting[0], 204, NULL, NULL, 0);
	assert_true(world_run(&s->loop, has_answer, &r));
	assert_int_equal(httpd_stats(s->d).pending, 0);
	/* vanish while waiting */
	s->n_waiting = 0;
	raw_text(&r, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(world_run(&s->loop, is_waiting, s));
	raw_free(&r);
	assert_true(world_run(&s->loop, is_canceled, s));
	assert_int_equal(s->canceled, 1);
	/* a waiter at closing time is cancelled at once */
	raw_open(&r, &s->loop, s->port);
	s->n_waiting = 0;
	raw_text(&r, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(world_run(&s->loop, is_waiting, s));
	httpd_close(s->d, 5000, on_site_closed, s);
	raw_free(&r);
	assert_true(world_end(&s->loop));
	assert_true(s->closed);
	assert_int_equal(s->canceled, 2);
	free(s);
}

static bool
all_wait(void *ctx)
{
	return ((struct site *)ctx)->n_waiting == 1000;
}

static bool
all_served(void *ctx)
{
	struct raw *rs = ctx;
	size_t i;

	for (i = 0; i < 1000; i++)
		if (raw_count(&rs[i], "200 OK") != 1)
			return false;
	return true;
}

static void
test_many_wait(void **state)
{
	struct httpd_options o = { .name = "many", .max_connections = 1100 };
	struct site *s = site_open(&o);
	struct raw *rs = calloc(1000, sizeof(*rs));
	size_t i;

	assert_non_null(rs);
	for (i = 0; i < 1000; i++) {
		raw_open(&rs[i], &s->loop, s->port);
		raw_text(&rs[i], "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	assert_true(world_run(&s->loop, all_wait, s));
	assert_int_equal(httpd_stats(s->d).connections, 1000);
	for (i = 0; i < 1000; i++)
		http_reply(s->waiting[i], 200, "application/json", "{}", 2);
	assert_true(world_run(&s->loop, all_served, rs));
	for (i = 0; i < 1000; i++)
		raw_close(&rs[i]);
	for (i = 0; i < 1000; i++)
		raw_free(&rs[i]);
	free(rs);
	site_close(s);
}

static void
test_slow(void **state)
{
	struct httpd_options o = { .name = "slow", .head_ms = 150, .body_ms = 150, .idle_ms = 150, .write_ms = 200 };
	struct site *s = site_open(&o);
	struct raw r;

	talk(s, &r, "");                /* says nothing */
	assert_int_equal(r.got.len, 0);
	raw_free(&r);
	talk(s, &r, "GET /hello HTTP/1.1\r\nHost:");
	assert_true(starts(&r, "HTTP/1.1 408 "));
	raw_free(&r);
	talk(s, &r, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
	assert_true(starts(&r, "HTTP/1.1 408 "));
	raw_free(&r);
	talk(s, &r, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");      /* keep-alive, then idle */
	assert_true(starts(&r, "HTTP/1.1 200 "));
	raw_free(&r);
	talk(s, &r, "PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
	assert_true(starts(&r, "HTTP/1.1 408 "));
	assert_int_equal(s->canceled, 1);
	raw_free(&r);
	site_close(s);
}

static bool
no_connections(void *ctx)
{
	return httpd_stats(((struct site *)ctx)->d).connections == 0;
}

static void
test_big_head(void **state)
{
	struct site *s = site_open(&defaults);
	char head[20000];
	struct raw r;

	memset(head, 'a', sizeof(head));
	memcpy(head, "GET /hello HTTP/1.1\r\nX: ", 24);
	raw_open(&r, &s->loop, s->port);
	raw_send(&r, head, sizeof(head));
	assert_true(world_run(&s->loop, raw_is_eof, &r));
	assert_true(starts(&r, "HTTP/1.1 431 "));
	raw_free(&r);
	site_close(s);
}

static void
make_file(struct site *s, size_t size)
{
	char block[4096];
	size_t i, at;
	int fd;

	(void)snprintf(s->file, sizeof(s->file), "/tmp/atalaia-httpd-XXXXXX");
	fd = mkstemp(s->file);
	assert_true(fd >= 0);
	for (at = 0; at < size; at += sizeof(block)) {
		for (i = 0; i < sizeof(block); i++)
			block[i] = (char)('A' + (at / sizeof(block) + i) % 26);
		assert_int_equal(write(fd, block, sizeof(block)), (ssize_t)sizeof(block));
	}
	(void)close(fd);
}

static bool
has_timeout(void *ctx)
{
	return httpd_stats(((struct site *)ctx)->d).timeouts == 1;
}

static void
test_reads_nothing(void **state)
{
	struct httpd_options o = { .name = "stuck", .write_ms = 200 };
	struct site *s = site_open(&o);
	struct raw r;

	make_file(s, 8 << 20);
	raw_open(&r, &s->loop, s->port);
	uv_read_stop((uv_stream_t *)&r.tcp);
	raw_text(&r, "GET /files/x HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(world_run(&s->loop, has_timeout, s));
	assert_true(world_run(&s->loop, no_connections, s));
	raw_free(&r);
	(void)unlink(s->file);
	site_close(s);
}

static void
test_file(void **state)
{
	struct site *s = site_open(&defaults);
	const char *body;
	struct raw r;

	make_file(s, 8 << 20);
	talk(s, &r, "GET /files/x/y HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	body = strstr(buf_text(&r.got), "\r\n\r\n") + 4;
	assert_int_equal(r.got.len - (size_t)(body - buf_text(&r.got)), 8 << 20);
	assert_int_equal(body[4096], 'B');
	assert_int_equal(body[(8 << 20) - 1], (char)('A' + (2047 + 4095) % 26));
	raw_free(&r);
	talk(s, &r, "GET /files/x?offset=4096&length=3 HTTP/1.0\r\n\r\n");
	assert_int_equal(raw_count(&r, "\r\n\r\nBCD"), 1);
	raw_free(&r);
	talk(s, &r, "GET /files/x?offset=8388606&length=30 HTTP/1.1\r\nHost: x\r\n\r\n");     /* shorter than promised: cut */
	assert_int_equal(raw_count(&r, "Content-Length: 30"), 1);
	raw_free(&r);
	/* a client that leaves in the middle, and a server that closes in the middle */
	raw_open(&r, &s->loop, s->port);
	uv_read_stop((uv_stream_t *)&r.tcp);
	raw_text(&r, "GET /files/x HTTP/1.1\r\nHost: x\r\n\r\n");
	raw_free(&r);
	assert_true(world_run(&s->loop, no_connections, s));
	raw_open(&r, &s->loop, s->port);
	uv_read_stop((uv_stream_t *)&r.tcp);
	raw_text(&r, "GET /files/x HTTP/1.1\r\nHost: x\r\n\r\n");
	httpd_close(s->d, 0, on_site_closed, s);
	raw_free(&r);
	assert_true(world_end(&s->loop));
	(void)unlink(s->file);
	free(s);
}

static void
test_stream(void **state)
{
	struct site *s = site_open(&defaults);
	struct raw r;

	talk(s, &r, "GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	assert_int_equal(raw_count(&r, "Transfer-Encoding: chunked"), 1);
	assert_int_equal(raw_count(&r, "\r\n0\r\n\r\n"), 1);
	assert_true(r.got.len > 64 * 32768);
	raw_free(&r);
	s->proceeds = 0;
	talk(s, &r, "GET /stream?known=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	assert_int_equal(raw_count(&r, "Content-Length: 2097152"), 1);
	raw_free(&r);
	s->proceeds = 0;
	talk(s, &r, "GET /stream HTTP/1.0\r\n\r\n");
	assert_int_equal(raw_count(&r, "chunked"), 0);
	raw_free(&r);
	s->proceeds = 0;
	raw_open(&r, &s->loop, s->port);        /* leaves in the middle: the source is not run dry for nobody */
	uv_read_stop((uv_stream_t *)&r.tcp);
	raw_text(&r, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	raw_free(&r);
	assert_true(world_run(&s->loop, no_connections, s));
	assert_int_equal(s->stopped, 4);
	site_close(s);
}

static bool
has_201(void *ctx)
{
	return raw_count(ctx, "201 Created") == 1;
}

static void
test_upload(void **state)
{
	struct site *s = site_open(&defaults);
	char *big = calloc(1, 3 << 20);
	struct raw r;

	assert_non_null(big);
	raw_open(&r, &s->loop, s->port);
	raw_text(&r, "PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 3145728\r\n\r\n");
	raw_send(&r, big, 3 << 20);
	assert_true(world_run(&s->loop, has_201, &r));
	assert_int_equal(s->uploaded, 3 << 20);
	assert_int_equal(s->upload_ends, 1);
	buf_reset(&r.got);
	raw_text(&r, "PUT /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
	assert_true(world_run(&s->loop, has_201, &r));
	buf_reset(&r.got);
	raw_text(&r, "PUT /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n600000\r\n");
	raw_send(&r, big, 3 << 20);
	raw_send(&r, big, 3 << 20);
	assert_true(world_run(&s->loop, raw_is_eof, &r));
	assert_int_equal(raw_count(&r, "413 "), 1);
	assert_int_equal(s->canceled, 1);
	raw_free(&r);
	free(big);
	site_close(s);
}

static void
test_caps(void **state)
{
	struct httpd_options o = { .name = "caps", .max_per_address = 2 };
	struct site *s = site_open(&o);
	struct raw a, b, c;

	raw_open(&a, &s->loop, s->port);
	raw_open(&b, &s->loop, s->port);
	raw_open(&c, &s->loop, s->port);
	assert_true(world_run(&s->loop, raw_is_eof, &c));
	assert_true(starts(&c, "HTTP/1.1 503 "));
	raw_free(&a);
	raw_free(&b);
	raw_free(&c);
	assert_true(world_run(&s->loop, no_connections, s));
	talk(s, &a, "GET /hello HTTP/1.0\r\n\r\n");
	assert_true(starts(&a, "HTTP/1.1 200 "));
	raw_free(&a);
	site_close(s);
}

static void
test_local_only(void **state)
{
	struct httpd_options o = { .name = "local", .local_only = true };
	struct site *s = site_open(&o);
	struct fault f = { 0 };
	uint16_t port;
	struct raw r;

	assert_int_equal(httpd_listen(s->d, "0.0.0.0", 0, &port, &f), ERR_DENIED);
	talk(s, &r, "GET /hello HTTP/1.1\r\nHost: evil.example:80\r\nConnection: close\r\n\r\n");
	assert_true(starts(&r, "HTTP/1.1 403 "));
	raw_free(&r);
	talk(s, &r, "GET /hello HTTP/1.1\r\nHost: localhost:2227\r\nOrigin: http://evil\r\nConnection: close\r\n\r\n");
	assert_true(starts(&r, "HTTP/1.1 403 "));
	raw_free(&r);
	talk(s, &r, "GET /hello HTTP/1.1\r\nHost: [::1]:2227\r\nConnection: close\r\n\r\n");
	assert_true(starts(&r, "HTTP/1.1 200 "));
	raw_free(&r);
	site_close(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_simple), cmocka_unit_test(test_refusals), cmocka_unit_test(test_pipeline), cmocka_unit_test(test_wait), cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_continue), cmocka_unit_test(test_drain),
		cmocka_unit_test(test_many_wait), cmocka_unit_test(test_slow), cmocka_unit_test(test_big_head), cmocka_unit_test(test_file),
		cmocka_unit_test(test_stream), cmocka_unit_test(test_upload), cmocka_unit_test(test_caps), cmocka_unit_test(test_reads_nothing), cmocka_unit_test(test_local_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
