#include "init.h"

#include "base/text.h"
#include "feed.h"
#include "identity.h"
#include "os/file.h"
#include "os/rand.h"
#include "update/repo.h"

#include <stdio.h>
#include <string.h>

#define MAX_AUTHORITY_KEYS 9
#define LIMIT_KEY 16384

/* A P-256 key for somebody else, PKCS#8 in offline/NAME. */
static enum err
offline_key(const struct options *o, const char *name, char path[STATE_PATH], struct fault *f)
{
	char dir[STATE_PATH];
	struct sign_private *key;
	struct buf pem;
	enum err e = options_path(o, DIR_OFFLINE, dir, f);

	if (e == OK)
		e = file_make_dirs(dir, 0700, f);
	if (e == OK)
		e = file_join(path, STATE_PATH, dir, name);
	if (e != OK)
		return e;
	e = sign_generate(&key, f);
	if (e != OK)
		return e;
	buf_init(&pem, LIMIT_KEY);
	e = sign_private_save(key, NULL, &pem, f);
	if (e == OK)
		e = file_replace(path, pem.data, pem.len, 0600, f);
	buf_wipe(&pem);
	sign_private_free(key);
	return e;
}

enum err
init_admin_token(const struct options *o, struct fault *f)
{
	uint8_t random[32];
	char text[66], path[STATE_PATH];
	enum err e = options_path(o, FILE_ADMIN_TOKEN, path, f);

	if (e != OK)
		return e;
	rand_bytes(random, sizeof(random));
	text_hex(text, random, sizeof(random));
	text[64] = '\n';
	e = file_replace(path, text, 65, 0600, f);
	explicit_bzero(random, sizeof(random));
	explicit_bzero(text, sizeof(text));
	return e;
}

struct plan_keys {
	char root[STATE_PATH];
	char authority[MAX_AUTHORITY_KEYS][STATE_PATH];
	const char *authority_list[MAX_AUTHORITY_KEYS];
	char second[STATE_PATH];
};

static enum err
make_offline_keys(
    const struct options *o, const struct init_plan *plan, struct plan_keys *k, struct fault *f)
{
	char name[64];
	enum err e = offline_key(o, "policies-root.pem", k->root, f);

	for (uint32_t i = 0; e == OK && i < plan->authority_keys; i++) {
		(void)snprintf(name, sizeof(name), "authority-%u.pem", i + 1);
		e = offline_key(o, name, k->authority[i], f);
		k->authority_list[i] = k->authority[i];
	}
	if (e == OK && plan->two_signatures)
		e = offline_key(o, "task-second.pem", k->second, f);
	return e;
}

static enum err
make_repo(const struct options *o, const char *path, const char *root_key, struct fault *f)
{
	const char *roots[] = { root_key };
	struct repo_init init = {
		.feed = FEED_POLICIES, .root_keys = roots, .root_key_count = 1, .root_threshold = 1
	};

	(void)o;
	return repo_init(path, &init, f);
}

static enum err
fill_repo(struct repo *r, const struct options *o, const struct init_plan *plan,
    const struct plan_keys *k, struct fault *f)
{
	static const char *const paths[] = { "authority.json" };
	struct buf authority;
	enum err e;

	buf_init(&authority, LIMIT_KEY * 4);
	e = init_authority(o, plan->two_signatures ? k->second : NULL, &authority, f);
	if (e == OK)
		e = repo_delegate(r, ROLE_AUTHORITY, k->authority_list, plan->authority_keys,
		    plan->authority_threshold, paths, 1, f);
	if (e == OK)
		e = repo_role_put(r, ROLE_AUTHORITY, "authority.json", authority.data,
		    authority.len, k->authority_list, plan->authority_threshold, f);
	if (e == OK)
		e = feed_keep(o, "authority.json", authority.data, authority.len, f);
	buf_free(&authority);
	return e;
}

static enum err
make_feed(const struct options *o, const struct init_plan *plan, const struct plan_keys *k,
    struct fault *f)
{
	static const char policy[] =
	    "{\n  \"update\": {\"auto\": true, \"delta\": \"prefer\"}\n}\n";
	char path[STATE_PATH];
	struct repo *r = NULL;
	struct feed *feed;
	uint64_t version;
	enum err e = options_path(o, DIR_POLICIES, path, f);

	if (e == OK)
		e = make_repo(o, path, k->root, f);
	if (e == OK)
		e = repo_open(&r, path, NULL, f);
	if (e == OK)
		e = fill_repo(r, o, plan, k, f);
	if (e == OK) { /* publishes what was collected, the first policy with it */
		feed = feed_over(r, o);
		e = feed == NULL ? ERR_NOMEM
				 : feed_put_policy(feed, "default.json", policy, sizeof(policy) - 1,
				       &version, f);
		feed_close(feed);
		return e;
	}
	repo_close(r);
	return e;
}

static enum err
check_plan(const struct init_plan *plan, struct fault *f)
{
	if (plan->authority_keys == 0 || plan->authority_keys > MAX_AUTHORITY_KEYS)
		return fault_set(
		    f, ERR_INVAL, "--authority-keys must be between 1 and %d", MAX_AUTHORITY_KEYS);
	if (plan->authority_threshold == 0 || plan->authority_threshold > plan->authority_keys)
		return fault_set(f, ERR_INVAL,
		    "--authority-threshold must be between 1 and the number of authority keys");
	return OK;
}

enum err
init_console(const struct options *o, const struct init_plan *plan, struct fault *f)
{
	struct plan_keys keys;
	enum err e = check_plan(plan, f);

	memset(&keys, 0, sizeof(keys));
	if (e == OK)
		e = file_make_dirs(o->state, 0700, f);
	if (e == OK)
		e = identity_make(o, f);
	if (e == OK)
		e = make_offline_keys(o, plan, &keys, f);
	if (e == OK)
		e = make_feed(o, plan, &keys, f);
	return e == OK ? init_admin_token(o, f) : e;
}
