/* The journal: what was committed is there after the next start, in order; a first row that cannot
 * be written is refused, a later change waits and is written. */
#include "journal.h"
#include "store/sql.h"
#include "test.h"

#include <glob.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];
static uv_loop_t loop;
static struct journal *j;
static int calls;
static enum err last;

static void
done(void *ctx, enum err e)
{
	calls++;
	last = e;
}

static struct journal_record *
record(unsigned n, enum task_state s)
{
	struct journal_record *r = journal_record_new();

	assert_non_null(r);
	(void)snprintf(r->id, sizeof r->id, "0190a000-0000-7000-8000-%012u", n);
	(void)snprintf(r->type, sizeof r->type, "status");
	r->state = s;
	r->created = (int64_t)n;
	r->expires = (int64_t)n * 1000;
	assert_int_equal(journal_set_text(&r->args, "{}"), OK);
	return r;
}

static void
open_it(void)
{
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(journal_open(&j, &loop, path, 77, NULL), OK);
}

static void
close_it(void)
{
	journal_close(j, NULL, NULL);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static int
setup(void **state)
{
	static unsigned n;

	(void)snprintf(path, sizeof path, "/tmp/test_journal.%d.%u", (int)getpid(), n++);
	calls = 0;
	return 0;
}

static int
teardown(void **state)
{
	char pattern[96];
	glob_t found;

	(void)snprintf(pattern, sizeof pattern, "%s*", path);
	if (glob(pattern, 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			(void)unlink(found.gl_pathv[i]);
		globfree(&found);
	}
	return 0;
}

static void
what_was_committed_is_there_again(void **state)
{
	struct journal_record *r;

	open_it();
	assert_int_equal(journal_created(j), 77);
	journal_insert(j, record(1, TASK_ACCEPTED), done, NULL);
	journal_insert(j, record(2, TASK_ACCEPTED), done, NULL);
	r = journal_find(j, "0190a000-0000-7000-8000-000000000001");
	assert_non_null(r);
	r->state = TASK_RUNNING;
	r->step_no = 3;
	(void)snprintf(r->step, sizeof r->step, "look");
	journal_update(j, r, done, NULL);
	close_it();
	assert_int_equal(calls, 3);
	open_it();
	assert_int_equal(journal_created(j), 77);
	assert_int_equal(journal_count(j), 2);
	r = journal_at(j, 0);
	assert_string_equal(r->id, "0190a000-0000-7000-8000-000000000001");
	assert_int_equal(r->state, TASK_RUNNING);
	assert_int_equal(r->step_no, 3);
	assert_string_equal(r->step, "look");
	assert_string_equal(r->args, "{}");
	assert_int_equal(journal_at(j, 1)->state, TASK_ACCEPTED);
	close_it();
}

static void
only_reported_and_expired_ends_are_forgotten(void **state)
{
	struct journal_record *r = record(1, TASK_DONE);

	open_it();
	r->reported = true;
	journal_insert(j, r, NULL, NULL);
	journal_insert(j, record(2, TASK_DONE), NULL, NULL);	/* not reported */
	journal_insert(j, record(3, TASK_RUNNING), NULL, NULL); /* not ended */
	r = record(9, TASK_DONE);				/* not expired */
	r->reported = true;
	journal_insert(j, r, NULL, NULL);
	journal_prune(j, 5000);
	assert_int_equal(journal_count(j), 3);
	close_it();
	open_it();
	assert_int_equal(journal_count(j), 3);
	assert_null(journal_find(j, "0190a000-0000-7000-8000-000000000001"));
	close_it();
}

static void
a_first_row_on_a_full_disk_is_refused(void **state)
{
	open_it();
	assert_int_equal(setenv("ATALAIA_INJECT", "journal.commit", 1), 0);
	journal_insert(j, record(1, TASK_ACCEPTED), done, NULL);
	while (calls == 0)
		(void)uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(last, ERR_NOSPACE);
	assert_int_equal(journal_count(j), 0);
	assert_int_equal(unsetenv("ATALAIA_INJECT"), 0);
	journal_insert(j, record(2, TASK_ACCEPTED), done, NULL);
	close_it();
	assert_int_equal(calls, 2);
	assert_int_equal(last, OK);
}

/* After a failure the file is opened again, but one that is gone is not begun anew under a running
 * agent: it would forget what was done. */
static void
a_file_that_was_taken_away_is_not_begun_anew(void **state)
{
	open_it();
	assert_int_equal(setenv("ATALAIA_INJECT", "journal.commit", 1), 0);
	journal_insert(j, record(1, TASK_ACCEPTED), done, NULL);
	while (calls == 0)
		(void)uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(unsetenv("ATALAIA_INJECT"), 0);
	assert_int_equal(unlink(path), 0);
	journal_insert(j, record(2, TASK_ACCEPTED), done, NULL);
	while (calls == 1)
		(void)uv_run(&loop, UV_RUN_ONCE);
	assert_int_not_equal(last, OK);
	assert_int_equal(access(path, F_OK), -1);
	close_it();
}

static void
a_damaged_file_is_set_aside_and_time_begins_anew(void **state)
{
	char pattern[96];
	glob_t found;
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	for (int i = 0; i < 500; i++)
		(void)fputs("this is not a database", f);
	assert_int_equal(fclose(f), 0);
	open_it();
	assert_int_equal(journal_count(j), 0);
	assert_int_equal(journal_created(j), 77);
	close_it();
	(void)snprintf(pattern, sizeof pattern, "%s.damaged-*", path);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 1);
	globfree(&found);
}

/* Journals of before have both tables, and no number of their schema. */
static void
a_journal_without_a_schema_number_is_taken_as_it_is(void **state)
{
	struct sql *db;

	open_it();
	journal_insert(j, record(1, TASK_RUNNING), done, NULL);
	close_it();
	assert_int_equal(sql_open(&db, path, &(struct sql_options){ 0 }, NULL), OK);
	assert_int_equal(sql_exec(db, "PRAGMA user_version = 0", NULL), OK);
	sql_close(db);
	open_it();
	assert_int_equal(journal_created(j), 77);
	assert_int_equal(journal_count(j), 1);
	assert_int_equal(journal_at(j, 0)->state, TASK_RUNNING);
	close_it();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_committed_is_there_again, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    only_reported_and_expired_ends_are_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_first_row_on_a_full_disk_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_file_that_was_taken_away_is_not_begun_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_damaged_file_is_set_aside_and_time_begins_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_journal_without_a_schema_number_is_taken_as_it_is, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
