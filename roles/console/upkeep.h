/* upkeep.h - what the console does by the clock: tasks that ran out, old events, the feed's
 * timestamp, its own certificate. Called at every tick; each duty has its own interval. */
#ifndef CONSOLE_UPKEEP_H
#define CONSOLE_UPKEEP_H

#include "console.h"

void upkeep_tick(struct console *c, uint64_t now_ms);

#endif
