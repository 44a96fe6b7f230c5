/* tuf_fail.h - how the parts of the TUF client report: the first failure of a call wins and keeps
 * file, rule, expected and got. Private to common/update/tuf*. */
#ifndef ATALAIA_UPDATE_TUF_FAIL_H
#define ATALAIA_UPDATE_TUF_FAIL_H

#include "update/tuf.h"

/* Forgets an earlier failure; later ones are about `file`. */
void tuf_fail_reset(struct tuf_failure *w, const char *file);
/* Renames what later failures are about, unless one is recorded. */
void tuf_fail_file(struct tuf_failure *w, const char *file);
/* All return code. expected and got may be NULL. */
enum err tuf_fail(struct tuf_failure *w, enum err code, enum tuf_rule rule, const char *expected,
    const char *got, const char *fmt, ...) PRINTF_LIKE(6, 7);
enum err tuf_fail_fault(struct tuf_failure *w, enum err code, enum tuf_rule rule,
    const struct fault *f);
enum err tuf_fail_u64(struct tuf_failure *w, enum err code, enum tuf_rule rule, uint64_t expected,
    uint64_t got, const char *what);
/* Hands a recorded failure over to the caller's fault. */
enum err tuf_fail_to(const struct tuf_failure *w, enum err code, struct fault *f);

#endif
