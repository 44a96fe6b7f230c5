/* journal_sql.h - the journal's file. Blocking: before the loop runs, or one worker at a time. */
#ifndef ATALAIA_AGENT_JOURNAL_SQL_H
#define ATALAIA_AGENT_JOURNAL_SQL_H

#include "journal.h"

struct journal_db;

/* Calls load with each stored row (which takes it), oldest first. A file that is damaged is set
 * aside as <path>.damaged-<ms> and a new one is begun: its creation time then refuses older
 * tasks. */
MUST_CHECK enum err journal_db_open(struct journal_db **out, const char *path, int64_t now,
    int64_t *created, enum err (*load)(void *ctx, struct journal_record *r), void *ctx,
    struct fault *f);
void journal_db_close(struct journal_db *db); /* NULL is fine */
MUST_CHECK enum err journal_db_begin(struct journal_db *db, struct fault *f);
MUST_CHECK enum err journal_db_put(
    struct journal_db *db, const struct journal_record *r, struct fault *f);
MUST_CHECK enum err journal_db_delete(struct journal_db *db, const char *id, struct fault *f);
/* Commits when e is OK, rolls back otherwise and returns e. */
MUST_CHECK enum err journal_db_end(struct journal_db *db, enum err e, struct fault *f);

#endif
