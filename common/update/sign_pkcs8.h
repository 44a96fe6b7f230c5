/* sign_pkcs8.h - the envelope of private key files: PKCS#8 (RFC 5958) and its encrypted form
 * (PBES2 with PBKDF2-HMAC-SHA-256 and AES-CBC, RFC 8018). mbedTLS 2.28 reads PBES2 with DES only
 * and writes none. DER in, DER out; private to sign_private.c and its tests. */
#ifndef ATALAIA_UPDATE_SIGN_PKCS8_H
#define ATALAIA_UPDATE_SIGN_PKCS8_H

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define PKCS8_SALT 16
#define PKCS8_IV 16
#define PKCS8_DER_MAX 1024 /* a P-256 key needs 138 bytes plain and about 250 encrypted */

/* SEC1 ECPrivateKey of P-256 -> PrivateKeyInfo, appended to out. */
MUST_CHECK enum err pkcs8_wrap(const uint8_t *sec1, size_t n, struct buf *out);
/* PrivateKeyInfo -> EncryptedPrivateKeyInfo with AES-256-CBC, appended to out. */
MUST_CHECK enum err pkcs8_encrypt(const uint8_t *info, size_t n, const char *passphrase,
    const uint8_t salt[PKCS8_SALT], const uint8_t iv[PKCS8_IV], struct buf *out);
/* The reverse, for AES-128 and AES-256. ERR_PARSE: not this form; ERR_UNSUPPORTED: another cipher
 * or hash; ERR_AUTH: the passphrase is wrong (as far as the padding shows). */
MUST_CHECK enum err pkcs8_decrypt(const uint8_t *der, size_t n, const char *passphrase,
    struct buf *out);

#endif
