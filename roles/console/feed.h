/* feed.h - the console's own feed `policies`: a TUF repository whose targets role signs
 * default.json and group/<name>.json here, and whose delegated role `authority` signs
 * authority.json elsewhere. Blocking: init, and jobs of the policies worker. The repository stays
 * locked while open. */
#ifndef CONSOLE_FEED_H
#define CONSOLE_FEED_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "options.h"

#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stdint.h>

struct feed;
struct repo;

MUST_CHECK enum err feed_open(struct feed **out, const struct options *o, struct fault *f);
/* Around a repository that init has just made; takes it, also when NULL comes back. */
struct feed *feed_over(struct repo *take, const struct options *o);
void feed_close(struct feed *fd); /* NULL is fine */
const char *feed_public(const struct feed *fd);
uint64_t feed_version(const struct feed *fd);

/* Checks (proto/policy) and publishes one policy file: "default.json" or "group/<name>.json"; bytes
 * are kept in state/policy/ for show. NULL bytes: removes a group's file. */
MUST_CHECK enum err feed_put_policy(
    struct feed *fd, const char *name, const void *p, size_t n, uint64_t *version, struct fault *f);
/* {"policy","version","unknown":[..]}: what is told about a publication. Members that this version
 * does not know are kept for newer agents. */
MUST_CHECK enum err feed_answer(
    const char *name, const void *p, size_t n, uint64_t version, cJSON **out);
bool feed_is_policy_name(const char *name);
/* The bytes published last. ERR_NOTFOUND. */
MUST_CHECK enum err feed_read(
    const struct options *o, const char *name, struct buf *out, struct fault *f);
/* Keeps bytes for feed_read. */
MUST_CHECK enum err feed_keep(
    const struct options *o, const char *name, const void *p, size_t n, struct fault *f);
/* Stages authority.json; signed with the key files given (may be none), published once the
 * signatures suffice: *have of *need. */
MUST_CHECK enum err feed_stage_authority(
    struct feed *fd, const void *p, size_t n, uint32_t *have, uint32_t *need, struct fault *f);
/* The staged role document, to carry to the people who sign. */
MUST_CHECK enum err feed_export_authority(struct feed *fd, struct buf *out, struct fault *f);
/* Takes a signed copy back; publishes when the threshold is met. */
MUST_CHECK enum err feed_import_authority(
    struct feed *fd, const void *p, size_t n, uint32_t *have, uint32_t *need, struct fault *f);
/* Signs the timestamp anew when it is older than eight hours, and copies out what is missing. */
MUST_CHECK enum err feed_refresh(struct feed *fd, struct fault *f);

#endif
