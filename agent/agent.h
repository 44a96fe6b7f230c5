/* agent.h - the parts of one running agent and how they find each other. One loop, one thread; each
 * part has its own header. Parts that need an identity are NULL until this PC is enrolled. */
#ifndef ATALAIA_AGENT_AGENT_H
#define ATALAIA_AGENT_AGENT_H

#include "config.h"

#include <cjson/cJSON.h>
#include <uv.h>

struct agent {
	uv_loop_t loop;
	const struct agent_conf *conf;
	char boot[37];		   /* a new uuid each start */
	int64_t started;	   /* wall ms */
	struct identity *identity; /* NULL: not enrolled */
	struct events *events;
	struct engine *engine;
	struct scanner *scanner;
	struct httpc *plain;   /* 3333 and the local collector: no TLS */
	struct httpc *console; /* 2225, mutual TLS; NULL: not enrolled */
	struct journal *journal;
	struct tasks *tasks;
	struct task_server *task_server;
	struct task_pull *pull;
	struct policies *policies;
	struct updates *updates;
	struct role *role;
	struct renewal *renewal;
	struct tamper *tamper;
	struct scan_schedule *scan_schedule;
	int64_t time_floor;		/* newest verified time, wall ms; 0 = none yet */
	uint16_t task_port, event_port; /* the real ones */
	int exit_status;
	bool restart; /* leave with the status that asks for a new start */
	bool stopping;
};

/* Runs until SIGTERM or SIGINT, then stops every part in order. The exit status. */
int agent_run(const struct agent_conf *conf);
/* Begins the stop; more calls do nothing. */
void agent_stop(struct agent *a, const char *why);
/* now, but not below the newest verified time. Wall ms. */
int64_t agent_now(const struct agent *a);
void agent_floor(struct agent *a, int64_t verified);

/* Raises one of the agent's own events. data is taken, may be NULL (no memory: logged, not raised).
 */
void agent_event(struct agent *a, const char *type, cJSON *data);

/* Makes or renews the client of 2225, by identity and authority. */
struct fault;
MUST_CHECK enum err agent_set_console_tls(struct agent *a, struct fault *f);
/* A renewed or new identity comes into use; takes it and frees the old one. */
struct identity;
void agent_take_identity(struct agent *a, struct identity *fresh);

#define AGENT_EXIT_LEFT 70    /* EX_SOFTWARE: a handle was left open, a mistake of ours */
#define AGENT_EXIT_RESTART 75 /* EX_TEMPFAIL: the unit starts it again */

#endif
