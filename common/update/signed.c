#include "update/signed.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "update/canon.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SIG_MAX 2048 /* bytes of one signature; RSA 8192 has 1,024 */

static int
by_text(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

static enum err
check_unique(const char **ids, size_t n, struct fault *f)
{
	size_t i;

	qsort(ids, n, sizeof(*ids), by_text);
	for (i = 1; i < n; i++)
		if (strcmp(ids[i - 1], ids[i]) == 0)
			return fault_set(f, ERR_PARSE, "key id %.64s signed twice", ids[i]);
	return OK;
}

static enum err
check_signatures(const cJSON *signatures, struct fault *f)
{
	const char *ids[LIMIT_TUF_SIGNATURES] = { NULL }, *sig;
	const cJSON *c;
	size_t n = 0;
	enum err e;

	for (c = signatures->child; c != NULL; c = c->next) {
		if (n == LIMIT_TUF_SIGNATURES)
			return fault_set(f, ERR_TOOBIG, "there are more than %d signatures",
			    LIMIT_TUF_SIGNATURES);
		e = json_get_string(c, "keyid", &ids[n++], f);
		if (e == OK)
			e = json_get_string(c, "sig", &sig, f);
		if (e != OK)
			return ERR_PARSE;
	}
	return check_unique(ids, n, f);
}

enum err
signed_parse(struct signed_doc *out, const void *p, size_t n, struct fault *f)
{
	cJSON *body, *signatures;
	enum err e;

	*out = (struct signed_doc){ 0 };
	e = json_parse(&out->tree, p, n, JSON_SIGNED, f);
	if (e != OK)
		return e;
	e = json_get_object(out->tree, "signed", &body, f);
	if (e == OK)
		e = json_get_array(out->tree, "signatures", &signatures, f);
	if (e == ERR_NOTFOUND)
		e = ERR_PARSE;
	if (e == OK)
		e = check_signatures(signatures, f);
	if (e != OK) {
		signed_free(out);
		return e;
	}
	out->body = body;
	out->signatures = signatures;
	return OK;
}

void
signed_free(struct signed_doc *d)
{
	cJSON_Delete(d->tree);
	*d = (struct signed_doc){ 0 };
}

static const char *
sig_by(const struct signed_doc *d, const char *id)
{
	const cJSON *c;
	const char *keyid, *sig;

	for (c = d->signatures->child; c != NULL; c = c->next)
		if (json_get_string(c, "keyid", &keyid, NULL) == OK && strcmp(keyid, id) == 0
		    && json_get_string(c, "sig", &sig, NULL) == OK)
			return sig;
	return NULL;
}

static bool
counted(const struct key *const *good, size_t n, const struct key *k)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (key_same(good[i], k))
			return true;
	return false;
}

/* OK, ERR_AUTH, or ERR_NOMEM. */
static enum err
signed_by(const struct signed_doc *d, const struct key *k, const struct buf *canon)
{
	uint8_t sig[SIG_MAX];
	const char *text = sig_by(d, key_id(k));
	size_t len;

	if (text == NULL || text_unhex(sig, sizeof(sig), text, strlen(text), &len) != OK)
		return ERR_AUTH;
	return key_verify(k, canon->data, canon->len, sig, len);
}

enum err
signed_verify(const struct signed_doc *d, const struct signers *s, uint64_t *valid, struct fault *f)
{
	const struct key *good[LIMIT_TUF_KEYS];
	struct buf canon;
	size_t n = 0, i;
	enum err e;

	/* The canonical form is never longer than what was read, but for nothing that is sure; the
	 * reader's limits bound it: escapes double a character at most. */
	buf_init(&canon, 2 * (size_t)LIMIT_TUF_TARGETS);
	e = canon_json(d->body, &canon, f);
	for (i = 0; e == OK && i < s->n && n < LIMIT_TUF_KEYS; i++) {
		if (counted(good, n, s->keys[i]))
			continue;
		e = signed_by(d, s->keys[i], &canon);
		if (e == OK)
			good[n++] = s->keys[i];
		if (e == ERR_AUTH)
			e = OK;
	}
	buf_free(&canon);
	if (valid != NULL)
		*valid = n;
	if (e != OK)
		return e;
	if (n < s->threshold)
		return fault_set(f, ERR_AUTH, "%zu valid signatures by %zu known keys, %" PRIu64
		    " are needed", n, s->n, s->threshold);
	return OK;
}

static enum err
make_signature(const struct buf *canon, const struct sign_private *key, cJSON **out,
    struct fault *f)
{
	char id[KEY_ID_TEXT], hex[2 * 80 + 1];
	struct buf sig;
	cJSON *object, *o = NULL;
	enum err e;

	buf_init(&sig, 80);
	e = key_of_private(key, &object, id, f);
	if (e != OK)
		return e;
	cJSON_Delete(object);
	e = sign_make(key, canon->data, canon->len, &sig);
	if (e == OK) {
		text_hex(hex, sig.data, sig.len);
		o = cJSON_CreateObject();
		e = o == NULL ? ERR_NOMEM : json_add_string(o, "keyid", id);
	}
	if (e == OK)
		e = json_add_string(o, "sig", hex);
	buf_free(&sig);
	if (e != OK) {
		cJSON_Delete(o);
		return e;
	}
	*out = o;
	return OK;
}

enum err
signed_signature(const cJSON *body, const struct sign_private *key, cJSON **out, struct fault *f)
{
	struct buf canon;
	enum err e;

	*out = NULL;
	buf_init(&canon, 2 * (size_t)LIMIT_TUF_TARGETS);
	e = canon_json(body, &canon, f);
	if (e == OK)
		e = make_signature(&canon, key, out, f);
	buf_free(&canon);
	return e;
}

enum err
signed_build(const cJSON *body, const struct sign_private *const *keys, size_t n, struct buf *out,
    struct fault *f)
{
	cJSON *doc = cJSON_CreateObject(), *list, *one, *copy;
	enum err e = doc == NULL ? ERR_NOMEM : json_add_array(doc, "signatures", &list);
	size_t i;

	for (i = 0; e == OK && i < n; i++) {
		e = signed_signature(body, keys[i], &one, f);
		if (e == OK)
			e = json_append(list, one);
	}
	if (e == OK) {
		copy = cJSON_Duplicate(body, 1);
		if (copy == NULL || !cJSON_AddItemToObject(doc, "signed", copy)) {
			cJSON_Delete(copy);
			e = ERR_NOMEM;
		}
	}
	if (e == OK)
		e = json_print(doc, out);
	cJSON_Delete(doc);
	return e;
}
