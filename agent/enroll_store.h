/* enroll_store.h - the files of an enrolment. Blocking. identity.json comes last: without it the PC
 * is not enrolled, whatever else is there. */
#ifndef ATALAIA_AGENT_ENROLL_STORE_H
#define ATALAIA_AGENT_ENROLL_STORE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "config.h"
#include "proto/enroll.h"

/* Key (0600, fsynced) and CSR of an enrolment under way; made when absent. */
MUST_CHECK enum err enroll_pending(
    const char *state, const char *cn, struct buf *key, struct buf *csr, struct fault *f);
void enroll_pending_drop(const char *state);

/* Checks the answer against the token and the key, then writes roots, enrolment.json and identity.
 * A feed whose root is vouched for by nobody is left out and named in *left_out. */
MUST_CHECK enum err enroll_store(const struct agent_conf *c, const struct token *t,
    const struct enroll_answer *a, const char *key_pem, struct buf *left_out, struct fault *f);

#endif
