/* token.h - the enrolment token: one opaque word "ATL1" + base64url that can be pasted. Holds where
 * the console is, which CA it must show (SHA-256 of the CA's SPKI), the token's id and secret, and
 * optionally hashes of the root.json of signature feeds. The checksum inside tells a mistyped word
 * from one that was refused. Pure; no allocation but the output buffer. DESIGN section 10. */
#ifndef ATALAIA_PROTO_TOKEN_H
#define ATALAIA_PROTO_TOKEN_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"

#include <stddef.h>
#include <stdint.h>

#define TOKEN_PREFIX "ATL1"
#define TOKEN_ID_TEXT 17       /* 8 random bytes in hexadecimal, and a NUL */
#define TOKEN_SECRET_BYTES 16
#define TOKEN_HOST_TEXT 254    /* RFC 1035: 253 characters of a name, or an address */
#define TOKEN_MAX_ROOTS 4
#define TOKEN_FEED_TEXT 65     /* a feed's name is a role name: [a-z0-9-], 1..64 */
#define LIMIT_TOKEN_TEXT 1024  /* four roots and the longest host stay under it */

struct token_root {
	char feed[TOKEN_FEED_TEXT];
	uint8_t sha256[32];          /* of the bytes of that feed's root.json */
};

struct token {
	char host[TOKEN_HOST_TEXT];  /* name or address literal, never empty */
	uint16_t port;               /* never 0 */
	/* SHA-256 of the DER SubjectPublicKeyInfo of the organisation's CA */
	uint8_t ca_spki[32];
	char id[TOKEN_ID_TEXT];
	uint8_t secret[TOKEN_SECRET_BYTES];
	size_t n_roots;
	struct token_root roots[TOKEN_MAX_ROOTS];
};

/* ERR_INVAL with a sentence when a member cannot be encoded (host, port, id, feed name, too many
 * roots). Appends the word, no newline. */
MUST_CHECK enum err token_encode(const struct token *t, struct buf *out, struct fault *f);
/* Surrounding white space is ignored, inside it nothing is. ERR_PARSE with a sentence that never
 * quotes the secret. */
MUST_CHECK enum err token_decode(struct token *out, const char *p, size_t n, struct fault *f);
void token_wipe(struct token *t);
/* Hash named for this feed, or NULL. Borrowed from t. */
const uint8_t *token_root_hash(const struct token *t, const char *feed);

#endif
