/* httpd.c - the server: listeners, the tick that keeps every deadline, closing. See httpd.h. */
#include "net/httpd_int.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "os/descriptors.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 511

static void
set_default(uint32_t *v, uint32_t dflt)
{
	if (*v == 0)
		*v = dflt;
}

/* Deadlines are met within a quarter of the shortest, and no oftener than 50 times a second. */
static uint32_t
tick_for(const struct httpd_options *o)
{
	uint32_t shortest = o->head_ms;

	shortest = o->body_ms < shortest ? o->body_ms : shortest;
	shortest = o->idle_ms < shortest ? o->idle_ms : shortest;
	shortest = (o->write_ms < shortest ? o->write_ms : shortest) / 4;
	return shortest < 20 ? 20 : shortest > 1000 ? 1000 : shortest;
}

static void
on_tick(uv_timer_t *t)
{
	struct httpd *d = t->data;
	uint64_t now = clock_mono_ms();
	struct http_conn *c, *next;

	for (c = d->conns; c != NULL; c = next) {
		next = c->next;
		if (d->closing && now >= d->drain_until)
			conn_close(c, "server closes");
		else
			conn_tick(c, now);
	}
	if (d->conns == NULL)
		(void)uv_timer_stop(
		    t); /* an idle server does not wake the PC; conn_accept starts it again */
}

static void
on_soon(uv_timer_t *t)
{
	struct httpd *d = t->data;
	struct http_conn *c, *list = d->later, *next;

	d->later = NULL;
	for (c = list; c != NULL; c = next) {
		next = c->later_next;
		c->is_later = false;
		c->later_next = NULL;
		conn_turn(c); /* closes, never frees: freeing waits for the close callback */
	}
}

void
httpd_later(struct http_conn *c)
{
	if (c->is_later || c->why != NULL)
		return;
	c->is_later = true;
	c->later_next = c->d->later;
	c->d->later = c;
	(void)uv_timer_start(&c->d->soon, on_soon, 0, 0);
}

void
httpd_start_tick(struct httpd *d)
{
	if (!uv_is_active((uv_handle_t *)&d->tick) && !uv_is_closing((uv_handle_t *)&d->tick))
		(void)uv_timer_start(&d->tick, on_tick, d->tick_ms, d->tick_ms);
}

void
httpd_forget_later(struct http_conn *c)
{
	struct http_conn **at;

	for (at = &c->d->later; c->is_later && *at != NULL; at = &(*at)->later_next) {
		if (*at != c)
			continue;
		*at = c->later_next;
		c->is_later = false;
		return;
	}
}

enum err
httpd_new(struct httpd **out, uv_loop_t *loop, const struct httpd_options *o, struct fault *f)
{
	struct httpd *d = calloc(1, sizeof(*d));

	*out = NULL;
	if (d == NULL || peers_new(&d->peers) != OK || peers_new(&d->handshakes) != OK) {
		if (d != NULL) {
			peers_free(d->peers);
			peers_free(d->handshakes);
		}
		free(d);
		return fault_set(f, ERR_NOMEM, "no memory for a server");
	}
	(void)descriptors_take(0); /* for refuse_reason */
	d->loop = loop;
	d->o = *o;
	set_default(&d->o.max_connections, LIMIT_HTTP_CONNECTIONS);
	set_default(&d->o.head_ms, 10000);
	set_default(&d->o.body_ms, 30000);
	set_default(&d->o.idle_ms, 60000);
	set_default(&d->o.write_ms, 30000);
	d->tick_ms = tick_for(&d->o);
	if (o->tls != NULL)
		d->tls = tls_config_ref(o->tls);
	(void)uv_timer_init(loop, &d->tick);
	(void)uv_timer_init(loop, &d->soon);
	d->tick.data = d->soon.data = d;
	d->handles = 2;
	/* libuv writes with write(2) and sendfile(2): without this a client that leaves would end
	 * the program. */
	(void)signal(SIGPIPE, SIG_IGN);
	*out = d;
	return OK;
}

