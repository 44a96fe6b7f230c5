/* outbox.h - messages from the scanning thread to the loop, which alone may write to the agent.
 * Bounded: the scan waits while the agent does not read. */
#ifndef ATALAIA_SCAN_OUTBOX_H
#define ATALAIA_SCAN_OUTBOX_H

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define OUTBOX_MESSAGES 64

struct outbox {
	pthread_mutex_t lock;
	pthread_cond_t room;
	cJSON *item[OUTBOX_MESSAGES];
	size_t first, n;
	bool stopped;
	void (*wake)(void *ctx);
	void *ctx;
};

void outbox_init(struct outbox *o, void (*wake)(void *ctx), void *ctx);
void outbox_free(struct outbox *o);
/* Scanning thread. Takes the message; NULL (no memory) is fine. Waits for room. */
void outbox_put(struct outbox *o, cJSON *take);
/* The same, but a message that finds no room is dropped: progress. */
void outbox_offer(struct outbox *o, cJSON *take);
/* Loop. NULL: none. */
cJSON *outbox_take(struct outbox *o);
/* Nobody waits any more and nothing is kept: the agent is gone. */
void outbox_stop(struct outbox *o);

#endif
