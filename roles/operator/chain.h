/* chain.h - why are the signatures old? The links from clock to engine, each whole or broken, out
 * of the agent's status document. Pure. */
#ifndef ATALAIA_OPERATOR_CHAIN_H
#define ATALAIA_OPERATOR_CHAIN_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIMIT_LINKS 64

struct link {
	const char *name; /* clock, enrolment, trust, sources, offer, gate, pin, engine, age */
	char feed[64];	  /* "" for the whole PC */
	bool broken;
	char text[320];
	char remedy[200]; /* "" = none needed */
};

struct chain {
	struct link links[LIMIT_LINKS];
	size_t n, broken;
};

/* now: wall ms; old_ms: an update that was verified longer ago is old. feed NULL: all. */
void chain_walk(
    struct chain *c, const cJSON *status, const char *feed, int64_t now, int64_t old_ms);

#endif
