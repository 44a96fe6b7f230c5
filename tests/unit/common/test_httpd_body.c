/* test_httpd_body.c - bodies both ways: uploads, files, generated and large answers, clients that
 * stop reading, closing in the middle. */
#include "httpd_site.h"

/* An answer larger than the socket takes still arrives when the client has closed its sending side.
 */
static void
test_half_close(void **state)
{
	struct site *s = site_open(&defaults);
	uv_shutdown_t shut;
	struct raw r;
	struct buf b;

	buf_init(&b, 1 << 20);
	raw_open(&r, &s->loop, s->port);
	assert_int_equal(
	    buf_printf(
		&b, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n%060000d", 0),
	    OK);
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
	raw_text(&r, "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: "
		     "100-continue\r\nContent-Length: 3\r\n\r\n");
	assert_true(world_run(&s->loop, has_continue, &r));
	raw_text(&r, "abc");
	assert_true(world_run(&s->loop, raw_is_eof, &r));
	assert_int_equal(raw_count(&r, "200 OK"), 1);
	raw_free(&r);
	/* refused before the body is invited */
	talk(s, &r,
	    "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "
	    "300000\r\n\r\n");
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
	talk(s, &r,
	    "GET /files/x?offset=8388606&length=30 HTTP/1.1\r\nHost: x\r\n\r\n"); /* shorter than
										     promised: cut
										   */
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
	raw_open(
	    &r, &s->loop, s->port); /* leaves in the middle: the source is not run dry for nobody */
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
	raw_text(&r, "PUT /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
		     "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
	assert_true(world_run(&s->loop, has_201, &r));
	buf_reset(&r.got);
	raw_text(
	    &r, "PUT /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n600000\r\n");
	raw_send(&r, big, 3 << 20);
	raw_send(&r, big, 3 << 20);
	assert_true(world_run(&s->loop, raw_is_eof, &r));
	assert_int_equal(raw_count(&r, "413 "), 1);
	assert_int_equal(s->canceled, 1);
	raw_free(&r);
	free(big);
	site_close(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_continue),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_reads_nothing),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_upload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
