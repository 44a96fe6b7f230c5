/* journal.h - what became of every task: SQLite with synchronous=FULL, one row for each id, and the
 * same rows in memory for look-ups. Loop's thread; commits run in a worker, one after the other,
 * and several waiting changes share one commit. A first row that cannot be written is an error for
 * its caller; a later change is kept in memory and tried again until it is written. */
#ifndef ATALAIA_AGENT_JOURNAL_H
#define ATALAIA_AGENT_JOURNAL_H

#include "base/err.h"
#include "base/fault.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define TASK_STATES(X)                                                                             \
	X(TASK_ACCEPTED, "accepted")                                                               \
	X(TASK_RUNNING, "running")                                                                 \
	X(TASK_DONE, "done")                                                                       \
	X(TASK_FAILED, "failed")                                                                   \
	X(TASK_INTERRUPTED, "interrupted")                                                         \
	X(TASK_CANCELED, "canceled")                                                               \
	X(TASK_EXPIRED, "expired")                                                                 \
	X(TASK_REFUSED, "refused")

enum task_state {
#define X(name, word) name,
	TASK_STATES(X)
#undef X
	    TASK_STATE_COUNT
};

const char *task_state_word(enum task_state s);
MUST_CHECK enum err task_state_parse(const char *word, enum task_state *out);
bool task_state_final(enum task_state s);

struct journal_record {
	char id[UUID_TEXT];
	char type[48];
	char issuer[72];
	char via[16]; /* "push", "pull" */
	enum task_state state;
	char *args;	  /* JSON text, owned, never NULL once stored */
	char *result;	  /* JSON text or NULL, owned */
	char error[64];	  /* stable code, "" = none */
	char detail[400]; /* the sentence that goes with it */
	char step[48];
	uint32_t step_no; /* steps begun, 0 = none */
	uint32_t runs;	  /* runs begun and not ended or stopped cleanly */
	int64_t not_before, expires, created, updated; /* wall ms */
	bool reported;				       /* the console has this state */
	uint32_t unwritten; /* the journal's own: changes on their way to the disk */
};

struct journal;
typedef void (*journal_cb)(void *ctx, enum err e);

/* Blocking, before the loop runs. Makes the file when it is absent: journal_created is then now. */
MUST_CHECK enum err journal_open(
    struct journal **out, uv_loop_t *loop, const char *path, int64_t now, struct fault *f);
/* Finishes waiting commits, then closes; closed is the last call. */
void journal_close(struct journal *j, void (*closed)(void *ctx), void *ctx);

int64_t journal_created(const struct journal *j);
struct journal_record *journal_find(struct journal *j, const char *id);
size_t journal_count(const struct journal *j);
struct journal_record *journal_at(struct journal *j, size_t i); /* oldest first */

/* Takes r (heap). cb after the commit; on error r is gone from memory too. NULL cb is fine. */
void journal_insert(struct journal *j, struct journal_record *r, journal_cb cb, void *ctx);
/* Writes the record as it is now. cb after the commit, with OK. */
void journal_update(struct journal *j, struct journal_record *r, journal_cb cb, void *ctx);
/* What is not on the disk yet must not be told to anyone: a kill would make it untrue. */
bool journal_is_written(const struct journal_record *r);
/* committed(ctx) after every commit, when rows may have become written. NULL: no longer. */
void journal_watch(struct journal *j, void (*committed)(void *ctx), void *ctx);
/* Forgets final rows that expired before `floor` and whose state the console has. */
void journal_prune(struct journal *j, int64_t floor);
struct journal_record *journal_record_new(void);
void journal_record_free(struct journal_record *r);
MUST_CHECK enum err journal_set_text(char **dst, const char *text);

#endif
