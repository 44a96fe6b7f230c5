/* agent.c - builds the parts of the agent in order and takes them apart in the opposite one. */
#include "agent.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "engine.h"
#include "events.h"
#include "identity.h"
#include "journal.h"
#include "net/httpc.h"
#include "net/loop.h"
#include "os/file.h"
#include "os/mem.h"
#include "os/notify.h"
#include "os/rand.h"
#include "policies.h"
#include "renew.h"
#include "report.h"
#include "role.h"
#include "scan_schedule.h"
#include "status.h"
#include "tamper.h"
#include "task_pull.h"
#include "task_scan.h"
#include "task_server.h"
#include "tasks.h"
#include "update.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LOOK_FOR_IDENTITY_MS 2000u
#define LOOK_AT_IDENTITY_MS 30000u
#define TICK_MS 20000u
#define SKEW_MS 300000

/* The loop's own handles, and the count of parts that are still closing. */
struct frame {
	struct agent agent;
	uv_signal_t term, interrupt;
	uv_fs_poll_t identity_poll;
	uv_timer_t alive;
	bool signals_made;
	int closing;
	bool again; /* build everything anew: enrolled meanwhile */
	bool ready;
	int lock;
};

static struct frame *
frame_of(struct agent *a)
{
	return (struct frame *)((char *)a - offsetof(struct frame, agent));
}

int64_t
agent_now(const struct agent *a)
{
	int64_t now = clock_wall_ms();

	return now < a->time_floor ? a->time_floor : now;
}

void
agent_floor(struct agent *a, int64_t verified)
{
	int64_t now = clock_wall_ms();
	bool was_behind = a->time_floor > now + SKEW_MS;

	if (verified > a->time_floor)
		a->time_floor = verified;
	if (!was_behind && a->time_floor > now + SKEW_MS)
		report_skew(a, now, a->time_floor);
	journal_prune(a->journal, a->time_floor);
}

/* A new authority may revoke consoles; a new policy may move sources, windows and quotas. */
static void
policy_in_force(void *ctx)
{
	struct agent *a = ctx;
	struct fault f = { 0 };

	if (a->stopping)
		return;
	if (a->identity != NULL && agent_set_console_tls(a, &f) != OK)
		log_error("identity.console", "why=%s", log_q(fault_text(&f)));
	if (a->task_server != NULL)
		task_server_renew(a->task_server);
	if (a->pull != NULL)
		task_pull_authority(a->pull);
	policies_to_events(a);
	policies_to_engine(a);
	updates_policy_changed(a->updates);
	role_policy_changed(a->role);
	tamper_look_now(a->tamper);
	scan_schedule_look(a->scan_schedule);
}

/* --- building --- */

static enum err
folders(struct frame *fr, struct fault *f)
{
	static const char *const names[] = { "feeds", "policy", "mirror/work", "roots" };
	const struct agent_conf *c = fr->agent.conf;
	char path[4300];
	enum err e = file_make_dirs(c->state, 0750, f);

	if (e == OK)
		e = file_make_dirs(c->run, 0755, f);
	for (size_t i = 0; e == OK && i < sizeof names / sizeof names[0]; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", c->state, names[i]);
		e = file_make_dirs(path, 0750, f);
	}
	(void)snprintf(path, sizeof path, "%s/agent.lock", c->state);
	if (e == OK)
		e = file_lock(path, &fr->lock, f);
	if (e == ERR_BUSY) {
		fault_reset(f);
		return fault_set(
		    f, e, "another atalaia-agent uses %s; stop it or set [agent] state=", c->state);
	}
	return e;
}

static enum err
build_store(struct agent *a, struct fault *f)
{
	char path[4300];
	enum err e = identity_load(&a->identity, a->conf->state, f);

	if (e == ERR_NOTFOUND) {
		log_warn("identity.none", "remedy=%s",
		    log_q("atalaia-agent enroll --config FILE TOKEN"));
		e = OK;
	}
	if (e == OK)
		e = policies_new(&a->policies, a, f);
	(void)snprintf(path, sizeof path, "%s/journal.db", a->conf->state);
	if (e == OK)
		e = journal_open(&a->journal, &a->loop, path, clock_wall_ms(), f);
	if (e == OK)
		e = tasks_new(&a->tasks, a, f);
	return e;
}

