/* dropped.h - a file that travels through drop boxes nobody has to trust: one line that says whose
 * file it is, for which task and under which name, signed by the sender's identity, then the bytes.
 *
 *   ATALAIA-DROPPED 1
 * {"certificate":PEM,"sig":HEX,"signed":{"_type":"dropped","agent":..,"name":..,
 *   "sha256":..,"size":..,"task":..}}\n
 *
 * sig is ECDSA P-256 over the canonical form of `signed`. Pure; a signature takes a millisecond, so
 * call it from a worker. */
#ifndef ATALAIA_PROTO_DROPPED_H
#define ATALAIA_PROTO_DROPPED_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "net/pki.h"

#define DROPPED_PATH "/v1/dropbox" /* PUT <this>/{name}?offset&total&sha256, as proto/upload.h */
#define DROPPED_HEAD_MAX 16384	   /* a certificate is about 900 bytes */
#define DROPPED_MAGIC "ATALAIA-DROPPED 1 "

struct dropped {
	char agent[PKI_NAME], task[40], name[32], sha256[65];
	uint64_t size;
};

/* Appends the line. cert_pem and key_pem are the sender's. */
MUST_CHECK enum err dropped_seal(struct buf *out, const struct dropped *d, const char *cert_pem,
    const char *key_pem, struct fault *f);
/* Reads and verifies the line at the start of a file of which p holds the first n bytes (all, or at
 * least DROPPED_HEAD_MAX). *head is its length. ERR_NOTFOUND: the file is not sealed; ERR_PARSE;
 * ERR_AUTH and ERR_EXPIRED: it proves nothing. The bytes behind the line are the caller's to hash.
 */
MUST_CHECK enum err dropped_open(struct dropped *out, size_t *head, const char *p, size_t n,
    const struct pki_trust *trust, const char *org, int64_t now_ms, struct fault *f);

#endif
