/* update_set.c - a staged set's way into the engine and, if need be, back out: gate, activation,
 * probe, revert. Disk work happens in the worker, one job of a feed at a time. */
#include "update_internal.h"

#include "base/clock.h"
#include "base/inject.h"
#include "base/log.h"
#include "base/text.h"
#include "policies.h"
#include "report.h"
#include "update/set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_SETS 2

static void
set_path(const struct feed *fd, char *dst, size_t size, uint64_t version)
{
	(void)snprintf(dst, size, "%s/sets/%llu", fd->dir, (unsigned long long)version);
}

/* --- gate --- */

static void
gated(void *ctx, enum verdict v, const char *rule, const char *why)
{
	struct feed *fd = ctx;
	char text[400];

	(void)snprintf(text, sizeof text, "%s", why);
	if (v == VERDICT_GOOD && !fd->closing) {
		feed_input(fd, FLOW_PASSED);
		return;
	}
	if (v == VERDICT_BAD) {
		feed_reject(
		    &fd->facts, fd->target_sha, fd->target, agent_now(fd->agent), rule, text);
		report_set_rejected(fd->agent, fd->name, fd->target, fd->target_sha, rule, text);
	} else {
		feed_waits(fd, rule, text);
	}
	feed_save(fd);
	feed_input(fd, FLOW_REFUSED);
	feed_finish(fd, v == VERDICT_BAD ? "refused" : "waiting", text);
}

static void
checked_work(uv_work_t *w)
{
	struct feed *fd = w->data;

	uint8_t sha[SET_SHA] = { 0 };

	fault_reset(&fd->work_fault);
	fd->work_err = set_check(fd->dir, fd->target, &fd->work_fault);
	if (fd->work_err == OK)
		fd->work_err = set_identity(fd->dir, fd->target, sha, &fd->work_fault);
	text_hex(fd->target_sha, sha, SET_SHA);
}

static void
run_gate(struct feed *fd)
{
	char set[4300];

	set_path(fd, set, sizeof set, fd->target);
	if (fd->is_policies)
		gated(fd, VERDICT_GOOD, "", "");
	else
		gate_test(fd->agent, fd->name, fd->target, set, gated, fd);
}

static void
checked(uv_work_t *w, int status)
{
	struct feed *fd = w->data;

	fd->work_busy = false;
	if (fd->work_err != OK)
		gated(fd, VERDICT_LATER, "damaged", fault_text(&fd->work_fault));
	else
		run_gate(fd);
}

/* What atalaia-fetch staged a moment ago was hashed then; a set from last week is read again. */
void
feed_gate(struct feed *fd)
{
	fd->gate_started = clock_mono_ms();
	if (!fd->switching) {
		run_gate(fd);
		return;
	}
	fd->work_busy = true;
	(void)uv_queue_work(&fd->agent->loop, &fd->work, checked_work, checked);
}

/* --- activate --- */

static void
activate_work(uv_work_t *w)
{
	struct feed *fd = w->data;

	fault_reset(&fd->work_fault);
	fd->work_err = inject("update.activate")
			   ? fault_set(&fd->work_fault, ERR_IO, "injected")
			   : set_activate(fd->dir, fd->target, &fd->work_fault);
}

static void
activated(uv_work_t *w, int status)
{
	struct feed *fd = w->data;
	struct feed_facts *facts = &fd->facts;

	fd->work_busy = false;
	if (fd->work_err != OK) {
		log_error("update.activate", "feed=%s version=%llu why=%s", fd->name,
		    (unsigned long long)fd->target, log_q(fault_text(&fd->work_fault)));
		feed_input(fd, FLOW_REFUSED);
		feed_finish(fd, "failed", fault_text(&fd->work_fault));
		return;
	}
	facts->previous = facts->version;
	facts->version = fd->target;
	facts->activated = clock_wall_ms();
	(void)snprintf(facts->sha256, sizeof facts->sha256, "%s", fd->target_sha);
	(void)snprintf(facts->source, sizeof facts->source, "%s", fd->result.source);
	feed_input(fd, FLOW_ACTIVE);
}

void
feed_activate(struct feed *fd)
{
	fd->work_busy = true;
	(void)uv_queue_work(&fd->agent->loop, &fd->work, activate_work, activated);
}

/* --- probe --- */

static void
healthy(struct feed *fd)
{
	if (fd->rechecking) {
		feed_save(fd);
		feed_input(fd, FLOW_HEALTHY);
		feed_finish(fd, "current", "");
		return;
	}
	fd->told[0] = '\0';
	report_applied(fd->agent, fd->name, &fd->result, clock_mono_ms() - fd->gate_started);
	feed_save(fd);
	feed_input(fd, FLOW_HEALTHY);
	feed_finish(fd, fd->switching ? "pinned" : "updated", "");
}

