#include "upkeep.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "collected.h"
#include "facts.h"
#include "feed.h"
#include "identity.h"
#include "store.h"

#include <stdlib.h>
#include <string.h>

#define EXPIRE_EVERY_MS 2000
#define PRUNE_EVERY_MS 60000
#define PRUNE_ROWS 5000 /* a bite that keeps the queue responsive */
#define PRUNE_TASKS 20	/* each may have thousands of deliveries */
#define FEED_EVERY_MS 600000
#define COLLECTED_EVERY_MS 600000
#define IDENTITY_EVERY_MS 3600000

struct duty {
	struct job job;
	struct console *c;
	bool changed, renewed;
};

static enum err
run_expire(struct job *job, void *ctx)
{
	struct duty *d = (struct duty *)job;
	enum err e = store_tasks_expire(ctx, clock_wall_ms());

	d->changed = e == OK && db_changes(ctx) > 0;
	return e;
}

static enum err
run_prune(struct job *job, void *ctx)
{
	struct duty *d = (struct duty *)job;
	int64_t now = clock_wall_ms(), before = now - (int64_t)d->c->o->events_keep;
	enum err e = facts_prune(ctx, before);

	if (e == OK)
		e = store_events_prune(ctx, before, PRUNE_ROWS);
	return e == OK ? store_tasks_prune(ctx, now - (int64_t)d->c->o->tasks_keep, PRUNE_TASKS)
		       : e;
}

static enum err
run_collected(struct job *job, void *ctx)
{
	struct duty *d = (struct duty *)job;

	(void)ctx;
	return collected_prune(d->c->o, clock_wall_ms() - (int64_t)d->c->o->collected_keep);
}

static enum err
run_feed(struct job *job, void *ctx)
{
	struct duty *d = (struct duty *)job;
	struct fault f = { 0 };
	enum err e = feed_refresh(d->c->feed, &f);

	(void)ctx;
	if (e != OK)
		log_error("policies.refresh", "error=%s", log_q(fault_text(&f)));
	return e;
}

static void
duty_done(struct job *job, enum err result)
{
	struct duty *d = (struct duty *)job;

	if (d->renewed)
		serve_identity_changed(d->c);
	if (d->changed)
		(void)waiters_wake_kind(d->c->waiters, "task");
	if (result != OK)
		log_error("upkeep", "error=%s", err_word(result));
	free(job);
}

/* In the database queue, whose jobs are the readers of c->id: none of them runs meanwhile. */
static enum err
run_identity(struct job *job, void *ctx)
{
	struct duty *d = (struct duty *)job;
	struct identity *id = &d->c->id, next;
	struct fault f = { 0 };
	bool fresh;
	enum err e = identity_refresh(d->c->o, &fresh, &f);

	(void)ctx;
	if (e == OK)
		e = identity_load(&next, d->c->o, &f);
	if (e != OK) {
		log_error("identity.refresh", "error=%s", log_q(fault_text(&f)));
		return OK; /* the present one goes on; in an hour again */
	}
	d->renewed = memcmp(next.leaf, id->leaf, sizeof(id->leaf)) != 0;
	next.has_before = d->renewed || id->has_before;
	memcpy(next.leaf_before, d->renewed ? id->leaf : id->leaf_before, sizeof(id->leaf));
	identity_free(id);
	*id = next;
	return OK;
}

static void
add(struct console *c, struct work *w, enum err (*run)(struct job *, void *))
{
	struct duty *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return; /* next time */
	d->job.run = run;
	d->job.done = duty_done;
	d->c = c;
	work_add(w, &d->job);
}

/* Due now? Each duty runs at the first tick, then at its interval. */
static bool
due(uint64_t *next, uint64_t now, uint64_t every)
{
	if (now < *next)
		return false;
	*next = now + every;
	return true;
}

void
upkeep_tick(struct console *c, uint64_t now_ms)
{
	if (due(&c->next_expire, now_ms, EXPIRE_EVERY_MS))
		add(c, &c->db_work, run_expire);
	if (due(&c->next_prune, now_ms, PRUNE_EVERY_MS))
		add(c, &c->db_work, run_prune);
	if (due(&c->next_collected, now_ms, COLLECTED_EVERY_MS))
		add(c, &c->file_work, run_collected);
	if (due(&c->next_feed, now_ms, FEED_EVERY_MS))
		add(c, &c->feed_work, run_feed);
	if (due(&c->next_identity, now_ms, IDENTITY_EVERY_MS))
		add(c, &c->db_work, run_identity);
}
