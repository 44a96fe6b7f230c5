/* repo_keys.c - private keys of a repository: keys/<keyid>.pem, PKCS#8, mode 0600. */
#include "update/repo_priv.h"

#include "base/json.h"
#include "base/text.h"
#include "os/file.h"

#include <stdlib.h>
#include <string.h>

#define PEM_MAX 16384

void
repo_keys_free(struct repo_keys *k)
{
	size_t i;

	for (i = 0; i < k->count; i++)
		sign_private_free(k->list[i]);
	free(k->list);
	memset(k, 0, sizeof *k);
}

static enum err
load_private(const char *path, const char *passphrase, struct sign_private **out, struct fault *f)
{
	struct buf pem;
	enum err e;

	buf_init(&pem, PEM_MAX);
	e = file_read(path, &pem, f);
	if (e == OK)
		e = sign_private_load(out, buf_text(&pem), pem.len, passphrase, f);
	if (e == ERR_AUTH)
		fault_prefix(
		    f, "%s (--passphrase-file or ATALAIA_PASSPHRASE gives the passphrase)", path);
	else if (e != OK)
		fault_prefix(f, "%s", path);
	buf_wipe(&pem);
	return e;
}

static enum err
keys_add(struct repo_keys *k, struct sign_private *key)
{
	void *p = realloc(k->list, (k->count + 1) * sizeof(struct sign_private *));

	if (p == NULL) {
		sign_private_free(key);
		return ERR_NOMEM;
	}
	k->list = p;
	k->list[k->count++] = key;
	return OK;
}

enum err
repo_keys_file(const char *path, const char *passphrase, struct repo_keys *k, struct fault *f)
{
	struct sign_private *key = NULL;
	enum err e = load_private(path, passphrase, &key, f);

	return e == OK ? keys_add(k, key) : e;
}

enum err
repo_keys_of(const struct repo *r, const cJSON *role, struct repo_keys *k, struct fault *f)
{
	const cJSON *ids = json_get(role, "keyids"), *id;
	char dir[REPO_PATH], path[REPO_PATH], name[80];
	enum err e = repo_join(dir, r->dir, "keys", f);

	cJSON_ArrayForEach(id, ids) {
		if (e != OK || !cJSON_IsString(id) || strlen(id->valuestring) != 64)
			continue;
		memcpy(name, id->valuestring, 64);
		memcpy(name + 64, ".pem", 5);
		e = repo_join(path, dir, name, f);
		if (e == OK && file_exists(path))
			e = repo_keys_file(path, r->passphrase, k, f);
	}
	if (e != OK)
		repo_keys_free(k);
	return e;
}

/* A public key as PEM: {"keytype":"ecdsa","keyval":{"public":PEM},"scheme":"ecdsa-sha2-nistp256"}.
 */
static enum err
public_object(const struct buf *pem, cJSON **object, char id[KEY_ID_TEXT], struct fault *f)
{
	struct sign_public *k = NULL;
	cJSON *val = NULL;
	enum err e = sign_public_parse(&k, SIGN_ECDSA_P256, buf_text(pem), pem->len, f);

	sign_public_free(k);
	if (e != OK)
		return e;
	*object = cJSON_CreateObject();
	e = *object != NULL ? OK : ERR_NOMEM;
	if (e == OK)
		e = json_add_string(*object, "keytype", "ecdsa");
	if (e == OK)
		e = json_add_string(*object, "scheme", "ecdsa-sha2-nistp256");
	if (e == OK)
		e = json_add_object(*object, "keyval", &val);
	if (e == OK)
		e = json_add_string(val, "public", buf_text(pem));
	if (e == OK)
		e = key_compute_id(*object, id, f);
	return e;
}

enum err
repo_key_object(const char *path, const char *passphrase, cJSON **object, char id[KEY_ID_TEXT],
    struct fault *f)
{
	struct sign_private *k = NULL;
	struct buf pem;
	enum err e;

	*object = NULL;
	buf_init(&pem, PEM_MAX);
	e = file_read(path, &pem, f);
	if (e == OK && strstr(buf_text(&pem), "PUBLIC KEY") != NULL) {
		e = public_object(&pem, object, id, f);
		if (e != OK)
			fault_prefix(f, "%s", path);
	} else if (e == OK) {
		e = load_private(path, passphrase, &k, f);
		if (e == OK)
			e = key_of_private(k, object, id, f);
		sign_private_free(k);
	}
	buf_wipe(&pem);
	if (e != OK) {
		cJSON_Delete(*object);
		*object = NULL;
	}
	return e;
}

enum err
repo_key_make(const char *dir, const char *passphrase, cJSON **object, char id[KEY_ID_TEXT],
    struct fault *f)
{
	struct sign_private *k = NULL;
	char path[REPO_PATH], name[80];
	struct buf pem;
	enum err e;

	*object = NULL;
	buf_init(&pem, PEM_MAX);
	e = sign_generate(&k, f);
	if (e == OK)
		e = key_of_private(k, object, id, f);
	if (e == OK)
		e = sign_private_save(k, passphrase, &pem, f);
	if (e == OK) {
		memcpy(name, id, 64);
		memcpy(name + 64, ".pem", 5);
		e = repo_join(path, dir, name, f);
	}
	if (e == OK)
		e = file_replace(path, pem.data, pem.len, 0600, f);
	buf_wipe(&pem);
	sign_private_free(k);
	if (e != OK) {
		cJSON_Delete(*object);
		*object = NULL;
	}
	return e;
}

enum err
repo_key_new(struct repo *r, char keyid[REPO_KEYID], struct fault *f)
{
	char dir[REPO_PATH];
	cJSON *object = NULL;
	enum err e = repo_join(dir, r->dir, "keys", f);

	if (e == OK)
		e = repo_key_make(dir, r->passphrase, &object, keyid, f);
	cJSON_Delete(object);
	return e;
}

enum err
repo_key_id(const char *path, const char *passphrase, char keyid[REPO_KEYID], struct fault *f)
{
	cJSON *object = NULL;
	enum err e = repo_key_object(path, passphrase, &object, keyid, f);

	cJSON_Delete(object);
	return e;
}
