/* httpd_req.c - requests: routes, what a handler can ask, bodies. See httpd.h. */
#include "net/httpd_int.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct http_req *
req_new(struct http_conn *c, struct http_head *head)
{
	struct http_req *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		http_head_free(head);
		return NULL;
	}
	r->c = c;
	r->head = head;
	r->keep = head->keep_alive;
	r->no_body = strcmp(head->method, "HEAD") == 0;
	buf_init(&r->body, 0);
	buf_init(&r->extra, LIMIT_HTTP_HEAD);
	return r;
}

void
req_free(struct http_req *r)
{
	if (r->owed && r->cancel != NULL)
		r->cancel(r, r->cancel_ctx);
	if (r->source.stop != NULL)
		r->source.stop(r, r->source_ctx);
	if (r->may_wait)
		r->c->d->stats.pending--;
	if (r->file != NULL)
		file_drop(r->file);
	http_head_free(r->head);
	buf_free(&r->body);
	buf_free(&r->extra);
	free(r->params_text);
	free(r);
}

/* --- routes --- */

struct capture {
	size_t at[HTTP_PARAMS], n;
};

/* Segment by segment; {} takes one that is not empty, a last * takes the rest. */
static bool
path_matches(const char *pattern, const char *path, struct capture *cap)
{
	const char *start = path;

	cap->n = 0;
	for (;;) {
		size_t pn, n;

		if (*pattern != '/' || *path != '/')
			return *pattern == '\0' && *path == '\0';
		pattern++;
		path++;
		pn = strcspn(pattern, "/");
		n = strcspn(path, "/");
		if (pn == 1 && pattern[0] == '*') {
			if (cap->n < HTTP_PARAMS)
				cap->at[cap->n++] = (size_t)(path - start);
			return true;
		}
		if (pn == 2 && pattern[0] == '{' && pattern[1] == '}') {
			if (n == 0)
				return false;
			if (cap->n < HTTP_PARAMS)
				cap->at[cap->n++] = (size_t)(path - start);
		} else if (pn != n || memcmp(pattern, path, n) != 0) {
			return false;
		}
		pattern += pn;
		path += n;
	}
}

