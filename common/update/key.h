/* key.h - keys as TUF documents hold them: {"keytype","scheme","keyval":{"public"}} under a key id
 * (TUF section 4.3.1). The key id must be the SHA-256 of the canonical form of the key: of the
 * whole object, or of keytype, keyval and scheme alone (what securesystemslib computes when a
 * repository adds members of its own). Keys of unknown type or unreadable value are kept, but
 * verify nothing. */
#ifndef ATALAIA_UPDATE_KEY_H
#define ATALAIA_UPDATE_KEY_H

#include "base/err.h"
#include "base/fault.h"
#include "update/sign.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_ID_TEXT 65 /* 64 lower-case hexadecimal digits and the NUL */

struct key; /* opaque public key with its id */

/* ERR_VERIFY when id is not the hash of object; ERR_PARSE when object has not the form of a key. */
MUST_CHECK enum err key_parse(
    struct key **out, const char *id, const cJSON *object, struct fault *f);
void key_free(struct key *k);
const char *key_id(const struct key *k);
bool key_usable(const struct key *k);
bool key_same(const struct key *a, const struct key *b); /* same key material, not same id */
MUST_CHECK enum err key_verify(
    const struct key *k, const void *msg, size_t n, const uint8_t *sig, size_t sig_len);

/* The keys of a document, by id. Filled from its "keys" object. */
struct keyring {
	struct key **keys; /* sorted by id */
	size_t n;
};

MUST_CHECK enum err keyring_parse(struct keyring *r, const cJSON *keys, struct fault *f);
void keyring_free(struct keyring *r);					 /* leaves it empty */
const struct key *keyring_find(const struct keyring *r, const char *id); /* NULL when absent */

/* Who must sign: {"keyids":[..],"threshold":N} over a ring. Ids without a key in the ring are kept
 * out; the same id twice is ERR_PARSE; a threshold below 1 is ERR_PARSE. */
struct signers {
	const struct key **keys; /* borrowed from the ring */
	size_t n;
	uint64_t threshold;
};

MUST_CHECK enum err signers_parse(
    struct signers *s, const cJSON *role, const struct keyring *ring, struct fault *f);
void signers_free(struct signers *s);
/* True when some key of a is not among the keys of b, by material: a rotation (TUF 5.3.11). */
bool signers_lost_key(const struct signers *a, const struct signers *b);

/* The TUF form of our own key: a new {"keytype","keyval","scheme"} object and its id. */
MUST_CHECK enum err key_of_private(
    const struct sign_private *k, cJSON **object, char id[KEY_ID_TEXT], struct fault *f);
MUST_CHECK enum err key_compute_id(const cJSON *object, char id[KEY_ID_TEXT], struct fault *f);

#endif
