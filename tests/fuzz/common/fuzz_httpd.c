/* fuzz_httpd.c - the HTTP server as a whole: the input says what three clients send, when they
 * read, half close or leave, what the handlers do, how time passes and when the server closes.
 * Whatever happens: every request that a handler got ends exactly once, what clients see are
 * answers, and closing gives everything back. */
#include "fuzz_steps.h"
#include "net/httpd_int.h"
#include "os/file.h"
#include "os/mem.h"

#include <string.h>
#include <sys/un.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLIENTS 3
#define WAITING 8
#define STEPS_MAX 400
#define FILE_BYTES 300000
#define PIECE 20000

struct client {
	int fd;
	size_t seen; /* bytes received */
};

struct play {
	uv_loop_t loop;
	struct httpd *d;
	struct client clients[CLIENTS];
	struct http_req *waiting[WAITING];
	struct http_req *stream, *upload; /* the last of each that is open */
	unsigned open;			  /* requests with a handler */
	unsigned asked;			  /* proceeds that wait for a write */
	bool closing, closed;
};

static char dir[64];
static struct sockaddr_un address = { .sun_family = AF_UNIX };

/* --- handlers --- */

static void
forget(struct play *p, const struct http_req *r)
{
	for (unsigned i = 0; i < WAITING; i++)
		if (p->waiting[i] == r)
			p->waiting[i] = NULL;
	if (p->stream == r) {
		p->stream = NULL;
		p->asked = 0;
	}
	if (p->upload == r)
		p->upload = NULL;
}

static void
ended(struct play *p, const struct http_req *r)
{
	MUST(p->open > 0);
	p->open--;
	forget(p, r);
}

static void
on_cancel(struct http_req *r, void *ctx)
{
	ended(ctx, r);
}

static void
on_hello(struct http_req *r, void *ctx)
{
	const char *name = http_query(r, "name");

	(void)ctx;
	http_set(r, "X-Name", name != NULL ? name : "none");
	http_reply(r, 200, "text/plain", "hello", 5);
}

static void
on_echo(struct http_req *r, void *ctx)
{
	size_t n;
	const uint8_t *p = http_body(r, &n);

	(void)ctx;
	MUST(n <= 5000 && p[n] == '\0');
	http_reply(r, 200, http_field(r, "content-type"), p, n);
}

static void
on_wait(struct http_req *r, void *ctx)
{
	struct play *p = ctx;

	for (unsigned i = 0; i < WAITING; i++) {
		if (p->waiting[i] != NULL)
			continue;
		p->waiting[i] = r;
		p->open++;
		if (strcmp(http_param(r, 0), "long") == 0)
			http_may_wait(r);
		http_on_cancel(r, on_cancel, p);
		return;
	}
	http_problem(r, 503, "busy", "%u wait already", WAITING);
}

static void
on_file(struct http_req *r, void *ctx)
{
	static int file = -1;
	static char block[FILE_BYTES];
	uint64_t from, length;

	(void)ctx;
	if (file < 0)
		MUST(mem_file("fuzz", block, sizeof block, &file) == OK);
	if (http_query_u64(r, "from", UINT32_MAX, 0, &from) != OK ||
	    http_query_u64(r, "length", UINT32_MAX, FILE_BYTES, &length) != OK) {
		http_problem(r, 400, "bad-query", "numbers, please");
		return;
	}
	http_reply_file(
	    r, 200, "application/octet-stream", fcntl(file, F_DUPFD_CLOEXEC, 3), from, length);
}

static void
on_proceed(struct http_req *r, void *ctx)
{
	struct play *p = ctx;

	if (p->stream == r)
		p->asked = 1;
	else
		http_stream_abort(r); /* not the one that steps speak of any more */
}

static void
on_stop(struct http_req *r, void *ctx)
{
	ended(ctx, r);
}

