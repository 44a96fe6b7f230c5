/* httpd_accept.c - from a listener to a connection, or to a refusal: caps in total and per address,
 * handshakes per source. */
#include "net/httpd_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "os/descriptors.h"

#include <stdlib.h>

static uint32_t
cap_for(const struct httpd *d, const struct addr *a)
{
	if (d->o.wide != NULL && cidr_list_match(d->o.wide, a))
		return d->o.max_per_wide;
	return d->o.max_per_address;
}

/* Who has been answered or turned away; on a TLS port, who has not said who he is; else, who has
 * not asked for anything as a whole. */
static bool
owes(const struct http_conn *c)
{
	if (c->phase == PH_DRAIN || c->phase == PH_LINGER)
		return true;
	if (c->tls != NULL)
		return tls_state(c->tls) != TLS_OPEN;
	return c->phase == PH_HEAD || c->phase == PH_IDLE || c->phase == PH_BODY;
}

/* Of those who owe us something, the one whose source has most connections, the oldest of them;
 * never one whose source has fewer than the newcomer's. */
static struct http_conn *
least_wanted(const struct http_conn *newcomer)
{
	const struct httpd *d = newcomer->d;
	uint32_t most = peers_count(d->peers, &newcomer->peer), n;
	struct http_conn *c, *found = NULL;

	for (c = d->conns; c != NULL; c = c->next) { /* newest first */
		if (c == newcomer || !c->admitted || c->why != NULL || !owes(c))
			continue;
		n = peers_count(d->peers, &c->peer);
		if (n < most)
			continue;
		most = n;
		found = c;
	}
	return found;
}

/* Strangers from a few addresses, or one process of this PC, must not hold all places until their
 * deadlines: who only holds one makes room. */
static bool
make_room(const struct http_conn *newcomer)
{
	struct http_conn *c = least_wanted(newcomer);

	if (c == NULL)
		return false;
	newcomer->d->stats.refused++;
	refuse_conn(c, "too-many", "its place was needed");
	conn_close(c, "its place was needed");
	return true;
}

static const char *
refuse_reason(struct http_conn *c)
{
	struct httpd *d = c->d;
	uv_os_fd_t fd;
	bool tight;

	if (d->closing)
		return "server closes";
	/* First the source's own limits: a crowd from one address that is turned away in this very
	 * turn of the loop must not count against the others. */
	if (!peers_enter(d->peers, &c->peer, cap_for(d, &c->peer)))
		return "too many connections from this address";
	c->counted = true;
	if (d->tls != NULL && !peers_take(d->handshakes, &c->peer, d->o.handshakes_per_s,
				  d->o.handshake_burst, clock_mono_ms()))
		return "too many handshakes from this address";
	tight = uv_fileno(&c->h.any, &fd) != 0 || descriptors_tight(fd);
	if ((tight || d->admitted >= d->o.max_connections) && !make_room(c))
		return tight ? "descriptors run out" : "too many connections";
	c->admitted = true;
	d->admitted++;
	return NULL;
}

static void
refuse(struct http_conn *c, const char *why)
{
	static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: "
				   "close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n";
	uv_buf_t b = uv_buf_init((char *)(uintptr_t)busy, sizeof(busy) - 1);
	char peer[ADDR_TEXT];

	c->d->stats.refused++;
	log_warn("http.refused", "server=%s peer=%s why=\"%s\"", c->d->o.name,
	    addr_format_ip(peer, &c->peer), why);
	refuse_conn(c, "too-many", why);
	if (c->d->tls == NULL)
		(void)uv_try_write(&c->h.stream, &b, 1);
	conn_close(c, why);
}

/* The handle's kind follows the listener's. */
static int
init_handle(struct httpd *d, uv_handle_t *h, const struct http_listener *l)
{
	return l->h.any.type == UV_TCP ? uv_tcp_init(d->loop, (uv_tcp_t *)h)
				       : uv_pipe_init(d->loop, (uv_pipe_t *)h, 0);
}

static void turn_away(struct http_listener *l);

static void
on_spare_closed(uv_handle_t *h)
{
	struct httpd *d = h->data;
	struct http_listener *l;

	d->spare_used = false;
	for (l = d->listeners; l != NULL && !d->spare_used; l = l->next) {
		if (l->missed)
			turn_away(l);
	}
	httpd_handle_gone(d);
}

/* libuv stops listening until a connection that it announced is taken: without memory the server's
 * spare takes it and hangs up. */
static void
turn_away(struct http_listener *l)
{
	struct httpd *d = l->d;

	l->missed = d->spare_used;
	if (d->spare_used)
		return;
	if (init_handle(d, &d->spare.any, l) != 0)
		return;
	d->spare_used = true;
	d->stats.refused++;
	d->handles++;
	d->spare.any.data = d;
	(void)uv_accept(&l->h.stream, &d->spare.stream);
	uv_close(&d->spare.any, on_spare_closed);
}

static void
find_peer(struct http_conn *c)
{
	struct sockaddr_storage ss;
	int len = sizeof(ss);

	c->peer.family = ADDR_UNIX;
	if (c->h.any.type != UV_TCP)
		return;
	(void)uv_tcp_nodelay(&c->h.tcp, 1);
	if (uv_tcp_getpeername(&c->h.tcp, (struct sockaddr *)&ss, &len) != 0 ||
	    addr_from_sockaddr(&c->peer, (struct sockaddr *)&ss) != OK)
		c->peer.family = ADDR_NONE;
}

void
conn_accept(struct http_listener *l)
{
	struct http_conn *c = calloc(1, sizeof(*c));
	struct httpd *d = l->d;
	const char *why;

	if (c == NULL || init_handle(d, &c->h.any, l) != 0) {
		free(c);
		turn_away(l);
		return;
	}
	c->d = d;
	buf_init(&c->in, HTTP_IN_MAX);
	c->h.any.data = c;
	c->next = d->conns;
	c->link = &d->conns;
	if (c->next != NULL)
		c->next->link = &c->next;
	d->conns = c;
	d->handles++;
	d->stats.connections++;
	d->stats.accepted++;
	httpd_start_tick(d);
	if (uv_accept(&l->h.stream, &c->h.stream) != 0) {
		conn_close(c, "cannot accept");
		return;
	}
	find_peer(c);
	if (c->peer.family == ADDR_NONE)
		conn_close(c, "client left");
	else if ((why = refuse_reason(c)) != NULL)
		refuse(c, why);
	else if (http_parse_new(&c->parse) != OK ||
		 (d->tls != NULL && tls_new(&c->tls, d->tls) != OK))
		conn_close(c, "no memory");
	if (c->why != NULL)
		return;
	conn_phase(c, PH_HEAD);
	conn_read(c, true);
}
