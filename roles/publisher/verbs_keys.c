/* verbs_keys.c - verbs about keys, roots, delegations and signatures made elsewhere. */
#include "verbs.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"
#include "update/key.h"
#include "update/sign.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PEM_MAX 16384

enum err
verb_init(const struct args *a, const char *passphrase, struct fault *f)
{
	const char *root_keys[ARGS_MAX], *feed = args_get(a, "feed");
	struct repo_init init = { .feed = feed != NULL ? feed : "signatures" };
	struct repo *r = NULL;
	enum err e = args_u32(a, "days-root", 36500, 0, &init.days.root, f);

	init.passphrase = passphrase;
	init.root_keys = root_keys;
	init.root_key_count = args_all(a, "root-key", root_keys);
	if (e == OK)
		e = args_u32(a, "days-targets", 36500, 0, &init.days.targets, f);
	if (e == OK)
		e = args_u32(a, "days-snapshot", 36500, 0, &init.days.snapshot, f);
	if (e == OK)
		e = args_u32(a, "days-timestamp", 36500, 0, &init.days.timestamp, f);
	if (e == OK)
		e = args_u32(a, "root-threshold", 1024, 0, &init.root_threshold, f);
	if (e == OK)
		e = args_u32(a, "keep-deltas", LIMIT_DELTA_CHAIN, 0, &init.keep_deltas, f);
	if (e == OK)
		e = repo_init(a->words[0], &init, f);
	if (e == OK)
		e = open_repo(&r, a->words[0], passphrase, f);
	if (e == OK && repo_version(r) == 0)
		printf(
		    "%s made; its root waits for signatures: `atalaia-repo export %s root FILE`, "
		    "`atalaia-repo sign FILE --key PEM`, `atalaia-repo import %s root FILE`\n",
		    a->words[0], a->words[0], a->words[0]);
	else if (e == OK)
		printf("%s made: feed %s, version %" PRIu64
		       ", clients start from %s/metadata/1.root.json\n",
		    a->words[0], repo_feed(r), repo_version(r), repo_public(r));
	repo_close(r);
	return e;
}

/* ---- keys ---- */

static enum err
write_pair(const char *path, const struct sign_private *k, const char *passphrase, struct fault *f)
{
	char pub[4096];
	struct buf pem;
	int n = snprintf(pub, sizeof pub, "%s.pub", path);
	enum err e = n > 0 && (size_t)n < sizeof pub ? OK : ERR_TOOBIG;

	buf_init(&pem, PEM_MAX);
	if (e == OK)
		e = sign_private_save(k, passphrase, &pem, f);
	if (e == OK)
		e = file_replace(path, pem.data, pem.len, 0600, f);
	buf_wipe(&pem);
	if (e == OK)
		e = sign_private_public_pem(k, &pem);
	if (e == OK)
		e = file_replace(pub, pem.data, pem.len, 0644, f);
	buf_free(&pem);
	return e;
}

enum err
verb_key_new(const struct args *a, const char *passphrase, struct fault *f)
{
	struct sign_private *k = NULL;
	char id[KEY_ID_TEXT];
	cJSON *object = NULL;
	enum err e;

	if (file_exists(a->words[0]))
		return fault_set(
		    f, ERR_EXISTS, "%s is there already and stays as it is", a->words[0]);
	e = sign_generate(&k, f);
	if (e == OK)
		e = key_of_private(k, &object, id, f);
	if (e == OK)
		e = write_pair(a->words[0], k, passphrase, f);
	if (e == OK)
		puts(id);
	cJSON_Delete(object);
	sign_private_free(k);
	return e;
}

enum err
verb_key_show(const struct args *a, const char *passphrase, struct fault *f)
{
	char id[REPO_KEYID];
	enum err e = repo_key_id(a->words[0], passphrase, id, f);

	if (e == OK)
		puts(id);
	return e;
}

/* ---- signatures ---- */

static enum err
sign_exported(const struct args *a, const char *path, const char *passphrase, struct fault *f)
{
	const char *keys[ARGS_MAX];
	size_t n = args_all(a, "key", keys);
	enum err e;

	if (n == 0)
		return fault_set(f, ERR_INVAL, "name a private key with --key");
	e = repo_sign_file(path, keys, n, passphrase, f);
	if (e == OK)
		printf("%s signed with %zu key%s\n", path, n, n == 1 ? "" : "s");
	return e;
}

enum err
verb_sign(const struct args *a, const char *passphrase, struct fault *f)
{
	return sign_exported(a, a->words[0], passphrase, f);
}

/* Publishes what has its signatures now, and says what still waits. */
static enum err
release(struct repo *r, const struct args *a, struct fault *f)
{
	const char *out = args_get(a, "out");
	struct repo_report report;
	enum err e = repo_publish_staged(r, &report, f);

	if (e == OK && out != NULL)
		e = repo_copy_out(r, out, f);
	if (e == OK)
		printf("%s: published, version %" PRIu64 "\n", repo_feed(r), repo_version(r));
	return e;
}

