/* password.h - Argon2id (RFC 9106) by libsodium: 64 MiB and three passes, about a tenth of a
 * second. Blocks: only on the queue of passwords, which runs one at a time, so that tries of
 * strangers never need more than one such piece of memory. */
#ifndef CONSOLE_PASSWORD_H
#define CONSOLE_PASSWORD_H

#include "base/err.h"

#include <stdbool.h>

#define PASSWORD_HASH 128
#define PASSWORD_MIN 12
#define PASSWORD_MAX 256
#define PASSWORD_QUEUE 32 /* tries that wait for their turn; past it: come again */

/* False in a build without libsodium: then there is no web console. */
bool password_supported(void);
MUST_CHECK enum err password_hash(char out[PASSWORD_HASH], const char *password);
/* hash "": nobody; takes as long, and is wrong. */
bool password_right(const char *hash, const char *password);

#endif
