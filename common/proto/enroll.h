/* enroll.h - documents of port 2225 that are neither events nor envelopes: enrolment, renewal, task
 * pull, task state. Bytes in, structs out; pure.
 *
 * POST /v1/enroll, no client certificate: request -> answer, both below.
 * POST /v1/renew, agent certificate: {"csr":"<PEM>"} -> {"certificate":"<PEM>","ca":"<PEM>",
 *   "time":RFC3339}. A certificate expired for up to 180 days is taken here and nowhere else; a
 *   revoked one never.
 * POST /v1/events, agent certificate: see proto/event.h.
 * GET /v1/tasks?wait=S&task_port=P&machine=ID, agent certificate: 200 {"tasks":[envelope,...],
 *   "cancel":["id",...]} (each may be absent) or 204 after S (<= 300) seconds. An envelope is
 *   offered again until a state for it arrives, so the agent must tell duplicates by id (DESIGN
 *   section 8: once); "cancel" names tasks to cancel.
 * POST /v1/tasks/{id}/state, agent certificate: struct enroll_state -> 204; an unknown id or
 *   another agent's task: 404.
 * GET /v1/feeds/policies/{metadata,targets}/..., agent certificate: static files.
 *
 * Refusals are problem documents (RFC 9457) with member "code"; for enrolment ENROLL_CODE_*. */
#ifndef ATALAIA_PROTO_ENROLL_H
#define ATALAIA_PROTO_ENROLL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/uuid.h"
#include "proto/token.h"

#include <stddef.h>
#include <stdint.h>

#define ENROLL_PATH "/v1/enroll"
#define ENROLL_RENEW_PATH "/v1/renew"
#define ENROLL_EVENTS_PATH "/v1/events"
#define ENROLL_TASKS_PATH "/v1/tasks"
/* ?task_port=N: the console connects back to the agent's address and answers {address, task_port,
 * reached, status, error?, time}: whether pushed tasks can arrive. */
#define ENROLL_PROBE_PATH "/v1/probe"
#define ENROLL_FEEDS_PATH "/v1/feeds/"
#define ENROLL_MAC 32
#define LIMIT_ENROLL_REQUEST 16384  /* a CSR of a P-256 key has 500 bytes */
#define LIMIT_ENROLL_ANSWER 1500000 /* two root.json of their largest size in base64 */
#define ENROLL_RENEW_GRACE_DAYS 180  /* laptops in drawers, DESIGN section 10 */
#define ENROLL_REPEAT_MS (10 * 60 * 1000) /* the same request gets the same answer */

#define ENROLL_CODE_MALFORMED "malformed"
/* Unknown, expired, spent or wrong proof: one answer for all, so that a guesser learns nothing. */
#define ENROLL_CODE_TOKEN "token-unknown"
#define ENROLL_CODE_CSR "csr-refused"        /* not P-256, bad self-signature */
#define ENROLL_CODE_BUSY "busy"              /* too many attempts: Retry-After says when */

/* csr_sha256: see struct pki_csr. Both keys derive from the secret, which never travels:
 * key = SHA-256(secret).
 * proof = HMAC-SHA256(key, "atalaia enroll proof 1" NUL token-id NUL SHA-256(server leaf, DER)
 * SHA-256(csr, DER)) */
void enroll_proof(uint8_t proof[ENROLL_MAC], const struct token *t, const uint8_t leaf_sha256[32],
    const uint8_t csr_sha256[32]);
/* mac = HMAC-SHA256(key, "atalaia enroll answer 1" NUL proof of the request, bytes of the answer
 * document) */
void enroll_answer_mac(uint8_t mac[ENROLL_MAC], const uint8_t secret[TOKEN_SECRET_BYTES],
    const uint8_t proof[ENROLL_MAC], const void *answer, size_t n);
