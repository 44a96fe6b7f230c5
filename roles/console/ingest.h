/* ingest.h - a batch of an agent's events on its way into the database: the body of call, as
 * call->peer sent it. Worker, but for ingest_finish. */
#ifndef CONSOLE_INGEST_H
#define CONSOLE_INGEST_H

#include "call.h"

struct ingest;

struct ingest *ingest_new(void); /* NULL: no memory; free() it */
MUST_CHECK enum err ingest_work(struct ingest *x, struct call *call, struct db *db);
/* On the loop, after the commit: wakes who waits for what came. */
void ingest_finish(struct ingest *x, struct call *call);

#endif
