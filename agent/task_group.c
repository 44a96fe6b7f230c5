/* task_group.c - agent.group: this PC belongs to another group from now on, and so to its policy
 * and its tasks. The group is durable before anything follows it; doing it again changes nothing.
 */
#include "task_handlers.h"

#include "agent.h"
#include "base/json.h"
#include "identity.h"
#include "policies.h"
#include "tasks.h"
#include "update.h"

#include <stdlib.h>
#include <string.h>

#define BUSY_MS 100

struct move {
	struct task *task;
	uv_work_t work;
	uv_timer_t again;
	char group[IDENTITY_GROUP];
	const char *state;
	enum err err;
	struct fault fault;
};

static void
move_freed(uv_handle_t *h)
{
	free(h->data);
}

static void
move_end(struct move *m, enum err e, const char *why)
{
	struct task *t = m->task;
	cJSON *o = NULL;

	if (e != OK) {
		task_fail(t, TASK_FAILED, err_word(e), "%s", why);
	} else {
		o = cJSON_CreateObject();
		if (o != NULL && json_add_string(o, "group", m->group) != OK) {
			cJSON_Delete(o);
			o = NULL;
		}
		task_done(t, o);
	}
	uv_close((uv_handle_t *)&m->again, move_freed);
}

/* A policy that is refused is reported as such; the move stands. */
static void
policy_read(void *ctx, enum err e, const char *why)
{
	struct move *m = ctx;
	struct agent *a = task_agent(m->task);

	if (e == ERR_BUSY && !a->stopping)
		return; /* read with the old group: the timer asks again */
	(void)uv_timer_stop(&m->again);
	move_end(m, OK, why);
}

static void
follow(uv_timer_t *timer)
{
	struct move *m = timer->data;
	struct agent *a = task_agent(m->task);
	char set[4300];

	if (a->stopping || updates_current_set(a->updates, "policies", set, sizeof set) != OK) {
		move_end(m, OK, "");
		return;
	}
	(void)uv_timer_start(&m->again, follow, BUSY_MS, 0);
	policies_apply(a->policies, set, policy_read, m);
}

static void
write_group(uv_work_t *w)
{
	struct move *m = w->data;

	m->err = identity_group_write(m->state, m->group, &m->fault);
}

static void
written(uv_work_t *w, int status)
{
	struct move *m = w->data;
	struct agent *a = task_agent(m->task);

	(void)status;
	if (m->err != OK) {
		move_end(m, m->err, fault_text(&m->fault));
		return;
	}
	identity_set_group(a->identity, m->group);
	follow(&m->again);
}

static void
group_begin(struct task *t)
{
	struct move *m = calloc(1, sizeof *m);
	struct agent *a = task_agent(t);

	if (m == NULL) {
		task_fail(t, TASK_FAILED, "no-memory", "memory ran out");
		return;
	}
	m->task = t;
	m->state = a->conf->state;
	(void)snprintf(
	    m->group, sizeof m->group, "%s", json_get(task_args(t), "group")->valuestring);
	m->work.data = m->again.data = m;
	(void)uv_timer_init(&a->loop, &m->again);
	if (uv_queue_work(&a->loop, &m->work, write_group, written) != 0)
		move_end(m, ERR_NOMEM, "memory ran out");
}

void
run_agent_group(struct task *t)
{
	task_step(t, "move", group_begin);
}
