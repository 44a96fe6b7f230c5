/* web_serve.c - the listener of 10443: who a request is from, whether its route is for that role,
 * and whether a change was meant by this origin. */
#include "web.h"

#include "admin_api.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "net/addr.h"
#include "password.h"
#include "store_users.h"
#include "web_cookie.h"
#include "web_live.h"

#include <stdlib.h>
#include <string.h>

#define WEB_CONNECTIONS 1024
#define WEB_PER_ADDRESS 256 /* offices behind one NAT address */
#define WEB_HANDSHAKES_S 50
#define SWEEP_MS 5000
#define CERTIFICATE_MS 5000
#define DRAIN_MS 3000
#define LOGIN_PATH "/api/v1/login" /* the only route without a session */

static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self';"
    " connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'; require-trusted-types-for 'script'";

void
web_security_fields(struct http_req *req)
{
	http_set(req, "Strict-Transport-Security", "max-age=31536000");
	http_set(req, "Content-Security-Policy", policy);
	http_set(req, "X-Content-Type-Options", "nosniff");
	http_set(req, "X-Frame-Options", "DENY");
	http_set(req, "Referrer-Policy", "no-referrer");
	http_set(req, "Cross-Origin-Opener-Policy", "same-origin");
	http_set(req, "Cross-Origin-Resource-Policy", "same-origin");
	http_set(req, "Permissions-Policy", "camera=(), microphone=(), geolocation=()");
}

/* ---- who ---- */

struct seen {
	struct job job;
	uint8_t hash[32];
	int64_t now;
};

static enum err
seen_run(struct job *job, void *ctx)
{
	struct seen *s = (struct seen *)job;

	return store_session_seen(ctx, s->hash, s->now);
}

static void
seen_done(struct job *job, enum err result)
{
	(void)result;
	free(job);
}

static void
save_seen(struct web *w, const struct session *x)
{
	struct seen *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return;
	memcpy(s->hash, x->who.session, sizeof(s->hash));
	s->now = x->seen;
	s->job.run = seen_run;
	s->job.done = seen_done;
	work_add(&w->c->db_work, &s->job);
}

static const struct session *
session_of(struct web *w, struct http_req *req, bool touch)
{
	char word[COOKIE_WORD + 1];
	uint8_t hash[32];
	const struct session *x;
	bool save;

	if (cookie_word(http_field(req, "cookie"), word) != OK)
		return NULL;
	cookie_hash(hash, word);
	explicit_bzero(word, sizeof(word));
	x = sessions_find(w->sessions, hash, clock_wall_ms(), touch, &save);
	if (x != NULL && save)
		save_seen(w, x);
	return x;
}

bool
web_who(struct console *c, struct http_req *req, struct who *out)
{
	const struct session *x;

	memset(out, 0, sizeof(*out));
	if (http_data(req) == NULL)
		return true; /* an agent: its certificate says who */
	if (http_data(req) == c) {
		out->role = WHO_ADMIN;
		memcpy(out->name, WHO_TOKEN_NAME, sizeof(WHO_TOKEN_NAME));
		return true;
	}
	x = session_of(c->web, req, false);
	if (x != NULL)
		*out = x->who;
	return x != NULL || strcmp(http_path(req), LOGIN_PATH) == 0;
}

/* ---- gate and dispatch ---- */

static bool
refuse(struct http_req *req, int status, const char *code, const char *why)
{
	log_warn("refused", "what=web code=%s path=%s", code, log_q(http_path(req)));
	http_problem(req, status, code, "%s", why);
	return false;
}

/* Before a body is read: everything under /api but the log-in needs a session. */
bool
web_gate(struct http_req *req, void *ctx)
{
	struct console *c = ctx;

	http_set_data(req, c->web);
	web_security_fields(req);
	if (!text_starts(http_path(req), "/api/"))
		return true;
	http_set(req, "Cache-Control", "no-store");
	if (!fetch_site_is_own(http_field(req, "sec-fetch-site")))
		return refuse(req, 403, "csrf", "requests of other sites are not served");
	if (strcmp(http_path(req), LOGIN_PATH) == 0)
		return true;
	if (session_of(c->web, req, strcmp(http_path(req), "/api/v1/live") != 0) == NULL)
		return refuse(req, 401, "unauthorized", "log in first");
	return true;
}

