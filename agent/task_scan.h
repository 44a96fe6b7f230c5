/* task_scan.h - the scanner's place in the agent. */
#ifndef ATALAIA_AGENT_TASK_SCAN_H
#define ATALAIA_AGENT_TASK_SCAN_H

#include "agent.h"
#include "base/err.h"
#include "base/fault.h"

MUST_CHECK enum err scan_part_open(struct agent *a, struct fault *f);
/* Only when agent.scanner is there. */
void scan_part_close(struct agent *a, void (*closed)(void *ctx), void *ctx);

#endif
