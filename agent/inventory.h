/* inventory.h - the system information document: operating system, hardware, addresses, disks,
 * number of packages, and the agent's own facts. Reading blocks for a moment: worker. */
#ifndef ATALAIA_AGENT_INVENTORY_H
#define ATALAIA_AGENT_INVENTORY_H

#include "agent.h"
#include "base/err.h"

/* From the loop: the agent's own part. NULL on no memory. */
cJSON *inventory_facts(struct agent *a);
/* In a worker: takes facts as member "agent" and adds the system's part. */
MUST_CHECK enum err inventory_read(cJSON **out, cJSON *facts, const char *state);
/* Stable word for this machine (systemd machine-id hashed with our label), 64 hex digits. */
void inventory_machine(char out[65]);

#endif
