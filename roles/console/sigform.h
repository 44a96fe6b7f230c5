/* sigform.h - the two forms of an ECDSA signature on P-256: r and s side by side (IEEE P1363, what
 * WebCrypto makes) and DER (RFC 3279, what envelopes carry). Pure. */
#ifndef CONSOLE_SIGFORM_H
#define CONSOLE_SIGFORM_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define SIGFORM_RAW 64
#define SIGFORM_DER 72

/* ERR_PARSE: not 64 bytes, or r or s is zero. */
MUST_CHECK enum err sigform_der(
    const uint8_t *raw, size_t n, uint8_t out[SIGFORM_DER], size_t *out_len);
/* Decodes what a browser sent: hex, base64 or base64url of at most max bytes. ERR_PARSE. */
MUST_CHECK enum err sigform_text(const char *text, uint8_t *out, size_t max, size_t *out_len);

#endif
