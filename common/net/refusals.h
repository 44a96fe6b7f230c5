/* refusals.h - which refusals are told: of each kind and source the first at once, then one a
 * minute that says how many there were. Whatever the flood, at most REFUSALS_SLOTS + 1 a minute.
 * Pure; the caller has the clock. Zeroed is empty. */
#ifndef ATALAIA_NET_REFUSALS_H
#define ATALAIA_NET_REFUSALS_H

#include "net/addr.h"

#include <stdbool.h>
#include <stdint.h>

#define REFUSALS_SLOTS 32
#define REFUSALS_PAUSE_MS 60000u

struct refusals {
	struct refusals_slot {
		char code[32], peer[ADDR_TEXT];
		bool used;
		uint64_t told_ms, waiting; /* since it was told */
	} slot[REFUSALS_SLOTS + 1];	   /* the last: all sources past the others */
};

/* True: tell of this one now; *count refusals are told with it, itself included. code and peer are
 * cut when they do not fit. */
bool refusals_tell(
    struct refusals *x, const char *code, const char *peer, uint64_t now_ms, uint64_t *count);

#endif
