/* envelope.h - the signed task: built by the console, verified by the agent, the path between them
 * does not matter. Pure. DESIGN section 8.
 *
 * {"signed":{"id":"<UUIDv7>","agent":"<uuid>"|"group:<name>"|"*","type":"update.now","args":{..},
 *            "not_before":RFC3339,"expires":RFC3339,"issuer":"<console name>"},
 *  "signatures":[{"keyid","sig"},...]}
 * sig: hex over the canonical JSON (OLPC) of `signed`, keys as in TUF.
 *
 * Verification order: form, target, time, issuer, rule of the type, signatures; the first refusal
 * is the one reported. Task types that the authority does not list are ENVELOPE_NOT_ALLOWED here;
 * whether a listed type exists in this agent is the business of the agent's own table. */
#ifndef ATALAIA_PROTO_ENVELOPE_H
#define ATALAIA_PROTO_ENVELOPE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/json.h"
#include "proto/authority.h"
#include "update/sign.h"

#include <stdint.h>

/* name, stable code (problem documents, audit events, console), what it means */
#define ENVELOPE_REFUSALS(X)                                                                       \
	X(ENVELOPE_OK, "ok", "accepted")                                                           \
	X(ENVELOPE_MALFORMED, "malformed", "the envelope does not have the form it must have")     \
	X(ENVELOPE_WRONG_AGENT, "wrong-agent", "the task is for another agent or group")           \
	X(ENVELOPE_NOT_YET, "not-yet", "not_before lies ahead of this agent's time")               \
	X(ENVELOPE_EXPIRED, "expired", "the task's time has passed")                               \
	X(ENVELOPE_LIFE, "life-too-long", "not_before and expires are more than seven days apart") \
	X(ENVELOPE_TOO_OLD, "too-old",                                                             \
	    "the task was made before this agent's enrolment or journal")                          \
	X(ENVELOPE_ISSUER, "issuer-refused", "the authority does not list this console")           \
	X(ENVELOPE_NOT_ALLOWED, "not-allowed", "the authority lists nobody for this type of task") \
	X(ENVELOPE_REVOKED, "revoked", "a signing key is revoked")                                 \
	X(ENVELOPE_BAD_SIGNATURE, "bad-signature", "no signature of an authorised key is valid")   \
	X(ENVELOPE_THRESHOLD, "threshold", "fewer valid signatures than this type of task needs")  \
	X(ENVELOPE_NO_MEMORY, "no-memory", "memory ran out; try again")

enum envelope_refusal {
#define X(name, code, text) name,
	ENVELOPE_REFUSALS(X)
#undef X
	    ENVELOPE_REFUSAL_COUNT
};

const char *envelope_code(enum envelope_refusal r); /* stable word; never NULL */
const char *envelope_text(enum envelope_refusal r);

struct envelope {
	cJSON *tree; /* owned; everything below is borrowed from it */
	const char *id, *agent, *type, *issuer;
	const cJSON *args; /* always an object */
	const cJSON *signed_part, *signatures;
	int64_t not_before_ms, expires_ms; /* wall time */
	int64_t created_ms;		   /* from the id */
};

/* Form only: nothing is believed yet. ERR_PARSE / ERR_TOOBIG (LIMIT_TASK_BYTES) with a sentence
 * naming the member. */
MUST_CHECK enum err envelope_parse(struct envelope *out, const char *p, size_t n, struct fault *f);
/* takes the tree, also on failure; one item of a pull answer */
MUST_CHECK enum err envelope_from_tree(struct envelope *out, cJSON *take, struct fault *f);
void envelope_free(struct envelope *e);

struct envelope_context {
	const char *agent; /* own uuid */
	const char *group; /* own group */
	int64_t now_ms;	   /* wall time, not below the verified time floor */
	/* how far not_before may lie ahead: the agent's tolerance for clocks, e.g. 60000 */
	int64_t skew_ms;
	/* tasks made earlier are refused: the later of enrolment and journal creation; 0 = no such
	 * bound */
	int64_t not_before_ms;
};

/* ENVELOPE_OK or the first refusal, with a sentence in f. */
MUST_CHECK enum envelope_refusal envelope_verify(const struct envelope *e,
    const struct authority *a, const struct envelope_context *ctx, struct fault *f);

/* What the console decides about a task. args may be NULL = {}; not taken. */
struct envelope_draft {
	const char *id, *agent, *type, *issuer;
	const cJSON *args;
	int64_t not_before_ms, expires_ms;
};

/* The unsigned envelope {"signed":..,"signatures":[]}; checked by the same rules as envelope_parse.
 * */
MUST_CHECK enum err envelope_build(
    struct envelope *out, const struct envelope_draft *d, struct fault *f);
/* Adds this key's signature; ERR_EXISTS when it has signed already. */
MUST_CHECK enum err envelope_sign(
    struct envelope *e, const struct sign_private *key, struct fault *f);
MUST_CHECK enum err envelope_write(const struct envelope *e, struct buf *out);

#endif
