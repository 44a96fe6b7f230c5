/* The spool: order, quotas, drops, acks, epochs, dead letters, damage, failures at every point. */
#include "base/clock.h"
#include "base/text.h"
#include "os/file.h"
#include "store/spool.h"
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];
static const uint64_t quota[SPOOL_CLASSES] = { 1 << 20, 1 << 20, 1 << 20 };
static const uint64_t tight[SPOOL_CLASSES] = { 1 << 20, 1 << 20, 10 * (100 + SPOOL_ROW_COST) };

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof dir, "/tmp/atalaia-spool-XXXXXX");
	return mkdtemp(dir) == NULL;
}

/* Hundreds of lives: no disk needs to be asked for each. */
static int
setup_in_memory(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof dir, "%s/atalaia-spool-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	return mkdtemp(dir) == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	return file_remove_tree(AT_FDCWD, dir, NULL) != OK;
}

static struct spool_db *
open_db(const uint64_t q[SPOOL_CLASSES], struct spool_opened *opened)
{
	struct spool_opened unused;
	struct fault f = { OK, "" };
	struct spool_db *db;

	if (spool_db_open(&db, dir, q, opened != NULL ? opened : &unused, &f) != OK)
		fail_msg("%s", f.text);
	return db;
}

static uint32_t
put(struct spool_db *db, unsigned class, uint32_t held, int n)
{
	char body[101];
	uint32_t seq = 0;

	(void)snprintf(body, sizeof body, "\"id\":\"%d\",%90d", n, n);
	memset(body + strlen(body), ' ', 100 - strlen(body));
	assert_int_equal(spool_db_begin(db, NULL), OK);
	assert_int_equal(
	    spool_db_end(
		db, spool_db_append(db, class, held, 1000 + n, body, 100, &seq, NULL), NULL),
	    OK);
	return seq;
}

struct seen {
	uint32_t seq[64];
	int value[64];
	size_t n;
};

static enum err
see(void *ctx, const struct spool_row *r)
{
	struct seen *s = ctx;
	uint32_t value;
	const char *p = (const char *)r->p + 6, *end = memchr(p, '"', r->n - 6);

	assert_non_null(end);
	assert_int_equal(text_u32(p, (size_t)(end - p), UINT32_MAX, &value), OK);
	s->seq[s->n] = r->seq;
	s->value[s->n++] = (int)value;
	return OK;
}

static struct seen
look(struct spool_db *db, unsigned class)
{
	struct seen s = { .n = 0 };

	assert_int_equal(spool_db_read(db, class, 0, 64, 1 << 20, see, &s, NULL), OK);
	return s;
}

static void
order_acks_and_reopening(void **state)
{
	struct spool_db *db = open_db(quota, NULL);
	struct spool_state st;
	struct seen s;

	(void)state;
	for (int i = 1; i <= 5; i++)
		assert_int_equal(put(db, 1, 0, i), i);
	assert_int_equal(put(db, 0, 0, 9), 1); /* each class has its own sequence */
	assert_int_equal(spool_db_begin(db, NULL), OK);
	assert_int_equal(spool_db_end(db, spool_db_ack(db, 1, 3, NULL), NULL), OK);
	spool_db_close(db);
	db = open_db(quota, NULL);
	s = look(db, 1);
	assert_int_equal(s.n, 2);
	assert_int_equal(s.seq[0], 4);
	assert_int_equal(s.value[1], 5);
	assert_int_equal(spool_db_begin(db, NULL), OK);
	assert_int_equal(spool_db_end(db, spool_db_ack(db, 1, 5, NULL), NULL), OK);
	spool_db_close(db);
	db = open_db(quota, NULL); /* an empty queue remembers its number */
	assert_int_equal(put(db, 1, 0, 6), 6);
	spool_db_state(db, &st);
	assert_int_equal(st.class[1].depth, 1);
	assert_int_equal(st.class[1].bytes, 100 + SPOOL_ROW_COST);
	assert_int_equal(st.class[1].oldest_ms, 1006);
	spool_db_close(db);
}

