/* sign.h - public and private keys without any document format: ECDSA on P-256 with SHA-256,
 * RSASSA-PSS with SHA-256 (verify only) and Ed25519 (verify only, when built with libsodium).
 * Everything is the caller's to free; one thread at a time per object. */
#ifndef ATALAIA_UPDATE_SIGN_H
#define ATALAIA_UPDATE_SIGN_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sign_scheme { SIGN_ECDSA_P256, SIGN_RSA_PSS_SHA256, SIGN_ED25519 };

struct sign_public;  /* opaque */
struct sign_private; /* opaque; memory is wiped when freed */

/* PEM SubjectPublicKeyInfo for ECDSA and RSA (2048..8192 bits), 64 hexadecimal digits for Ed25519.
 * ERR_PARSE when it is none or of another kind than scheme; ERR_UNSUPPORTED for Ed25519 without
 * libsodium. */
MUST_CHECK enum err sign_public_parse(
    struct sign_public **out, enum sign_scheme scheme, const char *text, size_t n, struct fault *f);
void sign_public_free(struct sign_public *k); /* NULL is fine */
/* OK, ERR_AUTH, or ERR_NOMEM, which says nothing about the signature. ECDSA signatures are DER (RFC
 * 3279), as securesystemslib writes them. */
MUST_CHECK enum err sign_verify(
    const struct sign_public *k, const void *msg, size_t n, const uint8_t *sig, size_t sig_len);
/* Same key material, whatever text it was parsed from. */
bool sign_public_same(const struct sign_public *a, const struct sign_public *b);

MUST_CHECK enum err sign_generate(struct sign_private **out, struct fault *f); /* ECDSA P-256 */
/* PEM of PKCS#8, encrypted PKCS#8 (PBES2, PBKDF2-HMAC-SHA-256, AES-CBC) or SEC1; P-256 only.
 * passphrase NULL: none. ERR_AUTH: a passphrase is needed or wrong. */
MUST_CHECK enum err sign_private_load(
    struct sign_private **out, const char *pem, size_t n, const char *passphrase, struct fault *f);
/* PKCS#8 PEM, encrypted when passphrase is not NULL. out should be freed with buf_wipe. */
MUST_CHECK enum err sign_private_save(
    const struct sign_private *k, const char *passphrase, struct buf *out, struct fault *f);
void sign_private_free(struct sign_private *k); /* NULL is fine */
MUST_CHECK enum err sign_private_public_pem(const struct sign_private *k, struct buf *out);
/* Appends the DER signature of SHA-256(msg). */
MUST_CHECK enum err sign_make(
    const struct sign_private *k, const void *msg, size_t n, struct buf *out);

#endif
