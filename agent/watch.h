/* watch.h - holds the long-poll on port 3333 for one feed. Its body is never read here: it goes to
 * atalaia-fetch as it came. A dead or lying 3333 can only delay: it is left alone for a while, the
 * next source's is tried, and the caller's own timer polls in any case. Loop's thread. */
#ifndef ATALAIA_AGENT_WATCH_H
#define ATALAIA_AGENT_WATCH_H

#include "agent.h"
#include "sources.h"

#include <stddef.h>
#include <stdint.h>

struct watch;

struct watch_owner {
	/* Sources that may be asked now, best first; those without a version port are skipped. */
	void (*plan)(void *ctx, struct source_plan *plan, const struct source_health *health,
	    size_t n_health);
	/* Version of the newest timestamp that is held; 0 = none. */
	uint64_t (*have)(void *ctx);
	/* Something newer is said to be at this source. The watch pauses until watch_resume. */
	void (*news)(
	    void *ctx, const struct source *s, const void *body, size_t n, uint64_t retry_after_ms);
};

MUST_CHECK enum err watch_new(struct watch **out, struct agent *a, const char *feed,
    const struct watch_owner *owner, void *ctx);
void watch_close(struct watch *w, void (*closed)(void *ctx), void *ctx);
void watch_pause(struct watch *w);
/* Goes on. useful: what the last news led to was new; otherwise that source waits its turn. */
void watch_resume(struct watch *w, bool useful);
/* Files came from this source: its version port is asked again at the next watch_resume, whatever
 * happened to it before. */
void watch_worked(struct watch *w, const char *source);
/* Name of the source whose poll stands, or NULL. */
const char *watch_source(const struct watch *w);

/* One question without waiting, for a check: done gets the body, or NULL and why. Not while another
 * question is open. A source with nothing newer has no body; the mirror's files are looked at
 * anyway. */
MUST_CHECK enum err watch_ask(struct watch *w, const struct source *s,
    void (*done)(void *ctx, const void *body, size_t n, const char *why));

#endif
