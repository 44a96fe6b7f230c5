/* event.h - events as they travel: CloudEvents 1.0 in JSON (github.com/cloudevents/spec, JSON event
 * format 1.0.2), alone, as a batch array or as NDJSON. Pure; trees come from the strict reader.
 *
 * An event from an agent to 2225:
 *   specversion "1.0", id (UUIDv7, fixed at spooling), source "atalaia://<org>/agent/<uuid>",
 *   type, time (UTC with milliseconds), datacontenttype "application/json", data, and
 *   atalaiaclass  "detection" | "task" | "telemetry"
 *   atalaiaepoch  32 lower-case hexadecimal digits, random for each life of the spool
 *   atalaiaseq    1 .. 2^31-1 (a CloudEvents Integer), gap-free within (epoch, class)
 *   atalaiauid    user id of the local sender, 2^31-1 for any that is larger (absent for the
 *                 agent's own events)
 *   atalaiapid    process id, only when the event came by the unix socket
 *   atalaiaexe    its executable, where the kernel lets us know
 *   atalaiaid, atalaiasource  what the local sender called the event and itself
 *
 * POST /v1/events on 2225 takes a JSON array of these and answers
 *   200 {"acks":{"<class>":{"epoch":"..","seq":N}, ..}}  stored for good up to N, one member for
 * each class in the batch; an event that is known under (agent, epoch, class, seq) with the same id
 *       counts as stored
 *   400 problem + "index": K   the batch is refused because of its K-th event (from 0)
 *   409 problem, code "event-conflict": a known (epoch, class, seq) has another id: the agent's
 * disk was restored; nothing of the batch is stored; the agent opens a new epoch and sends again
 *   413 too large: the agent halves     429, 503 with Retry-After: later
 * and offers compression by answering any request with "Accept-Encoding: gzip" (RFC 7694). */
#ifndef ATALAIA_PROTO_EVENT_H
#define ATALAIA_PROTO_EVENT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/uuid.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event_class { EVENT_DETECTION, EVENT_TASK, EVENT_TELEMETRY, EVENT_CLASSES };

#define EVENT_EPOCH 33 /* 32 digits and a NUL */
#define EVENT_SEQ_MAX 2147483647u
#define EVENT_TYPE_PREFIX "org.atalaia."

const char *event_class_word(enum event_class c);
MUST_CHECK enum err event_class_parse(const char *word, enum event_class *out);
bool event_is_epoch(const char *text);

/* --- reading what somebody sent --- */
enum event_format { EVENT_SINGLE, EVENT_BATCH, EVENT_NDJSON };

/* By media type (any case, parameters ignored): application/cloudevents+json and application/json
 * are SINGLE (an array is accepted for application/json), application/cloudevents-batch+json BATCH,
 * application/x-ndjson and application/jsonl NDJSON. ERR_UNSUPPORTED otherwise. */
MUST_CHECK enum err event_format_of(const char *media_type, enum event_format *out);

struct event_where {
	size_t index;  /* of the event, from 0 */
	size_t offset; /* byte in the body: of the syntax error, or where the wrong event begins */
};

struct event_list {
	cJSON **items;
	size_t n;
};

/* Every event is checked; one wrong event refuses the whole list. w (may be NULL) says where.
 * ERR_TOOBIG: more than max_events, or one longer than LIMIT_EVENT_BYTES. An empty batch is OK. */
MUST_CHECK enum err event_list_parse(struct event_list *out, enum event_format format,
    const char *p, size_t n, size_t max_events, struct event_where *w, struct fault *f);
void event_list_free(struct event_list *l);

/* One object against CloudEvents 1.0: required members and their types, time, lower-case extension
 * names of letters and digits with simple values, not both data and data_base64. */
MUST_CHECK enum err event_check(const cJSON *event, struct fault *f);

/* What the receiver of an agent's batch needs. Borrowed from the tree. ERR_PARSE with a sentence.
 */
struct event_key {
	enum event_class class;
	const char *epoch, *id, *source, *type, *time;
	uint32_t seq;
};
MUST_CHECK enum err event_key_read(const cJSON *event, struct event_key *out, struct fault *f);

/* --- stamping and sending --- */
struct event_stamp {
	enum event_class class;
	const char *id;	 /* UUIDv7 */
	int64_t time_ms; /* used when the event has no time of its own */
	bool local;	 /* came by 2227: uid is known */
	uint32_t uid;
	int32_t pid; /* < 0: unknown */
	const char *exe; /* NULL or "": unknown; left out when it is no printable UTF-8 */
};
/* Writes the stored form of an event: the members of the object without braces, and without
 * specversion, source, epoch and sequence, which are added when it is sent. The event is not
 * changed. ERR_TOOBIG past out->max. Members that begin with "atalaia" are dropped: only we write
 * those. */
MUST_CHECK enum err event_store_form(
    const cJSON *event, const struct event_stamp *s, struct buf *out);
/* The whole object again. */
MUST_CHECK enum err event_send_form(struct buf *out, const void *stored, size_t n,
    const char *source, const char *epoch, uint32_t seq);
/* Id and time of a stored form. ERR_PARSE: we did not write it. */
MUST_CHECK enum err event_stored_read(
    const void *p, size_t n, char id[UUID_TEXT], int64_t *time_ms);
/* "atalaia://<org>/agent/<uuid>" */
MUST_CHECK enum err event_source(struct buf *out, const char *org, const char *agent);

/* --- acks --- */
struct event_ack {
	bool present;
	char epoch[EVENT_EPOCH];
	uint32_t seq;
};
/* Unknown classes are ignored. ERR_PARSE when it is no ack document. */
MUST_CHECK enum err event_acks_parse(
    struct event_ack out[EVENT_CLASSES], const char *p, size_t n, struct fault *f);
MUST_CHECK enum err event_acks_print(struct buf *out, const struct event_ack acks[EVENT_CLASSES]);

#endif