static void
probed(void *ctx, enum verdict v, const char *rule, const char *why)
{
	struct feed *fd = ctx;

	if (v == VERDICT_LATER) /* the engine is away; its return is watched and reported there */
		log_warn("update.probe", "feed=%s version=%llu later=yes why=%s", fd->name,
		    (unsigned long long)fd->target, log_q(why));
	if (v == VERDICT_LATER && strcmp(rule, "memory") == 0)
		feed_waits(fd, rule, why);
	fd->facts.unproved = v == VERDICT_LATER;
	if (v != VERDICT_BAD) {
		healthy(fd);
		return;
	}
	(void)snprintf(fd->last_why, sizeof fd->last_why, "%s", why);
	feed_reject(&fd->facts, fd->target_sha, fd->target, agent_now(fd->agent), rule, why);
	feed_input(fd, FLOW_SICK);
}

static void
policies_taken(void *ctx, enum err e, const char *why)
{
	struct feed *fd = ctx;

	if (e != OK)
		log_warn("policy.set", "version=%llu why=%s", (unsigned long long)fd->target,
		    log_q(why));
	healthy(fd);
}

void
feed_probe(struct feed *fd)
{
	char set[4300];

	set_path(fd, set, sizeof set, fd->target);
	if (fd->is_policies)
		policies_apply(fd->agent->policies, set, policies_taken, fd);
	else
		gate_probe(fd->agent, fd->name, fd->target, set, probed, fd);
}

/* --- revert --- */

static void
end_revert(struct feed *fd)
{
	char why[400];

	(void)snprintf(why, sizeof why, "%s", fd->last_why);
	report_reverted(fd->agent, fd->name, fd->target, fd->facts.version, why);
	feed_save(fd);
	feed_input(fd, FLOW_BACK);
	feed_finish(fd, "reverted", why);
}

static void
back_probed(void *ctx, enum verdict v, const char *rule, const char *why)
{
	struct feed *fd = ctx;

	if (v != VERDICT_GOOD)
		log_error("update.revert", "feed=%s version=%llu healthy=no why=%s", fd->name,
		    (unsigned long long)fd->before, log_q(why));
	end_revert(fd);
}

static void
revert_work(uv_work_t *w)
{
	struct feed *fd = w->data;

	fault_reset(&fd->work_fault);
	fd->work_err = set_activate(fd->dir, fd->before, &fd->work_fault);
}

static void
reverted(uv_work_t *w, int status)
{
	struct feed *fd = w->data;
	char set[4300];

	fd->work_busy = false;
	if (fd->work_err != OK) {
		log_error("update.revert", "feed=%s to=%llu why=%s", fd->name,
		    (unsigned long long)fd->before, log_q(fault_text(&fd->work_fault)));
		end_revert(fd);
		return;
	}
	fd->facts.version = fd->before;
	fd->facts.previous = 0;
	set_path(fd, set, sizeof set, fd->before);
	gate_probe(fd->agent, fd->name, fd->before, set, back_probed, fd);
}

void
feed_revert(struct feed *fd)
{
	if (fd->before == 0 || fd->before == fd->target) { /* nothing to go back to */
		end_revert(fd);
		return;
	}
	fd->work_busy = true;
	(void)uv_queue_work(&fd->agent->loop, &fd->work, revert_work, reverted);
}

/* --- keeping notes --- */

struct save {
	uv_work_t work;
	struct feed *fd;
	struct feed_facts facts;
	char dir[4200];
	enum err err;
	struct fault fault;
};

static void
save_work(uv_work_t *w)
{
	struct save *s = w->data;
	uint64_t keep[3] = { s->facts.version, s->facts.previous, s->facts.pin.version };

	s->err = feed_store_save(&s->facts, s->dir, &s->fault);
	if (s->err == OK)
		s->err = feed_store_save_rejected(&s->facts, s->dir, &s->fault);
	if (s->err == OK && s->facts.version != 0)
		s->err = set_prune(s->dir, KEEP_SETS, keep, 3, &s->fault);
}

static void
saved(uv_work_t *w, int status)
{
	struct save *s = w->data;
	struct feed *fd = s->fd;

	if (s->err != OK)
		log_warn("update.notes", "feed=%s why=%s", fd->name, log_q(fault_text(&s->fault)));
	free(s);
	fd->saving = false;
	if (fd->save_again) {
		fd->save_again = false;
		feed_save(fd);
	} else if (fd->closing) {
		feed_maybe_closed(fd);
	} else if (fd->again) {
		fd->again = false;
		feed_go(fd, fd->again_reason);
	} else if (fd->recheck_wanted) {
		feed_recheck(fd);
	}
}

/* A copy goes to the worker; a run that is asked for meanwhile waits for it. */
void
feed_save(struct feed *fd)
{
	struct save *s;

	if (fd->saving) {
		fd->save_again = true;
		return;
	}
	if ((s = calloc(1, sizeof *s)) == NULL)
		return; /* the next run writes it */
	s->fd = fd;
	s->facts = fd->facts;
	s->work.data = s;
	(void)snprintf(s->dir, sizeof s->dir, "%s", fd->dir);
	fd->saving = true;
	(void)uv_queue_work(&fd->agent->loop, &s->work, save_work, saved);
}
