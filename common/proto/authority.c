#include "proto/authority.h"

#include "base/text.h"
#include "net/pki.h"

#include <stdlib.h>
#include <string.h>

struct rule {
	const char *type; /* borrowed from the tree */
	struct signers signers;
};

struct authority {
	cJSON *tree;
	uint64_t version;
	const char *org;
	struct keyring ring;
	struct rule *rules;
	size_t n_rules;
};

void
authority_free(struct authority *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->n_rules; i++)
		signers_free(&a->rules[i].signers);
	free(a->rules);
	keyring_free(&a->ring);
	cJSON_Delete(a->tree);
	free(a);
}

static bool
list_has(const cJSON *list, const char *text)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
	{
		if (cJSON_IsString(item) && strcmp(item->valuestring, text) == 0)
			return true;
	}
	return false;
}

static const cJSON *
revoked(const struct authority *a, const char *what)
{
	return json_get(json_get(a->tree, "revoked"), what);
}

static bool
is_sha256_hex(const char *s)
{
	size_t n = strspn(s, "0123456789abcdef");

	return n == 64 && s[n] == '\0';
}

static bool
is_serial(const char *s)
{
	size_t n = strspn(s, "0123456789abcdef");

	return n > 0 && n < PKI_SERIAL && s[n] == '\0';
}

static bool
is_name(const char *s)
{
	return pki_is_name(s, strlen(s));
}

static bool
is_uuid(const char *s)
{
	return text_is_uuid(s, strlen(s));
}

/* A list of strings that each pass; absent is fine unless needed. */
static enum err
check_list(
    const cJSON *object, const char *name, bool needed, bool (*good)(const char *), struct fault *f)
{
	const cJSON *list = json_get(object, name), *item;

	if (list == NULL && !needed)
		return OK;
	if (!cJSON_IsArray(list))
		return fault_set(f, ERR_PARSE, "member '%s' must be a list", name);
	cJSON_ArrayForEach(item, list)
	{
		if (!cJSON_IsString(item) || !good(item->valuestring))
			return fault_set(
			    f, ERR_PARSE, "member '%s' holds an item of another form", name);
	}
	return OK;
}

static enum err
check_revoked(const cJSON *tree, struct fault *f)
{
	const cJSON *r = json_get(tree, "revoked");
	enum err e;

	if (r == NULL)
		return OK;
	if (!cJSON_IsObject(r))
		return fault_set(f, ERR_PARSE, "member 'revoked' must be an object");
	e = check_list(r, "serials", false, is_serial, f);
	if (e == OK)
		e = check_list(r, "agents", false, is_uuid, f);
	if (e == OK)
		e = check_list(r, "consoles", false, is_name, f);
	if (e == OK)
		e = check_list(r, "keyids", false, is_sha256_hex, f);
	return e;
}

static enum err
read_keys(struct authority *a, struct fault *f)
{
	cJSON *keys;
	enum err e = json_get_object(a->tree, "keys", &keys, f);

	if (e == OK && cJSON_GetArraySize(keys) > LIMIT_AUTHORITY_KEYS)
		e = fault_set(f, ERR_TOOBIG, "more than %d keys", LIMIT_AUTHORITY_KEYS);
	return e == OK ? keyring_parse(&a->ring, keys, f) : e;
}

static void
drop_revoked_keys(const struct authority *a, struct signers *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++)
		if (!authority_key_revoked(a, key_id(s->keys[i])))
			s->keys[kept++] = s->keys[i];
	s->n = kept;
}

static enum err
read_rule(struct authority *a, const cJSON *item, struct fault *f)
{
	struct rule *r = &a->rules[a->n_rules];
	cJSON *ids = json_get(item, "keyids");
	enum err e = signers_parse(&r->signers, item, &a->ring, f);

	if (e != OK) {
		fault_prefix(f, "task type '%s'", item->string);
		return e;
	}
	r->type = item->string;
	a->n_rules++; /* from here authority_free frees it */
	if (r->signers.n != (size_t)cJSON_GetArraySize(ids))
		return fault_set(
		    f, ERR_PARSE, "task type '%s' names a key that is not in 'keys'", r->type);
	if (r->signers.threshold > r->signers.n)
		return fault_set(f, ERR_PARSE,
		    "task type '%s' needs more signatures than it names keys", r->type);
	drop_revoked_keys(a, &r->signers);
	return OK;
}

