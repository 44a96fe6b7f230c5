/* fetch_job.h - one run of atalaia-fetch: its configuration built, its messages read. Loop's
 * thread. */
#ifndef ATALAIA_AGENT_FETCH_JOB_H
#define ATALAIA_AGENT_FETCH_JOB_H

#include "agent.h"
#include "base/fault.h"
#include "sources.h"

#include <stdbool.h>
#include <stdint.h>

enum fetch_outcome {
	FETCH_UPDATED,
	FETCH_CURRENT,
	FETCH_WAITING,
	FETCH_CANCELED,
	FETCH_FAILED,
	FETCH_SENT
};

#define LIMIT_FETCH_ERRORS 16

struct fetch_error {
	char source[SOURCE_NAME], url[512], file[256], rule[64], expected[160], got[160];
	char word[32], text[400];
};

struct fetch_result {
	enum fetch_outcome outcome;
	uint64_t version, from, ms;
	uint64_t bytes_metadata, bytes_delta, bytes_full, bytes_wire;
	char set[4096], sha256[65];
	char source[SOURCE_NAME], url[512], expires[40];
	bool stale;
	int64_t verified; /* wall ms, 0 = none */
	struct fetch_error errors[LIMIT_FETCH_ERRORS];
	size_t n_errors;
	char why[400]; /* sentence when it failed, "" otherwise */
};

struct fetch_progress {
	char phase[16], file[128], source[SOURCE_NAME];
	uint64_t done, total;
};

struct fetch_order {
	const char *feed;
	bool mirror;
	const char *folder;    /* set: feeds/<feed>; mirror: the served root */
	const char *work;      /* mirror only */
	const char *root_json; /* trusted initial root */
	const struct source *sources;
	size_t n_sources;
	const void *timestamp; /* body from 3333, unread; NULL = none */
	size_t timestamp_len;
	const char *delta; /* "prefer", "require", "off" */
	uint64_t rate_limit, current, disk_floor;
	bool inspect;		   /* set: read the active set again now, not only once a day */
	const char *const *reject; /* hashes of refused sets */
	size_t n_reject;
	const char *proxy;
};

/* One file into the first drop box that takes it (FETCH_SENT, result.source). */
struct fetch_send {
	const char *file, *name; /* absolute path; what it is called there */
	const struct source *sources;
	size_t n_sources;
	uint64_t rate_limit;
	const char *proxy;
};

struct fetch_job;
struct fetch_handlers {
	void (*progress)(void *ctx, const struct fetch_progress *p); /* may be NULL */
	/* Exactly once; the job is gone after it. r is valid during the call. */
	void (*done)(void *ctx, const struct fetch_result *r);
};

MUST_CHECK enum err fetch_start(struct fetch_job **out, struct agent *a,
    const struct fetch_order *o, const struct fetch_handlers *h, void *ctx, struct fault *f);
MUST_CHECK enum err fetch_send_start(struct fetch_job **out, struct agent *a,
    const struct fetch_send *s, const struct fetch_handlers *h, void *ctx, struct fault *f);
void fetch_stop(struct fetch_job *j); /* done follows, with FETCH_CANCELED unless it was ready */

const char *fetch_outcome_word(enum fetch_outcome o);
/* Pure: the result message as a struct. A message that is not well formed is FETCH_FAILED. */
void fetch_read_result(struct fetch_result *out, const cJSON *message);

#endif
