/* fleet.h - agents together with their facts and sets, as rows: for the list of computers, the
 * overview, previews and live streams. One pass over three tables in the order of their keys: ten
 * thousand agents take some ten milliseconds. Worker thread. */
#ifndef CONSOLE_FLEET_H
#define CONSOLE_FLEET_H

#include "facts.h"
#include "store.h"

#define FLEET_FEEDS 16

enum fleet_state {
	FLEET_REVOKED, /* the first that holds */
	FLEET_INFECTED,
	FLEET_UNREACHABLE,
	FLEET_ENGINE_DOWN,
	FLEET_OUTDATED,
	FLEET_PROTECTED,
	FLEET_STATES
};
const char *fleet_state_word(enum fleet_state s);

struct fleet_set {
	char feed[65];
	int64_t version, applied;
};

struct fleet_row {
	struct agent_row a;
	int64_t revoked, clone, rev, detections, detected, policy, fenced;
	char role[16], engine[8];
	bool stale, rejected;
	struct fleet_set sets[FLEET_FEEDS];
	size_t n_sets;
	enum fleet_state state;
};

/* The newest version of each feed that any agent holds or mirrors; "policies" is not among them. */
struct fleet_newest {
	struct fleet_set feeds[FLEET_FEEDS];
	size_t n;
};
MUST_CHECK enum err fleet_newest(struct db *db, struct fleet_newest *out);

/* scope: JSON array of groups, or NULL for all. Rows come in the order of agent ids. */
MUST_CHECK enum err fleet_each(struct db *db, const char *scope, const struct fleet_newest *newest,
    int64_t now, enum err (*each)(void *arg, const struct fleet_row *r), void *arg);
/* ERR_NOTFOUND: no such agent in the scope. */
MUST_CHECK enum err fleet_one(struct db *db, const char *scope, const char *agent,
    const struct fleet_newest *newest, int64_t now, struct fleet_row *out);

/* ["agent",...] as JSON text, and one row as array or object. */
extern const char fleet_columns[];
MUST_CHECK enum err fleet_write(struct buf *out, const struct fleet_row *r, bool object);

#endif
