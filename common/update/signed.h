/* signed.h - documents of the form {"signed":{...},"signatures":[{"keyid","sig"}]}: TUF metadata
 * (section 4.2) and task envelopes. Read strictly, verified by a threshold of distinct keys. */
#ifndef ATALAIA_UPDATE_SIGNED_H
#define ATALAIA_UPDATE_SIGNED_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "update/key.h"

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

struct signed_doc {
	cJSON *tree;		 /* owned */
	const cJSON *body;	 /* the "signed" object, borrowed from tree */
	const cJSON *signatures; /* borrowed from tree */
};

/* ERR_PARSE: not strict JSON, or not this form; the same key id twice among signatures counts as
 * a wrong form. More than LIMIT_TUF_SIGNATURES is ERR_TOOBIG. Unknown top-level members are kept.
 */
MUST_CHECK enum err signed_parse(struct signed_doc *out, const void *p, size_t n, struct fault *f);
void signed_free(struct signed_doc *d);
/* OK when at least s->threshold distinct keys of s signed the body. Signatures by others, empty and
 * wrong ones count for nothing and do no harm. ERR_AUTH otherwise; *valid (may be NULL) says how
 * many keys were right. */
MUST_CHECK enum err signed_verify(
    const struct signed_doc *d, const struct signers *s, uint64_t *valid, struct fault *f);

/* Builds the document text: canonical bytes of body are signed by each of n keys; the text is
 * compact JSON. Takes nothing: body stays the caller's. */
MUST_CHECK enum err signed_build(const cJSON *body, const struct sign_private *const *keys,
    size_t n, struct buf *out, struct fault *f);
/* One signature object {"keyid","sig"} over body, for signing on another machine. */
MUST_CHECK enum err signed_signature(
    const cJSON *body, const struct sign_private *key, cJSON **out, struct fault *f);

#endif
