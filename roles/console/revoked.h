/* revoked.h - agents that may not speak to us any more, looked up per request. Loop thread only. */
#ifndef CONSOLE_REVOKED_H
#define CONSOLE_REVOKED_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct revoked;

MUST_CHECK enum err revoked_new(struct revoked **out);
void revoked_free(struct revoked *r); /* NULL is fine */
MUST_CHECK enum err revoked_add(struct revoked *r, const char *agent);
bool revoked_has(const struct revoked *r, const char *agent);
size_t revoked_count(const struct revoked *r);

#endif
