/* repo_release_priv.h - between repo_choose.c and repo_release.c only. */
#ifndef ATALAIA_UPDATE_REPO_RELEASE_PRIV_H
#define ATALAIA_UPDATE_REPO_RELEASE_PRIV_H

#include "base/limits.h"
#include "update/repo_priv.h"

#define ROLES_MAX LIMIT_TUF_DELEGATIONS

/* One document of this release: staged, or as it is public already. */
struct part {
	char role[65];
	struct signed_doc doc;
	struct buf text;
	uint64_t version;
	bool fresh; /* to be written */
};

struct release {
	struct repo *r;
	struct fault *f;
	bool resign, rotated;
	struct part root, targets, roles[ROLES_MAX];
	size_t role_count;
	char *waiting;
};

MUST_CHECK enum err repo_staged_path(const struct repo *r, char out[REPO_PATH], const char *role,
    struct fault *f);
/* The root that is in force after this release. */
const cJSON *release_root(const struct release *x);
void part_free(struct part *p);
MUST_CHECK enum err part_load(struct part *p, const char *role, const char *path,
    struct fault *f);
/* Makes p the document of body: the signatures given, and those of every key that is here. */
MUST_CHECK enum err part_sign(const struct release *x, struct part *p, const cJSON *body,
    const cJSON *signatures);
/* Enough signatures under this root (and, for delegated roles, under this release's targets)? */
bool part_ready(const struct release *x, const struct part *p, const cJSON *root);

/* Each decides what is published: staged, public as it is, or made anew. *held: nothing can be. */
MUST_CHECK enum err release_choose_root(struct release *x);
MUST_CHECK enum err release_choose_targets(struct release *x, bool *held);
MUST_CHECK enum err release_choose_roles(struct release *x, bool *held);

#endif
