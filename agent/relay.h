/* relay.h - carries what lies in this mirror's drop box upward, oldest first, one file at a time:
 * to the console over 2225 or into the upstream's drop box. A file leaves the box only after the
 * receiver has it on its disk, so nothing is lost by a kill; the receiver knows a file that comes
 * again: the console by its name and hash, a box by its ticket. Owned by the role. Loop's thread.
 */
#ifndef ATALAIA_AGENT_RELAY_H
#define ATALAIA_AGENT_RELAY_H

#include "agent.h"
#include "base/err.h"

struct relay;

MUST_CHECK enum err relay_new(struct relay **out, struct agent *a);
/* The role serves: looks now, and again whenever the last round ended with a failure. */
void relay_start(struct relay *r);
void relay_stop(struct relay *r); /* what is under way is broken off and comes again */
void relay_news(struct relay *r); /* something new lies in the box */
void relay_close(struct relay *r, void (*closed)(void *ctx), void *ctx);
cJSON *relay_json(const struct relay *r); /* NULL on no memory, or without a drop box */

#endif
