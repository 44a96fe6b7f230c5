/* feed_succession.c - an authority that names its successors (member "authority" of
 * authority.json): the delegation follows in the same publication, and only when both generations
 * have signed. An agent that knows the old keys and one that knows the new ones then both believe
 * the document. */
#include "feed_internal.h"

#include "base/json.h"
#include "base/text.h"
#include "os/file.h"
#include "update/key.h"
#include "update/signed.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define LIMIT_SUCCESSORS 16

struct successors {
	cJSON *tree; /* authority.json as staged */
	const cJSON *named;
	struct keyring ring;
	struct signers signers;
};

static void
successors_free(struct successors *s)
{
	signers_free(&s->signers);
	keyring_free(&s->ring);
	cJSON_Delete(s->tree);
}

static enum err
parse_named(struct successors *s, struct fault *f)
{
	cJSON *keys;
	enum err e = json_get_object(s->named, "keys", &keys, f);

	if (e == OK)
		e = keyring_parse(&s->ring, keys, f);
	if (e == OK)
		e = signers_parse(&s->signers, s->named, &s->ring, f);
	if (e == OK && (s->signers.n > LIMIT_SUCCESSORS || s->signers.threshold > s->signers.n))
		e = fault_set(f, ERR_INVAL,
		    "member 'authority' names more than %d keys, or fewer than its threshold",
		    LIMIT_SUCCESSORS);
	return e;
}

/* named stays NULL when the text names no successors. */
static enum err
successors_parse(struct successors *s, const void *p, size_t n, struct fault *f)
{
	enum err e = json_parse(&s->tree, p, n, JSON_SIGNED, f);

	if (e != OK)
		return e;
	s->named = json_get(s->tree, ROLE_AUTHORITY);
	if (s->named == NULL)
		return OK;
	e = parse_named(s, f);
	return e == ERR_PARSE ? ERR_INVAL : e;
}

enum err
succession_check(const void *p, size_t n, struct fault *f)
{
	struct successors s = { 0 };
	enum err e = successors_parse(&s, p, n, f);

	successors_free(&s);
	return e;
}

static enum err
read_staged(struct feed *fd, struct successors *s, struct fault *f)
{
	struct buf text;
	enum err e;

	buf_init(&text, LIMIT_STAGED);
	e = feed_read(feed_options(fd), "authority.staged.json", &text, f);
	if (e == OK)
		e = successors_parse(s, buf_text(&text), text.len, f);
	buf_free(&text);
	return e;
}

/* Once they hold the role there is nothing to follow. */
static bool
in_office(struct feed *fd, const struct successors *s)
{
	const cJSON *role, *ids = NULL;
	cJSON *all = NULL;
	bool same = true;

	if (repo_describe(feed_repo(fd), &all, NULL) != OK)
		return false;
	cJSON_ArrayForEach(role, json_get(all, "roles"))
	{
		const cJSON *name = json_get(role, "role");

		if (cJSON_IsString(name) && strcmp(name->valuestring, ROLE_AUTHORITY) == 0)
			ids = json_get(role, "keyids");
	}
	same = (size_t)cJSON_GetArraySize(ids) == s->signers.n;
	for (size_t i = 0; same && i < s->signers.n; i++) {
		const cJSON *id;
		bool found = false;

		cJSON_ArrayForEach(id, ids) found =
		    found || (cJSON_IsString(id) &&
				 strcmp(id->valuestring, key_id(s->signers.keys[i])) == 0);
		same = found;
	}
	cJSON_Delete(all);
	return same;
}

/* How many successors signed, and how many must; 0 of 0 when none are named. */
static enum err
succession_count(
    struct feed *fd, const void *p, size_t n, uint32_t *have, uint32_t *need, struct fault *f)
{
	struct successors s = { 0 };
	struct signed_doc doc = { 0 };
	uint64_t valid = 0;
	enum err e = read_staged(fd, &s, f);

	*have = *need = 0;
	if (s.named != NULL && in_office(fd, &s))
		s.named = NULL;
	if (e == OK && s.named != NULL)
		e = signed_parse(&doc, p, n, f);
	if (e == OK && s.named != NULL) {
		(void)!signed_verify(&doc, &s.signers, &valid, NULL);
		*have = (uint32_t)valid;
		*need = (uint32_t)s.signers.threshold;
	}
	signed_free(&doc);
	successors_free(&s);
	return e == ERR_NOTFOUND ? OK : e;
}

