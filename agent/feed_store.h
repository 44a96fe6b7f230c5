/* feed_store.h - what the agent keeps beside one feed's sets: which is active since when, which are
 * refused, a pin. Blocking: before the loop runs, or in a worker. Written atomically; a damaged
 * file is left out with a line in the log, never an error: the set on the disk is what counts. */
#ifndef ATALAIA_AGENT_FEED_STORE_H
#define ATALAIA_AGENT_FEED_STORE_H

#include "base/err.h"
#include "base/fault.h"
#include "sources.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIMIT_REJECTED 64

struct feed_rejected {
	char sha256[65];
	uint64_t version;
	int64_t at; /* wall ms */
	char rule[48], why[200];
};

struct feed_pin {
	uint64_t version; /* 0 = no pin */
	int64_t until;	  /* wall ms */
};

struct feed_facts {
	uint64_t version, previous; /* active set and the one before; 0 = none */
	char sha256[65];	    /* of the active one */
	int64_t activated;	    /* wall ms, 0 = never */
	int64_t checked;	    /* last time the feed was verified as current */
	bool unproved;		    /* the engine has not yet shown that it works with it */
	char source[SOURCE_NAME];   /* where the active set came from */
	uint64_t bytes_metadata, bytes_delta, bytes_full; /* since the state folder began */
	uint64_t bytes_saved; /* what deltas did not have to carry, as far as known */
	char expires[40];     /* of the timestamp */
	struct feed_pin pin;
	struct feed_rejected rejected[LIMIT_REJECTED];
	size_t n_rejected;
	uint64_t timestamp; /* version of tuf/timestamp.json, 0 = none */
};

/* dir is feeds/<feed>; made when absent. The active version is read from the `current` link. */
MUST_CHECK enum err feed_store_load(struct feed_facts *out, const char *dir, struct fault *f);
MUST_CHECK enum err feed_store_save(
    const struct feed_facts *facts, const char *dir, struct fault *f); /* state.json and pin */
MUST_CHECK enum err feed_store_save_rejected(
    const struct feed_facts *facts, const char *dir, struct fault *f);
/* Adds to the list in memory, oldest out when it is full. */
void feed_reject(struct feed_facts *facts, const char *sha256, uint64_t version, int64_t now,
    const char *rule, const char *why);
bool feed_is_rejected(const struct feed_facts *facts, const char *sha256);
/* Version in a timestamp.json, 0 when it cannot be read. The file is ours and was verified. */
uint64_t feed_timestamp_version(const char *path);

#endif
