/* totp.h - time-based one-time passwords (RFC 6238): SHA-1, six digits, thirty seconds, as every
 * authenticator has them. Pure. */
#ifndef CONSOLE_TOTP_H
#define CONSOLE_TOTP_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOTP_SECRET 20 /* bytes: RFC 4226 section 4 recommends 160 bits */
#define TOTP_STEP_S 30
#define TOTP_DRIFT 1 /* steps before and after that are taken: clocks of phones */

/* The HOTP value (RFC 4226) of a counter, 6 to 8 digits. */
uint32_t totp_value(const uint8_t *key, size_t n, uint64_t counter, unsigned digits);
/* Is code (exactly six digits) one of the steps around now that lie after `last`? *step is the
 * step it belongs to: the caller keeps it, so that no code serves twice. */
bool totp_check(
    const uint8_t *key, size_t n, const char *code, int64_t now_ms, int64_t last, int64_t *step);
/* RFC 4648 base32, upper case, without padding: what people type. */
MUST_CHECK enum err totp_base32(struct buf *out, const uint8_t *p, size_t n);

#endif
