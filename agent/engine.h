/* engine.h - the scanning engine behind one interface: clamd, command, none. Loop's thread;
 * everything that takes time ends in a callback, never from inside the call that began it. */
#ifndef ATALAIA_AGENT_ENGINE_H
#define ATALAIA_AGENT_ENGINE_H

#include "base/err.h"
#include "base/fault.h"
#include "config.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct engine;
struct engine_job; /* one gate, reload or probe under way */

struct engine_options {
	uv_loop_t *loop;
	enum engine_type type;
	enum gate_mode gate;
	enum clamd_method clamd_scan; /* of files in scans */
	const char *clamd_socket, *clamscan;
	const char *clamd_conf, *clamd_restart; /* "": its own; no restart by us */
	const char *canaries, *clean_samples;	/* folders, "" = built-in samples only */
	const char *command_reload, *command_test, *command_scan;
	uint64_t memory_limit; /* bytes a test or reload may count on at most, 0: what is free */
	uint64_t deadline_ms;  /* of one gate, reload or probe */
	uint32_t watch_ms;     /* between looks at the engine's health; 0: 10 s */
	/* engine.down, engine.up; takes data. May be NULL. */
	void (*event)(void *ctx, const char *type, cJSON *data);
	void *ctx;
};

/* Options are copied. Works with an engine that is down: it is watched. ERR_INVAL: options. */
MUST_CHECK enum err engine_open(
    struct engine **out, const struct engine_options *o, struct fault *f);
/* Policy: what may change while it runs; the next job follows. */
void engine_apply(
    struct engine *e, enum gate_mode gate, uint64_t memory_limit, uint64_t deadline_ms);
/* Cancels jobs (done gets ERR_CANCELED), then calls closed. */
void engine_close(struct engine *e, void (*closed)(void *ctx), void *ctx);

struct engine_outcome {
	enum err
	    err; /* OK: passed. ERR_VERIFY: the set is refused; else the check could not be made */
	struct fault fault; /* the sentence */
	char
	    rule[32]; /* "load", "memory", "canary", "clean", "marker", "deadline", "down", ""... */
	uint64_t ms;
	bool skipped; /* no gate for this engine or by option */
};
typedef void (*engine_cb)(void *ctx, const struct engine_outcome *o);

/* May this staged folder become the current set? feed and version name the marker that the set must
 * hold when it has one. */
MUST_CHECK enum err engine_gate(struct engine *e, const char *set, const char *feed,
    uint64_t version, engine_cb cb, void *ctx, struct engine_job **job, struct fault *f);
/* Tells the engine to load the current set (folder `set`, for the command engine). Done when the
 * engine took the request. */
MUST_CHECK enum err engine_reload(struct engine *e, const char *set, engine_cb cb, void *ctx,
    struct engine_job **job, struct fault *f);
/* Passes when the engine answers with the set of this version: the marker is found, canaries hit,
 * clean samples do not. marker false: the set has none; then canaries and clean samples alone. */
MUST_CHECK enum err engine_probe(struct engine *e, const char *feed, uint64_t version, bool marker,
    engine_cb cb, void *ctx, struct engine_job **job, struct fault *f);
/* Does the set in this folder hold a marker of the feed's version? Blocking, short. */
bool engine_set_has_marker(const char *set);
void engine_cancel(struct engine_job *job); /* cb gets ERR_CANCELED from the loop */

bool engine_is_up(const struct engine *e);
/* {"type","up","version","since","error","memory":{"used","queue","need","have","held","kind",
 * "reload"}}; NULL on
 * no memory. */
cJSON *engine_status(const struct engine *e);
/* Folder of the last engine_reload, "" before the first. */
const char *engine_current_set(const struct engine *e);
const struct engine_options *engine_settings(const struct engine *e);

#endif
