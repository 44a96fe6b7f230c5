#include "update/key.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "update/canon.h"
#include "update/hash.h"

#include <stdlib.h>
#include <string.h>

#define KEY_CANON_MAX                                                                              \
	65536 /* a key object: RSA 8192 in PEM has 1.5 KB, the rest is a repository's own */

struct key {
	char id[KEY_ID_TEXT];
	struct sign_public *public; /* NULL: unknown type or unreadable value */
};

static enum err
id_of(const cJSON *object, char id[KEY_ID_TEXT], struct fault *f)
{
	struct buf b;
	enum err e;

	buf_init(&b, KEY_CANON_MAX);
	e = canon_json(object, &b, f);
	if (e == OK)
		hash_sha256_text(b.data, b.len, id);
	buf_free(&b);
	return e;
}

static enum err
add_reference(cJSON *object, const char *name, const cJSON *value)
{
	/* Shares the value's children; deleting a reference leaves them alone. */
	cJSON *ref = cJSON_IsObject(value) ? cJSON_CreateObjectReference(value->child)
					   : cJSON_CreateStringReference(value->valuestring);

	if (ref == NULL)
		return ERR_NOMEM;
	if (!cJSON_AddItemToObject(object, name, ref)) {
		cJSON_Delete(ref);
		return ERR_NOMEM;
	}
	return OK;
}

/* The id over keytype, keyval and scheme alone. */
static enum err
id_of_core(const cJSON *object, char id[KEY_ID_TEXT], struct fault *f)
{
	static const char *const core[] = { "keytype", "keyval", "scheme" };
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : OK;
	size_t i;

	for (i = 0; e == OK && i < sizeof(core) / sizeof(core[0]); i++)
		e = add_reference(o, core[i], json_get(object, core[i]));
	if (e == OK)
		e = id_of(o, id, f);
	cJSON_Delete(o);
	return e;
}

static enum err
check_id(const char *id, const cJSON *object, struct fault *f)
{
	char whole[KEY_ID_TEXT], core[KEY_ID_TEXT];
	enum err e = id_of(object, whole, f);

	if (e != OK || strcmp(id, whole) == 0)
		return e;
	e = id_of_core(object, core, f);
	if (e != OK || strcmp(id, core) == 0)
		return e;
	return fault_set(f, ERR_VERIFY, "key id %.64s is not the hash of its key (%s)", id, core);
}

struct key_kind {
	const char *keytype, *scheme;
	enum sign_scheme is;
};

static const struct key_kind kinds[] = {
	{ "ecdsa", "ecdsa-sha2-nistp256", SIGN_ECDSA_P256 },
	{ "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", SIGN_ECDSA_P256 },
	{ "rsa", "rsassa-pss-sha256", SIGN_RSA_PSS_SHA256 },
	{ "ed25519", "ed25519", SIGN_ED25519 },
};

/* Reading the value may fail without harm: such a key verifies nothing. */
static enum err
read_public(struct key *k, const char *keytype, const char *scheme, const cJSON *keyval)
{
	const char *text;
	enum err e;
	size_t i;

	if (json_get_string(keyval, "public", &text, NULL) != OK)
		return OK;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].keytype, keytype) != 0 || strcmp(kinds[i].scheme, scheme) != 0)
			continue;
		e = sign_public_parse(&k->public, kinds[i].is, text, strlen(text), NULL);
		return e == ERR_NOMEM ? e : OK;
	}
	return OK;
}

enum err
key_parse(struct key **out, const char *id, const cJSON *object, struct fault *f)
{
	const char *keytype, *scheme;
	struct key *k;
	cJSON *keyval;
	enum err e;

	*out = NULL;
	if (!cJSON_IsObject(object))
		return fault_set(f, ERR_PARSE, "a key must be an object");
	e = json_get_string(object, "keytype", &keytype, f);
	if (e == OK)
		e = json_get_string(object, "scheme", &scheme, f);
	if (e == OK)
		e = json_get_object(object, "keyval", &keyval, f);
	if (e != OK)
		return e == ERR_NOMEM ? e : ERR_PARSE;
	e = check_id(id, object, f);
	if (e != OK)
		return e;
	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return ERR_NOMEM;
	memcpy(k->id, id, KEY_ID_TEXT); /* equal to a hash: 64 digits */
	e = read_public(k, keytype, scheme, keyval);
	if (e != OK) {
		key_free(k);
		return e;
	}
	*out = k;
	return OK;
}

void
key_free(struct key *k)
{
	if (k == NULL)
		return;
	sign_public_free(k->public);
	free(k);
}

const char *
key_id(const struct key *k)
{
	return k->id;
}

bool
key_usable(const struct key *k)
{
	return k->public != NULL;
}

bool
key_same(const struct key *a, const struct key *b)
{
	if (a == b)
		return true;
	return a->public != NULL && b->public != NULL && sign_public_same(a->public, b->public);
}

enum err
key_verify(const struct key *k, const void *msg, size_t n, const uint8_t *sig, size_t sig_len)
{
	return k->public == NULL ? ERR_AUTH : sign_verify(k->public, msg, n, sig, sig_len);
}

