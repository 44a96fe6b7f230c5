#include "feed_internal.h"

#include "base/clock.h"
#include "base/text.h"
#include "os/file.h"
#include "proto/authority.h"
#include "proto/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIR_POLICY "policy" /* the bytes published last, by target name */
#define RESIGN_MS (8 * 3600 * 1000ll)

struct feed {
	const struct options *o;
	struct repo *repo;
	int64_t signed_ms; /* when the timestamp was made; 0 = not by this process */
};

enum err
feed_open(struct feed **out, const struct options *o, struct fault *f)
{
	char path[STATE_PATH];
	struct repo *repo = NULL;
	enum err e = options_path(o, DIR_POLICIES, path, f);

	*out = NULL;
	if (e == OK)
		e = repo_open(&repo, path, NULL, f);
	if (e != OK)
		return e;
	*out = feed_over(repo, o);
	return *out != NULL ? OK : ERR_NOMEM;
}

struct feed *
feed_over(struct repo *take, const struct options *o)
{
	struct feed *fd = calloc(1, sizeof(*fd));

	if (fd == NULL) {
		repo_close(take);
		return NULL;
	}
	fd->repo = take;
	fd->o = o;
	return fd;
}

void
feed_close(struct feed *fd)
{
	if (fd == NULL)
		return;
	repo_close(fd->repo);
	free(fd);
}

struct repo *
feed_repo(struct feed *fd)
{
	return fd->repo;
}

const struct options *
feed_options(const struct feed *fd)
{
	return fd->o;
}

const char *
feed_public(const struct feed *fd)
{
	return repo_public(fd->repo);
}

uint64_t
feed_version(const struct feed *fd)
{
	return repo_version(fd->repo);
}

bool
feed_is_policy_name(const char *name)
{
	size_t n = strlen(name);

	if (strcmp(name, "default.json") == 0)
		return true;
	return text_starts(name, "group/") && text_ends(name, ".json") && n > 11 &&
	       text_is_role_name(name + 6, n - 11);
}

static enum err
source_path(const struct options *o, const char *name, char out[STATE_PATH], struct fault *f)
{
	char dir[STATE_PATH];
	enum err e = options_path(o, DIR_POLICY, dir, f);

	return e == OK ? file_join(out, STATE_PATH, dir, name) : e;
}

enum err
feed_keep(const struct options *o, const char *name, const void *p, size_t n, struct fault *f)
{
	char path[STATE_PATH], dir[STATE_PATH];
	enum err e = source_path(o, name, path, f);

	if (e == OK)
		e = text_copy(dir, sizeof(dir), path, (size_t)(strrchr(path, '/') - path));
	if (e == OK)
		e = file_make_dirs(dir, 0750, f);
	return e == OK ? file_replace(path, p, n, 0640, f) : e;
}

enum err
feed_read(const struct options *o, const char *name, struct buf *out, struct fault *f)
{
	char path[STATE_PATH];
	enum err e = source_path(o, name, path, f);

	return e == OK ? file_read(path, out, f) : e;
}

static enum err
publish(struct feed *fd, uint64_t *version, struct fault *f)
{
	struct repo_publish how = { .full_level = 0, .allow_unchanged = true };
	struct repo_report report;
	uint64_t before = repo_version(fd->repo);
	enum err e = succession_follow(fd, f);

	if (e == OK)
		e = succession_put_steps(fd, f);
	if (e == OK)
		e = repo_publish(fd->repo, &how, &report, f);
	if (e == ERR_AGAIN && repo_version(fd->repo) > before) {
		fault_reset(f); /* all but an authority that waits for its signatures is public */
		e = OK;
	}
	if (e == OK && fd->o->publish[0] != '\0')
		e = repo_copy_out(fd->repo, fd->o->publish, f);
	if (e == OK) {
		*version = repo_version(fd->repo);
		fd->signed_ms = clock_wall_ms();
	}
	return e;
}

static enum err
forget_source(const char *path, struct fault *f)
{
	if (unlink(path) != 0 && errno != ENOENT)
		return fault_sys(f, errno, "%s", path);
	return OK;
}

enum err
feed_put_policy(
    struct feed *fd, const char *name, const void *p, size_t n, uint64_t *version, struct fault *f)
{
	struct policy *policy = NULL;
	char path[STATE_PATH];
	enum err e;