static enum err
build_events(struct agent *a, struct fault *f)
{
	const struct agent_conf *c = a->conf;
	struct events_options o = { 0 };
	char url[512];
	enum err e;

	o.loop = &a->loop;
	o.state = c->state;
	o.listen = c->event_listen;
	o.port = c->event_port;
	o.any_address = c->event_any_address;
	o.socket = c->event_socket;
	o.detection_uids = c->detection_uids;
	o.listed_rate = c->listed_rate;
	o.unlisted_rate = c->unlisted_rate;
	o.unlisted_share = c->unlisted_share;
	o.quota[EVENT_DETECTION] = c->quota_detection;
	o.quota[EVENT_TASK] = c->quota_task;
	o.quota[EVENT_TELEMETRY] = c->quota_telemetry;
	o.target = c->target;
	o.plain = a->plain;
	o.routes = local_routes;
	o.n_routes = local_route_count;
	o.owner = a;
	e = events_open(&a->events, &o, f);
	if (e == OK)
		a->event_port = events_port(a->events);
	if (e != OK || a->identity == NULL)
		return e;
	e = events_identity(a->events, identity_org(a->identity), identity_agent(a->identity));
	if (e == OK)
		e = console_url(a, url, sizeof url, "v1/events");
	return e == OK ? events_console(a->events, a->console, url) : e;
}

static void
engine_event(void *ctx, const char *type, cJSON *data)
{
	struct agent *a = ctx;

	agent_event(a, type, data);
	if (strcmp(type, "engine.up") == 0)
		updates_engine_up(a->updates);
}

static enum err
build_engine(struct agent *a, struct fault *f)
{
	const struct agent_conf *c = a->conf;
	struct engine_options o = { 0 };
	enum err e;

	o.loop = &a->loop;
	o.type = (enum engine_type)c->engine;
	o.gate = (enum gate_mode)c->gate;
	o.clamd_socket = c->clamd_socket;
	o.clamd_scan = (enum clamd_method)c->clamd_scan;
	o.clamscan = c->clamscan;
	o.canaries = c->canaries;
	o.clean_samples = c->clean_samples;
	o.command_reload = c->command_reload;
	o.command_test = c->command_test;
	o.command_scan = c->command_scan;
	o.clamd_conf = c->clamd_conf;
	o.clamd_restart = c->clamd_restart;
	o.memory_limit = c->engine_memory;
	o.deadline_ms = c->engine_deadline;
	o.event = engine_event;
	o.ctx = a;
	e = engine_open(&a->engine, &o, f);
	if (e != OK)
		return e;
	return scan_part_open(a, f);
}

static enum err
build_network(struct agent *a, struct fault *f)
{
	enum err e = httpc_new(&a->plain, &a->loop, NULL, f);

	if (e == OK && a->identity != NULL)
		e = agent_set_console_tls(a, f);
	if (e == OK)
		e = build_events(a, f);
	if (e == OK)
		e = build_engine(a, f);
	if (e == OK)
		e = updates_new(&a->updates, a, f);
	if (e == OK)
		e = role_new(&a->role, a, f);
	if (e == OK)
		e = tamper_new(&a->tamper, a, f);
	if (e == OK)
		e = scan_schedule_new(&a->scan_schedule, a, f);
	if (e != OK || a->identity == NULL)
		return e;
	e = task_server_new(&a->task_server, a, f);
	if (e == OK)
		e = task_pull_new(&a->pull, a);
	if (e == OK)
		e = renewal_new(&a->renewal, a);
	return e;
}

static void
say_ready(struct frame *fr)
{
	struct agent *a = &fr->agent;
	char path[4300], text[96];
	struct fault f = { 0 };
	unsigned task = a->task_server == NULL ? 0 : a->task_port;
	int n = snprintf(
	    text, sizeof text, "{\"task\":%u,\"event\":%u}\n", task, (unsigned)a->event_port);

	(void)snprintf(path, sizeof path, "%s/ports.json", a->conf->run);
	if (file_replace(path, text, (size_t)n, 0644, &f) != OK)
		log_warn("agent.ports", "why=%s", log_q(fault_text(&f)));
	if (fr->ready)
		return;
	fr->ready = true;
	(void)printf("ready task=%u event=%u\n", task, (unsigned)a->event_port);
	(void)fflush(stdout);
	notify_send(NOTIFY_READY);
}

