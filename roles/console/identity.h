/* identity.h - the console's keys and certificates: made by init, loaded by serve. Files of 0600.
 * CA: P-256, ten years. Console certificate: 398 days, serverAuth + clientAuth, made anew at start
 * when less than a third of its life is left. Blocking; nothing here is called from handlers but
 * the reads. */
#ifndef CONSOLE_IDENTITY_H
#define CONSOLE_IDENTITY_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "net/pki.h"
#include "options.h"
#include "update/sign.h"

struct identity {
	struct buf ca; /* PEM of every CA that is trusted */
	struct buf ca_signing, ca_key;
	struct buf cert, key;	     /* of this console; cert alone, without CA */
	struct buf chain;	     /* cert and signing CA: what listeners send */
	uint8_t ca_spki[PKI_SHA256]; /* of the signing CA: goes into tokens */
	uint8_t leaf[PKI_SHA256];    /* SHA-256 of the leaf's DER: bound by enrolment proofs */
	struct sign_private *task_key;
};

/* Makes CA, certificate and task key in the state folder. ERR_EXISTS when there is a CA already. */
MUST_CHECK enum err identity_make(const struct options *o, struct fault *f);
MUST_CHECK enum err identity_load(struct identity *out, const struct options *o, struct fault *f);
/* Makes a new certificate when the present one is in the last third of its life; *fresh says so. */
MUST_CHECK enum err identity_refresh(const struct options *o, bool *fresh, struct fault *f);
/* A new CA signs from now on; the old one stays trusted until its own end. */
MUST_CHECK enum err identity_rotate_ca(const struct options *o, struct fault *f);
void identity_free(struct identity *id);

#endif
