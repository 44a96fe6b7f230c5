/* admin_send.h - an order on its way out: what POST /v1/tasks (admin_send.c) and the signature that
 * completes a waiting one (admin_sign.c) share. */
#ifndef CONSOLE_ADMIN_SEND_H
#define CONSOLE_ADMIN_SEND_H

#include "call.h"
#include "proto/envelope.h"
#include "store.h"

struct send {
	struct envelope envelope;
	struct buf text; /* the envelope as it travels */
	bool draft, waits;
	struct agent_row *agents;
	size_t n, cap;
};

MUST_CHECK enum err send_new(struct call *call); /* into call->extra */
/* Would an agent believe this? */
MUST_CHECK enum err send_check(struct call *call, struct fault *f, enum envelope_refusal *r);
/* May this user order for the target of the envelope? False: the call is refused. */
MUST_CHECK enum err send_within(struct call *call, struct db *db, bool *within);
/* Stores task and deliveries, records it; ERR_NOTFOUND: no agent belongs to the target. */
MUST_CHECK enum err send_store(struct call *call, struct db *db, struct fault *f);
/* Loop, after the commit: pushes, wakes. */
void send_out(struct call *call);
/* Wrong input is the caller's to correct; everything else is ours. */
MUST_CHECK enum err send_settle(struct call *call, enum err e, const struct fault *f);

/* admin_sign.c: keeps the envelope until enough have signed it, and answers 202. */
MUST_CHECK enum err send_wait(struct call *call, struct db *db);

#endif
