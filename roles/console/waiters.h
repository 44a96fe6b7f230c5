/* waiters.h - requests that are held until something happens or their time is over: task pull,
 * watching a task, following events. Loop thread only. A waiter that is woken runs its query again.
 */
#ifndef CONSOLE_WAITERS_H
#define CONSOLE_WAITERS_H

#include "base/err.h"
#include "net/httpd.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAITER_TOPIC 80 /* "agent:<uuid>", "task:<uuid>", "events" */

struct waiters;

/* "kind:name", cut when it does not fit (names here are uuids). */
void waiters_topic(char out[WAITER_TOPIC], const char *kind, const char *name);

MUST_CHECK enum err waiters_new(struct waiters **out, size_t limit);
void waiters_free(struct waiters *w); /* NULL is fine; the requests are gone by then */
/* Holds req. again(req, arg) is called when the topic wakes, late(req, arg) at the deadline; before
 * both the waiter is forgotten. When the client vanishes, gone(arg) is called instead.
 * ERR_BUSY: too many wait already. */
struct waiter_calls {
	void (*again)(struct http_req *req, void *arg);
	void (*late)(struct http_req *req, void *arg);
	void (*gone)(void *arg);
};
MUST_CHECK enum err waiters_add(struct waiters *w, const char *topic, uint64_t deadline_ms,
    struct http_req *req, const struct waiter_calls *calls, void *arg);
/* One listener is told of every topic that is woken, before the waiters are; NULL: none. */
void waiters_watch(struct waiters *w, void (*woken)(void *arg, const char *topic), void *arg);
size_t waiters_wake(struct waiters *w, const char *topic); /* how many there were */
/* Every topic of a kind: "task". */
size_t waiters_wake_kind(struct waiters *w, const char *kind);
bool waiters_has(const struct waiters *w, const char *topic);
void waiters_tick(struct waiters *w, uint64_t now_ms); /* monotonic time */
size_t waiters_count(const struct waiters *w);

#endif
