/* identity_make.c - keys and certificates are made, renewed and rotated here, each change by one
 * rename, so that a crash leaves the state before or the state after. */
#include "identity.h"

#include "base/clock.h"
#include "base/inject.h"
#include "os/file.h"
#include "proto/enroll.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define DAY_MS 86400000ll
#define CA_DAYS 3650
#define CERT_DAYS 398
#define ROTATION_DAYS (30 + ENROLL_RENEW_GRACE_DAYS) /* the laptop in the drawer comes back */
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

/* New key and certificate for this console under the signing CA. */
static enum err
make_certificate(
    const struct options *o, const struct buf *ca, const struct buf *ca_key, struct fault *f)
{
	char path[STATE_PATH];
	bool kept = false;
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
	e = options_path(o, FILE_KEY, path, f);
	if (e == OK && file_exists(path)) {
		kept = true;
		e = file_read(path, &key, f);
	} else if (e == OK) {
		e = pki_key_new(&key);
	}
	if (e == OK)
		e = pki_csr_new(&csr, buf_text(&key), o->name, f);
	if (e == OK)
		e = pki_issue(
		    &cert, buf_text(&csr), csr.len, buf_text(ca), buf_text(ca_key), &g, NULL, f);
	if (e == OK && !kept)
		e = write_file(o, FILE_KEY, &key, 0600, f);
	if (e == OK)
		e = write_file(o, FILE_CERT, &cert, 0644, f);
	buf_wipe(&key);
	buf_free(&csr);
	buf_free(&cert);
	return e;
}

static enum err
new_ca(const struct options *o, struct buf *ca, struct buf *key, struct fault *f)
{
	int64_t now = clock_wall_ms();

	buf_init(ca, LIMIT_PEM);
	buf_init(key, LIMIT_PEM);
	return pki_ca_new(ca, key, o->org, now - BACKDATE_MS, now + CA_DAYS * DAY_MS, f);
}

static enum err
make_ca(const struct options *o, struct fault *f)
{
	struct buf ca, key;
	enum err e = new_ca(o, &ca, &key, f);

	if (e == OK)
		e = write_file(o, FILE_CA_KEY, &key, 0600, f);
	if (e == OK)
		e = write_file(o, FILE_CA_SIGNING, &ca, 0644, f);
	if (e == OK)
		e = make_certificate(o, &ca, &key, f);
	if (e == OK) /* last: says that the others are there */
		e = write_file(o, FILE_CA, &ca, 0644, f);
	buf_free(&ca);
	buf_wipe(&key);
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
	return e == OK ? make_ca(o, f) : e;
}

/* ---- rotation ---- */

static const char *const moved[] = { FILE_CA_OLD, FILE_CA_OLD_KEY, FILE_CA_UNTIL, FILE_CA_KEY,
	FILE_CA_SIGNING, FILE_CA };

bool
identity_rotating(const struct options *o)
{
	char path[STATE_PATH];

	return options_path(o, FILE_CA_OLD, path, NULL) == OK && file_exists(path);
}

/* The folder `rotate` is whole as soon as it has its name: what is in it takes its place now,
 * however often a crash interrupts this. */
enum err
identity_recover(const struct options *o, struct fault *f)
{
	char dir[STATE_PATH], from[STATE_PATH], to[STATE_PATH];
	enum err e = options_path(o, DIR_ROTATE, dir, f);

	if (e != OK || !file_exists(dir))
		return e;
	for (size_t i = 0; e == OK && i < sizeof(moved) / sizeof(moved[0]); i++) {
		e = file_join(from, sizeof(from), dir, moved[i]);
		if (e == OK)
			e = options_path(o, moved[i], to, f);
		if (e == OK && file_exists(from) &&
		    (inject("rotate.move") || rename(from, to) != 0))
			e = fault_sys(f, errno, "%s", to);
	}
	if (e == OK)
		e = file_sync_dir(o->state, f);
	if (e == OK && rmdir(dir) != 0)
		e = fault_sys(f, errno, "%s", dir);
	return e;
}

static enum err
copy_file(const struct options *o, const char *from, const char *to, unsigned mode, struct fault *f)
{
	struct buf b;
	enum err e = identity_read_file(o, from, &b, f);

	if (e == OK)
		e = write_file(o, to, &b, mode, f);
	buf_wipe(&b);
	return e;
}

#define PART DIR_ROTATE ".part/"

static enum err
write_rotation(
    const struct options *o, const struct buf *ca, const struct buf *key, struct fault *f)
{
	char until[CLOCK_TEXT];
	struct buf all, text;
	enum err e = identity_read_file(o, FILE_CA, &all, f);

	buf_init(&text, sizeof(until));
	clock_format(until, clock_wall_ms() + ROTATION_DAYS * DAY_MS);
	if (e == OK)
		e = buf_puts(&text, until);
	if (e == OK)
		e = buf_append(&all, ca->data, ca->len);
	if (e == OK)
		e = write_file(o, PART FILE_CA, &all, 0644, f);
	if (e == OK)
		e = write_file(o, PART FILE_CA_SIGNING, ca, 0644, f);
	if (e == OK)
		e = write_file(o, PART FILE_CA_KEY, key, 0600, f);
	if (e == OK)
		e = write_file(o, PART FILE_CA_UNTIL, &text, 0644, f);
	if (e == OK)
		e = copy_file(o, FILE_CA_SIGNING, PART FILE_CA_OLD, 0644, f);
	if (e == OK)
		e = copy_file(o, FILE_CA_KEY, PART FILE_CA_OLD_KEY, 0600, f);
	buf_free(&all);
	buf_free(&text);
	return e;
}