static void
the_oldest_go_when_the_quota_is_full(void **state)
{
	struct spool_db *db = open_db(tight, NULL);
	struct spool_drop d;
	struct spool_state st;
	struct seen s;

	(void)state;
	for (int i = 1; i <= 13; i++)
		(void)put(db, 2, 0, i);
	s = look(db, 2);
	assert_int_equal(s.n, 10);
	assert_int_equal(s.seq[0], 4);
	assert_int_equal(spool_db_drops(db, 2, &d, NULL), OK);
	assert_int_equal(d.count, 3);
	assert_int_equal(d.first, 1);
	assert_int_equal(d.last, 3);
	assert_int_equal(d.bytes, 300);
	spool_db_close(db);
	db = open_db(tight, NULL); /* the loss is still to be told */
	spool_db_state(db, &st);
	assert_true(st.class[2].unreported);
	assert_int_equal(st.class[2].dropped, 3);
	/* 4 and 5 are under way: what goes is 6 */
	assert_int_equal(put(db, 2, 5, 14), 14);
	s = look(db, 2);
	assert_int_equal(s.seq[0], 4);
	assert_int_equal(s.seq[1], 5);
	assert_int_equal(s.seq[2], 7);
	assert_int_equal(spool_db_begin(db, NULL), OK);
	assert_int_equal(spool_db_drops(db, 2, &d, NULL), OK);
	assert_int_equal(spool_db_end(db, spool_db_drop_reported(db, 2, &d, NULL), NULL), OK);
	assert_int_equal(d.count, 4);
	spool_db_state(db, &st);
	assert_false(st.class[2].unreported);
	spool_db_close(db);
}

static void
a_new_epoch_numbers_what_waits_from_one(void **state)
{
	struct spool_db *db = open_db(quota, NULL);
	struct spool_state before, after;
	struct seen s;

	(void)state;
	for (int i = 1; i <= 4; i++)
		(void)put(db, 0, 0, i);
	assert_int_equal(spool_db_begin(db, NULL), OK);
	assert_int_equal(spool_db_end(db, spool_db_ack(db, 0, 2, NULL), NULL), OK);
	spool_db_state(db, &before);
	assert_int_equal(spool_db_begin(db, NULL), OK);
	assert_int_equal(spool_db_end(db, spool_db_new_epoch(db, NULL), NULL), OK);
	spool_db_state(db, &after);
	assert_string_not_equal(before.epoch, after.epoch);
	s = look(db, 0);
	assert_int_equal(s.seq[0], 1);
	assert_int_equal(s.value[0], 3);
	assert_int_equal(put(db, 0, 0, 5), 3);
	assert_int_equal(put(db, 1, 0, 5), 1);
	spool_db_close(db);
	db = open_db(quota, NULL);
	spool_db_state(db, &before);
	assert_string_equal(before.epoch, after.epoch);
	assert_int_equal(look(db, 0).n, 3);
	spool_db_close(db);
}

static void
an_epoch_ends_before_its_numbers_do(void **state)
{
	struct spool_db *db = open_db(quota, NULL);
	struct spool_state before, after;
	char path[100];
	sqlite3 *raw;

	(void)state;
	(void)put(db, 0, 0, 1);
	spool_db_state(db, &before);
	spool_db_close(db);
	(void)snprintf(path, sizeof path, "%s/spool.db", dir);
	assert_int_equal(sqlite3_open(path, &raw), SQLITE_OK);
	assert_int_equal(sqlite3_exec(raw, "UPDATE class SET next = 2147483600 WHERE class = 0",
			     NULL, NULL, NULL),
	    SQLITE_OK);
	(void)sqlite3_close(raw);
	db = open_db(quota, NULL);
	assert_int_equal(spool_db_begin(db, NULL), OK);
	assert_int_equal(spool_db_end(db, OK, NULL), OK);
	spool_db_state(db, &after);
	assert_string_not_equal(before.epoch, after.epoch);
	assert_int_equal(after.class[0].first, 1);
	spool_db_close(db);
}

static void
dead_letters_are_bounded(void **state)
{
	struct spool_db *db = open_db(quota, NULL);
	struct spool_state st;

	(void)state;
	for (int i = 1; i <= SPOOL_DEAD_MAX + 5; i++) {
		uint32_t seq = put(db, 1, 0, i);

		assert_int_equal(spool_db_begin(db, NULL), OK);
		assert_int_equal(
		    spool_db_end(db, spool_db_dead(db, 1, seq, "bad", 1, NULL), NULL), OK);
	}
	assert_int_equal(spool_db_begin(db, NULL), OK);
	assert_int_equal(spool_db_dead(db, 1, 1, "bad", 1, NULL), ERR_NOTFOUND);
	assert_int_equal(spool_db_end(db, OK, NULL), OK);
	spool_db_state(db, &st);
	assert_int_equal(st.class[1].dead, SPOOL_DEAD_MAX + 5);
	assert_int_equal(st.class[1].depth, 0);
	spool_db_close(db);
}

static void
reserve(struct spool_db *db)
{
	struct spool_state st;

	do {
		assert_int_equal(spool_db_reserve(db, NULL), OK);
		spool_db_state(db, &st);
	} while (!st.reserved);
}

