/* events.h - the agent's events: port 2227, the spool, the uplink. Loop's thread only. Events go
 * into the spool in a worker; the loop never waits for the disk. */
#ifndef ATALAIA_AGENT_EVENTS_H
#define ATALAIA_AGENT_EVENTS_H

#include "base/err.h"
#include "base/fault.h"
#include "net/httpc.h"
#include "net/httpd.h"
#include "proto/event.h"

#include <cjson/cJSON.h>
#include <uv.h>

struct events;

#define EVENTS_LISTED_RATE 20000
#define EVENTS_UNLISTED_RATE 500
#define EVENTS_UNLISTED_SHARE 25

/* All text is copied; routes are borrowed for the life of the events. */
struct events_options {
	uv_loop_t *loop;
	const char *state;	    /* spool.db lives here */
	const char *listen;	    /* addresses of the event port; "" or NULL: 127.0.0.1,::1 */
	uint16_t port;		    /* 0: any; ::1 then gets the same port when it is free */
	bool any_address;	    /* the operator insists on a listen address beyond loopback */
	const char *socket;	    /* unix socket, NULL or "": none */
	const char *detection_uids; /* list of user ids that may post detections */
	uint32_t listed_rate, unlisted_rate; /* events a second of one user id; 0: the defaults */
	uint32_t unlisted_share; /* percent of the telemetry quota, at once and again in an hour */
	uint64_t quota[EVENT_CLASSES]; /* bytes each class may keep, by enum event_class */
	const char *target;  /* "console", or [FORMAT ]URL: format cloudevents-batch, json,
			      * ndjson, elasticsearch or splunk */
	struct httpc *plain; /* for a collector; borrowed */
	/* Served on 2227 and the socket beside POST /v1/events; run gets the struct events. */
	const struct http_route *routes;
	size_t n_routes;
	void *owner;
};

/* Opens the spool (blocks: before the loop runs), listens, starts delivery once there is a target.
 * A damaged spool is moved aside and reported by an event, never an error. ERR_INVAL: options. */
MUST_CHECK enum err events_open(
    struct events **out, const struct events_options *o, struct fault *f);
/* Stops listening, makes everything emitted durable, closes; then calls closed. */
void events_close(struct events *ev, void (*closed)(void *ctx), void *ctx);

void *events_owner(const struct events *ev);
struct spool *events_spool(const struct events *ev);
/* Who sent a request on the event port or its socket. */
struct peer_id;
MUST_CHECK enum err events_sender(const struct http_req *r, struct peer_id *who);
uint16_t events_port(const struct events *ev);

/* Who we are: the source of every event. Before that events wait in the spool. */
MUST_CHECK enum err events_identity(struct events *ev, const char *org, const char *agent);
/* Where the console is: httpc with our identity that expects the console, and
 * "https://host:2225/v1/events". May be called again (renewal, move). httpc NULL: stop sending.
 * Does nothing more than remember when events.target is a collector. */
MUST_CHECK enum err events_console(struct events *ev, struct httpc *console, const char *url);

/* Raises an event of our own. type "update.applied" becomes "org.atalaia.update.applied". Takes
 * data; NULL data (memory ran out while it was built) is logged and counted. */
void events_emit(struct events *ev, enum event_class class, const char *type, cJSON *data);
/* The class that a type of ours belongs to: detection, task/update, else telemetry. */
enum event_class events_class_of(const char *type);

/* Policy: whether events_emit takes telemetry; what programs post is always taken. */
void events_keep_telemetry(struct events *ev, bool keep);
/* Policy: new quotas and detection uids, live. NULL keeps. */
MUST_CHECK enum err events_apply(struct events *ev, const uint64_t quota[EVENT_CLASSES],
    const char *detection_uids, struct fault *f);

struct events_stats {
	struct {
		uint64_t accepted, delivered, dropped, dead, depth, depth_bytes;
	} class[EVENT_CLASSES];
	uint64_t posts, posts_refused, batches, bytes_sent, send_errors, commits, commit_errors;
	uint64_t delivered_ms; /* wall ms of the last ack, 0: none yet */
	uint64_t oldest_ms;    /* wall ms of the oldest event that waits, 0: none */
	bool reserved;	       /* the disk room of the quotas is ours */
	char error[160];       /* why nothing can be sent now, "" when all is well */
};
struct events_stats events_stats(const struct events *ev);

#endif
