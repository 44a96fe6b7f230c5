/* trail.h - the log of changes, which only grows: who did what, from where, with which outcome.
 * Every request of 2226 and 10443 that may change something writes one row, in the transaction of
 * the change itself where that is in the database. Triggers refuse UPDATE and DELETE; each row
 * holds the hash of itself and of the row before, so that a change past the triggers shows. */
#ifndef CONSOLE_TRAIL_H
#define CONSOLE_TRAIL_H

#include "call.h"
#include "store.h"

struct trail_row {
	int64_t at;
	const char *user, *address, *action, *object, *detail;
	int64_t status;
};

struct trail_chain {
	uint8_t last[32]; /* hash of the row before; unused while rows is 0 */
	int64_t rows;
};
MUST_CHECK enum err trail_hash(
    uint8_t out[32], const struct trail_chain *before, int64_t number, const struct trail_row *r);
MUST_CHECK enum err trail_add(struct db *db, const struct trail_row *row);
/* Is this a request that belongs in the trail and is not there yet? */
bool trail_wants(const struct call *call);
/* The status of a row that says what is about to happen, where the change is made outside of the
 * database: a row with its outcome follows. */
#define TRAIL_BEGUN 102
/* Worker, inside the transaction. */
MUST_CHECK enum err trail_call(struct call *call, struct db *db);
/* Loop: the change was made elsewhere; its row follows on the database queue. */
void trail_later(struct call *call);
/* What a body said, with secrets left out, for people: at most TRAIL_DETAIL bytes. */
#define TRAIL_DETAIL 1024
void trail_detail(const struct buf *body, struct buf *out);

struct trail_query {
	int64_t before; /* rows with n below; 0 = the newest */
	uint64_t limit;
	const char *user, *action; /* "" = any; action is a prefix */
};
MUST_CHECK enum err trail_list(struct db *db, const struct trail_query *q, cJSON **out);
/* Computes the chain again: {"good","entries","last","broken_at"?}. */
MUST_CHECK enum err trail_verify(struct db *db, cJSON **out);

#endif
