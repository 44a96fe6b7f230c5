/* authority_pin.c - see authority_pin.h. */
#include "authority_pin.h"

#include "base/json.h"
#include "os/file.h"
#include "update/hash.h"
#include "update/key.h"
#include "update/signed.h"

#include <string.h>
#include <strings.h>

#define LIMIT_METADATA 5000000 /* targets.json, as the specification's client bounds it */
#define LIMIT_PINS 262144
#define ROLE "authority"
#define TARGET "authority.json"

struct pins {
	cJSON *tree;
	struct keyring ring;
	struct signers signers;
};

static void
pins_free(struct pins *p)
{
	signers_free(&p->signers);
	keyring_free(&p->ring);
	cJSON_Delete(p->tree);
}

/* Takes the tree, also when it is refused. */
static enum err
pins_parse(struct pins *p, cJSON *tree, struct fault *f)
{
	cJSON *keys;
	enum err e;

	memset(p, 0, sizeof *p);
	p->tree = tree;
	e = json_get_object(tree, "keys", &keys, f);
	if (e == OK)
		e = keyring_parse(&p->ring, keys, f);
	if (e == OK)
		e = signers_parse(&p->signers, tree, &p->ring, f);
	if (e == OK && p->signers.threshold > p->signers.n)
		e = fault_set(f, ERR_PARSE, "the authority names fewer keys than it needs");
	return e;
}

static enum err
read_tree(cJSON **out, const char *path, size_t max, struct fault *f)
{
	struct buf b;
	enum err e;

	*out = NULL;
	buf_init(&b, max);
	e = file_read(path, &b, f);
	if (e == OK)
		e = json_parse(out, buf_text(&b), b.len, JSON_SIGNED, f);
	buf_free(&b);
	return e;
}

static enum err
move_copy(cJSON *to, const cJSON *from, const char *name)
{
	cJSON *copy = cJSON_Duplicate(json_get(from, name), 1);

	if (copy != NULL && cJSON_AddItemToObject(to, name, copy))
		return OK;
	cJSON_Delete(copy);
	return ERR_NOMEM;
}

/* The delegation of the first targets.json, which was verified from the root that enrolment
 * brought. */
static enum err
first_pins(cJSON **out, const char *tuf, struct fault *f)
{
	const cJSON *delegations, *role;
	char path[4300];
	cJSON *targets = NULL;
	const char *name;
	enum err e = file_join(path, sizeof path, tuf, "targets.json");

	*out = NULL;
	if (e == OK)
		e = read_tree(&targets, path, LIMIT_METADATA, f);
	delegations = json_get(json_get(targets, "signed"), "delegations");
	cJSON_ArrayForEach(role, json_get(delegations, "roles"))
	{
		if (e != OK || json_get_string(role, "name", &name, NULL) != OK ||
		    strcmp(name, ROLE) != 0)
			continue;
		*out = cJSON_CreateObject();
		e = *out == NULL ? ERR_NOMEM : move_copy(*out, delegations, "keys");
		if (e == OK)
			e = move_copy(*out, role, "keyids");
		if (e == OK)
			e = move_copy(*out, role, "threshold");
		break;
	}
	cJSON_Delete(targets);
	return e == OK && *out == NULL
		   ? fault_set(f, ERR_AUTH, "the policies feed delegates authority.json to nobody")
		   : e;
}

static enum err
keep(const char *path, const cJSON *tree, struct fault *f)
{
	struct buf b;
	enum err e;

	buf_init(&b, LIMIT_PINS);
	e = json_print(tree, &b);
	if (e == OK)
		e = file_replace(path, b.data, b.len, 0640, f);
	buf_free(&b);
	return e;
}

/* The role's document must be signed by the kept keys and name exactly these bytes. */
static enum err
check_signed(const struct pins *p, const char *tuf, const struct buf *text, struct fault *f)
{
	char path[4300], sha[HASH_SHA256_TEXT];
	struct signed_doc doc = { 0 };
	const char *named = "";
	uint64_t valid = 0;
	struct buf b;
	enum err e = file_join(path, sizeof path, tuf, ROLE ".json");

	buf_init(&b, LIMIT_METADATA);
	if (e == OK)
		e = file_read(path, &b, f);
	if (e == OK)
		e = signed_parse(&doc, b.data, b.len, f);
	if (e == OK && signed_verify(&doc, &p->signers, &valid, NULL) != OK)
		e = fault_set(f, ERR_AUTH,
		    "authority.json has %llu of %llu signatures of the authority's keys that this "
		    "PC knows: "
		    "was the console stolen?",
		    (unsigned long long)valid, (unsigned long long)p->signers.threshold);
	if (e == OK)
		e = json_get_string(
		    json_get(json_get(json_get(doc.body, "targets"), TARGET), "hashes"), "sha256",
		    &named, f);
	hash_sha256_text(text->data, text->len, sha);
	if (e == OK && strcasecmp(named, sha) != 0)
		e = fault_set(f, ERR_AUTH,
		    "authority.json is not the one that the authority's keys signed: was the "
		    "console stolen?");
	signed_free(&doc);
	buf_free(&b);
	return e == ERR_NOTFOUND ? ERR_AUTH : e; /* no signed role: an authority by somebody else */
}

/* Keys that follow, named and signed by those of before. */
static enum err
take_successors(const char *path, const struct buf *text, struct fault *f)
{
	struct pins next;
	cJSON *tree = NULL, *named;
	enum err e = json_parse(&tree, buf_text(text), text->len, JSON_SIGNED, f);

	named = e == OK ? cJSON_DetachItemFromObjectCaseSensitive(tree, ROLE) : NULL;
	cJSON_Delete(tree);
	if (e != OK || named == NULL)
		return e;
	e = pins_parse(&next, named, f);
	if (e == OK)
		e = keep(path, next.tree, f);
	pins_free(&next);
	return e;
}

enum err
authority_pin_check(const char *path, const char *tuf, const struct buf *text, struct fault *f)
{
	struct pins p;
	cJSON *tree;
	bool first = !file_exists(path);
	enum err e = first ? first_pins(&tree, tuf, f) : read_tree(&tree, path, LIMIT_PINS, f);

	if (e != OK) {
		cJSON_Delete(tree);
		return e;
	}
	e = pins_parse(&p, tree, f);
	if (e == OK)
		e = check_signed(&p, tuf, text, f);
	if (e == OK && first)
		e = keep(path, p.tree, f);
	pins_free(&p);
	return e == OK ? take_successors(path, text, f) : e;
}
