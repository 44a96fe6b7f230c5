#include "ftp_conn.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define TICK_MS 250
#define BACKLOG 511

static void
handle_closed(uv_handle_t *h)
{
	struct ftp_server *s = h->data;

	s->handles--;
	ftp_server_check_closed(s);
}

void
ftp_server_check_closed(struct ftp_server *s)
{
	void (*closed)(void *) = s->closed;
	void *ctx = s->ctx;

	if (!s->closing || s->conns != NULL || s->mover.open > 0)
		return;
	if (s->tick_open) {
		s->tick_open = false;
		uv_close((uv_handle_t *)&s->tick, handle_closed);
	}
	if (s->handles > 0)
		return;
	peers_free(s->peers);
	free(s);
	if (closed != NULL)
		closed(ctx);
}

static void
mover_quiet(void *ctx)
{
	ftp_server_check_closed(ctx);
}

/* A connection's end may free it and, after a cut, others change the list: next is taken first, and
 * a tick only ever ends its own. */
static void
on_tick(uv_timer_t *t)
{
	struct ftp_server *s = t->data;
	uint64_t now = uv_now(s->loop);
	struct ftp_conn *c, *next;
	size_t i;

	for (i = 0; i < s->listener_count && !s->closing; i++)
		if (s->untaken[i])
			s->untaken[i] = !ftp_conn_accept(s, (uv_stream_t *)&s->listeners[i]);
	for (c = s->conns; c != NULL; c = next) {
		next = c->next;
		if (s->closing && now >= s->drain_until)
			ftp_conn_end(c, "The service is ending.");
		else
			ftp_conn_tick(c, now);
	}
}

enum err
ftp_server_new(struct ftp_server **out, uv_loop_t *loop, const struct options *o,
    struct files *files, struct dropbox *box, struct fault *f)
{
	struct ftp_server *s = calloc(1, sizeof(*s));

	*out = NULL;
	if (s == NULL || peers_new(&s->peers) != OK || uv_timer_init(loop, &s->tick) != 0) {
		if (s != NULL)
			peers_free(s->peers);
		free(s);
		return fault_set(f, ERR_NOMEM, "out of memory");
	}
	s->loop = loop;
	s->o = o;
	s->files = files;
	s->box = box;
	s->mover =
	    (struct ftp_mover){ .loop = loop, .options = o, .all_closed = mover_quiet, .ctx = s };
	s->tick.data = s;
	s->tick_open = true;
	s->handles = 1;
	if (uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS) != 0)
		log_error("ftp.timer", "error=start");
	*out = s;
	return OK;
}

static void
on_connection(uv_stream_t *listener, int status)
{
	struct ftp_server *s = listener->data;

	if (status == 0)
		s->untaken[(uv_tcp_t *)listener - s->listeners] = !ftp_conn_accept(s, listener);
	else
		log_warn("ftp.accept", "error=%s", uv_err_name(status));
}

static int
bind_and_listen(uv_tcp_t *t, const struct addr *a)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int r;

	if (addr_to_sockaddr(a, &ss, &len) != OK)
		return UV_EINVAL;
	r = uv_tcp_bind(t, (struct sockaddr *)&ss, a->family == ADDR_V6 ? UV_TCP_IPV6ONLY : 0);
	return r == 0 ? uv_listen((uv_stream_t *)t, BACKLOG, on_connection) : r;
}

static uint16_t
real_port(uv_tcp_t *t)
{
	struct sockaddr_storage ss;
	int n = sizeof(ss);
	struct addr a;

	if (uv_tcp_getsockname(t, (struct sockaddr *)&ss, &n) != 0 ||
	    addr_from_sockaddr(&a, (struct sockaddr *)&ss) != OK)
		return 0;
	return a.port;
}

enum err
ftp_server_listen(
    struct ftp_server *s, const char *host, uint16_t port, uint16_t *real, struct fault *f)
{
	uv_tcp_t *t = &s->listeners[s->listener_count];
	struct addr a;
	int r;

	if (s->listener_count == LISTEN_MAX || addr_parse_ip(&a, host, strlen(host)) != OK)
		return fault_set(f, ERR_INVAL, "'%.60s' cannot be listened on", host);
	r = uv_tcp_init(s->loop, t);
	if (r != 0)
		return fault_set(f, ERR_NOMEM, "out of memory");
	t->data = s;
	s->handles++;
	s->listener_count++;
	a.port = port;
	r = bind_and_listen(t, &a);
	if (r != 0)
		return fault_set(f, r == UV_EADDRINUSE ? ERR_BUSY : ERR_IO, "%s port %u: %s", host,
		    port, uv_strerror(r));
	*real = real_port(t);
	return OK;
}

struct ftp_stats
ftp_server_stats(const struct ftp_server *s)
{
	struct ftp_stats st = s->stats;

	st.bytes_out = s->mover.bytes_out;
	st.bytes_in = s->mover.bytes_in;
	st.strangers = s->mover.strangers;
	return st;
}

void
ftp_server_close(struct ftp_server *s, uint64_t drain_ms, void (*closed)(void *ctx), void *ctx)
{
	struct ftp_conn *c, *next;
	size_t i;

	s->closing = true;
	s->closed = closed;
	s->ctx = ctx;
	s->drain_until = uv_now(s->loop) + drain_ms;
	s->handles++; /* keeps s until the walk is over */
	for (i = 0; i < s->listener_count; i++)
		uv_close((uv_handle_t *)&s->listeners[i], handle_closed);
	for (c = s->conns; c != NULL; c = next) {
		next = c->next;
		if (!ftp_conn_busy(c) || drain_ms == 0)
			ftp_conn_end(c, "The service is ending, come back soon.");
	}
	s->handles--;
	ftp_server_check_closed(s);
}
