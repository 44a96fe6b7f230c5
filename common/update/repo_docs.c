/* repo_docs.c - TUF documents as the publisher writes them (specification sections 4.2 to 4.6). */
#include "update/repo_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "update/hash.h"

#include <string.h>

#define DAY_MS 86400000ll

enum err
repo_body(cJSON **out, const char *type, uint64_t version, uint32_t days, struct fault *f)
{
	char expires[CLOCK_TEXT];
	enum err e;

	clock_format_s(expires, clock_wall_ms() + (int64_t)days * DAY_MS);
	*out = cJSON_CreateObject();
	e = *out != NULL ? OK : ERR_NOMEM;
	if (e == OK)
		e = json_add_string(*out, "_type", type);
	if (e == OK)
		e = json_add_string(*out, "spec_version", REPO_SPEC);
	if (e == OK)
		e = json_add_u64(*out, "version", version);
	if (e == OK)
		e = json_add_string(*out, "expires", expires);
	return e == OK ? OK : fault_set(f, e, "cannot write %s: %s", type, err_text(e));
}

static bool
has_signature(const cJSON *signatures, const cJSON *one)
{
	const cJSON *s, *id = json_get(one, "keyid");

	cJSON_ArrayForEach(s, signatures) {
		const cJSON *other = json_get(s, "keyid");

		if (cJSON_IsString(id) && cJSON_IsString(other) &&
		    strcmp(id->valuestring, other->valuestring) == 0)
			return true;
	}
	return false;
}

static enum err
add_signatures(cJSON *signatures, const cJSON *body, const struct repo_keys *keys,
    struct fault *f)
{
	size_t i;
	enum err e = OK;

	for (i = 0; e == OK && keys != NULL && i < keys->count; i++) {
		cJSON *one = NULL;

		e = signed_signature(body, keys->list[i], &one, f);
		if (e == OK && has_signature(signatures, one))
			cJSON_Delete(one);
		else if (e == OK)
			e = json_append(signatures, one);
	}
	return e;
}

/* A role's file cannot be larger than what every client accepts. */
static size_t
limit_of(const cJSON *body)
{
	const cJSON *type = json_get(body, "_type");

	if (!cJSON_IsString(type) || strcmp(type->valuestring, "targets") == 0)
		return LIMIT_TUF_TARGETS;
	if (strcmp(type->valuestring, "snapshot") == 0)
		return LIMIT_TUF_SNAPSHOT;
	return strcmp(type->valuestring, "root") == 0 ? LIMIT_TUF_ROOT : LIMIT_TUF_TIMESTAMP;
}

enum err
repo_document(const cJSON *body, const cJSON *signatures, const struct repo_keys *keys,
    struct buf *out, struct fault *f)
{
	cJSON *doc = cJSON_CreateObject(), *copy = cJSON_Duplicate(body, 1);
	cJSON *list = signatures != NULL ? cJSON_Duplicate(signatures, 1) : cJSON_CreateArray();
	enum err e = doc != NULL && copy != NULL && list != NULL ? OK : ERR_NOMEM;

	if (e == OK)
		e = add_signatures(list, body, keys, f);
	if (e == OK && cJSON_AddItemToObject(doc, "signatures", list))
		list = NULL;
	if (e == OK && cJSON_AddItemToObject(doc, "signed", copy))
		copy = NULL;
	if (e == OK && (list != NULL || copy != NULL))
		e = ERR_NOMEM;
	if (e == OK)
		e = json_print(doc, out); /* canonical form keeps raw line ends: it is no JSON */
	if (e == OK && out->len > limit_of(body))
		e = fault_set(f, ERR_TOOBIG,
		    "the document would have %zu bytes and clients accept %zu: "
		    "publish fewer or packed targets",
		    out->len, limit_of(body));
	cJSON_Delete(doc);
	cJSON_Delete(copy);
	cJSON_Delete(list);
	return e;
}

enum err
repo_meta_entry(cJSON **out, uint64_t version, const struct buf *bytes)
{
	char sum[HASH_SHA256_TEXT];
	cJSON *hashes = NULL;
	enum err e;

	*out = cJSON_CreateObject();
	e = *out != NULL ? OK : ERR_NOMEM;
	if (e == OK)
		e = json_add_u64(*out, "version", version);
	if (e == OK)
		e = json_add_u64(*out, "length", bytes->len);
	if (e == OK)
		e = json_add_object(*out, "hashes", &hashes);
	hash_sha256_text(bytes->data, bytes->len, sum);
	if (e == OK)
		e = json_add_string(hashes, "sha256", sum);
	return e;
}

const cJSON *
repo_role(const cJSON *root_body, const cJSON *targets_body, const char *role, const cJSON **keys)
{
	const cJSON *found = json_get(json_get(root_body, "roles"), role), *d, *one;

	*keys = json_get(root_body, "keys");
	if (found != NULL)
		return found;
	d = json_get(targets_body, "delegations");
	*keys = json_get(d, "keys");
	cJSON_ArrayForEach(one, json_get(d, "roles")) {
		const cJSON *name = json_get(one, "name");

		if (cJSON_IsString(name) && strcmp(name->valuestring, role) == 0)
			return one;
	}
	return NULL;
}

enum err
repo_signed_by(const struct signed_doc *d, const cJSON *keys, const cJSON *role, uint64_t *have,
    uint64_t *need, struct fault *f)
{
	struct keyring ring = { 0 };
	struct signers s = { 0 };
	enum err e = keyring_parse(&ring, keys, f);

	*have = *need = 0;
	if (e == OK)
		e = signers_parse(&s, role, &ring, f);
	if (e == OK) {
		*need = s.threshold;
		e = signed_verify(d, &s, have, NULL);
		if (e == ERR_AUTH)
			e = OK;
	}
	signers_free(&s);
	keyring_free(&ring);
	return e;
}
