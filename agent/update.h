/* update.h - keeps the feeds of this PC current: when, from whom, and what becomes of what comes.
 * The last good set always stays. Loop's thread. */
#ifndef ATALAIA_AGENT_UPDATE_H
#define ATALAIA_AGENT_UPDATE_H

#include "agent.h"
#include "base/err.h"
#include "base/fault.h"
#include "feed_store.h"
#include "flow.h"
#include "sources.h"

struct updates;

/* Blocking: reads what the feeds' folders hold. Without an identity there are no feeds. */
MUST_CHECK enum err updates_new(struct updates **out, struct agent *a, struct fault *f);
void updates_start(struct updates *u); /* policies first, then the others */
void updates_close(struct updates *u, void (*closed)(void *ctx), void *ctx);
void updates_sources_moved(struct updates *u); /* names stand for other addresses now */
void updates_policy_changed(struct updates *u); /* policy or the role changed: plan again */

enum update_reason { UPDATE_TIMER, UPDATE_NEWS, UPDATE_LOCAL, UPDATE_TASK, UPDATE_MIRROR };

struct update_outcome {
	const char *feed;
	const char *word; /* updated current waiting canceled failed refused reverted pinned */
	uint64_t version, from;
	const char *source; /* "" unknown */
	const char *why;    /* sentence, "" = none */
};
typedef void (*update_cb)(void *ctx, const struct update_outcome *o);

/* Looks for something new now, past windows and pauses when a person asks. cb (may be NULL) when
 * this feed's run ends. ERR_NOTFOUND: no such feed. */
MUST_CHECK enum err updates_request(
    struct updates *u, const char *feed, enum update_reason reason, update_cb cb, void *ctx);
void updates_forget(struct updates *u, void *ctx);	    /* its cb is not called any more */
size_t updates_cancel(struct updates *u, const char *feed); /* NULL: all; how many were running */
/* Holds the feed at a kept set until `until`; version 0 or until in the past: no pin. cb as above.
 */
MUST_CHECK enum err updates_pin(struct updates *u, const char *feed, uint64_t version,
    int64_t until, update_cb cb, void *ctx, struct fault *f);

/* The engine has come back: sets that it has not proved are loaded and probed now. */
void updates_engine_up(struct updates *u);

size_t updates_count(const struct updates *u);
const char *updates_name(const struct updates *u, size_t i);

/* For status: NULL past the end. Borrowed until the loop goes on. */
struct update_view {
	const char *feed;
	const struct feed_facts *facts;
	enum flow_state state;
	const char *phase, *file, *source; /* of a running download; "" = none */
	uint64_t done, total;
	const struct source_health *health;
	size_t n_health;
	const char *watching;		  /* source whose long-poll stands, NULL */
	const char *last_word, *last_why; /* outcome of the last run, "" = none yet */
	const char *last_source;
	bool stale;
	int64_t last_try;	 /* wall ms */
	uint64_t last_errors;	 /* refused or failed in the last run, however it ended */
	uint64_t next_ms;	 /* until the next check, 0 = unknown */
	uint64_t offered;	 /* newest version that was verified or refused */
	struct source_plan plan; /* for downloads, now */
	uint64_t runs, failures, refused_files;
};
bool updates_view(struct updates *u, size_t i, struct update_view *out);

/* Folder of a feed's active set, or ERR_NOTFOUND. */
MUST_CHECK enum err updates_current_set(struct updates *u, const char *feed, char *dst, size_t n);

#endif
