/* memo.h - which list of targets gave which set: <work>/built.json. It spares building a set again
 * to learn that it is the one that is there, or the one that the agent refused. A hint only: when
 * it is missing or damaged the set is built anew. */
#ifndef ATALAIA_FETCH_MEMO_H
#define ATALAIA_FETCH_MEMO_H

#include "objects.h"

/* Digest over path, length, hash and form of everything that is content. */
void memo_digest(const struct catalog *c, uint8_t out[SHA_LEN]);
/* Identity of the set that was last built from this list; ERR_NOTFOUND. */
MUST_CHECK enum err memo_read(const struct objects *o, const uint8_t listed[SHA_LEN],
    uint8_t identity[SHA_LEN]);
MUST_CHECK enum err memo_write(const struct objects *o, const uint8_t listed[SHA_LEN],
    const uint8_t identity[SHA_LEN], struct fault *f);

#endif