static void
start_parts(struct frame *fr)
{
	struct agent *a = &fr->agent;

	policies_watch(a->policies, policy_in_force, a);
	policies_to_events(a);
	policies_to_engine(a);
	say_ready(fr);
	report_started(a);
	role_start(a->role);
	updates_start(a->updates);
	tasks_start(a->tasks);
	tamper_start(a->tamper);
	scan_schedule_start(a->scan_schedule);
	if (a->pull != NULL)
		task_pull_start(a->pull);
	if (a->renewal != NULL)
		renewal_start(a->renewal);
}

/* --- the loop's own handles --- */

static void
on_signal(uv_signal_t *h, int number)
{
	agent_stop(h->data, number == SIGTERM ? "SIGTERM" : "SIGINT");
}

static void
identity_changed(uv_fs_poll_t *h, int status, const uv_stat_t *before, const uv_stat_t *now)
{
	struct agent *a = h->data;

	if (status != 0 || a->stopping)
		return;
	log_info("identity.changed", "enrolled=yes");
	frame_of(a)->again = true;
	agent_stop(a, "a new enrolment");
}

/* A loop that hangs says nothing: the service manager starts the agent anew. And what starts and
 * updates took for a moment goes back: between them lie hours. */
static void
on_tick(uv_timer_t *t)
{
	if (notify_interval_ms() > 0)
		notify_send(NOTIFY_ALIVE);
	mem_give_back();
}

static void
watch_signals(struct frame *fr)
{
	struct agent *a = &fr->agent;
	uint64_t every = notify_interval_ms();
	char path[4300];

	(void)uv_signal_init(&a->loop, &fr->term);
	(void)uv_signal_init(&a->loop, &fr->interrupt);
	(void)uv_fs_poll_init(&a->loop, &fr->identity_poll);
	(void)uv_timer_init(&a->loop, &fr->alive);
	fr->term.data = fr->interrupt.data = fr->identity_poll.data = a;
	(void)uv_signal_start(&fr->term, on_signal, SIGTERM);
	(void)uv_signal_start(&fr->interrupt, on_signal, SIGINT);
	(void)snprintf(path, sizeof path, "%s/identity/identity.json", a->conf->state);
	(void)uv_fs_poll_start(&fr->identity_poll, identity_changed, path,
	    a->identity == NULL ? LOOK_FOR_IDENTITY_MS : LOOK_AT_IDENTITY_MS);
	if (every == 0)
		every = TICK_MS;
	(void)uv_timer_start(&fr->alive, on_tick, 0, every);
	fr->signals_made = true;
}

/* --- taking apart --- */

static void stage_two(struct frame *fr);
static void stage_three(struct frame *fr);

static void
one_closed(struct frame *fr, void (*next)(struct frame *))
{
	if (--fr->closing == 0)
		next(fr);
}

static void
part_closed(void *ctx)
{
	one_closed(ctx, stage_two);
}

static void
updates_closed(void *ctx)
{
	((struct frame *)ctx)->agent.updates = NULL;
	one_closed(ctx, stage_two);
}

static void
role_closed(void *ctx)
{
	((struct frame *)ctx)->agent.role = NULL;
	one_closed(ctx, stage_two);
}

static void
schedule_closed(void *ctx)
{
	((struct frame *)ctx)->agent.scan_schedule = NULL;
	one_closed(ctx, stage_two);
}

static void
tamper_closed(void *ctx)
{
	((struct frame *)ctx)->agent.tamper = NULL;
	one_closed(ctx, stage_two);
}

static void
engine_closed(void *ctx)
{
	one_closed(ctx, stage_two);
}

static void
scanner_closed(void *ctx)
{
	struct frame *fr = ctx;
	struct engine *e = fr->agent.engine;

	fr->agent.scanner = NULL;
	fr->agent.engine = NULL; /* from here on a gate that is asked says "later" */
	if (e != NULL)
		engine_close(e, engine_closed, fr);
	else
		engine_closed(fr);
}

