/* httpd_refuse.c - whoever is turned away leaves a line in the log, and the server's owner hears of
 * it. The log's own limit bounds the lines, refusals.h the events. See httpd.h. */
#include "net/httpd_int.h"

#include "base/log.h"

#include <string.h>

static void
tell(struct http_conn *c, struct http_refusal *x, bool logged)
{
	const struct httpd_options *o = &c->d->o;
	char peer[ADDR_TEXT] = "";

	if (o->refused == NULL)
		return;
	if (c->peer.family != ADDR_UNIX)
		(void)addr_format_ip(peer, &c->peer);
	x->peer = peer;
	if (logged)
		log_warn("request.refused",
		    "server=%s peer=%s who=%s role=%s method=%s path=%s status=%d code=%s why=%s",
		    o->name, peer[0] != '\0' ? peer : "unix",
		    x->id != NULL ? log_q(x->id->name) : "-",
		    x->id != NULL ? pki_role_word(x->id->role) : "-",
		    x->method[0] != '\0' ? x->method : "-", log_q(x->path), x->status, x->code,
		    log_q(x->why));
	o->refused(o->ctx, x);
}

void
refuse_conn(struct http_conn *c, const char *code, const char *why)
{
	struct http_refusal x = { .method = "", .path = "", .code = code, .why = why };

	tell(c, &x, false); /* by its caller */
}

void
refuse_head(struct http_conn *c, int status, const char *code, const char *why)
{
	struct http_refusal x = {
		.method = "", .path = "", .status = status, .code = code, .why = why
	};

	x.id = c->tls != NULL ? tls_peer(c->tls) : NULL;
	tell(c, &x, true);
}

void
refuse_req(const struct http_req *r, int status, const char *code, const char *why)
{
	struct http_refusal x = { .id = http_identity(r),
		.method = r->head->method,
		.path = r->head->path,
		.status = status,
		.code = code,
		.why = why,
		.req = r,
		.told = r->told };

	if (status < 400 || (status == 404 && r->route != NULL && strcmp(code, "not-found") == 0))
		return;
	tell(r->c, &x, !r->told);
}