void
httpd_set_tls(struct httpd *d, struct tls_config *c)
{
	struct tls_config *old = d->tls;

	d->tls = c != NULL ? tls_config_ref(c) : NULL;
	tls_config_unref(old);
}

struct httpd_stats
httpd_stats(const struct httpd *d)
{
	return d->stats;
}

/* --- listening --- */

static void
on_listener_closed(uv_handle_t *h)
{
	struct http_listener *l = h->data;
	struct httpd *d = l->d;

	free(l->path);
	free(l);
	httpd_handle_gone(d);
}

static void
on_connection(uv_stream_t *s, int status)
{
	struct http_listener *l = s->data;

	if (status == 0)
		conn_accept(l);
	else
		log_warn("http.accept", "server=%s error=%s", l->d->o.name, uv_err_name(status));
}

static struct http_listener *
listener_new(struct httpd *d)
{
	struct http_listener *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->d = d;
	return l;
}

/* The handle is initialised: from here on only uv_close may free l. */
static void
listener_add(struct http_listener *l)
{
	l->h.any.data = l;
	l->next = l->d->listeners;
	l->d->listeners = l;
	l->d->handles++;
}

static void
listener_undo(struct http_listener *l)
{
	l->d->listeners = l->next;
	uv_close(&l->h.any, on_listener_closed);
}

static enum err
check_local(
    const struct httpd *d, const struct addr *a, const char *host, uint16_t port, struct fault *f)
{
	if (!d->o.local_only || d->o.local_forced || addr_is_loopback(a))
		return OK;
	return fault_set(f, ERR_DENIED,
	    "%s may listen on loopback addresses only, not on %s port %u: use 127.0.0.1 or ::1",
	    d->o.name, host, port);
}

static uint16_t
real_port(const struct http_listener *l)
{
	struct sockaddr_storage ss;
	int len = sizeof(ss);
	struct addr a;

	if (uv_tcp_getsockname(&l->h.tcp, (struct sockaddr *)&ss, &len) != 0 ||
	    addr_from_sockaddr(&a, (struct sockaddr *)&ss) != OK)
		return 0;
	return a.port;
}

enum err
httpd_listen(struct httpd *d, const char *host, uint16_t port, uint16_t *real, struct fault *f)
{
	struct sockaddr_storage ss;
	struct http_listener *l;
	socklen_t len;
	struct addr a;
	enum err e;
	int ret;

	if (addr_parse_ip(&a, host, strlen(host)) != OK)
		return fault_set(
		    f, ERR_INVAL, "%s: '%s' is no IP address to listen on", d->o.name, host);
	if ((e = check_local(d, &a, host, port, f)) != OK)
		return e;
	a.port = port;
	if ((e = addr_to_sockaddr(&a, &ss, &len)) != OK)
		return e;
	if ((l = listener_new(d)) == NULL)
		return fault_set(f, ERR_NOMEM, "no memory for a listener");
	if ((ret = uv_tcp_init(d->loop, &l->h.tcp)) != 0) {
		free(l);
		return fault_set(f, ERR_IO, "no socket for %s: %s", d->o.name, uv_strerror(ret));
	}
	listener_add(l);
	ret = uv_tcp_bind(
	    &l->h.tcp, (struct sockaddr *)&ss, a.family == ADDR_V6 ? UV_TCP_IPV6ONLY : 0);
	if (ret == 0)
		ret = uv_listen(&l->h.stream, BACKLOG, on_connection);
	if (ret != 0) {
		listener_undo(l);
		return fault_set(f, ret == UV_EADDRINUSE ? ERR_BUSY : ERR_IO,
		    "%s cannot listen on %s port %u: %s", d->o.name, host, port, uv_strerror(ret));
	}
	if (real != NULL)
		*real = real_port(l);
	return OK;
}