/* Same, for the console, which keeps key = SHA-256(secret) and not the secret. */
void enroll_key(uint8_t key[32], const uint8_t secret[TOKEN_SECRET_BYTES]);
void enroll_proof_keyed(uint8_t proof[ENROLL_MAC], const uint8_t key[32], const char *token_id,
    const uint8_t leaf_sha256[32],
    const uint8_t csr_sha256[32]);
void enroll_answer_mac_keyed(uint8_t mac[ENROLL_MAC], const uint8_t key[32],
    const uint8_t proof[ENROLL_MAC], const void *answer, size_t n);

/* {"token_id","csr","proof","host","machine_id","task_port","version"}: every string is borrowed
 * from tree. task_port 0 = does not listen. */
struct enroll_request {
	cJSON *tree;
	const char *token_id, *csr, *host, *machine_id, *version;
	uint8_t proof[ENROLL_MAC];
	uint16_t task_port;
};

/* tree is not looked at */
MUST_CHECK enum err enroll_request_write(const struct enroll_request *r, struct buf *out);
MUST_CHECK enum err enroll_request_read(struct enroll_request *out, const char *p, size_t n,
    struct fault *f);
void enroll_request_free(struct enroll_request *r);

#define ENROLL_MAX_SOURCES 16
#define ENROLL_MAX_FEEDS 16

struct enroll_source {               /* one mirror; a port of 0 = that form is not served */
	const char *name, *host;
	uint16_t ftp, http, version;
};

struct enroll_feed {
	const char *name;
	/* bytes of root.json, or NULL: the agent must have it from elsewhere */
	const char *root;
	size_t root_len;
};

/* The answer document: {"agent","org","group","certificate","ca","console":{"name","host","port"},
 * "time","feeds":[{"name","root":"<base64>"?}],"sources":[{"name","host","ftp","http","version"}]}.
 * On the wire: {"answer":"<base64 of the document>","mac":"<hex>"}.
 * All pointers are owned by the struct's tree and store. */
struct enroll_answer {
	cJSON *tree;
	char *store;
	const char *agent, *org, *group, *certificate, *ca, *console_name, *console_host, *time;
	uint16_t console_port;
	size_t n_feeds, n_sources;
	struct enroll_feed feeds[ENROLL_MAX_FEEDS];
	struct enroll_source sources[ENROLL_MAX_SOURCES];
};

/* The document's bytes (these are what the MAC covers). */
MUST_CHECK enum err enroll_answer_write(const struct enroll_answer *a, struct buf *out);
MUST_CHECK enum err enroll_answer_parse(struct enroll_answer *out, const char *p, size_t n,
    struct fault *f);
/* The wire form around those bytes. */
MUST_CHECK enum err enroll_answer_seal(struct buf *out, const void *document, size_t n,
    const uint8_t mac[ENROLL_MAC]);
/* Takes the wire form apart, checks the MAC before anything inside is parsed (ERR_AUTH), then
 * parses. */
MUST_CHECK enum err enroll_answer_open(struct enroll_answer *out, const struct token *t,
    const uint8_t proof[ENROLL_MAC], const char *p, size_t n,
    struct fault *f);
void enroll_answer_free(struct enroll_answer *a);

/* {"state","step"?,"result"?,"error"?,"updated"}: report for POST /v1/tasks/{id}/state. The agent
 * sends one for every task, whichever way it came. */
struct enroll_state {
	cJSON *tree;
	/* one of the journal's words: accepted running done failed interrupted canceled expired
	 * refused */
	const char *state;
	const char *step, *error;    /* may be NULL */
	const cJSON *result;         /* object, may be NULL */
	const cJSON *progress;       /* object, may be NULL: how far a running task is */
	const char *updated;         /* RFC 3339 */
};

MUST_CHECK enum err enroll_state_write(const struct enroll_state *s, struct buf *out);
MUST_CHECK enum err enroll_state_read(struct enroll_state *out, const char *p, size_t n,
    struct fault *f);
void enroll_state_free(struct enroll_state *s);
/* True for done failed interrupted canceled expired refused. */
int enroll_state_is_final(const char *state);

#endif
