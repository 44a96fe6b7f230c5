/* events_internal.h - shared by events*.c and intake_post.c only. */
#ifndef ATALAIA_AGENT_EVENTS_INTERNAL_H
#define ATALAIA_AGENT_EVENTS_INTERNAL_H

#include "events.h"
#include "intake.h"
#include "net/refusals.h"
#include "store/spool.h"
#include "uplink.h"

#define EVENTS_ROUTES 32

struct emitted; /* one own event on its way into the spool */

struct events {
	uv_loop_t *loop;
	struct spool *spool;
	struct httpd *httpd;
	struct uplink *uplink;
	struct http_route routes[EVENTS_ROUTES];
	bool no_telemetry; /* policy: own telemetry is not raised */
	void *owner;
	uint16_t port;
	struct intake_uids uids;
	struct intake_senders senders;
	struct intake_rate trusted, others;
	struct refusals refusals;
	uint32_t listed_rate, unlisted_rate, unlisted_share;
	bool collector;	  /* events.target is not the console */
	uv_timer_t retry; /* own events that the disk refused */
	struct emitted *waiting, **waiting_tail;
	size_t waiting_bytes, under_way;
	uint64_t posts, posts_refused, accepted[EVENT_CLASSES];
	bool closing;
	void (*closed)(void *ctx);
	void *closed_ctx;
};

/* Stores the events of one request or of ours: bodies in one buffer. */
struct events_stored {
	struct buf bytes;
	struct spool_event *items;
	size_t *at; /* where each body begins: bytes may move while it grows */
	char (*ids)[UUID_TEXT];
	size_t n, max;
};
MUST_CHECK enum err events_stored_init(struct events_stored *s, size_t max);
MUST_CHECK enum err events_stored_add(
    struct events_stored *s, const cJSON *event, struct event_stamp *stamp); /* sets stamp->id */
void events_stored_finish(struct events_stored *s); /* items point into bytes now */
void events_stored_free(struct events_stored *s);
void events_durable(struct events *ev, enum event_class most_urgent);

/* intake_post.c: somebody on this PC was turned away at 2227: event local.refused. */
void intake_refused(void *ctx, const struct http_refusal *x);

/* events_target.c */
MUST_CHECK enum err events_set_target(
    struct events *ev, struct httpc *plain, const char *target, struct fault *f);
/* events_report.c: runs in the spool's worker. */
enum err events_report_drop(void *ctx, unsigned class, const struct spool_drop *d, struct buf *out);
void events_report_damage(struct events *ev, const struct spool_opened *opened);

#endif