static void
on_stream(struct http_req *r, void *ctx)
{
	static const struct http_source source = { on_proceed, on_stop };
	struct play *p = ctx;
	uint64_t length;

	if (http_query_u64(r, "length", 1u << 20, HTTP_LENGTH_UNKNOWN, &length) != OK) {
		http_problem(r, 400, "bad-query", "a number, please");
		return;
	}
	p->stream = r;
	p->asked = 0;
	p->open++;
	http_stream(r, 200, http_query(r, "events") != NULL ? "text/event-stream" : "text/plain",
	    length, &source, p);
}

static void
on_piece(struct http_req *r, const uint8_t *bytes, size_t n, bool last, void *ctx)
{
	volatile uint8_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum ^= bytes[i];
	if (n > 0 && bytes[0] == '!') { /* answered in the middle */
		ended(ctx, r);
		http_problem(r, 409, "conflict", "no more of this");
	} else if (last) {
		ended(ctx, r);
		http_reply(r, 201, NULL, NULL, 0);
	}
}

static void
on_upload(struct http_req *r, void *ctx)
{
	struct play *p = ctx;

	p->upload = r;
	p->open++;
	http_on_cancel(r, on_cancel, p);
	http_body_stream(r, on_piece, p);
}

static const struct http_route routes[] = {
	{ "GET", "/hello", 0, 0, on_hello },
	{ "POST", "/echo", 0, 5000, on_echo },
	{ "GET", "/wait/{}", 0, 0, on_wait },
	{ "POST", "/wait/{}", 0, 100, on_wait },
	{ "GET", "/files/*", 0, 0, on_file },
	{ "GET", "/stream", 0, 0, on_stream },
	{ "PUT", "/upload", HTTP_STREAM_BODY, 9000, on_upload },
	{ "GET", "/agents", HTTP_NEED_AGENT, 0, on_hello },
};

/* --- steps --- */

static const char *const texts[] = {
	"GET /hello?name=x HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789",
	"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	"0\r\n\r\n",
	"GET /wait/long HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /wait/short HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	"GET /files/x HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /files/x?from=299000&length=5000 HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /stream?length=30000 HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /stream?events=1 HTTP/1.0\r\n\r\n",
	"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 8000\r\nExpect: 100-continue\r\n\r\n",
	"PUT /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
	"HEAD /files/x HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /agents HTTP/1.1\r\nHost: x\r\n\r\n",
	"DELETE /none HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
};

/* What the server says begins with a status line, on every connection. */
static void
receive(struct client *c, size_t most)
{
	static const char begin[] = "HTTP/1.1 ";
	static char room[65536];
	ssize_t n;

	while (c->fd >= 0 && most > 0) {
		n = recv(c->fd, room, most < sizeof room ? most : sizeof room, 0);
		if (n <= 0)
			return;
		for (size_t i = 0; i < (size_t)n && c->seen + i < sizeof begin - 1; i++)
			MUST(room[i] == begin[c->seen + i]);
		c->seen += (size_t)n;
		most -= (size_t)n;
	}
}

static void
answer(struct play *p, uint8_t how)
{
	struct http_req *r = p->waiting[how % WAITING];

	if (r == NULL)
		return;
	ended(p, r);
	if ((how & 0x40) != 0)
		http_problem(r, 500, "late", "after %u", how);
	else
		http_reply(
		    r, (how & 0x80) != 0 ? 204 : 200, NULL, "late", (how & 0x80) != 0 ? 0 : 4);
}

static void
stream(struct play *p, uint8_t how)
{
	static const char piece[PIECE];

	if (p->stream == NULL)
		return;
	if (how == 255) {
		http_stream_abort(p->stream);
	} else if (p->asked > 0) {
		p->asked = 0;
		(void)!http_stream_write(
		    p->stream, piece, (size_t)(how & 0x7f) * PIECE / 0x7f, (how & 0x80) != 0);
	}
}

static void
turn_body(struct play *p, bool on)
{
	if (p->upload == NULL)
		return;
	if (on)
		http_body_resume(p->upload);
	else
		http_body_pause(p->upload);
}

