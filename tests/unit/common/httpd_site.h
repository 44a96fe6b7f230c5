/* httpd_site.h - the server under test: its routes and how to talk to it. */
#ifndef ATALAIA_TESTS_HTTPD_SITE_H
#define ATALAIA_TESTS_HTTPD_SITE_H

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

static inline void
on_hello(struct http_req *r, void *ctx)
{
	const char *name = http_query(r, "name");

	http_set(r, "X-Test", "yes");
	http_reply(r, 200, "text/plain", name != NULL ? name : "hello",
	    strlen(name != NULL ? name : "hello"));
}

static inline void
on_echo(struct http_req *r, void *ctx)
{
	size_t n;
	const uint8_t *p = http_body(r, &n);

	http_reply(r, 200, "application/octet-stream", p, n);
}

static inline void
on_task(struct http_req *r, void *ctx)
{
	http_reply(r, 200, "text/plain", http_param(r, 0), strlen(http_param(r, 0)));
}

static inline void
on_cancel(struct http_req *r, void *ctx)
{
	struct site *s = ctx;

	s->canceled++;
}

static inline void
on_wait(struct http_req *r, void *ctx)
{
	struct site *s = ctx;

	http_may_wait(r);
	http_on_cancel(r, on_cancel, s);
	s->waiting[s->n_waiting++] = r;
}

static inline void
stream_proceed(struct http_req *r, void *ctx)
{
	struct site *s = ctx;
	char piece[32768];

	memset(piece, 'a' + s->proceeds % 26, sizeof(piece));
	s->proceeds++;
	(void)!http_stream_write(r, piece, sizeof(piece), s->proceeds == 64);
}

static inline void
stream_stop(struct http_req *r, void *ctx)
{
	struct site *s = ctx;

	s->stopped++;
}

static const struct http_source stream_source = { stream_proceed, stream_stop };

static inline void
on_stream(struct http_req *r, void *ctx)
{
	uint64_t known;

	if (http_query_u64(r, "known", 1, 0, &known) != OK) {
		http_problem(r, 400, "bad-query", "known must be 0 or 1");
		return;
	}
	http_stream(
	    r, 200, "text/plain", known ? 64 * 32768 : HTTP_LENGTH_UNKNOWN, &stream_source, ctx);
}

static inline void
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

static inline void
upload_data(struct http_req *r, const uint8_t *p, size_t n, bool last, void *ctx)
{
	struct site *s = ctx;

	s->uploaded += n;
	s->upload_ends += last;
	if (last)
		http_reply(r, 201, NULL, NULL, 0);
}

static inline void
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

static inline void
on_site_closed(void *ctx)
{
	((struct site *)ctx)->closed = true;
}

static inline struct site *
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

static inline void
site_close(struct site *s)
{
	httpd_close(s->d, 1000, on_site_closed, s);
	assert_true(world_end(&s->loop));
	assert_true(s->closed);
	free(s);
}

/* Sends text and waits until the server closes. */
static inline void
talk(struct site *s, struct raw *r, const char *text)
{
	raw_open(r, &s->loop, s->port);
	raw_text(r, text);
	if (!world_run(&s->loop, raw_is_eof, r))
		fail_msg("no end after: %s", buf_text(&r->got));
}

static inline bool
starts(const struct raw *r, const char *s)
{
	return strncmp(buf_text(&r->got), s, strlen(s)) == 0;
}

static inline bool
no_connections(void *ctx)
{
	return httpd_stats(((struct site *)ctx)->d).connections == 0;
}

static inline void
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

#endif
