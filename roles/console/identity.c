#include "identity.h"

#include "base/clock.h"
#include "base/limits.h"
#include "os/file.h"

#include <stdlib.h>
#include <string.h>

#define DAY_MS 86400000ll
#define CA_DAYS 3650
#define CERT_DAYS 398
#define LIMIT_PEM 65536
#define BACKDATE_MS (3600000ll) /* agents whose clock is a little behind */

static enum err
write_file(
    const struct options *o, const char *name, const struct buf *b, unsigned mode, struct fault *f)
{
	char path[STATE_PATH];
	enum err e = options_path(o, name, path, f);

	return e == OK ? file_replace(path, b->data, b->len, mode, f) : e;
}

static enum err
read_file(const struct options *o, const char *name, struct buf *b, struct fault *f)
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

/* New key and certificate for this console under the signing CA. */
static enum err
make_certificate(
    const struct options *o, const struct buf *ca, const struct buf *ca_key, struct fault *f)
{
	struct pki_grant g = { .role = PKI_CONSOLE,
		.org = o->org,
		.name = o->name,
		.server_auth = true,
		.client_auth = true };
	struct buf key, csr, cert;
	int64_t now = clock_wall_ms();
	enum err e;

	buf_init(&key, LIMIT_PEM);
	buf_init(&csr, LIMIT_PEM);
	buf_init(&cert, LIMIT_PEM);
	g.not_before = now - BACKDATE_MS;
	g.not_after = now + CERT_DAYS * DAY_MS;
	e = pki_key_new(&key);
	if (e == OK)
		e = pki_csr_new(&csr, buf_text(&key), o->name, f);
	if (e == OK)
		e = pki_issue(
		    &cert, buf_text(&csr), csr.len, buf_text(ca), buf_text(ca_key), &g, NULL, f);
	if (e == OK)
		e = write_file(o, FILE_KEY, &key, 0600, f);
	if (e == OK)
		e = write_file(o, FILE_CERT, &cert, 0644, f);
	buf_wipe(&key);
	buf_free(&csr);
	buf_free(&cert);
	return e;
}

static enum err
make_ca(const struct options *o, const struct buf *older, struct fault *f)
{
	struct buf ca, key, all;
	int64_t now = clock_wall_ms();
	enum err e;

	buf_init(&ca, LIMIT_PEM);
	buf_init(&key, LIMIT_PEM);
	buf_init(&all, LIMIT_PEM);
	e = pki_ca_new(&ca, &key, o->org, now - BACKDATE_MS, now + CA_DAYS * DAY_MS, f);
	if (e == OK)
		e = buf_append(&all, ca.data, ca.len);
	if (e == OK && older != NULL)
		e = buf_append(&all, older->data, older->len);
	if (e == OK) /* trusted before it signs, so that a crash in between cuts nobody off */
		e = write_file(o, FILE_CA, &all, 0644, f);
	if (e == OK)
		e = write_file(o, FILE_CA_KEY, &key, 0600, f);
	if (e == OK)
		e = write_file(o, FILE_CA_SIGNING, &ca, 0644, f);
	if (e == OK)
		e = make_certificate(o, &ca, &key, f);
	buf_free(&ca);
	buf_wipe(&key);
	buf_free(&all);
	return e;
}

static enum err
make_task_key(const struct options *o, struct fault *f)
{
	struct sign_private *key;
	struct buf pem;
	enum err e = sign_generate(&key, f);

	if (e != OK)
		return e;
	buf_init(&pem, LIMIT_PEM);
	e = sign_private_save(key, NULL, &pem, f);
	if (e == OK)
		e = write_file(o, FILE_TASK_KEY, &pem, 0600, f);
	buf_wipe(&pem);
	sign_private_free(key);
	return e;
}

enum err
identity_make(const struct options *o, struct fault *f)
{
	char path[STATE_PATH];
	enum err e = options_path(o, FILE_CA, path, f);

	if (e == OK && file_exists(path))
		e = fault_set(
		    f, ERR_EXISTS, "%s exists: this console was initialised before", path);
	if (e == OK)
		e = make_task_key(o, f);
	return e == OK ? make_ca(o, NULL, f) : e;
}

enum err
identity_rotate_ca(const struct options *o, struct fault *f)
{
	struct buf older;
	enum err e = read_file(o, FILE_CA, &older, f);

	if (e == OK)
		e = make_ca(o, &older, f);
	buf_free(&older);
	return e;
}

enum err
identity_refresh(const struct options *o, bool *fresh, struct fault *f)
{
	struct buf cert, ca, key;
	struct pki_identity id = { 0 };
	enum err e = read_file(o, FILE_CERT, &cert, f);

	*fresh = false;
	if (e == OK)
		e = pki_identity_read(&id, cert.data, cert.len, f);
	buf_free(&cert);
	if (e != OK || id.not_after - clock_wall_ms() > (id.not_after - id.not_before) / 3)
		return e;
	e = read_file(o, FILE_CA_SIGNING, &ca, f);
	if (e == OK) {
		e = read_file(o, FILE_CA_KEY, &key, f);
		if (e == OK)
			e = make_certificate(o, &ca, &key, f);
		buf_wipe(&key);
	}
	buf_free(&ca);
	*fresh = e == OK;
	return e;
}

static enum err
load_leaf(struct identity *id, struct fault *f)
{
	struct pki_identity own;
	enum err e = pki_identity_read(&own, id->cert.data, id->cert.len, f);

	if (e == OK)
		memcpy(id->leaf, own.cert_sha256, sizeof(id->leaf));
	if (e == OK)
		e = pki_key_matches(buf_text(&id->key), buf_text(&id->cert), f);
	if (e == OK)
		e = pki_spki_sha256(id->ca_spki, id->ca_signing.data, id->ca_signing.len, f);
	return e;
}

static enum err
load_task_key(struct identity *id, const struct options *o, struct fault *f)
{
	struct buf pem;
	enum err e = read_file(o, FILE_TASK_KEY, &pem, f);

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
	enum err e = OK;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; e == OK && i < sizeof(files) / sizeof(files[0]); i++)
		e = read_file(o, files[i].name, files[i].at, f);
	buf_init(&out->chain, LIMIT_PEM);
	if (e == OK)
		e = buf_append(&out->chain, out->cert.data, out->cert.len);
	if (e == OK)
		e = buf_append(&out->chain, out->ca_signing.data, out->ca_signing.len);
	if (e == OK)
		e = load_leaf(out, f);
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
	buf_free(&id->ca_signing);
	buf_wipe(&id->ca_key);
	buf_free(&id->cert);
	buf_wipe(&id->key);
	buf_free(&id->chain);
	sign_private_free(id->task_key);
	memset(id, 0, sizeof(*id));
}
