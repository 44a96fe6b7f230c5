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
	struct buf ca;			 /* PEM of every CA that is trusted */
	struct buf ca_given;		 /* PEM of those that agents are told to trust */
	struct buf ca_signing, ca_key;	 /* signs agents now */
	struct buf cert, key;		 /* of this console; cert alone, without CA */
	struct buf chain;		 /* cert and its CA: what listeners send */
	uint8_t ca_spki[PKI_SHA256];	 /* of the CA in chain: goes into tokens */
	uint8_t leaf[PKI_SHA256];	 /* SHA-256 of the leaf's DER: bound by enrolment proofs */
	/* Of the leaf before the last renewal, for connections of then; only when has_before. */
	uint8_t leaf_before[PKI_SHA256];
	bool has_before;
	struct sign_private *task_key;
};

/* Makes CA, certificate and task key in the state folder. ERR_EXISTS when there is a CA already. */
MUST_CHECK enum err identity_make(const struct options *o, struct fault *f);
MUST_CHECK enum err identity_load(struct identity *out, const struct options *o, struct fault *f);
/* Makes a new certificate when the present one is in the last third of its life; *fresh says so. */
MUST_CHECK enum err identity_refresh(const struct options *o, bool *fresh, struct fault *f);
/* A new CA, beside the old one for 210 days (certificate life and the time that an expired one
 * still renews). The console's leaf stays under the old CA until then. ERR_STATE: a rotation is
 * under way. */
MUST_CHECK enum err identity_rotate_ca(const struct options *o, struct fault *f);
/* Ends it now: leaf under the new CA, old CA dropped. ERR_STATE: none is under way, or the
 * published authority does not list the new CA. */
MUST_CHECK enum err identity_finish_rotation(const struct options *o, struct fault *f);
bool identity_rotating(const struct options *o);
/* Completes a switch of files that a crash cut short; part of all of the above. */
MUST_CHECK enum err identity_recover(const struct options *o, struct fault *f);
/* Does the authority that was published last list this CA? */
bool identity_ca_listed(const struct options *o, const struct buf *ca);
MUST_CHECK enum err identity_read_file(
    const struct options *o, const char *name, struct buf *b, struct fault *f);
void identity_free(struct identity *id);

#endif