enum err
verb_root_sign(const struct args *a, const char *passphrase, struct fault *f)
{
	const char *keys[ARGS_MAX];
	size_t n = args_all(a, "key", keys);
	struct repo *r = NULL;
	struct stat st;
	enum err e;

	if (stat(a->words[0], &st) == 0 && S_ISREG(st.st_mode))
		return sign_exported(a, a->words[0], passphrase, f);
	e = open_repo(&r, a->words[0], passphrase, f);
	if (e == OK)
		e = repo_sign_staged(r, "root", keys, n, f);
	if (e == OK)
		e = release(r, a, f);
	repo_close(r);
	return e;
}

enum err
verb_export(const struct args *a, const char *passphrase, struct fault *f)
{
	struct repo *r = NULL;
	struct buf text;
	enum err e;

	if (a->word_count != (args_has(a, "since") ? 2 : 3))
		return fault_set(f, ERR_INVAL,
		    "usage: atalaia-repo export REPO ROLE FILE, or REPO|FEED --since V BUNDLE");
	if (args_has(a, "since"))
		return verb_bundle(a, passphrase, f);
	e = open_repo(&r, a->words[0], passphrase, f);
	buf_init(&text, LIMIT_TUF_TARGETS);
	if (e == OK)
		e = repo_export_staged(r, a->words[1], &text, f);
	if (e == OK)
		e = file_replace(a->words[2], text.data, text.len, 0644, f);
	if (e == OK)
		printf("%s holds the %s of %s: sign it with `atalaia-repo sign`\n", a->words[2],
		    a->words[1], repo_feed(r));
	buf_free(&text);
	repo_close(r);
	return e;
}

enum err
verb_import(const struct args *a, const char *passphrase, struct fault *f)
{
	const char *out = args_get(a, "out");
	struct repo *r = NULL;
	uint32_t have = 0, need = 0;
	enum err e = open_repo(&r, a->words[0], passphrase, f);

	if (e == OK)
		e = repo_import_staged(r, a->words[1], a->words[2], &have, &need, f);
	if (e == OK && have < need)
		printf("%s %s: %u of %u signatures, still waiting\n", repo_feed(r), a->words[1],
		    have, need);
	else if (e == OK)
		printf("%s %s: %u of %u signatures, version %" PRIu64 "\n", repo_feed(r),
		    a->words[1], have, need, repo_version(r));
	if (e == OK && have >= need && out != NULL)
		e = repo_copy_out(r, out, f);
	repo_close(r);
	return e;
}

/* ---- roles ---- */

enum err
verb_root_rotate(const struct args *a, const char *passphrase, struct fault *f)
{
	const char *add[ARGS_MAX], *gone[ARGS_MAX], *keys[ARGS_MAX], *role = args_get(a, "role");
	struct repo_rotate c = { .role = role != NULL ? role : "root", .add = add, .remove = gone };
	struct repo *r = NULL;
	char made[4096], id[REPO_KEYID];
	size_t n = args_all(a, "key", keys);
	enum err e = args_u32(a, "threshold", 1024, 0, &c.threshold, f);

	c.add_count = args_all(a, "add", add);
	c.remove_count = args_all(a, "remove", gone);
	if (e == OK)
		e = open_repo(&r, a->words[0], passphrase, f);
	if (e == OK && args_has(a, "new-key")) {
		e = repo_key_new(r, id, f);
		(void)snprintf(made, sizeof made, "%s/keys/%s.pem", a->words[0], id);
		add[c.add_count++] = made;
	}
	if (e == OK)
		e = repo_root_rotate(r, &c, 1, f);
	if (e == OK && n > 0)
		e = repo_sign_staged(r, "root", keys, n, f);
	if (e == OK)
		e = release(r, a, f);
	repo_close(r);
	return e;
}

enum err
verb_delegate(const struct args *a, const char *passphrase, struct fault *f)
{
	const char *keys[ARGS_MAX], *paths[ARGS_MAX], *file = args_get(a, "file");
	size_t n = args_all(a, "key", keys), m = args_all(a, "path", paths);
	struct repo_report report;
	struct repo *r = NULL;
	struct buf bytes;
	uint32_t threshold;
	enum err e = args_u32(a, "threshold", 1024, 1, &threshold, f);

	buf_init(&bytes, LIMIT_TUF_TARGETS);
	if (e == OK)
		e = open_repo(&r, a->words[0], passphrase, f);
	if (e == OK)
		e = repo_delegate(r, a->words[1], keys, n, threshold, paths, m, f);
	if (e == OK && file != NULL)
		e = file_read(file, &bytes, f);
	if (e == OK && file != NULL) {
		size_t i, own = 0;
		const char *private[ARGS_MAX];

		for (i = 0; i < n; i++) /* public keys cannot sign: those sign elsewhere */
			if (!text_ends(keys[i], ".pub"))
		private[own++] = keys[i];
		e = repo_role_put(r, a->words[1], paths[0], bytes.data, bytes.len, private, own, f);
	}
	if (e == OK)
		e = repo_publish(r, NULL, &report, f);
	if (e == OK)
		printf("%s version %" PRIu64 ": role %s is delegated\n", repo_feed(r),
		    repo_version(r), a->words[1]);
	buf_free(&bytes);
	repo_close(r);
	return e;
}