static enum err
read_rules(struct authority *a, struct fault *f)
{
	cJSON *tasks;
	const cJSON *item;
	enum err e = json_get_object(a->tree, "tasks", &tasks, f);

	if (e != OK)
		return e;
	if (cJSON_GetArraySize(tasks) > LIMIT_AUTHORITY_TASKS)
		return fault_set(f, ERR_TOOBIG, "more than %d task types", LIMIT_AUTHORITY_TASKS);
	a->rules = calloc(LIMIT_AUTHORITY_TASKS, sizeof(*a->rules));
	if (a->rules == NULL)
		return ERR_NOMEM;
	cJSON_ArrayForEach(item, tasks)
	{
		e = read_rule(a, item, f);
		if (e != OK)
			return e;
	}
	return OK;
}

static enum err
read_all(struct authority *a, struct fault *f)
{
	enum err e = json_get_u64(a->tree, "version", JSON_MAX_INT, &a->version, f);

	if (e == OK && a->version == 0)
		e = fault_set(f, ERR_PARSE, "member 'version' starts at 1");
	if (e == OK)
		e = json_get_string(a->tree, "org", &a->org, f);
	if (e == OK && !is_name(a->org))
		e = fault_set(f, ERR_PARSE, "member 'org' is no name");
	if (e == OK)
		e = check_list(a->tree, "consoles", true, is_name, f);
	if (e == OK)
		e = check_list(a->tree, "cas", true, is_sha256_hex, f);
	if (e == OK)
		e = check_revoked(a->tree, f);
	if (e == OK)
		e = read_keys(a, f);
	return e == OK ? read_rules(a, f) : e;
}

enum err
authority_parse(struct authority **out, const char *p, size_t n, struct fault *f)
{
	struct authority *a;
	enum err e;

	*out = NULL;
	if (n > LIMIT_AUTHORITY_BYTES)
		return fault_set(f, ERR_TOOBIG, "larger than %d bytes", LIMIT_AUTHORITY_BYTES);
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return ERR_NOMEM;
	e = json_parse(&a->tree, p, n, JSON_SIGNED, f);
	if (e == OK)
		e = read_all(a, f);
	if (e != OK) {
		authority_free(a);
		return e;
	}
	*out = a;
	return OK;
}

uint64_t
authority_version(const struct authority *a)
{
	return a->version;
}

const char *
authority_org(const struct authority *a)
{
	return a->org;
}

const struct signers *
authority_signers(const struct authority *a, const char *type)
{
	for (size_t i = 0; i < a->n_rules; i++)
		if (strcmp(a->rules[i].type, type) == 0)
			return &a->rules[i].signers;
	return NULL;
}

bool
authority_key_revoked(const struct authority *a, const char *keyid)
{
	return list_has(revoked(a, "keyids"), keyid);
}

bool
authority_console_allowed(const struct authority *a, const char *name)
{
	return list_has(json_get(a->tree, "consoles"), name) &&
	       !list_has(revoked(a, "consoles"), name);
}

bool
authority_agent_revoked(const struct authority *a, const char *uuid)
{
	return list_has(revoked(a, "agents"), uuid);
}

bool
authority_serial_revoked(const struct authority *a, const char *serial_hex)
{
	return list_has(revoked(a, "serials"), serial_hex);
}

bool
authority_ca_allowed(const struct authority *a, const uint8_t spki_sha256[32])
{
	char hex[65];

	text_hex(hex, spki_sha256, 32);
	return list_has(json_get(a->tree, "cas"), hex);
}

const cJSON *
authority_cas(const struct authority *a)
{
	return json_get(a->tree, "cas");
}

const cJSON *
authority_tree(const struct authority *a)
{
	return a->tree;
}