static void
damage(const char *name, long at, size_t n)
{
	char path[100], junk[4096];
	int fd;

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	memset(junk, 0xa5, sizeof junk);
	for (; n > 0; n -= n > sizeof junk ? sizeof junk : n, at += sizeof junk)
		assert_true(pwrite(fd, junk, n > sizeof junk ? sizeof junk : n, at) > 0);
	assert_int_equal(close(fd), 0);
}

static int
unlink_in_dir(const char *name)
{
	char path[100];

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	return unlink(path);
}

static void
a_damaged_file_is_set_aside(void **state)
{
	static const struct {
		long at;
		size_t n;
	} cuts[] = { { 0, 100 }, { 0, 4096 }, { 4096, 8192 }, { 12288, 4096 }, { 100, 50 } };

	(void)state;
	for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
		struct spool_db *db = open_db(quota, NULL);
		struct spool_opened opened;

		for (int k = 1; k <= 300; k++)
			(void)put(db, 1, 0, k);
		reserve(db);
		spool_db_close(db);
		/* what the WAL still holds would heal the page */
		assert_int_equal(unlink_in_dir("spool.db-wal"), 0);
		damage("spool.db", cuts[i].at, cuts[i].n);
		db = open_db(quota, &opened);
		assert_true(opened.damaged);
		assert_true(access(opened.moved, F_OK) == 0);
		assert_int_equal(put(db, 0, 0, 1) > 0, 1);
		print_message("damage at %ld: %lu events taken over\n", cuts[i].at,
		    (unsigned long)opened.salvaged);
		spool_db_close(db);
		assert_int_equal(file_remove_tree(AT_FDCWD, dir, NULL), OK);
		assert_int_equal(mkdir(dir, 0700), 0);
	}
}

static unsigned
damaged_files(void)
{
	const struct dirent *i;
	unsigned n = 0;
	DIR *d = opendir(dir);

	assert_non_null(d);
	while ((i = readdir(d)) != NULL)
		n += strstr(i->d_name, ".damaged-") != NULL;
	(void)closedir(d);
	return n;
}

static int64_t wall = 2000000000000;

static int64_t
fake_wall(void)
{
	return wall;
}

/* Whatever damages the file again and again must not fill the disk; the newest is kept, whatever
 * the clock says. */
static void
few_damaged_files_are_kept(void **state)
{
	struct spool_opened opened;

	(void)state;
	clock_replace(fake_wall, NULL);
	for (int i = 0; i < 8; i++) {
		struct spool_db *db = open_db(quota, &opened);

		assert_true(opened.damaged == (i > 0));
		if (i > 0)
			assert_true(access(opened.moved, F_OK) == 0);
		spool_db_close(db);
		(void)unlink_in_dir("spool.db-wal"); /* it would heal the page */
		damage("spool.db", 0, 100);
		wall += i == 6 ? -1000000 : 1000;
	}
	spool_db_close(open_db(quota, &opened));
	assert_true(access(opened.moved, F_OK) == 0);
	clock_replace(NULL, NULL);
	assert_in_range(damaged_files(), 3, 4);
}

/* --- the loop's side --- */

struct run {
	uv_loop_t loop;
	struct spool *spool;
	int answered;
	uint32_t last;
	enum err err;
	struct spool_batch *batch;
};

static void
on_append(void *ctx, const struct spool_answer *a)
{
	struct run *r = ctx;

	r->err = a->err;
	if (a->err == OK && a->n > 0) {
		assert_int_equal(a->seq[0], r->last + 1); /* in order, without gaps */
		r->last = a->seq[a->n - 1];
	}
	r->answered++;
}

static void
on_read(void *ctx, struct spool_batch *b)
{
	((struct run *)ctx)->batch = b;
}

static enum err
report(void *ctx, unsigned class, const struct spool_drop *d, struct buf *out)
{
	(void)ctx;
	return buf_printf(
	    out, "\"id\":\"%u\",dropped %u: %u-%u", (unsigned)d->count, class, d->first, d->last);
}

static void
open_run(struct run *r, const uint64_t q[SPOOL_CLASSES])
{
	struct spool_options o = {
		.loop = &r->loop, .dir = dir, .report = report, .report_class = 1, .report_ms = 20
	};
	struct spool_opened opened;

	*r = (struct run){ 0 };
	assert_int_equal(uv_loop_init(&r->loop), 0);
	memcpy(o.quota, q, sizeof o.quota);
	assert_int_equal(spool_open(&r->spool, &o, &opened, NULL), OK);
}

static void
close_run(struct run *r)
{
	spool_close(r->spool, NULL, NULL);
	assert_int_equal(uv_run(&r->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&r->loop), 0);
	spool_batch_free(r->batch);
}

