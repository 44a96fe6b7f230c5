/* web_tls.c - the certificate that browsers see: the administrator's files when they are given,
 * else one under the organisation's own CA, made at the first start and again in the last third of
 * its life. Given files are looked at every few seconds and at SIGHUP; new connections get the new
 * certificate, running ones go on. */
#include "web.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "net/addr.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define WEB_DAYS 397 /* what browsers take at most */
#define DAY_MS 86400000ll
#define BACKDATE_MS 3600000ll
#define NAMES_MAX 16

/* ---- names of the own certificate ---- */

struct names {
	char text[NAMES_MAX][ADDR_HOST];
	const char *dns[NAMES_MAX + 1], *ip[NAMES_MAX + 1];
	size_t n, n_dns, n_ip;
};

static void
add_name(struct names *x, const char *p, size_t n)
{
	struct addr a;

	if (n == 0 || x->n == NAMES_MAX || text_copy(x->text[x->n], ADDR_HOST, p, n) != OK)
		return;
	for (size_t i = 0; i < x->n; i++)
		if (strcmp(x->text[i], x->text[x->n]) == 0)
			return;
	if (addr_parse_ip(&a, x->text[x->n], strlen(x->text[x->n])) == OK)
		x->ip[x->n_ip++] = x->text[x->n];
	else
		x->dns[x->n_dns++] = x->text[x->n];
	x->n++;
}

static void
collect_names(struct names *x, const struct options *o)
{
	memset(x, 0, sizeof(*x));
	add_name(x, o->host, strlen(o->host));
	for (const char *p = o->web_names; *p != '\0';) {
		size_t n = strcspn(p, ", ");

		add_name(x, p, n);
		p += n;
		p += strspn(p, ", ");
	}
	add_name(x, "localhost", strlen("localhost"));
	add_name(x, "127.0.0.1", strlen("127.0.0.1"));
}

/* ---- reading and making ---- */

static enum err
make_own(struct web *w, struct buf *cert, struct buf *key, struct fault *f)
{
	const struct options *o = w->c->o;
	int64_t now = clock_wall_ms();
	struct pki_grant g = { .role = PKI_CONSOLE,
		.org = o->org,
		.name = o->name,
		.server_auth = true,
		.not_before = now - BACKDATE_MS,
		.not_after = now + WEB_DAYS * DAY_MS };
	char path[STATE_PATH];
	struct names names;
	struct buf csr;
	enum err e;

	collect_names(&names, o);
	g.dns = names.dns;
	g.ip = names.ip;
	buf_reset(cert);
	buf_reset(key);
	buf_init(&csr, LIMIT_PEM);
	e = pki_key_new(key);
	if (e == OK)
		e = pki_csr_new(&csr, buf_text(key), o->host, f);
	if (e == OK)
		e = pki_issue(cert, buf_text(&csr), csr.len, buf_text(&w->c->id.ca_signing),
		    buf_text(&w->c->id.ca_key), &g, NULL, f);
	buf_free(&csr);
	if (e == OK)
		e = options_path(o, FILE_WEB_KEY, path, f);
	if (e == OK)
		e = file_replace(path, key->data, key->len, 0600, f);
	if (e == OK)
		e = options_path(o, FILE_WEB_CERT, path, f);
	if (e == OK)
		e = file_replace(path, cert->data, cert->len, 0644, f);
	if (e == OK)
		log_info("web.certificate", "made=yes days=%d", WEB_DAYS);
	return e;
}

static bool
is_usable(const struct buf *cert, const struct buf *key)
{
	struct pki_identity id;
	int64_t now = clock_wall_ms();

	return pki_identity_read(&id, cert->data, cert->len, NULL) == OK &&
	       pki_key_matches(buf_text(key), buf_text(cert), NULL) == OK &&
	       now < id.not_after - (id.not_after - id.not_before) / 3;
}

static enum err
own_certificate(struct web *w, struct buf *chain, struct buf *key, struct fault *f)
{
	char cert_path[STATE_PATH], key_path[STATE_PATH];
	enum err e = options_path(w->c->o, FILE_WEB_CERT, cert_path, f);

	if (e == OK)
		e = options_path(w->c->o, FILE_WEB_KEY, key_path, f);
	if (e != OK)
		return e;
	if (file_read(cert_path, chain, NULL) != OK || file_read(key_path, key, NULL) != OK ||
	    !is_usable(chain, key))
		e = make_own(w, chain, key, f);
	return e == OK ? buf_append(chain, w->c->id.ca_signing.data, w->c->id.ca_signing.len) : e;
}

