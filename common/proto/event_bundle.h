/* event_bundle.h - an agent's events and receipts in one file, for places that no line reaches, and
 * the console's acknowledgement of it. A bundle is lines:
 *   [event,event,..]             batches as they go to 2225 (proto/event.h), each of one class and
 *                                without a hole in its numbers
 *   ATALAIA-EVENTS 1 <sealed>    last, so that a cut file has none. proto/seal.h over
 *     {"_type":"events","org","agent","epoch","created":RFC3339,"more":bool,
 *      "batches":[{"class","first","last","bytes","sha256"}],
 *      "receipts":[{"feed","version","sha256","activated":RFC3339,
 *                   "rejected":[{"version","sha256","rule","why","at":RFC3339}]}]}
 * in the order of the lines; sha256 and bytes are those of a line without its end. "more": not
 * everything that waits fitted. An acknowledgement is one line:
 *   ATALAIA-ACK 1 <sealed>       by the console over
 *     {"_type":"events-ack","org","agent","bundle":SHA-256 of the bundle's last line,
 *      "conflict":bool,"upto":{"<class>":N,..},"created":RFC3339}
 * Everything of that bundle up to N is stored for good. conflict: numbers of the bundle are known
 * with other events (a restored disk): the agent opens a new epoch and exports again. Pure. */
#ifndef ATALAIA_PROTO_EVENT_BUNDLE_H
#define ATALAIA_PROTO_EVENT_BUNDLE_H

#include "proto/event.h"
#include "proto/seal.h"

#define EVENT_BUNDLE_MAGIC "ATALAIA-EVENTS 1 "
#define EVENT_BUNDLE_ACK_MAGIC "ATALAIA-ACK 1 "
#define EVENT_BUNDLE_NAME 65 /* SHA-256 as text and a NUL */

/* --- writing --- */
struct event_bundle_writer;
typedef enum err (*event_bundle_put)(void *ctx, const void *p, size_t n);

/* Text is copied. */
MUST_CHECK enum err event_bundle_new(struct event_bundle_writer **out, const char *source,
    const char *epoch, event_bundle_put put, void *ctx);
/* Class by class, ascending numbers; p is the stored form. ERR_TOOBIG: full, the rest must wait. */
MUST_CHECK enum err event_bundle_add(
    struct event_bundle_writer *w, enum event_class class, uint32_t seq, const void *p, size_t n);
struct event_bundle_about {
	const char *org, *agent, *cert_pem, *key_pem;
	int64_t created_ms;
};
/* What a bundle holds, as its maker remembers it. */
struct event_bundle_mark {
	char name[EVENT_BUNDLE_NAME], epoch[EVENT_EPOCH];
	uint32_t upto[EVENT_CLASSES]; /* 0: nothing of that class */
	uint64_t events, bytes;
	bool more;
};
/* Writes the last line. Takes receipts (NULL: ERR_NOMEM). */
MUST_CHECK enum err event_bundle_finish(struct event_bundle_writer *w,
    const struct event_bundle_about *a, cJSON *receipts, struct event_bundle_mark *mark,
    struct fault *f);
void event_bundle_drop(struct event_bundle_writer *w); /* NULL is fine */

/* --- reading --- */
struct event_bundle_batch {
	enum event_class class;
	uint32_t first, last;
	uint64_t bytes;
	uint8_t sha256[PKI_SHA256];
};
struct event_bundle {
	cJSON *tree, *body;
	const char *org, *agent, *epoch; /* borrowed from tree */
	int64_t created_ms;
	struct event_bundle_batch *batches;
	size_t n;
	const cJSON *receipts; /* an array */
	bool more;
	char name[EVENT_BUNDLE_NAME];
};
/* The last line, without its end: form only, nothing is believed yet. */
MUST_CHECK enum err event_bundle_read(
    struct event_bundle *out, const char *p, size_t n, struct fault *f);
/* It is signed by the agent that it names, of this organisation. */
MUST_CHECK enum err event_bundle_check(const struct event_bundle *b, const struct pki_trust *trust,
    const char *org, int64_t now_ms, struct pki_identity *who, struct fault *f);
void event_bundle_free(struct event_bundle *b);

/* --- acknowledgements --- */
struct event_bundle_ack {
	char agent[PKI_NAME], bundle[EVENT_BUNDLE_NAME];
	bool conflict;
	uint32_t upto[EVENT_CLASSES];
};
MUST_CHECK enum err event_bundle_ack_make(struct buf *out, const struct event_bundle_ack *ack,
    const struct event_bundle_about *a, struct fault *f); /* a->agent is not looked at */
/* Read and verified: ERR_PARSE, ERR_AUTH, ERR_EXPIRED. */
MUST_CHECK enum err event_bundle_ack_read(struct event_bundle_ack *out, const char *p, size_t n,
    const struct pki_trust *trust, const char *org, int64_t now_ms, struct fault *f);

#endif
