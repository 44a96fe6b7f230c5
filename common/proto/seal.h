/* seal.h - a signed statement of a member of the fleet that travels by ways nobody has to trust:
 *   {"certificate":PEM,"sig":HEX,"signed":{"_type":..,..}}
 * sig is ECDSA P-256 over the canonical form of `signed`; `_type` says for what it was signed.
 * Pure; a signature takes a millisecond, so call it from a worker. */
#ifndef ATALAIA_PROTO_SEAL_H
#define ATALAIA_PROTO_SEAL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "net/pki.h"

#include <cjson/cJSON.h>

/* Appends the document; takes body, also on failure (NULL: ERR_NOMEM). */
MUST_CHECK enum err seal_make(
    struct buf *out, cJSON *body, const char *cert_pem, const char *key_pem, struct fault *f);
/* Form and type only: nothing is believed yet. *tree is the caller's, *body lies within it.
 * ERR_PARSE. */
MUST_CHECK enum err seal_read(
    cJSON **tree, cJSON **body, const char *p, size_t n, const char *type, struct fault *f);
/* The certificate is that of whom x expects, and signed `signed`. ERR_AUTH, ERR_EXPIRED. */
MUST_CHECK enum err seal_check(const cJSON *tree, const struct pki_trust *trust,
    const struct pki_expect *x, int64_t now_ms, struct pki_identity *who, struct fault *f);

#endif
