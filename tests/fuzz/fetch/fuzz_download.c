/* fuzz_download.c - a mirror that answers anything: FTP replies and data, HTTP answers, as the
 * downloader sees them through libcurl. First byte: bits below. The rest are chunks with a NUL
 * behind each: the first is what comes on a data connection (nothing: none is taken), the others
 * answer the client's lines, the first of them at once. %P and %Q in a chunk become the data port
 * in the form of a 227 and of a 229. Whatever comes: never more bytes than signed, the file holds
 * what is said, and nothing of it is taken for a failure of our own disk or memory. */
#include "download.h"
#include "fuzz_steps.h"

#include "os/mem.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t fuzz_prefixes_up_to(void);

#define USE_HTTP 1u
#define RESUME 2u /* 5 bytes of the file are there */
#define UPLOAD 4u
#define INTO_MEMORY 8u
#define LIMIT 20u
#define CONNS 4
#define PATIENCE_MS 12 /* for the client's next line; then it gets the next chunk unasked */
#define INPUT_MAX 4096

struct server {
	struct steps script;
	uint8_t flags;
	const uint8_t *content;
	size_t content_len;
	int control, data;	  /* listeners */
	int conn[CONNS];	  /* control connections, or HTTP's */
	struct steps left[CONNS]; /* chunks that each has not got */
	int stop[2];
	uint16_t port, data_port;
};

static struct server srv = { .control = -1 };

/* --- the mirror --- */

static const uint8_t *
next_chunk(struct steps *s, size_t *n)
{
	const uint8_t *p = s->p, *end = s->n > 0 ? memchr(p, 0, s->n) : NULL;

	*n = end != NULL ? (size_t)(end - p) : s->n;
	s->p += *n + (end != NULL);
	s->n -= *n + (end != NULL);
	return p;
}

static void
send_chunk(struct server *v, int fd, const uint8_t *p, size_t n)
{
	char out[2 * INPUT_MAX], port[16];
	size_t k = 0;

	for (size_t i = 0; i < n && k + sizeof port < sizeof out; i++) {
		if (p[i] != '%' || i + 1 == n || (p[i + 1] != 'P' && p[i + 1] != 'Q')) {
			out[k++] = (char)p[i];
			continue;
		}
		if (p[++i] == 'P')
			(void)snprintf(
			    port, sizeof port, "%u,%u", v->data_port >> 8, v->data_port & 255u);
		else
			(void)snprintf(port, sizeof port, "%u", v->data_port);
		memcpy(out + k, port, strlen(port));
		k += strlen(port);
	}
	client_send(fd, out, k);
}

/* The next answer on this connection, or its end. */
static void
answer(struct server *v, unsigned i)
{
	const uint8_t *p;
	size_t n;

	if (v->left[i].n == 0) {
		(void)shutdown(v->conn[i], SHUT_RDWR);
		client_close(&v->conn[i]);
		return;
	}
	p = next_chunk(&v->left[i], &n);
	send_chunk(v, v->conn[i], p, n);
}