	if (!feed_is_policy_name(name))
		return fault_set(f, ERR_INVAL, "a policy is default.json or group/NAME.json");
	if (p == NULL) {
		e = repo_remove(fd->repo, name, f);
		if (e == OK)
			e = publish(fd, version, f);
		if (e == OK)
			e = source_path(fd->o, name, path, f);
		return e == OK ? forget_source(path, f) : e;
	}
	e = policy_parse(&policy, name, p, n, f);
	policy_free(policy);
	if (e == OK)
		e = repo_put(fd->repo, name, p, n, f);
	if (e == OK)
		e = publish(fd, version, f);
	return e == OK ? feed_keep(fd->o, name, p, n, f) : e;
}

enum err
feed_answer(const char *name, const void *p, size_t n, uint64_t version, cJSON **out)
{
	struct policy *policy = NULL;
	cJSON *o = cJSON_CreateObject(), *list = NULL;
	const char *path;
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "policy", name);

	if (e == OK)
		e = json_add_u64(o, "version", version);
	if (e == OK)
		e = json_add_array(o, "unknown", &list);
	if (e == OK)
		e = policy_parse(&policy, name, p, n, NULL);
	for (size_t i = 0; e == OK && (path = policy_unknown(policy, i)) != NULL; i++)
		e = json_append_string(list, path);
	policy_free(policy);
	if (e != OK) {
		cJSON_Delete(o);
		o = NULL;
	}
	*out = o;
	return e;
}

/* Publishes what is staged when enough have signed; otherwise it waits for more signatures. */
static enum err
settle(struct feed *fd, uint32_t have, uint32_t need, struct fault *f)
{
	uint64_t version;

	return have < need ? OK : publish(fd, &version, f);
}

enum err
feed_stage_authority(
    struct feed *fd, const void *p, size_t n, uint32_t *have, uint32_t *need, struct fault *f)
{
	struct authority *a;
	enum err e = authority_parse(&a, p, n, f);

	*have = *need = 0;
	if (e != OK)
		return e;
	if (strcmp(authority_org(a), fd->o->org) != 0)
		e = fault_set(f, ERR_INVAL, "the authority is of another organisation");
	authority_free(a);
	if (e == OK)
		e = succession_check(p, n, f);
	if (e == OK)
		e = repo_role_put(fd->repo, ROLE_AUTHORITY, "authority.json", p, n, NULL, 0, f);
	return e == OK ? feed_keep(fd->o, "authority.staged.json", p, n, f) : e;
}

enum err
feed_export_authority(struct feed *fd, struct buf *out, struct fault *f)
{
	return repo_export_staged(fd->repo, ROLE_AUTHORITY, out, f);
}

static enum err
keep_authority(struct feed *fd, struct fault *f)
{
	struct buf b;
	enum err e;

	buf_init(&b, LIMIT_STAGED);
	e = feed_read(fd->o, "authority.staged.json", &b, f);
	if (e == OK)
		e = feed_keep(fd->o, "authority.json", b.data, b.len, f);
	buf_free(&b);
	return e;
}

enum err
feed_import_authority(
    struct feed *fd, const void *p, size_t n, uint32_t *have, uint32_t *need, struct fault *f)
{
	char path[STATE_PATH];
	enum err e = succession_take(fd, p, n, have, need, f);

	if (e != OK || *have < *need)
		return e; /* both generations sign first: the old keys alone would publish it */
	e = options_path(fd->o, "authority.import.json", path, f);
	if (e == OK)
		e = file_replace(path, p, n, 0600, f);
	if (e == OK)
		e = repo_import_staged(fd->repo, ROLE_AUTHORITY, path, have, need, f);
	if (e == OK)
		e = settle(fd, *have, *need, f);
	if (e == OK && *have >= *need)
		e = keep_authority(fd, f);
	return e;
}

enum err
feed_refresh(struct feed *fd, struct fault *f)
{
	int64_t now = clock_wall_ms();
	uint64_t version;
	enum err e = OK;

	if (fd->signed_ms == 0 || now - fd->signed_ms >= RESIGN_MS) {
		e = repo_timestamp(fd->repo, false, &version, f);
		if (e == OK)
			fd->signed_ms = now;
	}
	if (e == OK && fd->o->publish[0] != '\0')
		e = repo_copy_out(fd->repo, fd->o->publish, f);
	return e;
}