/* The repository takes keys as PEM files. */
static enum err
write_keys(struct feed *fd, const struct successors *s, char paths[][STATE_PATH], struct fault *f)
{
	char name[64];
	const char *pem;
	enum err e = OK;

	for (size_t i = 0; e == OK && i < s->signers.n; i++) {
		const cJSON *key = json_get(json_get(s->named, "keys"), key_id(s->signers.keys[i]));

		e = json_get_string(json_get(key, "keyval"), "public", &pem, f);
		(void)snprintf(name, sizeof(name), "successor-%zu.tmp", i);
		if (e == OK)
			e = options_path(feed_options(fd), name, paths[i], f);
		if (e == OK)
			e = file_replace(paths[i], pem, strlen(pem), 0640, f);
	}
	return e;
}

static enum err
delegate(struct feed *fd, const struct successors *s, struct fault *f)
{
	static const char *const targets[] = { "authority.json" };
	char paths[LIMIT_SUCCESSORS][STATE_PATH] = { { 0 } };
	const char *list[LIMIT_SUCCESSORS];
	enum err e = write_keys(fd, s, paths, f);

	for (size_t i = 0; i < s->signers.n; i++)
		list[i] = paths[i];
	if (e == OK)
		e = repo_delegate(feed_repo(fd), ROLE_AUTHORITY, list, s->signers.n,
		    (uint32_t)s->signers.threshold, targets, 1, f);
	for (size_t i = 0; i < s->signers.n && paths[i][0] != '\0'; i++)
		(void)unlink(paths[i]);
	return e;
}

/* Both files of a step, before the delegation: a PC that slept believes the keys of before alone,
 * and reads here how they handed over. */
static enum err
keep_step(struct feed *fd, const struct successors *s, const void *p, size_t n, struct fault *f)
{
	const struct options *o = feed_options(fd);
	uint64_t version = 0;
	struct buf text;
	char name[64];
	enum err e = json_get_u64(s->tree, "version", JSON_MAX_INT, &version, f);

	buf_init(&text, LIMIT_STAGED);
	if (e == OK)
		e = feed_read(o, "authority.staged.json", &text, f);
	(void)snprintf(name, sizeof name, ROLE_AUTHORITY "/%" PRIu64 ".json", version);
	if (e == OK)
		e = feed_keep(o, name, text.data, text.len, f);
	(void)snprintf(name, sizeof name, ROLE_AUTHORITY "/%" PRIu64 ".signed.json", version);
	if (e == OK)
		e = feed_keep(o, name, p, n, f);
	buf_free(&text);
	return e;
}

static enum err
put_step(struct feed *fd, const char *file, struct fault *f)
{
	char name[STATE_PATH];
	struct buf bytes;
	enum err e = file_join(name, sizeof name, ROLE_AUTHORITY, file);

	buf_init(&bytes, LIMIT_STAGED);
	if (e == OK)
		e = feed_read(feed_options(fd), name, &bytes, f);
	if (e == OK)
		e = repo_put(feed_repo(fd), name, bytes.data, bytes.len, f);
	buf_free(&bytes);
	return e;
}

/* A publication that failed half-way has lost what it collected: all steps, each time. */
enum err
succession_put_steps(struct feed *fd, struct fault *f)
{
	char folder[STATE_PATH];
	const struct dirent *i;
	enum err e = options_path(feed_options(fd), "policy/" ROLE_AUTHORITY, folder, f);
	DIR *d = e == OK ? opendir(folder) : NULL;

	while (e == OK && d != NULL && (i = readdir(d)) != NULL)
		if (text_ends(i->d_name, ".json"))
			e = put_step(fd, i->d_name, f);
	if (d != NULL)
		(void)closedir(d);
	return e;
}

enum err
succession_take(
    struct feed *fd, const void *p, size_t n, uint32_t *have, uint32_t *need, struct fault *f)
{
	struct successors s = { 0 };
	enum err e = succession_count(fd, p, n, have, need, f);

	if (e != OK || *need == 0 || *have < *need)
		return e;
	e = repo_count_signatures(feed_repo(fd), ROLE_AUTHORITY, p, n, have, need, f);
	if (e != OK || *have < *need)
		return e;
	e = read_staged(fd, &s, f);
	if (e == OK)
		e = keep_step(fd, &s, p, n, f);
	if (e == OK)
		e = delegate(fd, &s, f);
	successors_free(&s);
	return e;
}

/* A crash after the last signature must not part the document from its delegation. */
enum err
succession_follow(struct feed *fd, struct fault *f)
{
	uint32_t have, need;
	struct buf doc;
	enum err e;

	buf_init(&doc, LIMIT_STAGED);
	e = repo_export_staged(feed_repo(fd), ROLE_AUTHORITY, &doc, NULL);
	if (e == OK)
		e = succession_take(fd, buf_text(&doc), doc.len, &have, &need, f);
	buf_free(&doc);
	return e == ERR_NOTFOUND ? OK : e;
}
