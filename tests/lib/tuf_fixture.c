#include "tuf_fixture.h"

#include "base/json.h"
#include "base/text.h"
#include "update/canon.h"
#include "update/hash.h"
#include "update/key.h"
#include "update/signed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const fixture_names[FX_ROLES] = { "root", "timestamp", "snapshot", "targets", "a",
	"b" };

static void
must(enum err e)
{
	if (e != OK) {
		(void)fprintf(stderr, "tuf_fixture: %s\n", err_text(e));
		abort();
	}
}

static void
add_key(cJSON *keys, cJSON *keyids, const struct sign_private *k)
{
	char id[KEY_ID_TEXT];
	cJSON *object;

	must(key_of_private(k, &object, id, NULL));
	if (json_get(keys, id) == NULL)
		(void)cJSON_AddItemToObject(keys, id, object);
	else
		cJSON_Delete(object);
	must(json_append_string(keyids, id));
}

static cJSON *
header(enum fixture_role role)
{
	cJSON *body = cJSON_CreateObject();

	must(json_add_string(body, "_type", role >= FX_TARGETS ? "targets" : fixture_names[role]));
	must(json_add_string(body, "spec_version", "1.0.31"));
	must(json_add_u64(body, "version", 0));
	must(json_add_string(body, "expires", "2999-01-01T00:00:00Z"));
	return body;
}

static void
make_root(struct tuf_fixture *x)
{
	cJSON *keys, *roles, *role, *ids;
	int i;

	x->body[FX_ROOT] = header(FX_ROOT);
	must(json_add_bool(x->body[FX_ROOT], "consistent_snapshot", true));
	must(json_add_object(x->body[FX_ROOT], "keys", &keys));
	must(json_add_object(x->body[FX_ROOT], "roles", &roles));
	for (i = FX_ROOT; i <= FX_TARGETS; i++) {
		must(json_add_object(roles, fixture_names[i], &role));
		must(json_add_array(role, "keyids", &ids));
		must(json_add_u64(role, "threshold", 1));
		add_key(keys, ids, x->keys[i]);
	}
}

static void
delegate(struct tuf_fixture *x, cJSON *keys, cJSON *roles, enum fixture_role to, const char *path)
{
	cJSON *role = cJSON_CreateObject(), *ids, *paths;

	must(json_add_string(role, "name", fixture_names[to]));
	must(json_add_array(role, "keyids", &ids));
	must(json_add_u64(role, "threshold", 1));
	must(json_add_bool(role, "terminating", false));
	must(json_add_array(role, "paths", &paths));
	must(json_append_string(paths, path));
	add_key(keys, ids, x->keys[to]);
	must(json_append(roles, role));
}

static void
make_targets(struct tuf_fixture *x)
{
	cJSON *delegations, *keys, *roles, *unused;
	int i;

	for (i = FX_TARGETS; i < FX_ROLES; i++) {
		x->body[i] = header((enum fixture_role)i);
		must(json_add_object(x->body[i], "targets", &unused));
	}
	fixture_add_target(x->body[FX_TARGETS], "top", "of targets");
	fixture_add_target(x->body[FX_A], "a/1", "of a");
	fixture_add_target(x->body[FX_B], "b/1", "of b");
	must(json_add_object(x->body[FX_TARGETS], "delegations", &delegations));
	must(json_add_object(delegations, "keys", &keys));
	must(json_add_array(delegations, "roles", &roles));
	delegate(x, keys, roles, FX_A, "a/*");
	delegate(x, keys, roles, FX_B, "*/*");
}

void
fixture_init(struct tuf_fixture *x)
{
	static struct sign_private *made[FX_ROLES];
	static const enum fixture_role order[] = { FX_ROOT, FX_A, FX_B, FX_TARGETS, FX_SNAPSHOT,
		FX_TIMESTAMP };
	cJSON *unused;
	size_t i;

	memset(x, 0, sizeof *x);
	for (i = 0; i < FX_ROLES; i++) {
		if (made[i] == NULL)
			must(sign_generate(&made[i], NULL));
		x->keys[i] = made[i];
	}
	make_root(x);
	make_targets(x);
	x->body[FX_SNAPSHOT] = header(FX_SNAPSHOT);
	must(json_add_object(x->body[FX_SNAPSHOT], "meta", &unused));
	x->body[FX_TIMESTAMP] = header(FX_TIMESTAMP);
	must(json_add_object(x->body[FX_TIMESTAMP], "meta", &unused));
	for (i = 0; i < sizeof order / sizeof *order; i++)
		fixture_publish(x, order[i]);
}

void
fixture_free(struct tuf_fixture *x)
{
	size_t i;

	for (i = 0; i < FX_ROLES; i++)
		cJSON_Delete(x->body[i]);
	for (i = 0; i < x->n_files; i++)
		buf_free(&x->files[i].bytes);
	memset(x, 0, sizeof *x);
}

