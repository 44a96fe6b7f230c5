/* test_httpd.c - the server over loopback: framing, keep-alive, pipelining, long-polls, vanishing
 * and slow clients, caps. */
#include "httpd_site.h"

static void
test_simple(void **state)
{
	struct site *s = site_open(&defaults);
	struct raw r;

	talk(s, &r, "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	assert_true(starts(&r, "HTTP/1.1 200 OK\r\nDate: "));
	assert_int_equal(
	    raw_count(&r, "\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nConnection: "
			  "close\r\nX-Test: yes\r\n\r\nhello"),
	    1);
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
		{ "POST /echo HTTP/1.0\r\nContent-Length: 100001\r\n\r\n", "413 ",
		    "body-too-large" },
		{ "GET /hello HTTP/1.1\r\n\r\n", "400 ", "exactly one Host" },
		{ "GET /hello HTTP/1.1\nHost: x\n\n", "400 ", "LF alone" },
		{ "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n",
		    "400 ", "bad-request" },
		{ "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		    "400 ", "chunked" },
		{ "GET /v1/tasks//state HTTP/1.0\r\n\r\n", "404 ", "not-found" },
		{ "GET /hello/ HTTP/1.0\r\n\r\n", "404 ", "not-found" },
	};
	struct site *s = site_open(&defaults);
	struct raw r;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		talk(s, &r, cases[i].send);
		if (strstr(buf_text(&r.got), cases[i].status) == NULL ||
		    strstr(buf_text(&r.got), cases[i].code) == NULL)
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
		assert_int_equal(buf_printf(&b,
				     "GET /hello?name=n%zu HTTP/1.1\r\nHost: x\r\n\r\nPOST /echo "
				     "HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nbody%02zu",
				     i, i),
		    OK);
	raw_send(&r, b.data, b.len);
	assert_true(world_run(&s->loop, has_40, &r));
	for (i = 0; i < 20; i++) { /* every answer in its place */
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
	struct httpd_options o = {
		.name = "slow", .head_ms = 150, .body_ms = 150, .idle_ms = 150, .write_ms = 200
	};
	struct site *s = site_open(&o);
	struct raw r;

	talk(s, &r, ""); /* says nothing */
	assert_int_equal(r.got.len, 0);
	raw_free(&r);
	talk(s, &r, "GET /hello HTTP/1.1\r\nHost:");
	assert_true(starts(&r, "HTTP/1.1 408 "));
	raw_free(&r);
	talk(s, &r, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
	assert_true(starts(&r, "HTTP/1.1 408 "));
	raw_free(&r);
	talk(s, &r, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"); /* keep-alive, then idle */
	assert_true(starts(&r, "HTTP/1.1 200 "));
	raw_free(&r);
	talk(s, &r, "PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
	assert_true(starts(&r, "HTTP/1.1 408 "));
	assert_int_equal(s->canceled, 1);
	raw_free(&r);
	site_close(s);
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
	talk(s, &r,
	    "GET /hello HTTP/1.1\r\nHost: localhost:2227\r\nOrigin: http://evil\r\nConnection: "
	    "close\r\n\r\n");
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
		cmocka_unit_test(test_simple),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_pipeline),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_many_wait),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_big_head),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_local_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
