#include "update/tuf_meta.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPIRES_TEXT 20 /* YYYY-MM-DDTHH:MM:SSZ, section 4.2.1 */

const char *const tuf_type_names[TUF_TYPES] = { "root", "timestamp", "snapshot", "targets" };

size_t
tuf_type_limit(enum tuf_type type)
{
	static const size_t limits[TUF_TYPES] = { LIMIT_TUF_ROOT, LIMIT_TUF_TIMESTAMP,
		LIMIT_TUF_SNAPSHOT, LIMIT_TUF_TARGETS };

	return limits[type];
}

static enum err
form(struct tuf_failure *w, enum err e, const struct fault *f)
{
	if (e == ERR_NOTFOUND) /* a missing member */
		e = ERR_PARSE;
	return tuf_fail_fault(w, e, TUF_RULE_JSON, f);
}

/* "1.N" or "1.N.N": the major version must be ours (section 4.2.1). */
static enum err
check_spec(const char *s, struct tuf_failure *w)
{
	size_t dots = 0, digits = 0, i;

	for (i = 0; s[i] != '\0'; i++) {
		if (s[i] >= '0' && s[i] <= '9') {
			digits++;
		} else if (s[i] == '.' && digits > 0) {
			dots++;
			digits = 0;
		} else {
			dots = 0;
			break;
		}
	}
	if (dots < 1 || dots > 2 || digits == 0 || strncmp(s, "1.", 2) != 0)
		return tuf_fail(w, ERR_UNSUPPORTED, TUF_RULE_SPEC, "1.x", s,
		    "spec_version %.20s is not supported", s);
	return OK;
}

static enum err
read_header(struct tuf_meta *m, struct tuf_failure *w)
{
	const char *type, *spec, *expires;
	struct fault f = { OK, "" };
	enum err e;

	e = json_get_string(m->doc.body, "_type", &type, &f);
	if (e != OK)
		return form(w, e, &f);
	if (strcmp(type, tuf_type_names[m->type]) != 0)
		return tuf_fail(w, ERR_VERIFY, TUF_RULE_TYPE, tuf_type_names[m->type], type,
		    "_type is %.40s instead of %s", type, tuf_type_names[m->type]);
	e = json_get_string(m->doc.body, "spec_version", &spec, &f);
	if (e != OK)
		return form(w, e, &f);
	e = check_spec(spec, w);
	if (e != OK)
		return e;
	e = json_get_u64(m->doc.body, "version", JSON_MAX_INT, &m->version, &f);
	if (e == OK && m->version < 1)
		e = fault_set(&f, ERR_PARSE, "version must be 1 or more");
	if (e == OK)
		e = json_get_string(m->doc.body, "expires", &expires, &f);
	if (e == OK && (strlen(expires) != EXPIRES_TEXT ||
			   clock_parse(expires, EXPIRES_TEXT, &m->expires_ms) != OK))
		e = fault_set(&f, ERR_PARSE, "expires is not a time like 2026-11-24T13:54:29Z");
	return e == OK ? OK : form(w, e, &f);
}

enum err
tuf_meta_read(struct tuf_meta **out, enum tuf_type type, struct buf *bytes, struct tuf_failure *w)
{
	struct tuf_meta *m = calloc(1, sizeof(*m));
	struct fault f = { OK, "" };
	enum err e;

	*out = NULL;
	if (m == NULL)
		return tuf_fail(w, ERR_NOMEM, TUF_RULE_STORE, NULL, NULL, "memory ran out");
	m->type = type;
	e = signed_parse(&m->doc, buf_text(bytes), bytes->len, &f);
	if (e != OK)
		e = form(w, e, &f);
	else
		e = read_header(m, w);
	if (e != OK) {
		tuf_meta_free(m);
		return e;
	}
	m->bytes = *bytes;
	buf_init(bytes, m->bytes.max);
	*out = m;
	return OK;
}

enum err
tuf_meta_verify(const struct tuf_meta *m, const struct signers *s, struct tuf_failure *w)
{
	char expected[64], got[64];
	struct fault f = { OK, "" };
	uint64_t valid = 0;
	enum err e = signed_verify(&m->doc, s, &valid, &f);

	if (e == OK)
		return OK;
	if (e != ERR_AUTH)
		return tuf_fail_fault(w, e, TUF_RULE_JSON, &f);
	(void)snprintf(expected, sizeof(expected), "%" PRIu64 " valid signatures", s->threshold);
	(void)snprintf(got, sizeof(got), "%" PRIu64, valid);
	return tuf_fail(w, e, TUF_RULE_SIGNATURES, expected, got, "%s", f.text);
}