void
fixture_put(struct tuf_fixture *x, const char *name, const void *p, size_t n)
{
	size_t i = 0;

	while (i < x->n_files && strcmp(x->files[i].name, name) != 0)
		i++;
	if (i == FIXTURE_FILES)
		abort();
	if (i == x->n_files) {
		x->n_files++;
		(void)snprintf(x->files[i].name, sizeof x->files[i].name, "%s", name);
		buf_init(&x->files[i].bytes, 16u << 20);
	}
	buf_reset(&x->files[i].bytes);
	must(buf_append(&x->files[i].bytes, p, n));
}

const struct buf *
fixture_file(const struct tuf_fixture *x, const char *name)
{
	size_t i;

	for (i = 0; i < x->n_files; i++)
		if (strcmp(x->files[i].name, name) == 0)
			return &x->files[i].bytes;
	return NULL;
}

/* Writes role's version into its parent's meta. */
static void
tell_parent(struct tuf_fixture *x, enum fixture_role role, uint64_t version)
{
	enum fixture_role parent = role == FX_SNAPSHOT ? FX_TIMESTAMP : FX_SNAPSHOT;
	cJSON *meta = json_get(x->body[parent], "meta"), *entry;
	char name[64];

	if (role == FX_ROOT || role == FX_TIMESTAMP)
		return;
	(void)snprintf(name, sizeof name, "%s.json", fixture_names[role]);
	cJSON_DeleteItemFromObjectCaseSensitive(meta, name);
	must(json_add_object(meta, name, &entry));
	must(json_add_u64(entry, "version", version));
}

void
fixture_publish(struct tuf_fixture *x, enum fixture_role role)
{
	const struct sign_private *key = x->keys[role];
	struct buf out;
	char name[64];
	uint64_t version;

	must(json_get_u64(x->body[role], "version", JSON_MAX_INT, &version, NULL));
	version++;
	cJSON_DeleteItemFromObjectCaseSensitive(x->body[role], "version");
	must(json_add_u64(x->body[role], "version", version));
	buf_init(&out, 16u << 20);
	must(signed_build(x->body[role], &key, 1, &out, NULL));
	if (role == FX_TIMESTAMP)
		(void)snprintf(name, sizeof name, "timestamp.json");
	else
		(void)snprintf(
		    name, sizeof name, "%" PRIu64 ".%s.json", version, fixture_names[role]);
	fixture_put(x, name, out.data, out.len);
	buf_free(&out);
	tell_parent(x, role, version);
}

void
fixture_add_target(cJSON *body, const char *path, const char *content)
{
	cJSON *targets = json_get(body, "targets"), *entry, *hashes;
	char sum[HASH_SHA256_TEXT];

	cJSON_DeleteItemFromObjectCaseSensitive(targets, path);
	must(json_add_object(targets, path, &entry));
	must(json_add_u64(entry, "length", strlen(content)));
	must(json_add_object(entry, "hashes", &hashes));
	hash_sha256_text(content, strlen(content), sum);
	must(json_add_string(hashes, "sha256", sum));
}

static enum err
fetch(void *ctx, const char *name, size_t max, struct buf *out, struct fault *f)
{
	struct tuf_fixture *x = ctx;
	const struct buf *file = fixture_file(x, name);
	size_t n = strlen(x->asked);

	x->fetches++;
	(void)snprintf(x->asked + n, sizeof x->asked - n, "%s%s", n > 0 ? " " : "", name);
	if (x->fail != OK)
		return fault_set(f, x->fail, "made to fail");
	if (file == NULL)
		return fault_set(f, ERR_NOTFOUND, "no such file");
	if (file->len > max)
		return ERR_TOOBIG;
	return buf_append(out, file->data, file->len);
}

struct tuf_source
fixture_source(struct tuf_fixture *x)
{
	return (struct tuf_source){ fetch, x };
}

void
fixture_sign_text(const struct tuf_fixture *x, enum fixture_role role, const void *text, size_t n,
    struct buf *out)
{
	cJSON *tree = NULL, *object, *signature = NULL;
	char id[KEY_ID_TEXT];
	const char *sig = "00";

	must(key_of_private(x->keys[role], &object, id, NULL));
	cJSON_Delete(object);
	if (json_parse(&tree, text, n, JSON_SIGNED, NULL) == OK &&
	    signed_signature(tree, x->keys[role], &signature, NULL) == OK)
		must(json_get_string(signature, "sig", &sig, NULL));
	must(buf_printf(
	    out, "{\"signatures\":[{\"keyid\":\"%s\",\"sig\":\"%s\"}],\"signed\":", id, sig));
	must(buf_append(out, text, n));
	must(buf_puts(out, "}"));
	cJSON_Delete(signature);
	cJSON_Delete(tree);
}
