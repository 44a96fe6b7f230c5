/* facts.h - what events say about agents, kept so that lists need not read events: role, engine,
 * sets, detections, and sums of what came from where by day. Written in the transaction that stores
 * the event. Every change of an agent's facts gets a higher revision, which live streams follow.
 * Facts are conveniences: a wrong one misleads a screen, never an agent. Worker thread. */
#ifndef CONSOLE_FACTS_H
#define CONSOLE_FACTS_H

#include "base/json.h"
#include "db.h"

#include <stdint.h>

#define FLEET_AWAY_MS (600000ll) /* agents come every five minutes at the latest: twice that */
#define DAY_MS_64 86400000ll

/* A new event of an agent. Members that are missing or of another type count as absent. */
MUST_CHECK enum err facts_note(
    struct db *db, const char *agent, const char *type, const cJSON *data, int64_t now);
/* What a bundle of events says about one feed (proto/event_bundle.h): taken when it is newer than
 * what is known. */
MUST_CHECK enum err facts_receipt(struct db *db, const char *agent, const cJSON *receipt);
/* Something else about the agent has changed: give it a new revision. */
MUST_CHECK enum err facts_touch(struct db *db, const char *agent);
/* The detections so far are dealt with. ERR_NOTFOUND. */
MUST_CHECK enum err facts_clear(struct db *db, const char *agent);
/* Drops sums of days before. */
MUST_CHECK enum err facts_prune(struct db *db, int64_t before);

#endif