/* True when a process answers on the socket; a file that only a dead one left is removed. */
static bool
unix_is_alive(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct stat st;
	bool alive;
	int fd;

	if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode) ||
	    text_copy(un.sun_path, sizeof(un.sun_path), path, strlen(path)) != OK)
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	alive = connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0 || errno != ECONNREFUSED;
	(void)close(fd);
	if (!alive)
		(void)unlink(path);
	return alive;
}

enum err
httpd_listen_unix(struct httpd *d, const char *path, unsigned mode, struct fault *f)
{
	struct http_listener *l;
	int ret;

	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return fault_set(
		    f, ERR_TOOBIG, "the socket path %s is too long for a unix socket", path);
	if (unix_is_alive(path))
		return fault_set(f, ERR_BUSY, "another process answers on the socket %s", path);
	if ((l = listener_new(d)) == NULL || uv_pipe_init(d->loop, &l->h.pipe, 0) != 0) {
		free(l);
		return fault_set(f, ERR_NOMEM, "no memory for a listener");
	}
	listener_add(l);
	ret = uv_pipe_bind(&l->h.pipe, path);
	if (ret == 0 && (l->path = strdup(path)) == NULL)
		ret = UV_ENOMEM;
	if (ret == 0 && chmod(path, mode) != 0)
		ret = uv_translate_sys_error(errno);
	if (ret == 0)
		ret = uv_listen(&l->h.stream, BACKLOG, on_connection);
	if (ret != 0) {
		listener_undo(l);
		return fault_set(f, ret == UV_EADDRINUSE ? ERR_BUSY : ERR_IO,
		    "%s cannot listen on the socket %s: %s", d->o.name, path, uv_strerror(ret));
	}
	return OK;
}

/* --- closing --- */

static void
on_timer_closed(uv_handle_t *h)
{
	httpd_handle_gone(h->data);
}

void
httpd_handle_gone(struct httpd *d)
{
	void (*closed)(void *) = d->closed;
	void *ctx = d->closed_ctx;

	d->handles--;
	/* Connections may still need the tick and the later list: the timers go last. */
	if (d->closing && d->handles == 2 && !uv_is_closing((uv_handle_t *)&d->tick)) {
		uv_close((uv_handle_t *)&d->tick, on_timer_closed);
		uv_close((uv_handle_t *)&d->soon, on_timer_closed);
		return;
	}
	if (d->handles > 0)
		return;
	tls_config_unref(d->tls);
	peers_free(d->peers);
	peers_free(d->handshakes);
	free(d);
	if (closed != NULL)
		closed(ctx);
}

static bool
is_running(const struct http_conn *c)
{
	const struct http_req *r = c->req;

	if (c->phase == PH_DRAIN || c->phase == PH_LINGER)
		return true;
	return r != NULL && (!r->may_wait || r->state != RQ_PENDING) && !r->event_stream;
}

void
httpd_close(struct httpd *d, uint64_t drain_ms, void (*closed)(void *ctx), void *ctx)
{
	struct http_listener *l;
	struct http_conn *c, *next;

	d->closing = true;
	d->closed = closed;
	d->closed_ctx = ctx;
	d->drain_until = clock_mono_ms() + drain_ms;
	d->handles++; /* so that the last close below does not free d under this function */
	for (l = d->listeners; l != NULL; l = l->next)
		uv_close(&l->h.any, on_listener_closed); /* libuv removes the unix socket's file */
	d->listeners = NULL;
	for (c = d->conns; c != NULL; c = next) {
		next = c->next;
		if (drain_ms > 0 && c->req == NULL && conn_queue(c) > 0)
			conn_finish(c, false); /* the end of an answer is still on its way */
		else if (drain_ms == 0 || !is_running(c))
			conn_close(c, "server closes");
	}
	if (drain_ms > 0 && drain_ms < d->tick_ms)
		(void)uv_timer_start(&d->tick, on_tick, drain_ms, d->tick_ms);
	httpd_handle_gone(d);
}
