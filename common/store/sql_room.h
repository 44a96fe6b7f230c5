/* sql_room.h - disk room that a database owns before it needs it, so that a full disk stops neither
 * writing nor deleting (measured: otherwise even DELETE fails). Blocking; as sql.h. For databases
 * of one process, opened with SQL_ROOM_PRAGMAS as sql_options.extra: without them a -shm file is
 * mapped, and a full disk then ends the program with SIGBUS. */
#ifndef ATALAIA_STORE_SQL_ROOM_H
#define ATALAIA_STORE_SQL_ROOM_H

#include "store/sql.h"

/* wal_autocheckpoint: pages in the WAL after which a commit moves them into the main file.
 * secure_delete: Debian's SQLite writes zeros over all that is deleted, by way of the WAL.
 * cache_size: its 2 MiB filled up while the room was taken and stayed in an idle agent; what is
 * read here is read once, in order. */
#define SQL_ROOM_PRAGMAS                                                                           \
	"PRAGMA locking_mode=EXCLUSIVE; PRAGMA temp_store=MEMORY; PRAGMA secure_delete=FAST;"      \
	"PRAGMA wal_autocheckpoint=256; PRAGMA page_size=4096; PRAGMA cache_size=-256;"

/* Keeps the WAL file at its size when the database is closed. Call right after sql_open. */
MUST_CHECK enum err sql_room_keep(struct sql *db, struct fault *f);
/* One step, about 1 MiB of writing, towards a main file of main_bytes and a WAL file of wal_bytes,
 * both of written blocks; the main file must be the larger one. Call again until *done. Cheap when
 * they are grown already. ERR_NOSPACE leaves a usable database of the size it has by then. Not
 * inside a transaction. The bytes are real where files are written in place; on a copy-on-write
 * file system they are a hint only. */
MUST_CHECK enum err sql_room_step(
    struct sql *db, uint64_t main_bytes, uint64_t wal_bytes, bool *done, struct fault *f);

#endif
