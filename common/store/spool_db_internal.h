/* spool_db_internal.h - shared by the spool_*.c files of this folder only. */
#ifndef ATALAIA_STORE_SPOOL_DB_INTERNAL_H
#define ATALAIA_STORE_SPOOL_DB_INTERNAL_H

#include "store/spool_db.h"
#include "store/sql_room.h"

/* What a transaction may change and a rollback must restore. Rows carry `base` + sequence number,
 * so that a new epoch renumbers without touching them. */
struct spool_class {
	int64_t base, next; /* sequence = rowid - base; rowid of the next event */
	int64_t first;	    /* rowid of the oldest, next when none waits */
	uint64_t depth, bytes;
	uint64_t dropped, dead;
	int64_t oldest_ms;
	bool unreported;
	bool dirty; /* differs from its row in table class */
};

struct spool_live {
	char epoch[SPOOL_EPOCH];
	struct spool_class class[SPOOL_CLASSES];
};

struct spool_db {
	struct sql *sql;
	uint64_t quota[SPOOL_CLASSES];
	struct spool_live live, before;
	bool reserved;
};

extern const char *const spool_steps[];
MUST_CHECK enum err spool_load(struct spool_db *db, struct fault *f);
MUST_CHECK enum err spool_save(struct spool_db *db, struct fault *f);
/* Reads the oldest row again after deletions. */
MUST_CHECK enum err spool_refresh_first(struct spool_db *db, unsigned class, struct fault *f);
/* One statement text a class: sql_prepare wants literals. */
#define SPOOL_EACH(before, after)                                                                  \
	{                                                                                          \
		before "0" after, before "1" after, before "2" after                               \
	}
/* What is left of a damaged file goes into db. Never an error: the rest is lost. */
void spool_salvage(struct spool_db *db, const char *moved, uint64_t *count);

#endif
