/* store.h - what the console remembers, as functions over the database. Worker thread only, inside
 * the transaction that work.h opened. Times are wall milliseconds. Lists come as JSON arrays for
 * 2226. */
#ifndef CONSOLE_STORE_H
#define CONSOLE_STORE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/uuid.h"
#include "db.h"

#include <stdbool.h>
#include <stdint.h>

#define STORE_GROUP 65
#define STORE_HOST 256
#define STORE_ADDRESS 72

/* ---- agents ---- */
struct agent_row {
	char agent[UUID_TEXT], host[STORE_HOST], group[STORE_GROUP], machine[129], version[65];
	char address[STORE_ADDRESS], serial[41];
	uint16_t task_port;
	int64_t enrolled, seen, not_after;
	bool revoked;
};
MUST_CHECK enum err store_agent_add(struct db *db, const struct agent_row *a);
MUST_CHECK enum err store_agent_get(struct db *db, const char *agent, struct agent_row *out);
/* New certificate after a renewal. */
MUST_CHECK enum err store_agent_renewed(
    struct db *db, const char *agent, const char *serial, int64_t not_after);
/* Address, port and time of a contact; written only when something changed or a minute has passed,
 * so that a thousand long-polls do not cost a thousand fsyncs. */
MUST_CHECK enum err store_agent_seen(struct db *db, const char *agent, const char *address,
    int64_t task_port_or_minus1, int64_t now);
MUST_CHECK enum err store_agent_revoke(
    struct db *db, const char *agent, int64_t now); /* NOTFOUND */
MUST_CHECK enum err store_agent_clone(struct db *db, const char *agent, int64_t now);
/* group NULL or "": all. */
MUST_CHECK enum err store_agents_list(struct db *db, const char *group, cJSON **out);
/* Calls back for each agent that is not revoked and that target names: a uuid, "group:NAME", "*".
 */
MUST_CHECK enum err store_agents_each(struct db *db, const char *target,
    enum err (*each)(void *arg, const struct agent_row *a), void *arg);
/* A uuid, or a host name that exactly one agent has. ERR_NOTFOUND, ERR_EXISTS (several). */
MUST_CHECK enum err store_agent_resolve(struct db *db, const char *word, char agent[UUID_TEXT]);
MUST_CHECK enum err store_revoked_each(
    struct db *db, enum err (*each)(void *arg, const char *agent), void *arg);

/* ---- tokens and enrolments ---- */
struct token_row {
	char id[17];
	uint8_t key[32]; /* SHA-256 of the secret; the secret is not kept */
	char group[STORE_GROUP];
	int64_t uses, used, attempts, created, expires;
	bool revoked;
};
MUST_CHECK enum err store_token_add(struct db *db, const struct token_row *t);
/* Counts the attempt, then reads. ERR_NOTFOUND. */
MUST_CHECK enum err store_token_try(struct db *db, const char *id, struct token_row *out);
/* One use; ERR_DENIED when none is left, whoever asks at the same time. */
MUST_CHECK enum err store_token_spend(struct db *db, const char *id);
MUST_CHECK enum err store_token_revoke(struct db *db, const char *id, int64_t now);
MUST_CHECK enum err store_tokens_list(struct db *db, cJSON **out);
MUST_CHECK enum err store_enrolment_add(struct db *db, const char *token, const uint8_t proof[32],
    const char *agent, const struct buf *answer, int64_t now);
/* The answer given to the same request since then. ERR_NOTFOUND. */
MUST_CHECK enum err store_enrolment_find(
    struct db *db, const char *token, const uint8_t proof[32], int64_t since, struct buf *answer);

/* ---- tasks ---- */
struct task_row {
	const char *id, *target, *type, *envelope;
	int64_t created, not_before, expires;
};
MUST_CHECK enum err store_task_add(struct db *db, const struct task_row *t);
MUST_CHECK enum err store_delivery_add(
    struct db *db, const char *task, const char *agent, int64_t now);
/* Milliseconds until a task that was offered and not taken may be offered again; UINT64_MAX: none.
 */
