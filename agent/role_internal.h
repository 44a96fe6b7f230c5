/* role_internal.h - shared by role.c (the wish and the serve child), role_mirror.c (one mirror job
 * for each feed) and role_settings.c (what may be set). */
#ifndef ATALAIA_AGENT_ROLE_INTERNAL_H
#define ATALAIA_AGENT_ROLE_INTERNAL_H

#include "backoff.h"
#include "base/buf.h"
#include "child.h"
#include "fetch_job.h"
#include "relay.h"
#include "role.h"
#include "watch.h"

struct mirror {
	struct role *role;
	char name[SOURCE_NAME];
	char metadata[4300]; /* <root>/<feed>/metadata/timestamp.json */
	char root_json[4400];
	struct watch *watch;
	struct fetch_job *job;
	struct fetch_progress progress;
	struct source_health health[LIMIT_SOURCES];
	size_t n_health;
	struct buf timestamp;
	struct source asked;
	uint64_t served, held; /* timestamp version that is served; at the run's start */
	uv_timer_t timer;
	uint64_t bytes_metadata, bytes_delta, bytes_full, runs, failures;
	char last_word[16], last_why[400], last_source[SOURCE_NAME];
	int64_t last_ok;
	bool asking, again, closing, stale;
	uint64_t refused_sum; /* of the refused files that were told */
	int handles;
};

struct role_wish {
	bool on;
	cJSON *settings; /* object of texts, owned */
};

struct role {
	struct agent *agent;
	struct role_wish wish, before; /* before: to go back to when the new one cannot serve */
	bool have_before;
	struct child *serve;
	bool ready, restart, started, closing;
	uint16_t ftp, version, http;
	struct backoff backoff;
	uv_timer_t timer;
	uint64_t fenced_until;
	char why[360];
	cJSON *counters; /* last status of the child */
	uint64_t asked_at;
	struct relay *relay;
	uint64_t uploads; /* as serve counted them last */
	struct mirror *mirrors[LIMIT_SOURCES];
	size_t n_mirrors;
	struct role_save *saving;
	void (*done)(void *ctx, enum err e, const char *why);
	void *done_ctx;
	int open;
	void (*closed)(void *ctx);
	void *closed_ctx;
};

/* role_settings.c; pure but for the configuration it reads */
MUST_CHECK enum err role_settings_check(const cJSON *settings, struct fault *f);
/* Value in force: the task's, else agent.conf's; "" = not set. */
const char *role_option(const struct role *r, const char *name);
MUST_CHECK enum err role_serve_options(const struct role *r, cJSON *options);
size_t role_parse_upstreams(const char *list, struct source *out, size_t max);

/* role_mirror.c */
MUST_CHECK enum err mirrors_new(struct role *r, struct fault *f);
void mirrors_start(struct role *r);
void mirrors_stop(struct role *r);  /* role off: jobs end, partial files stay */
void mirrors_close(struct role *r); /* role_one_closed for each */
void mirror_tell_serve(struct mirror *m);
cJSON *mirror_json(struct mirror *m);

/* role.c */
void role_one_closed(struct role *r);
bool role_mirrors(const struct role *r); /* on, and not an origin */

#endif
