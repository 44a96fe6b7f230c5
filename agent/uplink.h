/* uplink.h - sends what the spool holds to the console or a collector, one batch at a time, and
 * deletes what the receiver has stored. Loop's thread; batches are built in a worker. */
#ifndef ATALAIA_AGENT_UPLINK_H
#define ATALAIA_AGENT_UPLINK_H

#include "base/err.h"
#include "base/fault.h"
#include "net/httpc.h"
#include "store/spool.h"
#include "uplink_batch.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct uplink;

MUST_CHECK enum err uplink_new(
    struct uplink **out, uv_loop_t *loop, struct spool *spool, struct fault *f);
/* Nothing is sent any more; then frees and calls closed. The spool must live until then. */
void uplink_close(struct uplink *u, void (*closed)(void *ctx), void *ctx);

/* Text is copied; authorization (may be NULL) is the value of that header. http NULL: stop. */
MUST_CHECK enum err uplink_target(struct uplink *u, struct httpc *http, enum uplink_format format,
    const char *url, const char *authorization);
/* Source of every event; nothing is sent without one. */
MUST_CHECK enum err uplink_source(struct uplink *u, const char *source);
/* Something became durable. urgent: a detection, which does not wait for company. */
void uplink_kick(struct uplink *u, bool urgent);

struct uplink_stats {
	uint64_t delivered[EVENT_CLASSES], dead[EVENT_CLASSES];
	uint64_t batches, bytes_sent, errors, epochs, delivered_ms;
	char error[160];
};
const struct uplink_stats *uplink_stats(const struct uplink *u);

#endif