/* A change must come from a page of this origin and carry the token that only it can have read. */
static bool
is_meant(struct http_req *req, const struct web_row *row)
{
	char word[COOKIE_WORD + 1], right[65];
	const char *given = http_field(req, "x-atalaia-csrf");
	bool good;

	if (strcmp(row->method, "GET") == 0)
		return true;
	if (!origin_is_host(http_field(req, "origin"), http_field(req, "host")))
		return false;
	if ((row->flags & WEB_ANYBODY) != 0)
		return true;
	if (given == NULL || cookie_word(http_field(req, "cookie"), word) != OK)
		return false;
	cookie_csrf(right, word);
	good = strlen(given) == strlen(right) && pki_equal(given, right, strlen(right));
	explicit_bzero(word, sizeof(word));
	explicit_bzero(right, sizeof(right));
	return good;
}

void
web_dispatch(struct http_req *req, void *ctx)
{
	struct console *c = ctx;
	const struct web_row *row = &web_rows[http_route_of(req) - c->web->routes];
	struct who who;

	if (!web_who(c, req, &who)) {
		(void)refuse(req, 401, "unauthorized", "the session has ended: log in again");
	} else if (!is_meant(req, row)) {
		(void)refuse(req, 403, "csrf",
		    "a change needs the Origin of this console and the session's X-Atalaia-CSRF");
	} else if ((row->flags & WEB_ANYBODY) == 0 && (row->roles & who.role) == 0) {
		(void)refuse(req, 403, "forbidden", "this user's role may not do this");
	} else if ((row->flags & WEB_UNLIMITED) != 0 && who.scope[0] != '\0') {
		(void)refuse(
		    req, 403, "forbidden", "a user who is limited to groups may not do this");
	} else {
		row->run(req, ctx);
	}
}

enum err
web_admin_routes(struct http_route **out, size_t *n)
{
	struct http_route *list = calloc(admin_route_count + web_row_count, sizeof(*list));
	size_t at = 0;

	*out = list;
	if (list == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < admin_route_count; i++)
		list[at++] = admin_routes[i];
	for (size_t i = 0; i < web_row_count; i++)
		if ((web_rows[i].flags & WEB_ONLY) == 0)
			list[at++] = (struct http_route){ web_rows[i].method,
				web_rows[i].path + strlen("/api"), 0, web_rows[i].body_max,
				web_rows[i].run };
	*n = at;
	return OK;
}

static enum err
make_routes(struct web *w, size_t *n)
{
	struct http_route *list = calloc(web_row_count + 1, sizeof(*list));

	w->routes = list;
	if (list == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < web_row_count; i++)
		list[i] = (struct http_route){ web_rows[i].method, web_rows[i].path, 0,
			web_rows[i].body_max, web_dispatch };
	list[web_row_count] = (struct http_route){ "GET", "/*", 0, 0, web_file };
	*n = web_row_count + 1;
	return OK;
}

/* ---- start ---- */

static void
load_session(void *arg, const struct session *x)
{
	sessions_add(arg, x);
}

static enum err
load_sessions(struct web *w)
{
	const struct options *o = w->c->o;
	enum err e = sessions_new(&w->sessions, o->web_idle, o->web_life);

	if (e == OK)
		e = store_sessions_prune(w->c->db, clock_wall_ms() - (int64_t)o->web_life);
	return e == OK ? store_sessions_each(w->c->db, load_session, w->sessions) : e;
}

static enum err
listen_all(struct web *w, struct fault *f)
{
	const struct options *o = w->c->o;
	const char *p = o->web_listen[0] != '\0' ? o->web_listen : o->listen;
	char host[ADDR_HOST];
	size_t bound = 0;

	w->port = o->web_port;
	while (*p != '\0') {
		size_t n = strcspn(p, ", ");
		struct fault own = { 0 };
		enum err e = n > 0 ? text_copy(host, sizeof(host), p, n) : ERR_NOTFOUND;

		if (e == OK)
			e = httpd_listen(w->server, host, w->port, &w->port, &own);
		if (e == OK)
			bound++;
		else if (n > 0 && (strchr(host, ':') == NULL || bound == 0))
			return conf_fault(
			    o->conf, "console", "web_port", f, "%s", fault_text(&own));
		p += n;
		p += strspn(p, ", ");
	}
	return OK;
}

