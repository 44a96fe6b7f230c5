/* feed_internal.h - shared by feed.c and feed_succession.c. */
#ifndef ATALAIA_CONSOLE_FEED_INTERNAL_H
#define ATALAIA_CONSOLE_FEED_INTERNAL_H

#include "feed.h"

#include "update/repo.h"

#include <string.h>

#define LIMIT_STAGED 2000000

struct repo *feed_repo(struct feed *fd);
const struct options *feed_options(const struct feed *fd);

/* Are the successors that an authority.json names well-formed? None is fine. */
MUST_CHECK enum err succession_check(const void *p, size_t n, struct fault *f);
/* p: a signed copy of the role's document. When the staged authority names successors, and both
 * they and the present keys signed, the delegation goes to them with the next publication. *have of
 * *need: the signatures that are still wanted; 0 of 0 when nobody is named. */
MUST_CHECK enum err succession_take(
    struct feed *fd, const void *p, size_t n, uint32_t *have, uint32_t *need, struct fault *f);
/* The same for the staged document itself, before every publication. */
MUST_CHECK enum err succession_follow(struct feed *fd, struct fault *f);
/* Every authority that handed over stays in the feed, with its signatures: authority/N.json and
 * authority/N.signed.json. */
MUST_CHECK enum err succession_put_steps(struct feed *fd, struct fault *f);

#endif
