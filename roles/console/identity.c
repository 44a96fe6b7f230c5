/* identity.c - reading the console's keys; identity_make.c makes them. */
#include "identity.h"

#include "base/clock.h"
#include "feed.h"
#include "os/file.h"
#include "proto/authority.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT_PEM 65536

enum err
identity_read_file(const struct options *o, const char *name, struct buf *b, struct fault *f)
{
	struct fault own = { 0 };
	char path[STATE_PATH];
	enum err e;

	buf_init(b, LIMIT_PEM);
	e = options_path(o, name, path, f);
	if (e != OK)
		return e;
	e = file_read(path, b, &own);
	if (e == ERR_NOTFOUND)
		return fault_set(f, e, "%s is missing: run atalaia-console init first", path);
	return e == OK ? OK : fault_set(f, e, "%s", fault_text(&own));
}

bool
identity_ca_listed(const struct options *o, const struct buf *ca)
{
	uint8_t spki[PKI_SHA256];
	struct authority *a = NULL;
	struct buf b;
	bool listed = false;

	buf_init(&b, LIMIT_AUTHORITY_BYTES);
	if (feed_read(o, "authority.json", &b, NULL) == OK &&
	    authority_parse(&a, buf_text(&b), b.len, NULL) == OK &&
	    pki_spki_sha256(spki, ca->data, ca->len, NULL) == OK)
		listed = authority_ca_allowed(a, spki);
	authority_free(a);
	buf_free(&b);
	return listed;
}

/* Under which CA the leaf is: not a matter of files that a crash could part, but of its signature.
 */
static bool
issued_by(const struct buf *cert, const struct buf *ca)
{
	struct pki_trust trust = { .ca_pem = buf_text(ca) };
	struct pki_expect expect = { .role = PKI_CONSOLE, .server = true };
	struct pki_identity id;
	struct pki_der chain;
	struct buf der;
	enum err e;

	buf_init(&der, LIMIT_PEM);
	e = pki_pem_to_der(&der, buf_text(cert), cert->len, NULL);
	chain.p = der.data;
	chain.n = der.len;
	if (e == OK)
		e = pki_verify(&trust, &expect, &chain, 1, clock_wall_ms(), &id, NULL);
	buf_free(&der);
	return e == OK || e == ERR_EXPIRED;
}

static enum err
load_leaf(struct identity *id, const struct buf *ca, struct fault *f)
{
	struct pki_identity own;
	enum err e = pki_identity_read(&own, id->cert.data, id->cert.len, f);

	if (e == OK)
		memcpy(id->leaf, own.cert_sha256, sizeof(id->leaf));
	if (e == OK)
		e = pki_key_matches(buf_text(&id->key), buf_text(&id->cert), f);
	if (e == OK)
		e = pki_spki_sha256(id->ca_spki, ca->data, ca->len, f);
	buf_init(&id->chain, LIMIT_PEM);
	if (e == OK)
		e = buf_append(&id->chain, id->cert.data, id->cert.len);
	return e == OK ? buf_append(&id->chain, ca->data, ca->len) : e;
}

/* While a rotation is under way agents that trust the old CA alone must be able to come and renew:
 * the leaf stays under the old CA. The new one signs agents as soon as the authority lists it; an
 * agent takes no other. First in the list that is given out is the CA that tokens pin. */
static enum err
load_rotation(struct identity *id, const struct options *o, struct fault *f)
{
	struct buf old, old_key;
	bool listed = identity_ca_listed(o, &id->ca_signing), own_leaf;
	enum err e = identity_read_file(o, FILE_CA_OLD, &old, f);

	if (e == OK)
		e = identity_read_file(o, FILE_CA_OLD_KEY, &old_key, f);
	else
		buf_init(&old_key, 0);
	own_leaf = e == OK && issued_by(&id->cert, &id->ca_signing);
	if (e == OK)
		e = load_leaf(id, own_leaf ? &id->ca_signing : &old, f);
	if (e == OK && own_leaf) /* the end of a rotation was cut short: the new one is in use */
		e = buf_append(&id->ca_given, id->ca_signing.data, id->ca_signing.len);
	if (e == OK)
		e = buf_append(&id->ca_given, old.data, old.len);
	if (e == OK && listed && !own_leaf)
		e = buf_append(&id->ca_given, id->ca_signing.data, id->ca_signing.len);
	if (e == OK && !listed && !own_leaf) {
		buf_free(&id->ca_signing);
		buf_wipe(&id->ca_key);
		id->ca_signing = old;
		id->ca_key = old_key;
		return OK;
	}
	buf_free(&old);
	buf_wipe(&old_key);
	return e;
}

static enum err
load_task_key(struct identity *id, const struct options *o, struct fault *f)
{
	struct buf pem;
	enum err e = identity_read_file(o, FILE_TASK_KEY, &pem, f);

	if (e == OK)
		e = sign_private_load(&id->task_key, buf_text(&pem), pem.len, NULL, f);
	buf_wipe(&pem);
	return e;
}

enum err
identity_load(struct identity *out, const struct options *o, struct fault *f)
{
	const struct {
		const char *name;
		struct buf *at;
	} files[] = {
		{ FILE_CA, &out->ca },
		{ FILE_CA_SIGNING, &out->ca_signing },
		{ FILE_CA_KEY, &out->ca_key },
		{ FILE_CERT, &out->cert },
		{ FILE_KEY, &out->key },
	};
	enum err e;

	memset(out, 0, sizeof(*out));
	e = identity_recover(o, f);
	for (size_t i = 0; e == OK && i < sizeof(files) / sizeof(files[0]); i++)
		e = identity_read_file(o, files[i].name, files[i].at, f);
	buf_init(&out->ca_given, LIMIT_PEM);
	if (e == OK && identity_rotating(o)) {
		e = load_rotation(out, o, f);
	} else if (e == OK) {
		e = buf_append(&out->ca_given, out->ca.data, out->ca.len);
		if (e == OK)
			e = load_leaf(out, &out->ca_signing, f);
	}
	if (e == OK)
		e = load_task_key(out, o, f);
	if (e != OK)
		identity_free(out);
	return e;
}

void
identity_free(struct identity *id)
{
	buf_free(&id->ca);
	buf_free(&id->ca_given);
	buf_free(&id->ca_signing);
	buf_wipe(&id->ca_key);
	buf_free(&id->cert);
	buf_wipe(&id->key);
	buf_free(&id->chain);
	sign_private_free(id->task_key);
	memset(id, 0, sizeof(*id));
}
