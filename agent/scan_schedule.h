/* scan_schedule.h - scans by policy: scan.paths once in each window of scan.schedule, gently. A
 * scan that does not fit into its window is stopped and begins anew in the next; one that the
 * agent's own end cut goes on (from the beginning) in the same window. Loop's thread. */
#ifndef ATALAIA_AGENT_SCAN_SCHEDULE_H
#define ATALAIA_AGENT_SCAN_SCHEDULE_H

#include "agent.h"
#include "base/err.h"
#include "base/fault.h"

struct scan_schedule;

/* Blocking: reads when the last one ended. */
MUST_CHECK enum err scan_schedule_new(struct scan_schedule **out, struct agent *a, struct fault *f);
void scan_schedule_start(struct scan_schedule *s);
void scan_schedule_look(struct scan_schedule *s); /* the policy changed; NULL is fine */
void scan_schedule_close(struct scan_schedule *s, void (*closed)(void *ctx), void *ctx);

/* Is a scan due at this local minute of the day? last_ms: end of the last one, 0: never. Pure. */
bool scan_schedule_due(const cJSON *windows, unsigned minute, int64_t now_ms, int64_t last_ms);

#endif