void
agent_stop(struct agent *a, const char *why)
{
	struct frame *fr = frame_of(a);

	if (a->stopping)
		return;
	a->stopping = true;
	log_info("agent.stop", "why=%s", log_q(why));
	fr->closing = 1;
	if (a->tasks != NULL) {
		fr->closing++;
		tasks_close(a->tasks, part_closed, fr); /* first: what follows ends its handlers */
	}
	fr->closing += (a->renewal != NULL) + (a->task_server != NULL) + (a->pull != NULL) + 1 +
		       (a->updates != NULL) + (a->role != NULL) + (a->tamper != NULL) +
		       (a->scan_schedule != NULL);
	if (a->scan_schedule != NULL)
		scan_schedule_close(a->scan_schedule, schedule_closed, fr);
	if (a->tamper != NULL)
		tamper_close(a->tamper, tamper_closed, fr);
	if (a->renewal != NULL)
		renewal_close(a->renewal, part_closed, fr);
	if (a->task_server != NULL)
		task_server_close(a->task_server, part_closed, fr);
	if (a->pull != NULL)
		task_pull_close(a->pull, part_closed, fr);
	if (a->scanner != NULL)
		scan_part_close(a, scanner_closed, fr);
	else
		scanner_closed(fr);
	if (a->role != NULL)
		role_close(a->role, role_closed, fr);
	if (a->updates != NULL)
		updates_close(a->updates, updates_closed, fr);
	one_closed(fr, stage_two);
}

static void
journal_closed(void *ctx)
{
	stage_three(ctx);
}

static void
events_closed(void *ctx)
{
	struct frame *fr = ctx;

	fr->agent.events = NULL;
	if (fr->agent.journal != NULL)
		journal_close(fr->agent.journal, journal_closed, fr);
	else
		stage_three(fr);
}

/* Nothing raises events or records tasks any more; the local port answers out of the journal until
 * it is closed. */
static void
stage_two(struct frame *fr)
{
	if (fr->agent.events != NULL)
		events_close(fr->agent.events, events_closed, fr);
	else
		events_closed(fr);
}

static void
stage_three(struct frame *fr)
{
	struct agent *a = &fr->agent;

	if (a->plain != NULL)
		httpc_close(a->plain, NULL, NULL);
	if (a->console != NULL)
		httpc_close(a->console, NULL, NULL);
	if (!fr->signals_made)
		return;
	uv_close((uv_handle_t *)&fr->term, NULL);
	uv_close((uv_handle_t *)&fr->interrupt, NULL);
	uv_close((uv_handle_t *)&fr->identity_poll, NULL);
	uv_close((uv_handle_t *)&fr->alive, NULL);
}

/* --- one life --- */

static int
live(struct frame *fr)
{
	struct agent *a = &fr->agent;
	struct fault f = { 0 };
	enum err e;

	if (uv_loop_init(&a->loop) != 0)
		return 1;
	rand_uuid_v7(a->boot);
	a->started = clock_wall_ms();
	e = build_store(a, &f);
	if (e == OK)
		e = build_network(a, &f);
	if (e == OK) {
		watch_signals(fr);
		start_parts(fr);
	} else {
		(void)fprintf(stderr, "atalaia-agent: %s\n", fault_text(&f));
		a->exit_status = 2;
		agent_stop(a, "it could not start");
	}
	(void)uv_run(&a->loop, UV_RUN_DEFAULT);
	tasks_free(a->tasks);
	policies_free(a->policies);
	identity_free(a->identity);
	if (!loop_end(&a->loop))
		return a->exit_status != 0 ? a->exit_status : AGENT_EXIT_LEFT;
	return a->restart && a->exit_status == 0 ? AGENT_EXIT_RESTART : a->exit_status;
}

int
agent_run(const struct agent_conf *conf)
{
	struct frame *fr = calloc(1, sizeof *fr);
	struct fault f = { 0 };
	bool ready = false, again;
	int status, lock;

	if (fr == NULL)
		return 1;
	fr->agent.conf = conf;
	if (folders(fr, &f) != OK) {
		(void)fprintf(stderr, "atalaia-agent: %s\n", fault_text(&f));
		free(fr);
		return 2;
	}
	lock = fr->lock;
	do {
		memset(fr, 0, sizeof *fr);
		fr->agent.conf = conf;
		fr->lock = lock;
		fr->ready = ready;
		status = live(fr);
		again = fr->again && status == 0;
	} while (again);
	free(fr);
	return status;
}