static void
groups_commit_together(void **state)
{
	char body[] = "\"id\":\"1\",x";
	struct spool_event ev[5];
	struct run r;

	(void)state;
	open_run(&r, quota);
	for (int i = 0; i < 5; i++)
		ev[i] = (struct spool_event){ 2, body, sizeof body - 1 };
	for (int i = 0; i < 200; i++)
		assert_int_equal(spool_append(r.spool, ev, 5, on_append, &r), OK);
	while (r.answered < 200)
		(void)uv_run(&r.loop, UV_RUN_ONCE);
	assert_int_equal(r.last, 1000);
	assert_in_range(spool_stats(r.spool).commits, 10, 15);
	assert_int_equal(spool_read(r.spool, 500, 262144, on_read, &r), OK);
	while (r.batch == NULL)
		(void)uv_run(&r.loop, UV_RUN_ONCE);
	assert_int_equal(r.batch->n, 500);
	assert_int_equal(r.batch->items[499].seq, 500);
	close_run(&r);
}

static void
reads_take_urgent_classes_first_and_hold_them(void **state)
{
	char body[100];
	struct spool_event low = { 2, body, 100 }, high = { 0, body, 100 };
	struct run r;

	(void)state;
	memset(body, 'x', sizeof body);
	memcpy(body, "\"id\":\"1\"", 8);
	open_run(&r, tight);
	for (int i = 0; i < 8; i++)
		assert_int_equal(spool_append(r.spool, &low, 1, NULL, &r), OK);
	assert_int_equal(spool_append(r.spool, &high, 1, NULL, &r), OK);
	assert_int_equal(spool_read(r.spool, 4, 262144, on_read, &r), OK);
	while (r.batch == NULL)
		(void)uv_run(&r.loop, UV_RUN_ONCE);
	assert_int_equal(r.batch->n, 4);
	assert_int_equal(r.batch->items[0].class, 0);
	assert_int_equal(r.batch->items[3].class, 2);
	assert_int_equal(r.batch->items[3].seq, 3);
	for (int i = 0; i < 4; i++)
		assert_int_equal(spool_append(r.spool, &low, 1, on_append, &r), OK),
		    r.last = 8 + (uint32_t)i;
	spool_batch_free(r.batch);
	r.batch = NULL;
	r.last = 8;
	while (r.answered < 4)
		(void)uv_run(&r.loop, UV_RUN_ONCE);
	assert_int_equal(spool_read(r.spool, 64, 262144, on_read, &r), OK);
	while (r.batch == NULL)
		(void)uv_run(&r.loop, UV_RUN_ONCE);
	/* 1 to 3 were under way; 4 and 5 were dropped and reported in class 1 */
	assert_int_equal(r.batch->items[1].class, 1);
	assert_memory_equal(r.batch->items[1].p, "\"id\":\"2\",dropped 2: 4-5", 23);
	assert_int_equal(r.batch->items[2].seq, 1);
	assert_int_equal(r.batch->items[5].seq, 6);
	close_run(&r);
}

static void
a_failed_commit_stores_nothing_and_says_so(void **state)
{
	char body[] = "\"id\":\"1\",x";
	struct spool_event ev = { 2, body, sizeof body - 1 };
	struct run r;

	(void)state;
	open_run(&r, quota);
	setenv("ATALAIA_INJECT", "spool.commit", 1);
	assert_int_equal(spool_append(r.spool, &ev, 1, on_append, &r), OK);
	while (r.answered < 1)
		(void)uv_run(&r.loop, UV_RUN_ONCE);
	assert_int_equal(r.err, ERR_IO);
	unsetenv("ATALAIA_INJECT");
	assert_int_equal(spool_append(r.spool, &ev, 1, on_append, &r), OK);
	while (r.answered < 2)
		(void)uv_run(&r.loop, UV_RUN_ONCE);
	assert_int_equal(r.err, OK);
	assert_int_equal(r.last, 1);
	assert_true(spool_stats(r.spool).commit_errors > 0);
	close_run(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(order_acks_and_reopening, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    the_oldest_go_when_the_quota_is_full, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_new_epoch_numbers_what_waits_from_one, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    an_epoch_ends_before_its_numbers_do, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    dead_letters_are_bounded, setup_in_memory, teardown),
		cmocka_unit_test_setup_teardown(
		    a_damaged_file_is_set_aside, setup_in_memory, teardown),
		cmocka_unit_test_setup_teardown(
		    few_damaged_files_are_kept, setup_in_memory, teardown),
		cmocka_unit_test_setup_teardown(groups_commit_together, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    reads_take_urgent_classes_first_and_hold_them, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_failed_commit_stores_nothing_and_says_so, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