static void
take_control(struct server *v)
{
	int fd = accept4(v->control, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	for (unsigned i = 0; fd >= 0 && i < CONNS; i++) {
		if (v->conn[i] >= 0)
			continue;
		v->conn[i] = fd;
		v->left[i] = v->script;
		if ((v->flags & USE_HTTP) == 0)
			answer(v, i); /* the greeting */
		return;
	}
	client_close(&fd);
}

static void
take_data(struct server *v)
{
	struct pollfd p = { .fd = accept4(v->data, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC),
		.events = POLLIN };
	char room[256];

	if (p.fd < 0)
		return;
	client_send(p.fd, v->content, v->content_len);
	(void)shutdown(p.fd, SHUT_WR);
	while ((v->flags & UPLOAD) != 0 && poll(&p, 1, PATIENCE_MS) == 1 &&
	       recv(p.fd, room, sizeof room, 0) > 0)
		;
	(void)close(p.fd);
}

static void
serve_conn(struct server *v, unsigned i)
{
	char room[4096];
	ssize_t n = recv(v->conn[i], room, sizeof room, 0);

	if (n > 0)
		answer(v, i);
	else
		client_close(&v->conn[i]);
}

static void *
serve(void *arg)
{
	struct server *v = arg;
	struct pollfd p[3 + CONNS];

	for (;;) {
		int n;

		p[0] = (struct pollfd){ .fd = v->stop[0], .events = POLLIN };
		p[1] = (struct pollfd){ .fd = v->control, .events = POLLIN };
		p[2] = (struct pollfd){ .fd = v->content_len > 0 ? v->data : -1, .events = POLLIN };
		for (unsigned i = 0; i < CONNS; i++)
			p[3 + i] = (struct pollfd){ .fd = v->conn[i], .events = POLLIN };
		n = poll(p, 3 + CONNS, PATIENCE_MS);
		if (p[0].revents != 0)
			break;
		if (p[1].revents != 0)
			take_control(v);
		if (p[2].revents != 0)
			take_data(v);
		for (unsigned i = 0; i < CONNS; i++) {
			if (p[3 + i].fd < 0)
				continue;
			if (p[3 + i].revents != 0)
				serve_conn(v, i);
			else if (n == 0)
				answer(v, i);
		}
	}
	for (unsigned i = 0; i < CONNS; i++)
		client_close(&v->conn[i]);
	return NULL;
}

static int
listen_here(uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	MUST(inet_pton(AF_INET, "127.77.0.1", &a.sin_addr) == 1);
	MUST(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 8) == 0);
	MUST(getsockname(fd, (struct sockaddr *)&a, &n) == 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static void
prepare(struct server *v, const uint8_t *data, size_t size)
{
	int late;

	if (v->control < 0) {
		MUST(log_init("fuzz", "error") == OK);
		MUST(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
		v->control = listen_here(&v->port);
		v->data = listen_here(&v->data_port);
	}
	while ((late = accept(v->control, NULL, NULL)) >= 0 ||
	       (late = accept(v->data, NULL, NULL)) >= 0)
		client_close(&late);
	for (unsigned i = 0; i < CONNS; i++)
		v->conn[i] = -1;
	v->flags = data[0];
	v->script = (struct steps){ data + 1, size - 1 };
	v->content = next_chunk(&v->script, &v->content_len);
	MUST(pipe(v->stop) == 0);
}

/* --- the client --- */

static void
check(const struct download *d, struct buf *into)
{
	struct stat st;

	MUST(d->result != ERR_IO && d->result != ERR_NOSPACE && d->result != ERR_NOMEM &&
	     d->result != ERR_CANCELED);
	MUST(d->offset + d->received <= LIMIT);
	MUST(memchr(d->text, 0, sizeof d->text) != NULL);
	if (d->buf != NULL)
		MUST(into->len == d->received);
	else if (!d->upload)
		MUST(fstat(d->fd, &st) == 0 && (uint64_t)st.st_size == d->offset + d->received);
	if ((srv.flags & USE_HTTP) != 0 && d->result == OK)
		MUST(d->code == 200 || d->code == 206);
}

static void
run_client(void)
{
	static struct downloader_options o = { .stall_ms = 1000 };
	bool upload = (srv.flags & UPLOAD) != 0 && (srv.flags & USE_HTTP) == 0;
	bool memory = (srv.flags & INTO_MEMORY) != 0 && !upload;
	struct download d = { .limit = LIMIT, .upload = upload, .fd = -1 };
	struct downloader *loader;
	struct buf into;

	buf_init(&into, 4096);
	MUST(mem_file("fuzz", "0123456789abcdefghij", upload ? LIMIT : 5, &d.fd) == OK);
	d.offset = !memory && !upload && (srv.flags & RESUME) != 0 ? 5 : 0;
	d.buf = memory ? &into : NULL;
	(void)snprintf(d.url, sizeof d.url, "%s://127.77.0.1:%u/feed/targets/x.%s",
	    (srv.flags & USE_HTTP) != 0 ? "http" : "ftp", srv.port, upload ? "log" : "hdb");
	MUST(downloader_new(&loader, &o) == OK);
	MUST(downloader_run(loader, &d, 1) == OK);
	downloader_free(loader);
	check(&d, &into);
	(void)close(d.fd);
	buf_free(&into);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pthread_t server;

	if (size < 2 || size > INPUT_MAX)
		return 0;
	prepare(&srv, data, size);
	MUST(pthread_create(&server, NULL, serve, &srv) == 0);
	run_client();
	MUST(write(srv.stop[1], "x", 1) == 1);
	MUST(pthread_join(server, NULL) == 0);
	(void)close(srv.stop[0]);
	(void)close(srv.stop[1]);
	return 0;
}

/* Each waits for somebody at some point. */
size_t
fuzz_prefixes_up_to(void)
{
	return 0;
}
