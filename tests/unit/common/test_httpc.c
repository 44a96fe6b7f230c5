/* test_httpc.c - the client against our server over loopback: plain answers, waits, streams,
 * cancel, unix sockets, closing orders. */
#include "httpc_site.h"

static void
test_plain(void **state)
{
	struct site *s = site_open(false, TLS_AUTH_NONE);
	const char *const json[] = { "Content-Type: application/json", NULL };
	struct httpc_request q = { .url = HTTP, .body = "{}", .body_len = 2, .headers = json };
	struct answer a;
	int i;

	client(s, NULL);
	for (i = 0; i < 3; i++) {
		get(s, HTTP, "/who", &a);
		assert_int_equal(a.err, OK);
		assert_int_equal(a.status, 200);
		assert_string_equal(a.body, "nobody");
		assert_string_equal(a.etag, "\"7\"");
	}
	assert_int_equal(httpd_stats(s->d).accepted, 1); /* kept alive */
	start(s, &q, &a, "/echo");
	assert_true(world_run(&s->loop, is_done, &a));
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body, "{}");
	get(s, HTTP, "/big", &a);
	assert_int_equal(a.err, ERR_TOOBIG);
	q = (struct httpc_request){ .url = HTTP, .max_body = 4 << 20 };
	start(s, &q, &a, "/big");
	assert_true(world_run(&s->loop, is_done, &a));
	assert_int_equal(a.err, OK);
	assert_int_equal(a.len, 3 << 20);
	get(s, HTTP, "/none", &a);
	assert_int_equal(a.err, OK);
	assert_int_equal(a.status, 404);
	get(s, "https://127.0.0.1", "/who", &a);
	assert_int_not_equal(a.err, OK);
	s->port = 1;
	get(s, HTTP, "/who", &a);
	assert_int_equal(a.err, ERR_UNREACHABLE);
	site_close(s);
}

static bool
is_waiting(void *ctx)
{
	return ((struct site *)ctx)->waiting != NULL;
}

static bool
is_canceled(void *ctx)
{
	return ((struct site *)ctx)->canceled > 0;
}

static void
test_wait_and_cancel(void **state)
{
	struct site *s = site_open(false, TLS_AUTH_NONE);
	struct httpc_request q = { .url = HTTP };
	struct httpc_call *call;
	struct answer a;

	client(s, NULL);
	start(s, &q, &a, "/wait");
	assert_true(world_run(&s->loop, is_waiting, s));
	http_reply(s->waiting, 200, "text/plain", "now", 3);
	assert_true(world_run(&s->loop, is_done, &a));
	assert_string_equal(a.body, "now");
	s->waiting = NULL;
	q.url = HTTP;
	call = start(s, &q, &a, "/wait");
	assert_true(world_run(&s->loop, is_waiting, s));
	httpc_cancel(call);
	assert_true(world_run(&s->loop, is_canceled, s));
	assert_false(a.done);
	q = (struct httpc_request){ .url = HTTP, .total_ms = 100 };
	start(s, &q, &a, "/wait");
	assert_true(world_run(&s->loop, is_done, &a));
	assert_int_equal(a.err, ERR_TIMEOUT);
	q = (struct httpc_request){ .url = HTTP, .stall_ms = 1000 };
	start(s, &q, &a, "/wait");
	assert_true(world_run(&s->loop, is_done, &a));
	assert_int_equal(a.err, ERR_TIMEOUT);
	q = (struct httpc_request){ .url = HTTP };
	start(s, &q, &a, "/wait"); /* under way when both close */
	s->waiting = NULL;
	assert_true(world_run(&s->loop, is_waiting, s));
	site_close(s);
	assert_int_equal(a.err, ERR_CANCELED);
}

struct chain {
	struct site *s;
	struct answer a;
	struct httpc_call *victim;
	int left;
};

