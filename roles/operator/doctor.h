/* doctor.h - what `atalaia doctor` finds. One struct collects findings and firewall rules; the
 * parts are doctor.c (order, and what the agent's documents say), doctor_ports.c (real protocols)
 * and doctor_hints.c (rules for nft, firewalld and ufw). */
#ifndef ATALAIA_OPERATOR_DOCTOR_H
#define ATALAIA_OPERATOR_DOCTOR_H

#include "verbs.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIMIT_HINTS 64

/* One opening that was found closed: from this PC to a host, or (in) to this PC. */
struct hint {
	bool in;
	char host[256]; /* the other side; "" = anybody */
	uint16_t first, last;
};

struct doctor {
	const struct call *call;
	cJSON *findings;
	struct hint hints[LIMIT_HINTS];
	size_t n_hints;
	unsigned bad;
};

/* Prints and keeps one finding. name: a stable word for programs; what: for people. */
void doctor_say(struct doctor *d, const char *name, bool good, const char *what, const char *text,
    const char *remedy);
/* The same twice is kept once. */
void doctor_hint(struct doctor *d, bool in, const char *host, unsigned first, unsigned last);

void doctor_ports(struct doctor *d, const cJSON *status);
void doctor_print_hints(const struct doctor *d);
/* Adds member "rules" to o. False: no memory. */
bool doctor_hints_json(const struct doctor *d, cJSON *o);

#endif
