/* authority.h - authority.json: who may order what in this organisation. Signed offline as target
 * "authority.json" of the delegated role `authority` of the policies feed; atalaia-fetch verifies
 * that signature, this module reads the bytes. Pure. DESIGN section 11.
 *
 * {"version":N,"org":"..","consoles":["main"],"keys":{keyid:TUF key},
 *  "tasks":{"<type>":{"keyids":[..],"threshold":1},...},"cas":["<SHA-256 of SPKI, hex>"],
 *  "revoked":{"serials":["<hex>"],"agents":["<uuid>"],"consoles":["<name>"],"keyids":["<hex>"]}}
 * A task type that is not listed may not be ordered by anybody. Unknown members are ignored (a
 * newer authority must still revoke on an older agent). */
#ifndef ATALAIA_PROTO_AUTHORITY_H
#define ATALAIA_PROTO_AUTHORITY_H

#include "base/err.h"
#include "base/fault.h"
#include "base/json.h"
#include "update/key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIMIT_AUTHORITY_BYTES 1000000 /* some 13,000 revoked serials */
#define LIMIT_AUTHORITY_KEYS 64
#define LIMIT_AUTHORITY_TASKS 128

struct authority; /* opaque; owns its tree */

/* Checks the whole document: every keyid is the hash of its key, every rule names known keys,
 * thresholds can be met, hashes and uuids have their form. */
MUST_CHECK enum err authority_parse(struct authority **out, const char *p, size_t n,
    struct fault *f);
void authority_free(struct authority *a);               /* NULL is fine */

uint64_t authority_version(const struct authority *a);
const char *authority_org(const struct authority *a);
/* Keys and threshold of a task type, revoked keys left out; NULL when the type is not listed.
 * Borrowed. */
const struct signers *authority_signers(const struct authority *a, const char *type);
bool authority_key_revoked(const struct authority *a, const char *keyid);
/* listed and not revoked */
bool authority_console_allowed(const struct authority *a, const char *name);
bool authority_agent_revoked(const struct authority *a, const char *uuid);
/* lower case, as net/pki prints it */
bool authority_serial_revoked(const struct authority *a, const char *serial_hex);
bool authority_ca_allowed(const struct authority *a, const uint8_t spki_sha256[32]);
/* The CAs as array of hex strings, for pinning; borrowed. */
const cJSON *authority_cas(const struct authority *a);
const cJSON *authority_tree(const struct authority *a);

#endif
