/* tamper_facts.h - what one look at this PC saw, as facts that can be kept and compared. Pure.
 *   config  a file of ours               state: its SHA-256, or "missing"
 *   unit    a unit of the service manager    state: "present:<sha256>", "disabled:..", "masked",
 *                                        "missing"; "absent": it never was here
 *   hosts   "NAME ADDRESS" of a server of ours in the hosts file       state: "listed"
 *   name    a server's name that leads to this PC itself               state: the address */
#ifndef ATALAIA_AGENT_TAMPER_FACTS_H
#define ATALAIA_AGENT_TAMPER_FACTS_H

#include "base/err.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAMPER_ABSENT "absent"
#define LIMIT_TAMPER_FACTS 256 /* a hosts file may name a server a thousand times: enough is told  \
				*/

struct tamper_fact {
	char kind[8], name[400], state[96];
};
struct tamper_facts {
	struct tamper_fact *item;
	size_t n;
};

/* ERR_TOOBIG: the list is full. A fact that is there already is left as it is. */
MUST_CHECK enum err tamper_facts_add(
    struct tamper_facts *l, const char *kind, const char *name, const char *state);
void tamper_facts_free(struct tamper_facts *l);
MUST_CHECK enum err tamper_facts_json(const struct tamper_facts *l, cJSON *array);
MUST_CHECK enum err tamper_facts_read(struct tamper_facts *l, const cJSON *array);

/* One difference. before or now is NULL: the fact is new, or gone. */
typedef void (*tamper_change)(
    void *ctx, const struct tamper_fact *before, const struct tamper_fact *now);
void tamper_facts_compare(const struct tamper_facts *before, const struct tamper_facts *now,
    tamper_change change, void *ctx);
/* What is missing now and never was there before is absent: no news on a PC that runs us otherwise.
 */
void tamper_facts_absent(const struct tamper_facts *before, struct tamper_facts *now);
/* Does this difference end something that was told, rather than begin it? */
bool tamper_is_end(const struct tamper_fact *before, const struct tamper_fact *now);

/* Adds a fact for each address that the text of a hosts file gives to one of the names. */
MUST_CHECK enum err tamper_facts_hosts(
    struct tamper_facts *l, const char *text, size_t n, const char *const *names, size_t n_names);

/* Milliseconds by which the wall clock fell behind the monotonic one between two looks; 0: within
 * what time synchronisation does. */
uint64_t tamper_clock_back(
    int64_t wall_before, uint64_t mono_before, int64_t wall_now, uint64_t mono_now);

#endif
