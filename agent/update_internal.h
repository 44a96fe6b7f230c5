/* update_internal.h - one feed, shared by update.c (registry, requests), update_cycle.c (the state
 * machine), update_set.c (gate, activation, probe, revert) and update_plan.c (sources and times).
 */
#ifndef ATALAIA_AGENT_UPDATE_INTERNAL_H
#define ATALAIA_AGENT_UPDATE_INTERNAL_H

#include "update.h"

#include "base/buf.h"

#include "fetch_job.h"
#include "gate.h"
#include "watch.h"

struct waiter {
	struct waiter *next;
	update_cb cb;
	void *ctx;
};

struct feed {
	struct updates *u;
	struct agent *agent;
	char name[SOURCE_NAME];
	char dir[4200];
	char root_json[4400];
	bool is_policies;
	enum flow_state state;
	enum update_reason reason;
	struct feed_facts facts;
	struct source_health health[LIMIT_SOURCES];
	size_t n_health;
	struct watch *watch;
	struct fetch_job *job;
	struct fetch_progress progress;
	struct fetch_result result; /* of the run that is being worked on */
	struct buf timestamp;	    /* body from a version port, for the next fetch */
	struct source asked;	    /* where that body came from */
	bool from_news;		    /* the run came from the long-poll */
	struct waiter *waiters;
	uv_timer_t timer;
	uint64_t timer_at; /* monotonic ms */
	uv_work_t work;	   /* one disk job at a time */
	bool work_busy, saving, save_again;
	enum err work_err;
	struct fault work_fault;
	uint64_t target, before; /* set being switched to, and the one it replaces */
	char target_sha[65];
	uint64_t rechecked;	     /* monotonic ms of the last proof that was tried */
	bool recheck_wanted;	     /* the engine came back while a run was under way */
	bool rechecking;	     /* the active set is proved once more, nothing is new */
	bool switching;		     /* by a pin, not by a download */
	bool inspected;		     /* the active set was read since this agent started */
	bool canceled, stale, again; /* again: asked for while it was running */
	enum update_reason again_reason;
	char told[32];	      /* reason of the trouble that was told, "" = none */
	uint64_t refused_sum; /* of the refused files that were told */
	char last_word[16], last_why[400], last_source[SOURCE_NAME];
	int64_t last_try;
	uint64_t offered, held; /* newest set seen; timestamp held when the run began */
	uint64_t runs, failures, refused_files, last_errors;
	uint64_t gate_started;
	bool started, closing;
	int handles;
};

struct updates {
	struct agent *agent;
	struct feed *feeds[LIMIT_SOURCES];
	size_t n;
	bool started, closing;
	size_t open;
	void (*closed)(void *ctx);
	void *closed_ctx;
};

/* update_plan.c */
void feed_plan(struct feed *fd, struct source_plan *plan, const struct source_health *h, size_t n);
struct source_health *feed_health(struct feed *fd, const char *name);
void feed_schedule(struct feed *fd, bool failed);
unsigned feed_window_wait(const struct feed *fd); /* minutes, 0 = open */
void feed_timer_start(struct feed *fd, uint64_t ms);
unsigned local_minute(void);
struct policy;
/* The policy's duration when a file sets it, else the local one. */
uint64_t policy_or(const struct policy *p, const char *path, uint64_t local);
void agent_initial_root(const struct agent *a, const char *feed, char *dst, size_t size);
/* With the names that policy and enrolment give. */
size_t agent_sources_by_name(struct agent *a, struct source *out, size_t max, bool for_mirror);
/* With addresses in place of names that were tampered with (tamper.h). */
size_t agent_sources(struct agent *a, struct source *out, size_t max, bool for_mirror);

/* update_cycle.c */
void feed_go(struct feed *fd, enum update_reason reason);
void feed_input(struct feed *fd, enum flow_input input);
void feed_finish(struct feed *fd, const char *word, const char *why);
/* update.waiting, unless this reason (a word) is being waited for already. */
void feed_waits(struct feed *fd, const char *reason, const char *why);
void feed_on_timer(uv_timer_t *t);

/* update_set.c */
void feed_gate(struct feed *fd);
void feed_activate(struct feed *fd);
void feed_probe(struct feed *fd);
void feed_revert(struct feed *fd);
void feed_save(struct feed *fd);

/* update.c */
void feed_recheck(struct feed *fd);
void feed_maybe_closed(struct feed *fd);
extern const struct watch_owner feed_watch_owner;

#endif