enum err
web_open(struct web **out, struct console *c, struct fault *f)
{
	struct web *w = calloc(1, sizeof(*w));
	struct httpd_options h = { .name = "web",
		.ctx = c,
		.gate = web_gate,
		.max_connections = WEB_CONNECTIONS,
		.max_per_address = WEB_PER_ADDRESS,
		.handshakes_per_s = WEB_HANDSHAKES_S,
		.handshake_burst = WEB_HANDSHAKES_S * 10 };
	enum err e;

	*out = w;
	if (w == NULL)
		return ERR_NOMEM;
	w->c = c;
	work_init(&w->hash_work, c->loop, NULL, NULL);
	if (strcmp(c->o->web_listen, "off") == 0)
		return load_sessions(w);
	if (!password_supported()) {
		log_warn("web.off", "why=%s", log_q("this build has no libsodium for passwords"));
		return load_sessions(w);
	}
	e = load_sessions(w);
	if (e == OK)
		e = live_new(&w->live, w);
	if (e == OK)
		e = web_tls_start(w, f);
	if (e == OK)
		e = make_routes(w, &h.n_routes);
	h.routes = w->routes;
	h.tls = w->tls;
	if (e == OK)
		e = httpd_new(&w->server, c->loop, &h, f);
	return e == OK ? listen_all(w, f) : e;
}

/* AB:CD:.. as browsers show it. */
static void
print_fingerprint(FILE *out, const char *hex)
{
	for (size_t i = 0; hex[i] != '\0' && hex[i + 1] != '\0'; i += 2)
		(void)fprintf(out, "%s%c%c", i > 0 ? ":" : "", hex[i] >= 'a' ? hex[i] - 32 : hex[i],
		    hex[i + 1] >= 'a' ? hex[i + 1] - 32 : hex[i + 1]);
}

void
web_announce(const struct web *w, FILE *out)
{
	if (w->server == NULL)
		return;
	(void)fprintf(out, "web https://%s:%u/ certificate sha256 ", w->c->o->host, w->port);
	print_fingerprint(out, w->fingerprint);
	(void)fprintf(out, "%s\n", w->own ? " (made by this console)" : "");
	(void)fflush(out);
}

void
web_tick(struct web *w, uint64_t now_ms)
{
	if (w->server == NULL)
		return;
	if (now_ms >= w->next_sweep) {
		w->next_sweep = now_ms + SWEEP_MS;
		sessions_sweep(w->sessions, clock_wall_ms());
	}
	if (now_ms >= w->next_certificate) {
		w->next_certificate = now_ms + CERTIFICATE_MS;
		web_tls_check(w);
	}
	live_tick(w->live, now_ms);
}

void
web_reload(struct web *w)
{
	w->next_certificate = 0;
}

/* ---- stop ---- */

struct ending {
	struct web *w;
	void (*closed)(void *arg);
	void *arg;
};

static void
on_server_closed(void *ctx)
{
	struct ending *x = ctx, done = *x;

	free(x);
	work_close(&done.w->hash_work, done.closed, done.arg);
}

void
web_close(struct web *w, void (*closed)(void *arg), void *arg)
{
	struct ending *x = w->server != NULL ? malloc(sizeof(*x)) : NULL;

	if (w->live != NULL)
		live_stop(w->live);
	if (x == NULL) {
		work_close(&w->hash_work, closed, arg);
		return;
	}
	*x = (struct ending){ w, closed, arg };
	httpd_close(w->server, DRAIN_MS, on_server_closed, x);
}

void
web_free(struct web *w)
{
	if (w == NULL)
		return;
	live_free(w->live);
	sessions_free(w->sessions);
	tls_config_unref(w->tls);
	free(w->routes);
	free(w);
}