static int
by_id(const void *a, const void *b)
{
	const struct key *const *x = a, *const *y = b;

	return strcmp((*x)->id, (*y)->id);
}

enum err
keyring_parse(struct keyring *r, const cJSON *keys, struct fault *f)
{
	const cJSON *c;
	size_t n = 0;
	enum err e;

	*r = (struct keyring){ 0 };
	if (!cJSON_IsObject(keys))
		return fault_set(f, ERR_PARSE, "member 'keys' must be an object");
	for (c = keys->child; c != NULL; c = c->next)
		n++;
	if (n > LIMIT_TUF_KEYS)
		return fault_set(f, ERR_TOOBIG, "there are more than %d keys", LIMIT_TUF_KEYS);
	r->keys = calloc(n + 1, sizeof(*r->keys));
	if (r->keys == NULL)
		return ERR_NOMEM;
	for (c = keys->child; c != NULL; c = c->next) {
		e = key_parse(&r->keys[r->n], c->string, c, f);
		if (e != OK) {
			keyring_free(r);
			return e;
		}
		r->n++;
	}
	qsort(r->keys, r->n, sizeof(*r->keys), by_id);
	return OK;
}

void
keyring_free(struct keyring *r)
{
	while (r->n > 0)
		key_free(r->keys[--r->n]);
	free(r->keys);
	r->keys = NULL;
}

const struct key *
keyring_find(const struct keyring *r, const char *id)
{
	size_t low = 0, high = r->n, mid;
	int c;

	while (low < high) {
		mid = low + (high - low) / 2;
		c = strcmp(id, r->keys[mid]->id);
		if (c == 0)
			return r->keys[mid];
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* Key ids of one role: strings, each once. */
static enum err
check_ids(const cJSON *ids, size_t *n, struct fault *f)
{
	const cJSON *c, *d;

	*n = 0;
	for (c = ids->child; c != NULL; c = c->next) {
		if (!cJSON_IsString(c))
			return fault_set(f, ERR_PARSE, "member 'keyids' must hold strings");
		if (++*n > LIMIT_TUF_KEYS)
			return fault_set(
			    f, ERR_TOOBIG, "a role has more than %d key ids", LIMIT_TUF_KEYS);
		for (d = ids->child; d != c; d = d->next)
			if (strcmp(c->valuestring, d->valuestring) == 0)
				return fault_set(f, ERR_PARSE,
				    "key id %.64s stands twice in one role", c->valuestring);
	}
	return OK;
}

enum err
signers_parse(struct signers *s, const cJSON *role, const struct keyring *ring, struct fault *f)
{
	const struct key *k;
	const cJSON *c;
	cJSON *ids;
	size_t n;
	enum err e;

	*s = (struct signers){ 0 };
	e = json_get_array(role, "keyids", &ids, f);
	if (e == OK)
		e = json_get_u64(role, "threshold", JSON_MAX_INT, &s->threshold, f);
	if (e == OK && s->threshold < 1)
		e = fault_set(f, ERR_PARSE, "a threshold must be 1 or more");
	if (e == OK)
		e = check_ids(ids, &n, f);
	if (e != OK)
		return e == ERR_NOTFOUND ? ERR_PARSE : e;
	s->keys = calloc(n + 1, sizeof(*s->keys));
	if (s->keys == NULL)
		return ERR_NOMEM;
	for (c = ids->child; c != NULL; c = c->next) {
		k = keyring_find(ring, c->valuestring);
		if (k != NULL)
			s->keys[s->n++] = k;
	}
	return OK;
}

void
signers_free(struct signers *s)
{
	free(s->keys);
	*s = (struct signers){ 0 };
}

static bool
has_key(const struct signers *s, const struct key *k)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (key_same(s->keys[i], k) || strcmp(s->keys[i]->id, k->id) == 0)
			return true;
	return false;
}

bool
signers_lost_key(const struct signers *a, const struct signers *b)
{
	size_t i;

	for (i = 0; i < a->n; i++)
		if (!has_key(b, a->keys[i]))
			return true;
	return false;
}

enum err
key_compute_id(const cJSON *object, char id[KEY_ID_TEXT], struct fault *f)
{
	return id_of(object, id, f);
}

enum err
key_of_private(const struct sign_private *k, cJSON **object, char id[KEY_ID_TEXT], struct fault *f)
{
	cJSON *o = cJSON_CreateObject(), *val;
	struct buf pem;
	enum err e = o == NULL ? ERR_NOMEM : OK;

	*object = NULL;
	buf_init(&pem, 1024);
	if (e == OK)
		e = sign_private_public_pem(k, &pem);
	if (e == OK)
		e = json_add_string(o, "keytype", "ecdsa");
	if (e == OK)
		e = json_add_object(o, "keyval", &val);
	if (e == OK)
		e = json_add_string(val, "public", buf_text(&pem));
	if (e == OK)
		e = json_add_string(o, "scheme", "ecdsa-sha2-nistp256");
	if (e == OK)
		e = id_of(o, id, f);
	buf_free(&pem);
	if (e != OK) {
		cJSON_Delete(o);
		return e;
	}
	*object = o;
	return OK;
}
