/* tamper.h - watches this PC for changes that nobody should make: entries of the hosts file for our
 * servers, configuration, units, a clock that is set back. Looks once each heartbeat ([tamper]
 * interval), in a worker; what it saw last is kept in <state>/tamper.json, so that a change is seen
 * also when it was made while the agent was not running. Each difference is one event, tamper.found
 * or tamper.gone. Names of servers that lead to this PC or nowhere get the address that signed
 * policy gives (sources.addresses), as long as they do. Loop's thread. */
#ifndef ATALAIA_AGENT_TAMPER_H
#define ATALAIA_AGENT_TAMPER_H

#include "agent.h"
#include "base/err.h"
#include "base/fault.h"

struct tamper;

/* Blocking: reads what was kept. */
MUST_CHECK enum err tamper_new(struct tamper **out, struct agent *a, struct fault *f);
void tamper_start(struct tamper *t);
void tamper_look_now(
    struct tamper *t); /* a new policy may bring servers or addresses; NULL is fine */
void tamper_close(struct tamper *t, void (*closed)(void *ctx), void *ctx);

/* What to connect with instead of this name: an address, or host itself. t may be NULL. */
const char *tamper_host(const struct tamper *t, const char *host);
/* [{"kind","name","state"},...] of what is not as it should be now, and the detours. */
MUST_CHECK enum err tamper_status(const struct tamper *t, cJSON *status);

#endif