enum err
identity_rotate_ca(const struct options *o, struct fault *f)
{
	char part[STATE_PATH], dir[STATE_PATH];
	struct buf ca, key;
	enum err e = identity_recover(o, f);

	if (e == OK && identity_rotating(o))
		return fault_set(f, ERR_STATE,
		    "a rotation is under way: end it with rotate-ca --finish before the next");
	if (e == OK)
		e = options_path(o, DIR_ROTATE ".part", part, f);
	if (e == OK)
		e = options_path(o, DIR_ROTATE, dir, f);
	if (e == OK)
		e = file_remove_tree(AT_FDCWD, part, f);
	if (e == OK)
		e = file_make_dirs(part, 0700, f);
	if (e != OK)
		return e;
	e = new_ca(o, &ca, &key, f);
	if (e == OK)
		e = write_rotation(o, &ca, &key, f);
	if (e == OK && (inject("rotate.commit") || rename(part, dir) != 0))
		e = fault_sys(f, errno, "%s", dir);
	if (e == OK)
		e = file_sync_dir(o->state, f);
	buf_free(&ca);
	buf_wipe(&key);
	return e == OK ? identity_recover(o, f) : e;
}

static enum err
remove_file(const struct options *o, const char *name, struct fault *f)
{
	char path[STATE_PATH];
	enum err e = options_path(o, name, path, f);

	if (e == OK && unlink(path) != 0 && errno != ENOENT)
		e = fault_sys(f, errno, "%s", path);
	return e;
}

/* Leaf first, then what is trusted, then the old CA itself; FILE_CA_OLD last, for it says that
 * there is something to do. A crash in between is repeated from the start. */
static enum err
drop_old(const struct options *o, const struct buf *ca, struct fault *f)
{
	struct buf key;
	enum err e = identity_read_file(o, FILE_CA_KEY, &key, f);

	if (e == OK)
		e = make_certificate(o, ca, &key, f);
	if (e == OK)
		e = inject("rotate.finish") ? fault_set(f, ERR_IO, "injected")
					    : write_file(o, FILE_CA, ca, 0644, f);
	if (e == OK)
		e = remove_file(o, FILE_CA_OLD_KEY, f);
	if (e == OK)
		e = remove_file(o, FILE_CA_UNTIL, f);
	if (e == OK)
		e = remove_file(o, FILE_CA_OLD, f);
	buf_wipe(&key);
	return e;
}

enum err
identity_finish_rotation(const struct options *o, struct fault *f)
{
	struct buf ca;
	enum err e = identity_recover(o, f);

	if (e != OK)
		return e;
	if (!identity_rotating(o))
		return fault_set(f, ERR_STATE, "no rotation is under way");
	e = identity_read_file(o, FILE_CA_SIGNING, &ca, f);
	if (e == OK && !identity_ca_listed(o, &ca))
		e = fault_set(f, ERR_STATE,
		    "the authority does not list the new CA, so that no agent has it yet: publish "
		    "one that does");
	if (e == OK)
		e = drop_old(o, &ca, f);
	buf_free(&ca);
	return e;
}

static bool
rotation_over(const struct options *o)
{
	struct buf text, ca;
	int64_t until = INT64_MAX;
	bool over;

	if (!identity_rotating(o))
		return false;
	if (identity_read_file(o, FILE_CA_UNTIL, &text, NULL) != OK ||
	    clock_parse(buf_text(&text), text.len, &until) != OK)
		until = INT64_MAX;
	buf_free(&text);
	over = clock_wall_ms() >= until && identity_read_file(o, FILE_CA_SIGNING, &ca, NULL) == OK;
	if (over) {
		over = identity_ca_listed(o, &ca);
		buf_free(&ca);
	}
	return over;
}

/* ---- its own certificate ---- */

enum err
identity_refresh(const struct options *o, bool *fresh, struct fault *f)
{
	struct buf cert, ca, key;
	struct pki_identity id = { 0 };
	bool old;
	enum err e = identity_recover(o, f);

	*fresh = false;
	if (e == OK && rotation_over(o)) {
		e = identity_finish_rotation(o, f);
		*fresh = e == OK;
		return e;
	}
	if (e == OK)
		e = identity_read_file(o, FILE_CERT, &cert, f);
	if (e != OK)
		return e;
	e = pki_identity_read(&id, cert.data, cert.len, f);
	buf_free(&cert);
	if (e != OK || id.not_after - clock_wall_ms() > (id.not_after - id.not_before) / 3)
		return e;
	old = identity_rotating(o);
	e = identity_read_file(o, old ? FILE_CA_OLD : FILE_CA_SIGNING, &ca, f);
	if (e == OK) {
		e = identity_read_file(o, old ? FILE_CA_OLD_KEY : FILE_CA_KEY, &key, f);
		if (e == OK)
			e = make_certificate(o, &ca, &key, f);
		buf_wipe(&key);
	}
	buf_free(&ca);
	*fresh = e == OK;
	return e;
}
