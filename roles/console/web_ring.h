/* web_ring.h - the messages of live streams: one bounded ring for all, and places in it. Whoever is
 * passed by the end of the ring has lost what he would have got; it is counted exactly, for each
 * place, at the moment of the loss. Also the query that fills it (worker thread). */
#ifndef CONSOLE_WEB_RING_H
#define CONSOLE_WEB_RING_H

#include "base/buf.h"
#include "base/uuid.h"
#include "console.h"
#include "store.h"
#include "who.h"

enum { RING_EVENT = 1, RING_AGENT = 2, RING_TASK = 4 };
#define RING_KINDS 3
#define RING_MESSAGES 8192 /* at 500 a second, a sixteen seconds' pause */
#define RING_BYTES (32u << 20)
#define RING_FRAME_MAX (2 * LIMIT_FRAME)
#define LIMIT_FRAME 131072 /* an event and what is around it */
#define LIVE_TASKS 256

struct ring_message {
	struct ring_message *next; /* in a list */
	unsigned kind;
	uint64_t n; /* of an event */
	char group[STORE_GROUP], cls[16], agent[UUID_TEXT], type[128];
	bool anybody; /* a task that all may see */
	size_t len;
	char frame[];
};

struct ring_list {
	struct ring_message *head, **tail;
};
void ring_list_free(struct ring_list *l);

struct ring_place {
	struct ring_place *next, **link; /* all places of the ring */
	uint64_t at;			 /* sequence of the next message */
	unsigned topics;
	char cls[16], type[128], agent[UUID_TEXT]; /* filters of events, "" = any */
	const struct who *who;
	uint64_t lost[RING_KINDS], from, to;
};

struct ring {
	struct ring_message *slots[RING_MESSAGES];
	uint64_t first, next; /* sequences: first..next-1 are here */
	size_t bytes;
	uint64_t oldest_n; /* events below this number are not here */
	bool any;
	struct ring_place *places;
};

void ring_init(struct ring *r);
void ring_clear(struct ring *r);
/* Takes the messages. */
void ring_add(struct ring *r, struct ring_list *l);
/* From now on. */
void ring_join(struct ring *r, struct ring_place *p);
/* From the first event after n; what is not here any more counts as lost. */
void ring_resume(struct ring *r, struct ring_place *p, uint64_t n);
void ring_leave(struct ring *r, struct ring_place *p);
/* Appends what this place wants, up to about max bytes; first `dropped` if something was lost. */
MUST_CHECK enum err ring_take(struct ring *r, struct ring_place *p, struct buf *out, size_t max);

/* Where the query has arrived. */
struct live_feed {
	bool started, more;
	uint64_t last_n;
	int64_t last_rev;
	char tasks[LIVE_TASKS][UUID_TEXT];
	size_t n_tasks;
};
void live_feed_task(struct live_feed *f, const char *id);
/* Worker: everything new since; sets f's numbers. */
MUST_CHECK enum err live_feed_read(
    struct live_feed *f, const struct console *c, struct db *db, struct ring_list *out);

#endif