static void
pass(struct play *p, uint64_t ms)
{
	steps_pass(&p->loop, p->closed ? NULL : &p->d->tick, ms);
}

static void
on_closed(void *ctx)
{
	((struct play *)ctx)->closed = true;
}

static void
close_server(struct play *p, uint64_t drain_ms)
{
	if (!p->closing)
		httpd_close(p->d, drain_ms, on_closed, p);
	p->closing = true;
}

static void
connect_client(struct client *c)
{
	if (c->fd >= 0)
		return;
	c->fd = client_open((const struct sockaddr *)&address, sizeof address);
	c->seen = 0;
}

static void
step(struct play *p, struct steps *s)
{
	uint8_t op = step_byte(s);
	struct client *c = &p->clients[(op >> 4) % CLIENTS];
	const uint8_t *bytes;
	const char *text;
	size_t n;

	switch (op & 15) {
	case 0:
	case 1:
		connect_client(c);
		text = texts[step_byte(s) % (sizeof texts / sizeof texts[0])];
		client_send(c->fd, text, strlen(text));
		break;
	case 2:
	case 3:
		connect_client(c);
		bytes = step_bytes(s, &n);
		client_send(c->fd, bytes, n);
		break;
	case 4:
		if (c->fd >= 0)
			(void)shutdown(c->fd, SHUT_WR);
		break;
	case 5:
		client_close(&c->fd);
		break;
	case 6:
		receive(c, 1u << 20);
		break;
	case 7:
		receive(c, (size_t)step_byte(s) * 16);
		break;
	case 8:
		pass(p, (uint64_t)step_byte(s) * 40);
		break;
	case 9:
		answer(p, step_byte(s));
		break;
	case 10:
	case 11:
		stream(p, step_byte(s));
		break;
	case 12:
		turn_body(p, (op & 0x10) != 0);
		break;
	case 13:
		close_server(p, (uint64_t)step_byte(s) * 20);
		break;
	default:
		steps_turn(&p->loop, 1 + (op >> 4));
		break;
	}
	if ((op & 15) < 6)
		steps_turn(&p->loop, 1);
}

static void
remove_dir(void)
{
	(void)!file_remove_tree(AT_FDCWD, dir, NULL);
}

static void
open_play(struct play *p)
{
	static const struct httpd_options o = { .name = "fuzz",
		.routes = routes,
		.n_routes = sizeof routes / sizeof routes[0],
		.max_connections = 2 };
	struct httpd_options mine = o;

	if (dir[0] == '\0') {
		(void)snprintf(dir, sizeof dir, "/dev/shm/fuzz_httpd.XXXXXX");
		MUST(mkdtemp(dir) != NULL);
		(void)snprintf(address.sun_path, sizeof address.sun_path, "%s/s", dir);
		(void)atexit(remove_dir);
	}
	steps_begin();
	mine.ctx = p;
	for (unsigned i = 0; i < CLIENTS; i++)
		p->clients[i].fd = -1;
	MUST(uv_loop_init(&p->loop) == 0);
	MUST(httpd_new(&p->d, &p->loop, &mine, NULL) == OK);
	MUST(httpd_listen_unix(p->d, address.sun_path, 0600, NULL) == OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct play p = { .closed = false };
	struct steps s = { data, size };
	uint64_t since;

	open_play(&p);
	for (unsigned i = 0; i < STEPS_MAX && s.n > 0 && !p.closed; i++)
		step(&p, &s);
	close_server(&p, 500);
	since = uv_hrtime();
	while (!p.closed && steps_patience(since)) {
		pass(&p, 200);
		for (unsigned i = 0; i < CLIENTS; i++)
			receive(&p.clients[i], 1u << 20);
	}
	MUST(p.closed);
	MUST(p.open == 0);
	for (unsigned i = 0; i < CLIENTS; i++)
		client_close(&p.clients[i].fd);
	steps_turn(&p.loop, 1);
	MUST(uv_loop_close(&p.loop) == 0);
	clock_replace(NULL, NULL);
	return 0;
}
