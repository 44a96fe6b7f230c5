/* uplink_batch.h - a batch of spooled events as bytes for one receiver, and what its answer means.
 * Pure: no sockets, no clock, no globals. */
#ifndef ATALAIA_AGENT_UPLINK_BATCH_H
#define ATALAIA_AGENT_UPLINK_BATCH_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "proto/event.h"
#include "store/spool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum uplink_format {
	UPLINK_CONSOLE,	    /* an array; answers acks (proto/event.h) */
	UPLINK_CLOUDEVENTS, /* the same array as application/cloudevents-batch+json; 2xx takes all
			     */
	UPLINK_JSON,	    /* the same array as application/json: Vector, Fluent Bit, Logstash */
	UPLINK_NDJSON,	    /* an event a line */
	UPLINK_ELASTIC, /* _bulk of Elasticsearch and OpenSearch, `create` with _id = the event's id
			 */
	UPLINK_SPLUNK,	/* HTTP Event Collector */
};

/* "cloudevents-batch", "json", "ndjson", "elasticsearch", "splunk". */
MUST_CHECK enum err uplink_format_parse(const char *word, size_t n, enum uplink_format *out);
const char *uplink_content_type(enum uplink_format format);

struct uplink_sent {
	char epoch[EVENT_EPOCH];
	size_t n; /* events of the spool's batch that went, from the front */
	struct {
		uint32_t first, last; /* 0: none of this class */
	} class[EVENT_CLASSES];
};

/* Appends the batch to out: as many events from the front as fit in max_events and max_bytes; one
 * event that is longer alone goes all the same. out must be empty. */
MUST_CHECK enum err uplink_build(struct buf *out, const struct spool_batch *b,
    enum uplink_format format, const char *source, size_t max_events, size_t max_bytes,
    struct uplink_sent *sent);

enum uplink_action {
	UPLINK_TAKEN, /* delete what `upto` says, go on */
	UPLINK_HALVE, /* too large, or one unnamed event is wrong: send fewer */
	UPLINK_BURY,  /* event `index` of the batch is refused for good */
	UPLINK_EPOCH, /* these numbers are known with other events: begin a new epoch */
	UPLINK_LATER, /* not now: wait_ms, or the back-off when 0 */
};
struct uplink_verdict {
	enum uplink_action action;
	uint32_t upto[EVENT_CLASSES]; /* deliverable deletions, 0: none; also with BURY and LATER */
	size_t index;
	uint64_t wait_ms;
	struct fault fault; /* what was wrong with the answer; code OK when nothing was */
};
/* body may be NULL when n is 0. retry_after may be NULL. Never allows more than was sent. */
void uplink_judge(struct uplink_verdict *v, enum uplink_format format,
    const struct uplink_sent *sent, const struct spool_batch *b, int status,
    const char *retry_after, const void *body, size_t n);

#endif