/* Forgets at most `limit` tasks that were made and expired before, with what became of them. */
MUST_CHECK enum err store_tasks_prune(struct db *db, int64_t before, uint64_t limit);
MUST_CHECK enum err store_next_offer(
    struct db *db, const char *agent, int64_t now, uint64_t *wait_ms);
/* {"tasks":[..],"cancel":[..]} for this agent into out; nothing appended when there is nothing.
 * Marks them offered; one that was offered less than 10 s ago is left out. */
MUST_CHECK enum err store_pull(struct db *db, const char *agent, int64_t now, struct buf *out);
struct delivery {
	const char *state, *step, *error, *result, *way; /* way NULL: unknown */
	const char *progress; /* JSON object of a running task, or NULL */
	int64_t now;
};
/* A report. ERR_NOTFOUND: not this agent's task. A final state is never overwritten. */
MUST_CHECK enum err store_delivery_state(
    struct db *db, const char *task, const char *agent, const struct delivery *d);
/* What came of a push: "accepted" and the like, or why it failed. */
MUST_CHECK enum err store_delivery_push(struct db *db, const char *task, const char *agent,
    const char *outcome, bool reached, int64_t now);
MUST_CHECK enum err store_task_cancel(struct db *db, const char *id, int64_t now);
/* {"id",..,"agents":[{agent,host,state,..}]}; *rev grows with each change, *open counts agents
 * without a final state. ERR_NOTFOUND. */
MUST_CHECK enum err store_task_show(
    struct db *db, const char *id, cJSON **out, int64_t *rev, int64_t *open);
/* ERR_NOTFOUND unless it is a collect task that went to this agent. */
MUST_CHECK enum err store_task_collects(struct db *db, const char *task, const char *agent);
MUST_CHECK enum err store_tasks_list(struct db *db, uint64_t limit, cJSON **out);
/* Deliveries whose task has run out without an outcome become `expired`. */
MUST_CHECK enum err store_tasks_expire(struct db *db, int64_t now);

/* ---- events ---- */
struct event_row {
	const char *source, *epoch, *cls, *id, *type, *time, *body;
	uint64_t seq;
	int64_t received;
};
/* ERR_EXISTS: this very event is stored already (a duplicate, fine). ERR_STATE: another id holds
 * its place (source, epoch, class, seq). */
MUST_CHECK enum err store_event_add(struct db *db, const struct event_row *e);
struct event_query {
	uint64_t after, limit;		 /* rows with n above; at most limit */
	const char *cls, *type, *source; /* "" = any; type may end in '*' */
	bool last;			 /* the newest `limit` instead of the first */
	uint64_t before;		 /* rows with n below; 0 = no bound */
	int64_t since, until;		 /* of reception, wall ms; 0 = no bound */
	const char *text;		 /* NULL or somewhere in the event, ASCII case ignored */
	const char *scope;		 /* NULL or JSON array of groups */
	const char *org;		 /* NULL: events are not traced to agents */
};
struct event_view { /* borrowed from the statement */
	uint64_t n;
	int64_t received;
	const char *body, *cls, *type, *time, *agent, *host, *group; /* "" = unknown */
};
/* In the order of n. A search by text looks at the EVENTS_SEARCHED rows before the bound or before
 * the newest: it must not hold up everybody. */
#define EVENTS_SEARCHED 200000
MUST_CHECK enum err store_events_each(struct db *db, const struct event_query *q,
    enum err (*each)(void *arg, const struct event_view *e), void *arg);
MUST_CHECK enum err store_events_newest(struct db *db, uint64_t *n); /* 0: none yet */
/* {"n","received","agent","host","group","event"} */
MUST_CHECK enum err store_event_write(struct buf *out, const struct event_view *v);
/* {"events":[..],"last":N}; found counts rows. */
MUST_CHECK enum err store_events_list(
    struct db *db, const struct event_query *q, struct buf *out, uint64_t *found);
MUST_CHECK enum err store_events_prune(struct db *db, int64_t before, uint64_t limit);
/* An event of the console itself: who did what and why it was refused. data is taken. */
MUST_CHECK enum err store_own_event(struct db *db, const char *org, const char *console,
    const char *type, cJSON *data, int64_t now);

/* Adds a time member when ms > 0. */
MUST_CHECK enum err store_add_time(cJSON *o, const char *name, int64_t ms);

#endif
