/* tuf_fixture.h - a small signed repository in memory, for tests and fuzz targets in C. */
#ifndef ATALAIA_TESTS_TUF_FIXTURE_H
#define ATALAIA_TESTS_TUF_FIXTURE_H

#include "base/buf.h"
#include "update/sign.h"
#include "update/tuf.h"

#include <cjson/cJSON.h>

#define FIXTURE_FILES 256

enum fixture_role { FX_ROOT, FX_TIMESTAMP, FX_SNAPSHOT, FX_TARGETS, FX_A, FX_B, FX_ROLES };

struct tuf_fixture {
	struct sign_private *keys[FX_ROLES];
	cJSON *body[FX_ROLES]; /* what the next publish signs */
	struct {
		char name[128];
		struct buf bytes;
	} files[FIXTURE_FILES];
	size_t n_files;
	unsigned fetches;
	char asked[1024]; /* names fetched, joined by blanks */
	enum err fail;	  /* when not OK: what every fetch answers */
};

extern const char *const fixture_names[FX_ROLES];

/* Root 1 with a key for each role, targets with "top", delegations to a (one folder) and b (any
 * folder), who have "a/1" and "b/1"; everything published once. The keys are made once per process.
 */
void fixture_init(struct tuf_fixture *x);
void fixture_free(struct tuf_fixture *x);
/* Signs body[role] with version + 1 and puts it among the files; parents learn of it. */
void fixture_publish(struct tuf_fixture *x, enum fixture_role role);
void fixture_put(struct tuf_fixture *x, const char *name, const void *p, size_t n); /* replaces */
const struct buf *fixture_file(const struct tuf_fixture *x, const char *name); /* NULL when none */
struct tuf_source fixture_source(struct tuf_fixture *x);
void fixture_add_target(cJSON *body, const char *path, const char *content);
/* {"signatures":[by key of role],"signed":text}: text as it stands, signed over its canonical form
 * when it has one. */
void fixture_sign_text(const struct tuf_fixture *x, enum fixture_role role, const void *text,
    size_t n, struct buf *out);

#endif