enum err
web_certificate(struct web *w, struct buf *chain, struct buf *key, bool *own, struct fault *f)
{
	const struct options *o = w->c->o;
	enum err e;

	*own = o->web_certificate[0] == '\0';
	buf_init(chain, LIMIT_PEM);
	buf_init(key, LIMIT_PEM);
	if (*own)
		return own_certificate(w, chain, key, f);
	e = file_read(o->web_certificate, chain, f);
	return e == OK ? file_read(o->web_key, key, f) : e;
}

static enum err
make_config(struct web *w, const struct buf *chain, const struct buf *key, struct tls_config **out,
    char fingerprint[65], struct fault *f)
{
	struct tls_options t = {
		.chain_pem = buf_text(chain), .key_pem = buf_text(key), .auth = TLS_AUTH_NONE
	};
	uint8_t hash[PKI_SHA256];
	struct buf der;
	enum err e;

	(void)w;
	buf_init(&der, LIMIT_PEM);
	e = pki_pem_to_der(&der, buf_text(chain), chain->len, f);
	if (e == OK) {
		pki_sha256(hash, der.data, der.len);
		text_hex(fingerprint, hash, sizeof(hash));
		e = tls_config_new(out, &t, f);
	}
	buf_free(&der);
	return e;
}

/* The newer of both files' times; 0 when they are not ours to watch. */
static int64_t
stamp_of(const struct options *o)
{
	const char *const paths[] = { o->web_certificate, o->web_key };
	int64_t newest = 0;
	struct stat st;

	for (size_t i = 0; i < 2; i++) {
		if (paths[i][0] == '\0' || stat(paths[i], &st) != 0)
			continue;
		int64_t at = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
		newest = at > newest ? at : newest;
	}
	return newest;
}

enum err
web_tls_start(struct web *w, struct fault *f)
{
	struct fault own = { 0 };
	struct buf chain, key;
	enum err e;

	w->stamp = stamp_of(w->c->o);
	e = web_certificate(w, &chain, &key, &w->own, &own);
	if (e == OK)
		e = make_config(w, &chain, &key, &w->tls, w->fingerprint, &own);
	buf_free(&chain);
	buf_wipe(&key);
	if (e == OK)
		log_info("web.certificate", "sha256=%s own=%d", w->fingerprint, w->own);
	else
		(void)conf_fault(
		    w->c->o->conf, "console", "web_certificate", f, "%s", fault_text(&own));
	return e;
}

/* ---- looking again ---- */

struct look {
	struct job job;
	struct web *w;
	bool own, changed;
	struct buf chain, key;
	int64_t stamp;
	struct fault fault;
};

/* On the database queue, whose jobs are the readers of the identity. */
static enum err
look_run(struct job *job, void *ctx)
{
	struct look *l = (struct look *)job;

	(void)ctx;
	l->stamp = stamp_of(l->w->c->o);
	if (l->w->c->o->web_certificate[0] != '\0' && l->stamp == l->w->stamp)
		return OK;
	if (web_certificate(l->w, &l->chain, &l->key, &l->own, &l->fault) == OK)
		l->changed = true;
	else
		log_error("web.certificate", "error=%s", log_q(fault_text(&l->fault)));
	return OK;
}

static void
take_new(struct look *l)
{
	struct web *w = l->w;
	struct tls_config *next = NULL;
	char fingerprint[65];

	w->stamp = l->stamp; /* a pair that does not fit is told once, and again when it changes */
	if (make_config(w, &l->chain, &l->key, &next, fingerprint, &l->fault) != OK) {
		log_error("web.certificate", "error=%s", log_q(fault_text(&l->fault)));
	} else if (strcmp(fingerprint, w->fingerprint) == 0) {
		tls_config_unref(next);
	} else {
		httpd_set_tls(w->server, next);
		tls_config_unref(w->tls);
		w->tls = next;
		w->own = l->own;
		memcpy(w->fingerprint, fingerprint, sizeof(fingerprint));
		log_info("web.certificate", "sha256=%s own=%d", w->fingerprint, w->own);
	}
}

static void
look_done(struct job *job, enum err result)
{
	struct look *l = (struct look *)job;

	l->w->checking = false;
	if (result == OK && l->changed && !l->w->c->stopping)
		take_new(l);
	buf_free(&l->chain);
	buf_wipe(&l->key);
	free(l);
}

void
web_tls_check(struct web *w)
{
	struct look *l = w->checking ? NULL : calloc(1, sizeof(*l));

	if (l == NULL)
		return;
	w->checking = true;
	l->w = w;
	buf_init(&l->chain, LIMIT_PEM);
	buf_init(&l->key, LIMIT_PEM);
	l->job.run = look_run;
	l->job.done = look_done;
	work_add(&w->c->db_work, &l->job);
}
