/* sources.h - which source a feed is asked from, and in what order. Pure: no clock, no sockets.
 * Order: the own mirror, the update agents that policy gives for this PC's subnet (healthiest
 * first), then the server. Whether and when the server may be asked past the update agents is
 * policy. A failure is a fact about that source alone. */
#ifndef ATALAIA_AGENT_SOURCES_H
#define ATALAIA_AGENT_SOURCES_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCE_NAME 64
#define SOURCE_HOST 256
#define LIMIT_SOURCES 32

enum source_kind { SOURCE_OWN, SOURCE_AGENT, SOURCE_SERVER };

struct source {
	enum source_kind kind;
	char name[SOURCE_NAME];
	char host[SOURCE_HOST];
	uint16_t ftp, http, version; /* 0: this source has no such port */
};

/* What is known about one source; kept by the caller, one for each source, by name. */
struct source_health {
	char name[SOURCE_NAME];
	unsigned fails;		/* in a row */
	uint64_t not_before;	/* monotonic ms; not asked earlier */
	uint64_t failing_since; /* monotonic ms of the first failure in the row, 0 = healthy */
	char error[96];		/* last error in words, "" = none */
};

#define BYPASS_NEVER UINT64_MAX

struct source_rules {
	uint64_t bypass_ms;    /* how long all update agents must have failed; BYPASS_NEVER */
	bool feed_is_policies; /* policies may always come from the server */
	bool is_mirror;	       /* choosing for the mirror: the own mirror is no source */
};

struct source_plan {
	struct source list[LIMIT_SOURCES];
	size_t count;
	uint64_t retry_at; /* count == 0: monotonic ms when one may be asked; 0 = no sources */
	bool bypassed;	   /* the server is in the list although update agents exist */
};

/* Fills plan from n candidates in policy order. health may hold fewer entries than candidates. */
void sources_plan(struct source_plan *plan, const struct source *candidates, size_t n,
    const struct source_health *health, size_t nhealth, const struct source_rules *rules,
    uint64_t now);

const struct source_health *sources_health(
    const struct source_health *h, size_t n, const char *name);
/* Records a failure: pause first * 2^(fails-1), at most an hour, plus up to a quarter of it by the
 * seed; retry_after_ms (0 = none) is a minimum and is capped at a day. */
void source_failed(struct source_health *h, uint64_t now, uint64_t first_ms,
    uint64_t retry_after_ms, uint32_t seed, const char *error);
void source_worked(struct source_health *h);

/* Writes scheme://host:port/feed, IPv6 literals in brackets. ERR_TOOBIG. */
MUST_CHECK enum err source_url(char *dst, size_t size, const char *scheme, const struct source *s,
    uint16_t port, const char *path);

#endif
