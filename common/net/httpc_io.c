/* httpc_io.c - libcurl's multi_socket interface on libuv. curl opens and closes sockets through us,
 * so that a poll handle always stops before its descriptor is closed: otherwise epoll would be told
 * to forget a number that may belong to somebody else by then. */
#include "net/httpc_int.h"

#include <stdlib.h>
#include <unistd.h>

struct httpc_socket {
	struct httpc_socket *next;
	struct httpc *c;
	uv_poll_t poll;
	curl_socket_t fd;
};

static void
act(struct httpc *c, curl_socket_t fd, int events)
{
	int running;

	if (c->ended)
		return;
	c->inside++;
	(void)curl_multi_socket_action(c->multi, fd, events, &running);
	c->inside--;
	httpc_progress(c);
}

static void
on_poll(uv_poll_t *p, int status, int events)
{
	struct httpc_socket *s = p->data;
	int ev = 0;

	if (status < 0)
		ev = CURL_CSELECT_ERR;
	if ((events & UV_READABLE) != 0)
		ev |= CURL_CSELECT_IN;
	if ((events & UV_WRITABLE) != 0)
		ev |= CURL_CSELECT_OUT;
	act(s->c, s->fd, ev);
}

static void
on_poll_closed(uv_handle_t *h)
{
	struct httpc_socket *s = h->data;
	struct httpc *c = s->c;

	free(s);
	httpc_handle_gone(c);
}

static struct httpc_socket *
find_socket(struct httpc *c, curl_socket_t fd)
{
	struct httpc_socket *s;

	for (s = c->sockets; s != NULL && s->fd != fd; s = s->next)
		;
	return s;
}

static void
drop_socket(struct httpc *c, curl_socket_t fd)
{
	struct httpc_socket **at, *s;

	for (at = &c->sockets; *at != NULL; at = &(*at)->next) {
		if ((*at)->fd != fd)
			continue;
		s = *at;
		*at = s->next;
		(void)uv_poll_stop(&s->poll);
		uv_close((uv_handle_t *)&s->poll, on_poll_closed);
		return;
	}
}

static struct httpc_socket *
add_socket(struct httpc *c, curl_socket_t fd)
{
	struct httpc_socket *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	if (uv_poll_init_socket(c->loop, &s->poll, fd) != 0) {
		free(s);
		return NULL;
	}
	s->c = c;
	s->fd = fd;
	s->poll.data = s;
	s->next = c->sockets;
	c->sockets = s;
	c->handles++;
	return s;
}

/* Without memory for a poll handle the transfer ends. curl must not hear of it from the
 * callback: 7.88 crashes on a refusal there. */
static int
starve(struct httpc *c, CURL *easy)
{
	struct httpc_call *k = NULL;

	if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &k) == CURLE_OK && k != NULL)
		httpc_starve(k);
	return 0;
}

static int
on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *unused)
{
	struct httpc *c = ctx;
	struct httpc_socket *s;
	int events = 0;

	if (what == CURL_POLL_REMOVE) {
		drop_socket(c, fd);
		return 0;
	}
	s = find_socket(c, fd);
	if (s == NULL && (s = add_socket(c, fd)) == NULL)
		return starve(c, easy);
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		events |= UV_READABLE;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		events |= UV_WRITABLE;
	return uv_poll_start(&s->poll, events, on_poll) == 0 ? 0 : starve(c, easy);
}

static void
on_timer(uv_timer_t *t)
{
	act(t->data, CURL_SOCKET_TIMEOUT, 0);
}

static int
on_curl_timer(CURLM *multi, long ms, void *ctx)
{
	struct httpc *c = ctx;

	if (uv_is_closing((uv_handle_t *)&c->timer))
		return 0;
	if (ms < 0)
		(void)uv_timer_stop(&c->timer);
	else /* never from inside: curl forbids calling back */
		(void)uv_timer_start(&c->timer, on_timer, (uint64_t)ms, 0);
	return 0;
}

static int
on_close_socket(void *ctx, curl_socket_t fd)
{
	drop_socket(ctx, fd);
	return close(fd);
}

void
io_add(struct httpc *c, CURL *easy)
{
	(void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
	(void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, c);
}

enum err
io_open(struct httpc *c)
{
	c->multi = curl_multi_init();
	if (c->multi == NULL)
		return ERR_NOMEM;
	(void)curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
	(void)curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	(void)curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	(void)curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	(void)uv_timer_init(c->loop, &c->timer);
	c->timer.data = c;
	c->handles++;
	return OK;
}

static void
on_timer_closed(uv_handle_t *h)
{
	httpc_handle_gone(h->data);
}

void
io_close(struct httpc *c)
{
	while (c->sockets != NULL)
		drop_socket(c, c->sockets->fd);
	uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}
