/* test_http_parse.c - golden cases: request bytes -> what the parser says. Each runs whole, one
 * byte at a time, and with a second request behind it. */
#include "net/http_parse.h"

#include "base/buf.h"
#include "test.h"

#include <inttypes.h>
#include <stdio.h>

#define H "Host: h\r\n"

/* The expected text: "METHOD path?name=value&... fields=N close|keep body=BODY", or "status". */
static const struct {
	const char *what, *in, *out;
} cases[] = {
	{ "plain", "GET / HTTP/1.1\r\n" H "\r\n", "GET / fields=1 keep body=" },
	{ "1.0", "GET / HTTP/1.0\r\n\r\n", "GET / fields=0 close body=" },
	{ "1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	    "GET / fields=1 keep body=" },
	{ "1.1 close", "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n",
	    "GET / fields=2 close body=" },
	{ "query", "GET /a?x=1&y=%20z+w&flag HTTP/1.1\r\n" H "\r\n",
	    "GET /a?x=1&y= z w&flag= fields=1 keep body=" },
	{ "empty query", "GET /a? HTTP/1.1\r\n" H "\r\n", "GET /a fields=1 keep body=" },
	{ "percent path", "GET /%41%c3%a9 HTTP/1.1\r\n" H "\r\n",
	    "GET /A\xc3\xa9 fields=1 keep body=" },
	{ "empty value", "GET / HTTP/1.1\r\n" H "X:\r\n\r\n", "GET / fields=2 keep body=" },
	{ "spaces around a value", "GET / HTTP/1.1\r\nHost:  \t h \t \r\n\r\n",
	    "GET / fields=1 keep body=" },
	{ "obs-text value", "GET / HTTP/1.1\r\n" H "X: \xff\xfe\r\n\r\n",
	    "GET / fields=2 keep body=" },
	{ "length", "POST /p HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello",
	    "POST /p fields=2 keep body=hello" },
	{ "length 0", "POST /p HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n",
	    "POST /p fields=2 keep body=" },
	{ "chunked",
	    "POST /p HTTP/1.1\r\n" H
	    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n",
	    "POST /p fields=2 keep body=hello!" },
	{ "chunked, case and hex",
	    "POST /p HTTP/1.1\r\n" H
	    "Transfer-Encoding: Chunked\r\n\r\n0A\r\n0123456789\r\n0\r\n\r\n",
	    "POST /p fields=2 keep body=0123456789" },
	{ "PUT DELETE PATCH", "DELETE /x HTTP/1.1\r\n" H "\r\n", "DELETE /x fields=1 keep body=" },
	{ "expect", "POST /p HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
	    "POST /p fields=3 keep body=x" },
	/* smuggling: two readers must never disagree */
	{ "both framings",
	    "POST / HTTP/1.1\r\n" H
	    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	    "400" },
	{ "length twice, equal",
	    "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "400" },
	{ "length list", "POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\nhello", "400" },
	{ "length sign", "POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\nhello", "400" },
	{ "length hex", "POST / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\nhello", "400" },
	{ "length negative", "POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", "400" },
	{ "length empty", "POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", "400" },
	{ "length overflow", "POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551621\r\n\r\n",
	    "400" },
	{ "coding twice",
	    "POST / HTTP/1.1\r\n" H
	    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	    "400" },
	{ "coding gzip", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n", "400|501" },
	{ "coding gzip, chunked",
	    "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501" },
	{ "coding xchunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n",
	    "400|501" },
	{ "coding with vertical tab",
	    "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", "400" },
	{ "coding in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	    "400" },
	{ "space before colon", "POST / HTTP/1.1\r\n" H "Content-Length : 5\r\n\r\nhello", "400" },
	{ "fold", "GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", "400" },
	{ "fold in front", "GET / HTTP/1.1\r\n X: a\r\n" H "\r\n", "400" },
	{ "bare LF", "GET / HTTP/1.1\n" H "\r\n", "400" },
	{ "bare LF in a field", "GET / HTTP/1.1\r\n" H "X: a\nContent-Length: 5\r\n\r\n", "400" },
	{ "bare CR", "GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", "400" },
	{ "CR CR LF", "GET / HTTP/1.1\r\r\n" H "\r\n", "400" },
	{ "control byte", "GET / HTTP/1.1\r\n" H "X: a\001b\r\n\r\n", "400" },
	{ "no colon", "GET / HTTP/1.1\r\n" H "XYZ\r\n\r\n", "400" },
	{ "empty name", "GET / HTTP/1.1\r\n" H ": a\r\n\r\n", "400" },
	{ "name with a bracket", "GET / HTTP/1.1\r\n" H "X(y): a\r\n\r\n", "400" },
	{ "empty line first", "\r\nGET / HTTP/1.1\r\n" H "\r\n", "400" },
	{ "no Host", "GET / HTTP/1.1\r\n\r\n", "400" },
	{ "two Hosts", "GET / HTTP/1.1\r\n" H H "\r\n", "400" },
	{ "Host with a slash", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400" },
	{ "Host with an at", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "400" },
	/* the request line */
	{ "0.9", "GET /\r\n\r\n", "400|505" },
	{ "2.0", "GET / HTTP/2.0\r\n" H "\r\n", "505" },
	{ "1.2", "GET / HTTP/1.2\r\n" H "\r\n", "505" },
	{ "lower-case method", "get / HTTP/1.1\r\n" H "\r\n", "501" },
	{ "unknown method", "FROB / HTTP/1.1\r\n" H "\r\n", "501" },
	{ "two spaces", "GET  / HTTP/1.1\r\n" H "\r\n", "400" },
	{ "tab", "GET\t/ HTTP/1.1\r\n" H "\r\n", "400|501" },
	{ "absolute form", "GET http://h/ HTTP/1.1\r\n" H "\r\n", "400" },
	{ "CONNECT", "CONNECT h:443 HTTP/1.1\r\n" H "\r\n", "400" },
	{ "asterisk", "OPTIONS * HTTP/1.1\r\n" H "\r\n", "400" },
	{ "fragment", "GET /a#b HTTP/1.1\r\n" H "\r\n", "400" },
	{ "raw byte in the path", "GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n", "400" },
	{ "quote is fine", "GET /a'b HTTP/1.1\r\n" H "\r\n", "GET /a'b fields=1 keep body=" },
	/* paths */
	{ "dot dot", "GET /a/../b HTTP/1.1\r\n" H "\r\n", "400" },
	{ "dot dot encoded", "GET /a/%2e%2e/b HTTP/1.1\r\n" H "\r\n", "400" },
	{ "dot at the end", "GET /a/. HTTP/1.1\r\n" H "\r\n", "400" },
	{ "dots in a name", "GET /a..b/...c HTTP/1.1\r\n" H "\r\n",
	    "GET /a..b/...c fields=1 keep body=" },
	{ "encoded slash", "GET /a%2fb HTTP/1.1\r\n" H "\r\n", "400" },
	{ "encoded backslash", "GET /a%5cb HTTP/1.1\r\n" H "\r\n", "400" },
	{ "encoded NUL", "GET /a%00b HTTP/1.1\r\n" H "\r\n", "400" },
	{ "encoded LF", "GET /a%0ab HTTP/1.1\r\n" H "\r\n", "400" },
	{ "overlong UTF-8", "GET /%c0%ae HTTP/1.1\r\n" H "\r\n", "400" },
	{ "half percent", "GET /a%4 HTTP/1.1\r\n" H "\r\n", "400" },
	{ "bad percent", "GET /a%zz HTTP/1.1\r\n" H "\r\n", "400" },
	{ "percent twice decodes once", "GET /a%252e HTTP/1.1\r\n" H "\r\n",
	    "GET /a%2e fields=1 keep body=" },
	{ "query item twice", "GET /a?x=1&x=2 HTTP/1.1\r\n" H "\r\n", "400" },
	{ "query with NUL", "GET /a?x=%00 HTTP/1.1\r\n" H "\r\n", "400" },
	{ "query with slashes", "GET /a?u=%2fx/../y HTTP/1.1\r\n" H "\r\n",
	    "GET /a?u=/x/../y fields=1 keep body=" },
	/* chunks */
	{ "chunk size empty", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n\r\n",
	    "400" },
	{ "chunk size word", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
	    "400" },
	{ "chunk size sign", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n-1\r\n",
	    "400" },
	{ "chunk size 0x",
	    "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
	    "400" },
	{ "chunk size space",
	    "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n",
	    "400" },
	{ "chunk size huge",
	    "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n111111111\r\n", "400" },
	{ "chunk extension",
	    "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
	    "400" },
	{ "chunk LF",
	    "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
	    "400" },
	{ "chunk longer than said",
	    "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
	    "400" },
	{ "chunk CR X",
	    "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\rXhello\r\n0\r\n\r\n",
	    "400" },
	{ "trailer", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n",
	    "400" },
	{ "expectation unknown", "POST / HTTP/1.1\r\n" H "Expect: fun\r\n\r\n", "417" },
};

static void
describe(struct buf *out, const struct http_head *h, const struct buf *body)
{
	size_t i;

	assert_int_equal(buf_printf(out, "%s %s", h->method, h->path), OK);
	for (i = 0; i < h->n_query; i++)
		assert_int_equal(buf_printf(out, "%c%s=%s", i == 0 ? '?' : '&', h->query[i].name,
				     h->query[i].value),
		    OK);
	assert_int_equal(buf_printf(out, " fields=%zu %s body=%s", h->n_fields,
			     h->keep_alive ? "keep" : "close", buf_text(body)),
	    OK);
}

/* Feeds all bytes in pieces of `step`; writes one line for each request or the refusal. */
static void
run(struct buf *out, const char *in, size_t n, size_t step)
{
	struct http_parse *p;
	struct buf body;
	size_t at = 0, used, got;
	enum http_event ev;
	const uint8_t *chunk;

	buf_init(&body, 1 << 20);
	assert_int_equal(http_parse_new(&p), OK);
	while (at < n) {
		size_t piece = n - at < step ? n - at : step;
		char *copy = test_copy(in + at, piece);
		size_t pos = 0;

		do {
			ev = http_parse_feed(p, (const uint8_t *)copy + pos, piece - pos, &used);
			pos += used;
			if (ev == HTTPP_BODY) {
				chunk = http_parse_chunk(p, &got);
				assert_int_equal(buf_append(&body, chunk, got), OK);
			} else if (ev == HTTPP_DONE) {
				describe(out, http_parse_head(p), &body);
				assert_int_equal(buf_puts(out, "\n"), OK);
				buf_reset(&body);
			} else if (ev == HTTPP_BAD) {
				assert_int_equal(buf_printf(out, "%d\n", http_parse_status(p)), OK);
				assert_true(http_parse_reason(p)[0] != '\0');
			}
		} while (ev != HTTPP_MORE && ev != HTTPP_BAD);
		free(copy);
		if (ev == HTTPP_BAD)
			break;
		at += piece;
	}
	http_parse_free(p);
	buf_free(&body);
}

static bool
as_expected(const char *got, const char *want)
{
	size_t n = strcspn(want, "|");

	if (strlen(got) == n + 1 && strncmp(got, want, n) == 0)
		return true;
	return want[n] == '|' && strlen(got) == strlen(want + n + 1) + 1 &&
	       strncmp(got, want + n + 1, strlen(want + n + 1)) == 0;
}

static void
test_golden(void **state)
{
	static const size_t steps[] = { SIZE_MAX, 1, 7 };
	struct buf out;
	size_t i, k;

	buf_init(&out, 1 << 20);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (k = 0; k < 3; k++) {
			buf_free(&out);
			run(&out, cases[i].in, strlen(cases[i].in), steps[k]);
			if (!as_expected(buf_text(&out), cases[i].out))
				fail_msg("%s (step %zu): got %s want %s", cases[i].what, steps[k],
				    buf_text(&out), cases[i].out);
		}
	}
	buf_free(&out);
}

static void
test_pipelined(void **state)
{
	static const char second[] = "GET /second HTTP/1.1\r\n" H "\r\n";
	static const size_t steps[] = { SIZE_MAX, 1, 5 };
	struct buf in, out;
	size_t i, k;

	buf_init(&in, 1 << 20);
	buf_init(&out, 1 << 20);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (cases[i].out[0] >= '0' && cases[i].out[0] <= '9')
			continue;
		for (k = 0; k < 3; k++) {
			buf_free(&in);
			buf_free(&out);
			assert_int_equal(buf_printf(&in, "%s%s", cases[i].in, second), OK);
			run(&out, buf_text(&in), in.len, steps[k]);
			if (strstr(buf_text(&out), "\nGET /second fields=1 keep body=\n") == NULL)
				fail_msg(
				    "%s (step %zu): %s", cases[i].what, steps[k], buf_text(&out));
		}
	}
	buf_free(&in);
	buf_free(&out);
}

static void
test_nul(void **state)
{
	static const char in[] = "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n";
	struct buf out;

	buf_init(&out, 1 << 20);
	run(&out, in, sizeof(in) - 1, SIZE_MAX);
	assert_string_equal(buf_text(&out), "400\n");
	buf_free(&out);
}

static void
test_limits(void **state)
{
	struct buf in, out;
	size_t i;

	buf_init(&in, 1 << 20);
	buf_init(&out, 1 << 20);
	assert_int_equal(buf_puts(&in, "GET / HTTP/1.1\r\n" H), OK);
	for (i = 0; i < 64; i++)
		assert_int_equal(buf_printf(&in, "X-%zu: y\r\n", i), OK);
	assert_int_equal(buf_puts(&in, "\r\n"), OK);
	run(&out, buf_text(&in), in.len, SIZE_MAX);
	assert_string_equal(buf_text(&out), "431\n");
	buf_free(&in);
	buf_free(&out);
	assert_int_equal(buf_puts(&in, "GET /?"), OK);
	for (i = 0; i < 33; i++)
		assert_int_equal(buf_printf(&in, "a%zu=b&", i), OK);
	assert_int_equal(buf_puts(&in, " HTTP/1.1\r\n" H "\r\n"), OK);
	run(&out, buf_text(&in), in.len, SIZE_MAX);
	assert_string_equal(buf_text(&out), "414\n");
	buf_free(&in);
	buf_free(&out);
	assert_int_equal(buf_puts(&in, "GET /"), OK);
	for (i = 0; i < 20000; i++)
		assert_int_equal(buf_puts(&in, "a"), OK);
	run(&out, buf_text(&in), in.len, 100);
	assert_string_equal(buf_text(&out), "414\n");
	buf_free(&in);
	buf_free(&out);
}

static void
test_fields(void **state)
{
	static const char in[] =
	    "GET /x?a=b HTTP/1.1\r\nHoSt:  example:80 \r\nX-A: one\r\nx-a: two\r\n\r\n";
	struct http_parse *p;
	struct http_head *h;
	size_t used;

	assert_int_equal(http_parse_new(&p), OK);
	assert_true(http_parse_idle(p));
	assert_int_equal(
	    http_parse_feed(p, (const uint8_t *)in, sizeof(in) - 1, &used), HTTPP_HEAD);
	assert_false(http_parse_idle(p));
	h = http_parse_take_head(p);
	assert_int_equal(http_parse_feed(p, NULL, 0, &used), HTTPP_DONE);
	assert_true(http_parse_idle(p));
	http_parse_free(p);
	assert_string_equal(http_head_field(h, "host"), "example:80");
	assert_string_equal(http_head_field(h, "x-a"), "one");
	assert_null(http_head_field(h, "x-b"));
	assert_string_equal(http_head_query(h, "a"), "b");
	assert_null(http_head_query(h, "A"));
	assert_string_equal(h->target, "/x?a=b");
	http_head_free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_pipelined),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
