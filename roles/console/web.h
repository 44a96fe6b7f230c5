/* web.h - port 10443: the web console's server (web_*.c). The routes under /api are those of 2226
 * and some of its own (web_table.c says which role may what); everything else is a file of the
 * folder web=. Loop thread, except where a function says worker. The interface: web/API.md. */
#ifndef CONSOLE_WEB_H
#define CONSOLE_WEB_H

#include "console.h"
#include "web_sessions.h"
#include "who.h"

#include <stdio.h>

struct live;

/* Rights of one route. */
enum {
	WEB_ONLY = 1 /* not on 2226 */,
	WEB_ANYBODY = 2 /* no session needed */,
	WEB_UNLIMITED = 4 /* users who are limited to groups may not */
};
struct web_row {
	const char *method, *path; /* "/api/v1/...": on 2226 without "/api" */
	unsigned roles, flags;
	size_t body_max;
	void (*run)(struct http_req *req, void *ctx);
};
extern const struct web_row web_rows[];
extern const size_t web_row_count;

struct web {
	struct console *c;
	struct httpd *server; /* NULL: off */
	struct tls_config *tls;
	struct http_route *routes; /* one for each row, then the files */
	struct sessions *sessions;
	struct live *live;
	struct work hash_work; /* passwords, one at a time */
	uint16_t port;
	char fingerprint[65]; /* SHA-256 of the leaf that is shown to browsers */
	bool own;	      /* made by this console, not given by the administrator */
	uint64_t next_certificate, next_sweep;
	int64_t stamp; /* of the given files, when they were read */
	bool checking; /* a worker looks at the certificate */
};

/* Opens what web= and web_* ask for; in a build without libsodium, or with web_listen=off, nothing:
 * *out has no server then. Before the loop runs. */
MUST_CHECK enum err web_open(struct web **out, struct console *c, struct fault *f);
void web_announce(const struct web *w, FILE *out);
void web_tick(struct web *w, uint64_t now_ms);
/* The certificate is looked at again with the next tick. */
void web_reload(struct web *w);
/* Ends listener, streams and queue; then closed(arg). */
void web_close(struct web *w, void (*closed)(void *arg), void *arg);
void web_free(struct web *w); /* after the loop; NULL is fine */

/* Routes for 2226: those of admin_api.c, then the shared rows. The caller frees. */
MUST_CHECK enum err web_admin_routes(struct http_route **out, size_t *n);
bool web_gate(struct http_req *req, void *ctx);
void web_dispatch(struct http_req *req, void *ctx);
void web_file(struct http_req *req, void *ctx); /* web_static.c */
void web_security_fields(struct http_req *req);

/* On whose behalf: the session of 10443, the administrator of 2226, nobody on 2225. False: the
 * session has ended. */
bool web_who(struct console *c, struct http_req *req, struct who *out);

/* web_tls.c, blocking: the certificate that browsers see. */
MUST_CHECK enum err web_certificate(
    struct web *w, struct buf *chain, struct buf *key, bool *own, struct fault *f);
MUST_CHECK enum err web_tls_start(struct web *w, struct fault *f);
void web_tls_check(struct web *w); /* loop: looks in a worker, takes a new one */

#endif
