/* authority_pin.c - see authority_pin.h. */
#include "authority_pin.h"

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "os/file.h"
#include "proto/authority.h"
#include "update/hash.h"
#include "update/key.h"
#include "update/signed.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LIMIT_METADATA 5000000 /* targets.json, as the specification's client bounds it */
#define LIMIT_PINS 262144
#define LIMIT_STEPS 256 /* changes of keys that a PC may have slept through */
#define ROLE "authority"
#define TARGET "authority.json"

struct pins {
	cJSON *tree;
	uint64_t
	    version; /* of the authority that named these keys; 0: kept by an agent of before */
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
	(void)!json_get_u64(tree, "version", JSON_MAX_INT, &p->version, NULL);
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
keep(const char *path, struct pins *p, uint64_t version, struct fault *f)
{
	struct buf b;
	enum err e;

	p->version = version;
	cJSON_DeleteItemFromObjectCaseSensitive(p->tree, "version");
	buf_init(&b, LIMIT_PINS);
	e = json_add_u64(p->tree, "version", version);
	if (e == OK)
		e = json_print(p->tree, &b);
	if (e == OK)
		e = file_replace(path, b.data, b.len, 0640, f);
	buf_free(&b);
	return e;
}

/* The document must be signed by the kept keys and name exactly these bytes. */
static enum err
check_signed(
    const struct pins *p, const struct signed_doc *doc, const struct buf *text, struct fault *f)
{
	char sha[HASH_SHA256_TEXT];
	const char *named = "";
	uint64_t valid = 0;
	enum err e;

	if (signed_verify(doc, &p->signers, &valid, NULL) != OK)
		return fault_set(f, ERR_AUTH,
		    "authority.json has %llu of %llu signatures of the authority's keys that this "
		    "PC knows: "
		    "was the console stolen?",
		    (unsigned long long)valid, (unsigned long long)p->signers.threshold);
	e = json_get_string(json_get(json_get(json_get(doc->body, "targets"), TARGET), "hashes"),
	    "sha256", &named, f);
	hash_sha256_text(text->data, text->len, sha);
	if (e == OK && strcasecmp(named, sha) != 0)
		e = fault_set(f, ERR_AUTH,
		    "authority.json is not the one that the authority's keys signed: was the "
		    "console stolen?");
	return e;
}

/* Keys that follow, named and signed by those of before; they must have signed too, else a slip of
 * the pen would hand the authority to keys that nobody holds. */
static enum err
take_successors(struct pins *p, const char *path, const struct signed_doc *doc, cJSON *named,
    uint64_t version, struct fault *f)
{
	struct pins next;
	enum err e = pins_parse(&next, named, f);

	if (e == OK && signed_verify(doc, &next.signers, NULL, NULL) != OK)
		e = fault_set(f, ERR_AUTH, "authority.json names keys that have not signed it");
	if (e == OK)
		e = keep(path, &next, version, f);
	if (e != OK) {
		pins_free(&next);
		return e;
	}
	pins_free(p);
	*p = next;
	return OK;
}

/* One authority, if the keys in p signed it; p and the kept file are those of its successors then.
 */
static enum err
take(struct pins *p, const char *path, const char *doc_path, const struct buf *text, bool first,
    struct fault *f)
{
	struct signed_doc doc = { 0 };
	cJSON *tree = NULL, *named = NULL;
	uint64_t version = 0;
	struct buf b;
	enum err e;

	buf_init(&b, LIMIT_METADATA);
	e = file_read(doc_path, &b, f);
	if (e == OK)
		e = signed_parse(&doc, b.data, b.len, f);
	if (e == OK)
		e = check_signed(p, &doc, text, f);
	if (e == OK)
		e = json_parse(&tree, buf_text(text), text->len, JSON_SIGNED, f);
	if (e == OK)
		e = json_get_u64(tree, "version", JSON_MAX_INT, &version, f);
	if (e == OK && version < p->version)
		e = fault_set(f, ERR_ROLLBACK,
		    "authority.json has version %" PRIu64 ", the authority's keys are of %" PRIu64,
		    version, p->version);
	if (e == OK && first)
		e = keep(path, p, version, f);
	named = e == OK ? cJSON_DetachItemFromObjectCaseSensitive(tree, ROLE) : NULL;
	if (named != NULL)
		e = take_successors(p, path, &doc, named, version, f);
	cJSON_Delete(tree);
	signed_free(&doc);
	buf_free(&b);
	return e == ERR_NOTFOUND ? ERR_AUTH : e; /* no signed role: an authority by somebody else */
}

/* ---- a PC that slept: one change of keys after the other, as a TUF client walks roots ---- */

static int
lower_first(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y ? 1 : 0;
}

/* Versions of the authorities in <set>/authority/N.json above floor, ascending. */
static size_t
list_steps(const char *folder, uint64_t floor, uint64_t steps[LIMIT_STEPS])
{
	const struct dirent *i;
	DIR *d = opendir(folder);
	size_t n = 0;

	while (d != NULL && n < LIMIT_STEPS && (i = readdir(d)) != NULL) {
		size_t digits = strspn(i->d_name, "0123456789");

		if (strcmp(i->d_name + digits, ".json") == 0 &&
		    text_u64(i->d_name, digits, JSON_MAX_INT, &steps[n]) == OK && steps[n] > floor)
			n++;
	}
	if (d != NULL)
		(void)closedir(d);
	qsort(steps, n, sizeof steps[0], lower_first);
	return n;
}

static enum err
take_step(struct pins *p, const char *path, const char *folder, uint64_t n, struct fault *f)
{
	char name[4300];
	struct buf text;
	enum err e;

	buf_init(&text, LIMIT_AUTHORITY_BYTES);
	(void)snprintf(name, sizeof name, "%s/%" PRIu64 ".json", folder, n);
	e = file_read(name, &text, f);
	(void)snprintf(name, sizeof name, "%s/%" PRIu64 ".signed.json", folder, n);
	if (e == OK)
		e = take(p, path, name, &text, false, f);
	buf_free(&text);
	return e;
}

/* What cannot be followed ends the walk; whether that matters the newest authority decides. */
static void
walk(struct pins *p, const char *path, const char *set)
{
	uint64_t steps[LIMIT_STEPS];
	struct fault f = { 0 };
	char folder[4200];
	size_t n;

	(void)snprintf(folder, sizeof folder, "%s/" ROLE, set);
	n = list_steps(folder, p->version, steps);
	for (size_t i = 0; i < n; i++) {
		if (take_step(p, path, folder, steps[i], &f) != OK) {
			log_warn("authority.step", "version=%" PRIu64 " why=%s", steps[i],
			    log_q(fault_text(&f)));
			return;
		}
		log_info("authority.step", "version=%" PRIu64, steps[i]);
	}
}

enum err
authority_pin_check(
    const char *path, const char *tuf, const char *set, const struct buf *text, struct fault *f)
{
	struct pins p;
	char doc[4300];
	cJSON *tree;
	bool first = !file_exists(path);
	enum err e = first ? first_pins(&tree, tuf, f) : read_tree(&tree, path, LIMIT_PINS, f);

	if (e != OK) {
		cJSON_Delete(tree);
		return e;
	}
	e = pins_parse(&p, tree, f);
	if (e == OK && !first)
		walk(&p, path, set);
	if (e == OK)
		e = file_join(doc, sizeof doc, tuf, ROLE ".json");
	if (e == OK)
		e = take(&p, path, doc, text, first, f);
	pins_free(&p);
	return e;
}
