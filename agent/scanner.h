/* scanner.h - one scan at a time: starts atalaia-scan, turns what it finds into events, mwav.log
 * lines and, when asked, quarantined files. Loop's thread. */
#ifndef ATALAIA_AGENT_SCANNER_H
#define ATALAIA_AGENT_SCANNER_H

#include "base/err.h"
#include "base/fault.h"
#include "engine.h"
#include "events.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct scanner;
struct quarantine;

struct scanner_options {
	uv_loop_t *loop;
	const char *state;     /* mwav.log and quarantine/ live here */
	const char *libexec;   /* as in agent.conf */
	struct engine *engine; /* borrowed */
	struct events *events; /* borrowed */
	bool require_confinement;
};
MUST_CHECK enum err scanner_open(
    struct scanner **out, const struct scanner_options *o, struct fault *f);
void scanner_close(struct scanner *s, void (*closed)(void *ctx), void *ctx);

struct scan_result {
	enum err err; /* OK done, ERR_CANCELED stopped, else failed */
	struct fault fault;
	uint64_t files, bytes, found, unreadable, quarantined, ms;
};
struct scan_request { /* copied */
	const char *const *paths;
	size_t n_paths;
	const char *const *exclude;
	size_t n_exclude;
	bool quarantine;
	bool cross_mounts;
	bool scheduled;	  /* by policy, not by a person: gently */
	const char *task; /* id for the events, or NULL */
	void (*progress)(
	    void *ctx, const struct scan_result *so_far);     /* may be NULL; a few each second */
	void (*done)(void *ctx, const struct scan_result *r); /* exactly once */
	void *ctx;
};
/* ERR_BUSY: a scan is running. ERR_UNSUPPORTED: no engine. */
MUST_CHECK enum err scanner_start(struct scanner *s, const struct scan_request *q, struct fault *f);
void scanner_stop(struct scanner *s); /* done gets ERR_CANCELED; fine when none runs */
bool scanner_running(const struct scanner *s);
cJSON *scanner_status(const struct scanner *s); /* {"running","files","bytes","found",...} */
/* One use of the vault: work runs in a worker while nobody else uses it, then done from the loop.
 * The struct is the caller's and stays until done. ERR_STATE: there is no vault. */
struct vault_use {
	void (*work)(struct quarantine *vault, void *ctx);
	void (*done)(void *ctx);
	void *ctx;
	struct vault_use *next;
};
MUST_CHECK enum err scanner_vault_use(struct scanner *s, struct vault_use *use, struct fault *f);

#endif
