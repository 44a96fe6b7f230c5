/* policy_check.h - the checks of one policy value by its type; private to proto/policy*.c. Pure. */
#ifndef ATALAIA_PROTO_POLICY_CHECK_H
#define ATALAIA_PROTO_POLICY_CHECK_H

#include "proto/policy.h"

#define LIMIT_POLICY_LEAVES 2048 /* members in one effective policy; the merge is quadratic in it */
#define LIMIT_POLICY_WINDOWS 16
#define LIMIT_POLICY_STRINGS 256
#define LIMIT_POLICY_SOURCES 1024

/* ERR_INVAL with a sentence naming the member and what it must be. */
MUST_CHECK enum err policy_check_value(const struct policy_member *m, const cJSON *value,
    struct fault *f);
/* "HH:MM-HH:MM" to minutes of the day. */
MUST_CHECK enum err policy_window_parse(const char *text, unsigned *from, unsigned *to);
/* Is address inside subnet ("10.1.0.0/16", "fd00::/8", or one address)? ERR_PARSE when either is no
 * such text. A v4 address never lies in a v6 subnet. */
MUST_CHECK enum err policy_subnet_holds(const char *subnet, const char *address, bool *out);

#endif