/* Errors of keys: a wrong id has its own rule. */
static enum err
key_fail(struct tuf_failure *w, enum err e, const struct fault *f)
{
	if (e == ERR_VERIFY)
		return tuf_fail_fault(w, e, TUF_RULE_KEYID, f);
	return form(w, e, f);
}

static enum err
fill_root(struct tuf_meta *m, struct tuf_failure *w)
{
	struct fault f = { OK, "" };
	cJSON *keys, *roles, *role;
	enum err e;
	int i;

	e = json_opt_bool(m->doc.body, "consistent_snapshot", false, &m->consistent, &f);
	if (e == OK)
		e = json_get_object(m->doc.body, "keys", &keys, &f);
	if (e == OK)
		e = json_get_object(m->doc.body, "roles", &roles, &f);
	if (e != OK)
		return form(w, e, &f);
	e = keyring_parse(&m->ring, keys, &f);
	if (e != OK)
		return key_fail(w, e, &f);
	for (i = 0; e == OK && i < TUF_TYPES; i++) {
		e = json_get_object(roles, tuf_type_names[i], &role, &f);
		if (e == OK)
			e = signers_parse(&m->roles[i], role, &m->ring, &f);
	}
	return e == OK ? OK : form(w, e, &f);
}

static int
by_file(const void *a, const void *b)
{
	const struct tuf_metafile *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static enum err
read_file(struct tuf_metafile *file, const cJSON *item, struct fault *f)
{
	const cJSON *hashes = json_get(item, "hashes");
	enum err e;

	file->name = item->string;
	e = json_get_u64(item, "version", JSON_MAX_INT, &file->version, f);
	if (e == OK && file->version < 1)
		e = fault_set(f, ERR_PARSE, "version must be 1 or more");
	if (e == OK && json_get(item, "length") != NULL) {
		file->has_length = true;
		e = json_get_u64(item, "length", JSON_MAX_INT, &file->length, f);
	}
	if (e == OK && hashes != NULL) {
		file->has_hashes = true;
		e = tuf_hashes_parse(&file->hashes, hashes, f);
	}
	if (e != OK)
		fault_prefix(f, "meta of %.80s", item->string);
	return e;
}

/* "meta" of timestamp and snapshot; `needed` must be there. */
static enum err
fill_files(struct tuf_meta *m, const char *needed, struct tuf_failure *w)
{
	struct fault f = { OK, "" };
	cJSON *meta, *c;
	size_t n = 0;
	enum err e;

	e = json_get_object(m->doc.body, "meta", &meta, &f);
	if (e != OK)
		return form(w, e, &f);
	for (c = meta->child; c != NULL; c = c->next)
		n++;
	m->files = calloc(n + 1, sizeof(*m->files));
	if (m->files == NULL)
		return tuf_fail(w, ERR_NOMEM, TUF_RULE_STORE, NULL, NULL, "memory ran out");
	for (c = meta->child; e == OK && c != NULL; c = c->next)
		e = read_file(&m->files[m->n_files++], c, &f);
	if (e != OK)
		return form(w, e, &f);
	qsort(m->files, m->n_files, sizeof(*m->files), by_file);
	if (tuf_meta_file(m, needed) == NULL)
		return tuf_fail(
		    w, ERR_PARSE, TUF_RULE_JSON, needed, "", "meta does not name %s", needed);
	return OK;
}

enum err
tuf_meta_fill(struct tuf_meta *m, struct tuf_failure *w)
{
	switch (m->type) {
	case TUF_ROOT:
		return fill_root(m, w);
	case TUF_TIMESTAMP:
		return fill_files(m, "snapshot.json", w);
	case TUF_SNAPSHOT:
		return fill_files(m, "targets.json", w);
	default:
		return tuf_meta_fill_targets(m, w);
	}
}

void
tuf_meta_free(struct tuf_meta *m)
{
	int i;

	if (m == NULL)
		return;
	tuf_meta_free_targets(m);
	for (i = 0; i < TUF_TYPES; i++)
		signers_free(&m->roles[i]);
	keyring_free(&m->ring);
	free(m->files);
	signed_free(&m->doc);
	buf_free(&m->bytes);
	free(m);
}

enum err
tuf_meta_check_expiry(const struct tuf_meta *m, int64_t now_ms, struct tuf_failure *w)
{
	char expires[CLOCK_TEXT], now[CLOCK_TEXT], expected[CLOCK_TEXT + 8];

	if (m->expires_ms > now_ms)
		return OK;
	clock_format_s(expires, m->expires_ms);
	clock_format_s(now, now_ms);
	(void)snprintf(expected, sizeof(expected), "after %s", now);
	return tuf_fail(w, ERR_EXPIRED, TUF_RULE_EXPIRED, expected, expires,
	    "version %" PRIu64 " expired at %s, now is %s", m->version, expires, now);
}

const struct tuf_metafile *
tuf_meta_file(const struct tuf_meta *m, const char *name)
{
	struct tuf_metafile key = { .name = name };

	if (m->n_files == 0)
		return NULL;
	return bsearch(&key, m->files, m->n_files, sizeof(*m->files), by_file);
}

/* Compares role and ".json" behind it with name, as strcmp would. */
static int
compare_role(const char *role, const char *name)
{
	size_t n = strlen(role);
	int c = strncmp(role, name, n);

	return c != 0 ? c : strcmp(".json", name + n);
}

const struct tuf_metafile *
tuf_meta_role(const struct tuf_meta *snapshot, const char *role)
{
	size_t low = 0, high = snapshot->n_files, mid;
	int c;

	while (low < high) {
		mid = low + (high - low) / 2;
		c = compare_role(role, snapshot->files[mid].name);
		if (c == 0)
			return &snapshot->files[mid];
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

enum err
tuf_meta_check_bytes(
    const struct tuf_metafile *file, const struct buf *bytes, struct tuf_failure *w)
{
	uint8_t sha256[HASH_SHA256_LEN], sha512[HASH_SHA512_LEN];

	if (file->has_length && file->length != bytes->len)
		return tuf_fail_u64(
		    w, ERR_VERIFY, TUF_RULE_LENGTH, file->length, bytes->len, "length");
	if (!file->has_hashes)
		return OK;
	hash_once(HASH_SHA256, bytes->data, bytes->len, sha256);
	hash_once(HASH_SHA512, bytes->data, bytes->len, sha512);
	return tuf_hashes_compare(&file->hashes, sha256, sha512, w);
}

static enum err
read_hash(
    const cJSON *object, const char *name, uint8_t *out, size_t size, bool *has, struct fault *f)
{
	const char *text;
	size_t n;
	enum err e;

	if (json_get(object, name) == NULL)
		return OK;
	e = json_get_string(object, name, &text, f);
	if (e == OK &&
	    (strlen(text) != 2 * size || text_unhex(out, size, text, 2 * size, &n) != OK))
		e = fault_set(
		    f, ERR_PARSE, "the %s hash is not %zu hexadecimal digits", name, 2 * size);
	*has = e == OK;
	return e;
}

enum err
tuf_hashes_parse(struct tuf_hashes *h, const cJSON *object, struct fault *f)
{
	enum err e;

	*h = (struct tuf_hashes){ .has_sha256 = false };
	if (!cJSON_IsObject(object))
		return fault_set(f, ERR_PARSE, "member 'hashes' must be an object");
	e = read_hash(object, "sha256", h->sha256, sizeof(h->sha256), &h->has_sha256, f);
	if (e == OK)
		e = read_hash(object, "sha512", h->sha512, sizeof(h->sha512), &h->has_sha512, f);
	if (e == OK && !h->has_sha256 && !h->has_sha512)
		e = fault_set(f, ERR_UNSUPPORTED, "there is neither a sha256 nor a sha512 hash");
	return e;
}

static enum err
hash_fail(const char *kind, const uint8_t *want, const uint8_t *is, size_t n, struct tuf_failure *w)
{
	char e[8 + 2 * HASH_MAX_LEN], g[8 + 2 * HASH_MAX_LEN];

	(void)snprintf(e, sizeof(e), "%s:", kind);
	(void)snprintf(g, sizeof(g), "%s:", kind);
	text_hex(e + 7, want, n);
	text_hex(g + 7, is, n);
	return tuf_fail(w, ERR_VERIFY, TUF_RULE_HASH, e, g, "%s is not what was signed", kind);
}

enum err
tuf_hashes_compare(const struct tuf_hashes *want, const uint8_t sha256[HASH_SHA256_LEN],
    const uint8_t sha512[HASH_SHA512_LEN], struct tuf_failure *w)
{
	if (want->has_sha256 && memcmp(want->sha256, sha256, HASH_SHA256_LEN) != 0)
		return hash_fail("sha256", want->sha256, sha256, HASH_SHA256_LEN, w);
	if (want->has_sha512 && memcmp(want->sha512, sha512, HASH_SHA512_LEN) != 0)
		return hash_fail("sha512", want->sha512, sha512, HASH_SHA512_LEN, w);
	return OK;
}
