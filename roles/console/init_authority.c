#include "init.h"

#include "base/json.h"
#include "base/text.h"
#include "identity.h"
#include "os/file.h"
#include "update/key.h"

#include <string.h>

#define LIMIT_KEY 16384

/* Every task type of DESIGN section 8; two: it changes what an agent is, and may need two
 * signatures. */
static const struct {
	const char *type;
	bool two;
} types[] = {
	{ "update.now", false },
	{ "update.cancel", false },
	{ "update.pin", true },
	{ "policy.refresh", false },
	{ "role.set", true },
	{ "scan.start", false },
	{ "scan.stop", false },
	{ "quarantine.list", false },
	{ "quarantine.restore", false },
	{ "collect", false },
	{ "status", false },
	{ "doctor", false },
	{ "agent.restart", true },
	{ "agent.group", true },
};

/* Adds the public half of a private key to keys and says its id. */
static enum err
add_key(cJSON *keys, const struct sign_private *key, char id[KEY_ID_TEXT], struct fault *f)
{
	cJSON *object;
	enum err e = key_of_private(key, &object, id, f);

	if (e == OK && !cJSON_AddItemToObject(keys, id, object)) {
		cJSON_Delete(object);
		e = ERR_NOMEM;
	}
	return e;
}

static enum err
add_key_file(cJSON *keys, const char *path, char id[KEY_ID_TEXT], struct fault *f)
{
	struct sign_private *key = NULL;
	struct buf pem;
	enum err e;

	buf_init(&pem, LIMIT_KEY);
	e = file_read(path, &pem, f);
	if (e == OK)
		e = sign_private_load(&key, buf_text(&pem), pem.len, NULL, f);
	if (e == OK)
		e = add_key(keys, key, id, f);
	sign_private_free(key);
	buf_wipe(&pem);
	return e;
}

static enum err
add_rules(cJSON *tasks, const char *own, const char *second)
{
	cJSON *rule, *ids;
	enum err e = OK;

	for (size_t i = 0; e == OK && i < sizeof(types) / sizeof(types[0]); i++) {
		bool two = second[0] != '\0' && types[i].two;

		e = json_add_object(tasks, types[i].type, &rule);
		if (e == OK)
			e = json_add_array(rule, "keyids", &ids);
		if (e == OK)
			e = json_append_string(ids, own);
		if (e == OK && two)
			e = json_append_string(ids, second);
		if (e == OK)
			e = json_add_u64(rule, "threshold", two ? 2 : 1);
	}
	return e;
}

static enum err
add_lists(cJSON *o, const struct options *opt, const struct identity *id)
{
	static const char *const empty[] = { "serials", "agents", "consoles", "keyids" };
	char spki[2 * PKI_SHA256 + 1];
	cJSON *list, *revoked;
	enum err e = json_add_array(o, "consoles", &list);

	if (e == OK)
		e = json_append_string(list, opt->name);
	if (e == OK)
		e = json_add_array(o, "cas", &list);
	text_hex(spki, id->ca_spki, sizeof(id->ca_spki));
	if (e == OK)
		e = json_append_string(list, spki);
	if (e == OK)
		e = json_add_object(o, "revoked", &revoked);
	for (size_t i = 0; e == OK && i < sizeof(empty) / sizeof(empty[0]); i++)
		e = json_add_array(revoked, empty[i], &list);
	return e;
}

static enum err
build(cJSON *o, const struct options *opt, const struct identity *id, const char *extra,
    struct fault *f)
{
	char own[KEY_ID_TEXT], second[KEY_ID_TEXT] = "";
	cJSON *keys, *tasks;
	enum err e = json_add_u64(o, "version", 1);

	if (e == OK)
		e = json_add_string(o, "org", opt->org);
	if (e == OK)
		e = json_add_object(o, "keys", &keys);
	if (e == OK)
		e = add_key(keys, id->task_key, own, f);
	if (e == OK && extra != NULL)
		e = add_key_file(keys, extra, second, f);
	if (e == OK)
		e = json_add_object(o, "tasks", &tasks);
	if (e == OK)
		e = add_rules(tasks, own, second);
	return e == OK ? add_lists(o, opt, id) : e;
}

enum err
init_authority(const struct options *o, const char *extra, struct buf *out, struct fault *f)
{
	struct identity id;
	cJSON *tree;
	enum err e = identity_load(&id, o, f);

	if (e != OK)
		return e;
	tree = cJSON_CreateObject();
	e = tree == NULL ? ERR_NOMEM : build(tree, o, &id, extra, f);
	if (e == OK)
		e = json_print_pretty(tree, out);
	cJSON_Delete(tree);
	identity_free(&id);
	return e;
}