/* done may start, cancel and close. */
static void
on_link(void *ctx, const struct httpc_response *r)
{
	struct chain *c = ctx;
	char url[64];
	struct httpc_request q = { .url = url, .done = on_link, .ctx = c };

	if (c->victim != NULL)
		httpc_cancel(c->victim);
	c->victim = NULL;
	if (--c->left == 0) {
		httpc_close(c->s->c, on_client_closed, c->s);
		assert_int_equal(httpc_start(c->s->c, &q, NULL, NULL), ERR_STATE);
		return;
	}
	(void)snprintf(url, sizeof(url), HTTP ":%u/who", c->s->port);
	assert_int_equal(httpc_start(c->s->c, &q, NULL, NULL), OK);
}

static bool
client_is_closed(void *ctx)
{
	return ((struct site *)ctx)->client_closed;
}

static void
test_inside_done(void **state)
{
	struct site *s = site_open(false, TLS_AUTH_NONE);
	struct chain c = { .s = s, .left = 20 };
	struct httpc_request q = { .url = HTTP }, first;
	char url[64];

	client(s, NULL);
	c.victim = start(s, &q, &c.a, "/wait");
	(void)snprintf(url, sizeof(url), HTTP ":%u/who", s->port);
	first = (struct httpc_request){ .url = url, .done = on_link, .ctx = &c };
	assert_int_equal(httpc_start(s->c, &first, NULL, NULL), OK);
	assert_true(world_run(&s->loop, client_is_closed, s));
	assert_int_equal(c.left, 0);
	assert_false(c.a.done);
	s->c = NULL;
	site_close(s);
}

static void
test_no_such_host(void **state)
{
	struct site *s = site_open(false, TLS_AUTH_NONE);
	struct answer a;

	client(s, NULL);
	get(s, "http://nothing.invalid", "/", &a);
	assert_int_equal(a.err, ERR_UNREACHABLE);
	get(s, "ftp://127.0.0.1", "/", &a);
	assert_int_equal(a.err, ERR_INVAL);
	site_close(s);
}

static bool
sse_data(void *ctx, const uint8_t *p, size_t n)
{
	struct answer *a = ctx;

	a->len += n;
	return a->len < 200;
}

static void
test_sse(void **state)
{
	struct site *s = site_open(false, TLS_AUTH_NONE);
	struct httpc_request q = { .url = HTTP, .data = sse_data, .max_body = SIZE_MAX };
	struct answer a;

	client(s, NULL);
	start(s, &q, &a, "/sse");
	assert_true(world_run(&s->loop, is_done, &a));
	assert_int_equal(a.err, ERR_CANCELED);
	assert_true(s->ticks >= 10);
	assert_true(world_run(&s->loop, is_canceled, s));
	site_close(s);
}

static void
test_unix(void **state)
{
	struct site *s = site_open(false, TLS_AUTH_NONE);
	char folder[] = "/tmp/atalaia-unix-XXXXXX", path[64];
	struct httpc_request q = { .url = "http://localhost", .unix_socket = path };
	struct httpd *second;
	struct httpd_options o = { .name = "second", .routes = routes, .n_routes = 1 };
	struct fault f = { 0 };
	struct answer a;

	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/s", folder);
	assert_int_equal(httpd_listen_unix(s->d, path, 0600, &f), OK);
	assert_int_equal(httpd_new(&second, &s->loop, &o, &f), OK);
	assert_int_equal(httpd_listen_unix(second, path, 0600, &f), ERR_BUSY);
	httpd_close(second, 0, NULL, NULL);
	client(s, NULL);
	start(s, &q, &a, "/who");
	assert_true(world_run(&s->loop, is_done, &a));
	assert_int_equal(a.status, 200);
	site_close(s);
	assert_int_equal(access(path, F_OK), -1);
	(void)rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_wait_and_cancel),
		cmocka_unit_test(test_inside_done),
		cmocka_unit_test(test_no_such_host),
		cmocka_unit_test(test_sse),
		cmocka_unit_test(test_unix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
