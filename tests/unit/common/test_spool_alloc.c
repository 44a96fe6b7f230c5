/* The spool while SQLite's memory fails, one allocation at a time. */
#include "os/file.h"
#include "store/spool_db.h"
#include "test.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const uint64_t quota[SPOOL_CLASSES] = { 1 << 20, 1 << 20, 1 << 20 };
static char dir[64];

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof dir, "/dev/shm/atalaia-spool-XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	return file_remove_tree(AT_FDCWD, dir, NULL) != OK;
}

static enum err
see(void *ctx, const struct spool_row *r)
{
	*(uint32_t *)ctx = r->seq;
	return OK;
}

static sqlite3_mem_methods real;
static long countdown = -1; /* allocations until the one that fails; below 0: none does */

static bool
refuse(void)
{
	return countdown >= 0 && countdown-- == 0;
}

static void *
failing_malloc(int n)
{
	return refuse() ? NULL : real.xMalloc(n);
}

static void *
failing_realloc(void *p, int n)
{
	return refuse() ? NULL : real.xRealloc(p, n);
}

static enum err
one_life(uint32_t *seq)
{
	static const char body[] = "\"id\":\"1\",x";
	struct spool_opened opened;
	struct spool_db *db;
	uint32_t last = 0;
	enum err e = spool_db_open(&db, dir, quota, &opened, NULL);

	assert_false(opened.damaged);
	if (e != OK)
		return e;
	e = spool_db_begin(db, NULL);
	if (e == OK)
		e = spool_db_end(
		    db, spool_db_append(db, 1, 0, 1, body, sizeof body - 1, seq, NULL), NULL);
	if (e == OK)
		e = spool_db_read(db, 1, 0, 64, 1 << 20, see, &last, NULL);
	spool_db_close(db);
	return e;
}

/* An append that was answered OK is there afterwards, whichever allocation failed; nothing is taken
 * for damage, and nothing crashes. */
static void
allocations_fail_one_by_one(void **state)
{
	uint32_t seq = 0, last = 0;
	long n, failed = 0;
	enum err e = ERR_NOMEM;

	(void)state;
	for (n = 0; n < 20000 && (e != OK || countdown < 0); n++) {
		countdown = n;
		seq = 0;
		e = one_life(&seq);
		if (countdown >= 0 && e == OK)
			break; /* every allocation was tried */
		countdown = -1;
		failed += e != OK;
		assert_true(e == OK || e == ERR_NOMEM || e == ERR_IO || e == ERR_BUSY);
		if (seq != 0 && e == OK)
			last = seq;
		e = ERR_NOMEM;
	}
	countdown = -1;
	assert_int_equal(one_life(&seq), OK);
	assert_true(seq > last);
	assert_true(failed > 50);
	print_message("%ld allocations, %ld failures reported\n", n, failed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(allocations_fail_one_by_one, setup, teardown),
	};
	struct sqlite3_mem_methods mem;

	if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real) != SQLITE_OK)
		return 1;
	mem = real;
	mem.xMalloc = failing_malloc;
	mem.xRealloc = failing_realloc;
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &mem) != SQLITE_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