static bool
method_matches(const struct http_route *route, const char *method)
{
	return strcmp(route->method, method) == 0 ||
	       (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

static bool
keep_params(struct http_req *r, const struct http_route *route, const struct capture *cap)
{
	size_t i, len = strlen(route->path);
	bool rest = len >= 2 && strcmp(route->path + len - 2, "/*") == 0;

	if (cap->n == 0)
		return true;
	r->params_text = strdup(r->head->path);
	if (r->params_text == NULL)
		return false;
	for (i = 0; i < cap->n; i++) {
		char *p = r->params_text + cap->at[i];

		if (!rest || i + 1 < cap->n)
			p[strcspn(p, "/")] = '\0';
		r->params[i] = p;
	}
	return true;
}

/* All routes of this path, for 405. */
static void
allow_field(struct http_req *r, char *out, size_t size)
{
	const struct httpd_options *o = &r->c->d->o;
	struct capture cap;
	size_t i, n = 0;

	out[0] = '\0';
	for (i = 0; i < o->n_routes; i++) {
		size_t len = strlen(o->routes[i].method);

		if (!path_matches(o->routes[i].path, r->head->path, &cap) || n + len + 3 > size)
			continue;
		n += (size_t)snprintf(
		    out + n, size - n, "%s%s", n > 0 ? ", " : "", o->routes[i].method);
	}
}

static bool
find_route(struct http_req *r)
{
	const struct httpd_options *o = &r->c->d->o;
	struct capture cap;
	char allow[128];
	size_t i;

	for (i = 0; i < o->n_routes; i++) {
		if (!method_matches(&o->routes[i], r->head->method) ||
		    !path_matches(o->routes[i].path, r->head->path, &cap))
			continue;
		r->route = &o->routes[i];
		if (keep_params(r, r->route, &cap))
			return true;
		http_problem(r, 500, "no-memory", "memory ran out");
		return false;
	}
	allow_field(r, allow, sizeof(allow));
	if (allow[0] == '\0') {
		http_problem(r, 404, "not-found", "there is nothing at this path");
	} else {
		http_set(r, "Allow", allow);
		http_problem(r, 405, "method-not-allowed", "this path does not take the method %s",
		    r->head->method);
	}
	return false;
}

/* --- who may --- */

/* Web pages reach loopback ports: they cannot hide Origin, and a rebound name shows in Host. */
static bool
check_local(struct http_req *r)
{
	const char *host = http_head_field(r->head, "host");
	char name[ADDR_HOST];
	uint16_t port;

	if (!r->c->d->o.local_only || r->c->d->o.local_forced)
		return true;
	if (http_head_field(r->head, "origin") != NULL) {
		http_problem(r, 403, "origin-refused", "requests of web pages are not served here");
		return false;
	}
	if (host == NULL || host[0] == '\0')
		return true;
	if (addr_parse_hostport(host, strlen(host), 80, false, name, &port, NULL) == OK &&
	    host_is_loopback(name))
		return true;
	http_problem(r, 403, "host-refused",
	    "the Host field must name this PC: localhost, 127.0.0.1 or ::1");
	return false;
}

static bool
check_identity(struct http_req *r)
{
	unsigned flags = r->route->flags;
	const struct pki_identity *id = http_identity(r);

	if ((flags & (HTTP_NEED_AGENT | HTTP_NEED_CONSOLE)) == 0)
		return true;
	if (id == NULL) {
		http_problem(r, 401, "certificate-needed",
		    "this path needs a client certificate of the fleet");
		return false;
	}
	if (!((flags & HTTP_NEED_AGENT) != 0 && id->role == PKI_AGENT) &&
	    !((flags & HTTP_NEED_CONSOLE) != 0 && id->role == PKI_CONSOLE)) {
		http_problem(r, 403, "wrong-role", "a certificate of the role %s may not do this",
		    pki_role_word(id->role));
		return false;
	}
	if ((flags & HTTP_EXPIRED_OK) == 0 && clock_wall_ms() > id->not_after) {
		http_problem(r, 403, "certificate-expired",
		    "the certificate has expired; it can only be renewed");
		return false;
	}
	return true;
}

bool
req_route(struct http_req *r)
{
	const struct httpd_options *o = &r->c->d->o;

	if (!check_local(r))
		return false;
	if (o->gate != NULL && !o->gate(r, o->ctx)) {
		if (r->state != RQ_DONE)
			http_problem(r, 500, "gate", "the gate refused without an answer");
		return false;
	}
	if (!find_route(r) || !check_identity(r))
		return false;
	if (r->head->has_body &&
	    (r->route->body_max == 0 || r->head->content_length > r->route->body_max)) {
		http_problem(r, 413, "body-too-large",
		    "this path takes a body of at most %zu bytes", r->route->body_max);
		return false;
	}
	r->body.max = r->route->body_max;
	return true;
}

void
req_run(struct http_req *r)
{
	r->owed = true;
	r->route->run(r, r->c->d->o.ctx);
}

/* --- what a handler can ask --- */

const char *
http_method(const struct http_req *r)
{
	return r->head->method;
}

const struct http_route *
http_route_of(const struct http_req *r)
{
	return r->route;
}

const char *
http_path(const struct http_req *r)
{
	return r->head->path;
}

const char *
http_query(const struct http_req *r, const char *name)
{
	return http_head_query(r->head, name);
}

enum err
http_query_u64(
    const struct http_req *r, const char *name, uint64_t max, uint64_t dflt, uint64_t *out)
{
	const char *v = http_head_query(r->head, name);

	*out = dflt;
	return v == NULL ? OK : text_u64(v, strlen(v), max, out);
}

const char *
http_field(const struct http_req *r, const char *name)
{
	return http_head_field(r->head, name);
}

bool
http_type_is(const struct http_req *r, const char *type)
{
	const char *v = http_head_field(r->head, "content-type");
	size_t n;

	if (v == NULL)
		return false;
	n = strcspn(v, ";");
	while (n > 0 && (v[n - 1] == ' ' || v[n - 1] == '\t'))
		n--;
	return text_eq_nocase(v, n, type);
}

const char *
http_param(const struct http_req *r, size_t i)
{
	return i < HTTP_PARAMS && r->params[i] != NULL ? r->params[i] : "";
}

const uint8_t *
http_body(const struct http_req *r, size_t *n)
{
	*n = r->body.len;
	return (const uint8_t *)buf_text(&r->body);
}

const struct addr *
http_peer(const struct http_req *r)
{
	return &r->c->peer;
}

uv_os_fd_t
http_peer_fd(const struct http_req *r)
{
	uv_os_fd_t fd;

	return r->c->why == NULL && uv_fileno(&r->c->h.any, &fd) == 0 ? fd : -1;
}

const struct pki_identity *
http_identity(const struct http_req *r)
{
	return r->c->tls != NULL ? tls_peer(r->c->tls) : NULL;
}

uv_loop_t *
http_loop(const struct http_req *r)
{
	return r->c->d->loop;
}

void *
http_data(const struct http_req *r)
{
	return r->data;
}

void
http_set_data(struct http_req *r, void *data)
{
	r->data = data;
}

void
http_may_wait(struct http_req *r)
{
	if (r->may_wait)
		return;
	r->may_wait = true;
	r->c->d->stats.pending++;
}

void
http_on_cancel(struct http_req *r, void (*cancel)(struct http_req *, void *), void *ctx)
{
	r->cancel = cancel;
	r->cancel_ctx = ctx;
}

/* --- streamed bodies --- */

void
http_body_stream(struct http_req *r,
    void (*data)(struct http_req *, const uint8_t *, size_t, bool, void *), void *ctx)
{
	r->on_body = data;
	r->on_body_ctx = ctx;
	http_body_resume(r);
}

void
http_body_pause(struct http_req *r)
{
	r->body_paused = true;
}

void
http_body_resume(struct http_req *r)
{
	r->body_paused = false;
	if (r->state == RQ_BODY)
		httpd_later(r->c);
}
