/* What the console remembers, on a database in a scratch folder, and the queue that carries it. */
#include "db.h"
#include "store.h"
#include "test.h"
#include "work.h"

#include <stdio.h>
#include <unistd.h>

#define A1 "01890000-0000-7000-8000-0000000000a1"
#define A2 "01890000-0000-7000-8000-0000000000a2"
#define T1 "01890000-0000-7000-8000-0000000000f1"

static char folder[64], path[96];

static struct db *
fresh(void)
{
	struct db *db;

	(void)snprintf(folder, sizeof(folder), "/tmp/atalaia-store-XXXXXX");
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/db", folder);
	assert_int_equal(db_open(&db, path, NULL), OK);
	return db;
}

static void
drop(struct db *db)
{
	static const char *const ends[] = { "", "-wal", "-shm", "-copy" };
	char name[128];

	db_close(db);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		(void)unlink(name);
	}
	assert_int_equal(rmdir(folder), 0);
}

static void
add_agent(struct db *db, const char *id, const char *host, const char *group)
{
	struct agent_row a = {
		.task_port = 2222, .enrolled = 1000, .seen = 1000, .not_after = 9000
	};

	memcpy(a.agent, id, UUID_TEXT);
	(void)snprintf(a.host, sizeof(a.host), "%s", host);
	(void)snprintf(a.group, sizeof(a.group), "%s", group);
	(void)snprintf(a.address, sizeof(a.address), "10.0.0.1");
	assert_int_equal(store_agent_add(db, &a), OK);
}

static enum err
count(void *arg, const struct agent_row *a)
{
	(void)a;
	++*(int *)arg;
	return OK;
}

static int
matching(struct db *db, const char *target)
{
	int n = 0;

	assert_int_equal(store_agents_each(db, target, count, &n), OK);
	return n;
}

static void
test_agents(void **state)
{
	struct db *db = fresh();
	struct agent_row a;
	char id[UUID_TEXT];

	(void)state;
	add_agent(db, A1, "pc", "till");
	add_agent(db, A2, "pc", "office");
	assert_int_equal(store_agent_get(db, A1, &a), OK);
	assert_string_equal(a.group, "till");
	assert_int_equal(store_agent_get(db, T1, &a), ERR_NOTFOUND);
	assert_int_equal(store_agent_resolve(db, A2, id), OK);
	assert_int_equal(store_agent_resolve(db, "pc", id), ERR_EXISTS); /* two of that name */
	assert_int_equal(store_agent_resolve(db, "nobody", id), ERR_NOTFOUND);
	assert_int_equal(matching(db, "*"), 2);
	assert_int_equal(matching(db, "group:till"), 1);
	assert_int_equal(matching(db, A2), 1);
	assert_int_equal(store_agent_revoke(db, A2, 2000), OK);
	assert_int_equal(store_agent_revoke(db, T1, 2000), ERR_NOTFOUND);
	assert_int_equal(matching(db, "*"), 1);
	assert_int_equal(store_agent_resolve(db, "pc", id), OK);
	assert_string_equal(id, A1);
	drop(db);
}

/* A contact is written when something changed or a minute has passed, not each time. */
static void
test_seen_is_written_sparingly(void **state)
{
	struct db *db = fresh();
	struct agent_row a;

	(void)state;
	add_agent(db, A1, "pc", "till");
	assert_int_equal(store_agent_seen(db, A1, "10.0.0.1", 2222, 1500), OK);
	assert_int_equal(db_changes(db), 0);
	assert_int_equal(store_agent_seen(db, A1, "10.0.0.9", -1, 1600), OK);
	assert_int_equal(store_agent_get(db, A1, &a), OK);
	assert_string_equal(a.address, "10.0.0.9");
	assert_int_equal(a.task_port, 2222); /* not said: as before */
	assert_int_equal(store_agent_seen(db, A1, "10.0.0.9", 0, 1700), OK);
	assert_int_equal(store_agent_get(db, A1, &a), OK);
	assert_int_equal(a.task_port, 0);
	assert_int_equal(store_agent_seen(db, A1, "10.0.0.9", 0, 90000), OK);
	assert_int_equal(db_changes(db), 1);
	drop(db);
}

static void
test_tokens(void **state)
{
	struct token_row t = { .id = "0123456789abcdef",
		.key = { 7 },
		.group = "till",
		.uses = 1,
		.created = 1,
		.expires = 100 };
	static const uint8_t proof[32] = { 1 };
	struct db *db = fresh();
	struct token_row got;
	struct buf answer;

	(void)state;
	assert_int_equal(store_token_add(db, &t), OK);
	assert_int_equal(store_token_try(db, "ffffffffffffffff", &got), ERR_NOTFOUND);
	assert_int_equal(store_token_try(db, t.id, &got), OK);
	assert_int_equal(got.attempts, 1); /* counted before anything is checked */
	assert_memory_equal(got.key, t.key, 32);
	assert_int_equal(store_token_spend(db, t.id), OK);
	assert_int_equal(store_token_spend(db, t.id), ERR_DENIED);
	buf_init(&answer, 100);
	assert_int_equal(buf_puts(&answer, "yes"), OK);
	assert_int_equal(store_enrolment_add(db, t.id, proof, A1, &answer, 1000), OK);
	buf_reset(&answer);
	assert_int_equal(store_enrolment_find(db, t.id, proof, 1000, &answer), OK);
	assert_string_equal(buf_text(&answer), "yes");
	buf_reset(&answer);
	assert_int_equal(store_enrolment_find(db, t.id, proof, 1001, &answer), ERR_NOTFOUND);
	buf_free(&answer);
	assert_int_equal(store_token_revoke(db, t.id, 1), OK);
	assert_int_equal(store_token_try(db, t.id, &got), OK);
	assert_true(got.revoked);
	drop(db);
}

static void
send_task(struct db *db, const char *id, int64_t now)
{
	struct task_row t = { .id = id,
		.target = "*",
		.type = "status",
		.created = now,
		.not_before = now,
		.expires = now + 1000000,
		.envelope = "{\"signed\":{}}" };

	assert_int_equal(store_task_add(db, &t), OK);
	assert_int_equal(store_delivery_add(db, id, A1, now), OK);
}

static const char *
pull(struct db *db, struct buf *out, int64_t now)
{
	buf_reset(out);
	assert_int_equal(store_pull(db, A1, now, out), OK);
	return buf_text(out);
}

static void
test_a_delivery_from_offer_to_outcome(void **state)
{
	struct delivery d = { .state = "running", .step = "2", .now = 2000 };
	struct db *db = fresh();
	int64_t rev = 0, before, open = 0;
	const char *text;
	struct buf out;
	cJSON *o;

	(void)state;
	buf_init(&out, 100000);
	add_agent(db, A1, "pc", "till");
	assert_string_equal(pull(db, &out, 1000), "");
	send_task(db, T1, 1000);
	assert_string_equal(pull(db, &out, 40000), "{\"tasks\":[{\"signed\":{}}]}");
	assert_string_equal(pull(db, &out, 40001), ""); /* offered a moment ago */
	assert_string_equal(pull(db, &out, 80000), "{\"tasks\":[{\"signed\":{}}]}");
	assert_int_equal(store_delivery_state(db, T1, A2, &d), ERR_NOTFOUND);
	assert_int_equal(store_task_show(db, T1, &o, &before, &open), OK);
	cJSON_Delete(o);
	assert_int_equal(store_delivery_state(db, T1, A1, &d), OK);
	assert_string_equal(pull(db, &out, 200000), ""); /* it knows the task */
	d.state = "done";
	d.result = "{\"x\":1}";
	assert_int_equal(store_delivery_state(db, T1, A1, &d), OK);
	d.state = "failed";
	assert_int_equal(store_delivery_state(db, T1, A1, &d), OK); /* comes too late */
	assert_int_equal(store_task_show(db, T1, &o, &rev, &open), OK);
	assert_true(rev > before);
	assert_int_equal(open, 0);
	assert_int_equal(json_get_string(o, "state", &text, NULL), OK);
	assert_string_equal(text, "done");
	assert_int_equal(json_get_string(o, "way", &text, NULL), OK);
	assert_string_equal(text, "pull");
	cJSON_Delete(o);
	assert_int_equal(store_task_show(db, A1, &o, &rev, &open), ERR_NOTFOUND);
	buf_free(&out);
	drop(db);
}

static void
test_cancel_and_expiry(void **state)
{
	struct delivery d = { .state = "running", .now = 1 };
	struct db *db = fresh();
	int64_t rev, open;
	struct buf out;
	cJSON *o;

	(void)state;
	buf_init(&out, 100000);
	add_agent(db, A1, "pc", "till");
	send_task(db, T1, 1000);
	assert_int_equal(store_delivery_state(db, T1, A1, &d), OK);
	assert_int_equal(store_task_cancel(db, T1, 2000), OK);
	assert_string_equal(pull(db, &out, 3000), "{\"tasks\":[],\"cancel\":[\"" T1 "\"]}");
	assert_string_equal(pull(db, &out, 3001), "");
	assert_int_equal(store_task_cancel(db, A1, 2000), ERR_NOTFOUND);
	send_task(db, A2, 1000); /* nobody fetches it */
	assert_int_equal(store_tasks_expire(db, 1000999), OK);
	assert_int_equal(store_task_show(db, A2, &o, &rev, &open), OK);
	assert_int_equal(open, 1);
	cJSON_Delete(o);
	assert_int_equal(store_tasks_expire(db, 1001000), OK);
	assert_int_equal(store_task_show(db, A2, &o, &rev, &open), OK);
	assert_int_equal(open, 0);
	cJSON_Delete(o);
	buf_free(&out);
	drop(db);
}

/* Old and expired: gone with its deliveries; old and still alive, or young: kept. */
static void
test_old_tasks_are_forgotten(void **state)
{
	static const char *const ids[] = { "01890000-0000-7000-8000-0000000000f1",
		"01890000-0000-7000-8000-0000000000f2", "01890000-0000-7000-8000-0000000000f3" };
	static const int64_t expires[] = { 2000, 9000, 9000 }, created[] = { 1000, 1000, 6000 };
	struct db *db = fresh();
	int64_t n;

	add_agent(db, A1, "a", "g");
	for (size_t i = 0; i < 3; i++) {
		struct task_row t = { .id = ids[i], .target = A1, .type = "status",
			.envelope = "{}", .created = created[i], .expires = expires[i] };

		assert_int_equal(store_task_add(db, &t), OK);
		assert_int_equal(store_delivery_add(db, ids[i], A1, created[i]), OK);
	}
	assert_int_equal(store_tasks_prune(db, 5000, 100), OK);
	assert_int_equal(db_number(db, &n, "SELECT count(*) FROM tasks", ""), OK);
	assert_int_equal(n, 2);
	assert_int_equal(db_number(db, &n, "SELECT count(*) FROM deliveries", ""), OK);
	assert_int_equal(n, 2);
	assert_int_equal(db_number(db, &n, "SELECT 1 FROM tasks WHERE id = ?", "t", ids[0]),
	    ERR_NOTFOUND);
	drop(db);
	(void)state;
}

static void
test_events(void **state)
{
	struct event_row e = { .source = "s",
		.epoch = "e",
		.cls = "task",
		.id = "1",
		.seq = 1,
		.type = "org.atalaia.update.applied",
		.time = "t",
		.received = 5,
		.body = "{}" };
	struct event_query q = { .limit = 10, .cls = "", .type = "", .source = "" };
	struct db *db = fresh();
	struct buf out;
	uint64_t found;

	(void)state;
	buf_init(&out, 100000);
	assert_int_equal(store_event_add(db, &e), OK);
	assert_int_equal(store_event_add(db, &e), ERR_EXISTS);
	e.id = "2";
	assert_int_equal(store_event_add(db, &e), ERR_STATE);
	e.seq = 2;
	e.type = "org.atalaia.detection";
	e.cls = "detection";
	assert_int_equal(store_event_add(db, &e), OK);
	assert_int_equal(store_events_list(db, &q, &out, &found), OK);
	assert_int_equal(found, 2);
	q.type = "org.atalaia.update.*";
	assert_int_equal(store_events_list(db, &q, &out, &found), OK);
	assert_int_equal(found, 1);
	q.type = "";
	q.cls = "detection";
	q.after = 1;
	assert_int_equal(store_events_list(db, &q, &out, &found), OK);
	assert_int_equal(found, 1);
	q.after = 100; /* numbers grow but may leave gaps */
	assert_int_equal(store_events_list(db, &q, &out, &found), OK);
	assert_int_equal(found, 0);
	assert_int_equal(
	    store_own_event(db, "o", "main", "org.atalaia.console.x", cJSON_CreateObject(), 9), OK);
	assert_int_equal(store_own_event(db, "o", "main", "org.atalaia.console.x", NULL, 9), OK);
	assert_int_equal(store_events_prune(db, 6, 100), OK);
	q = (struct event_query){ .limit = 10, .cls = "", .type = "", .source = "" };
	assert_int_equal(store_events_list(db, &q, &out, &found), OK);
	assert_int_equal(found, 2);
	buf_free(&out);
	drop(db);
}

/* ---- the queue ---- */

struct step {
	struct job job;
	const char *id;
	enum err fail;
	enum err *result;
	int *order;
};

static enum err
step_run(struct job *job, void *ctx)
{
	struct step *s = (struct step *)job;

	add_agent(ctx, s->id, "pc", "g");
	return s->fail;
}

static void
step_done(struct job *job, enum err result)
{
	struct step *s = (struct step *)job;

	*s->result = result;
	*s->order = *s->order * 10 + s->id[35] - '0';
}

/* Jobs of one batch share a transaction; one that fails takes back only its own work. */
static void
test_a_failed_job_takes_back_its_own_work_only(void **state)
{
	struct db *db = fresh();
	enum err results[3] = { ERR_STATE, ERR_STATE, ERR_STATE };
	int order = 0;
	struct step steps[3];
	static const char *const ids[] = { "01890000-0000-7000-8000-000000000001",
		"01890000-0000-7000-8000-000000000002", "01890000-0000-7000-8000-000000000003" };
	struct agent_row a;
	struct work w;
	uv_loop_t loop;

	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	work_init(&w, &loop, &db_hooks, db);
	for (int i = 0; i < 3; i++) {
		steps[i] = (struct step){ .id = ids[i],
			.fail = i == 1 ? ERR_DENIED : OK,
			.result = &results[i],
			.order = &order };
		steps[i].job.run = step_run;
		steps[i].job.done = step_done;
		work_add(&w, &steps[i].job);
	}
	work_close(&w, NULL, NULL);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&loop), 0);
	assert_int_equal(order, 123);
	assert_int_equal(results[0], OK);
	assert_int_equal(results[1], ERR_DENIED);
	assert_int_equal(results[2], OK);
	assert_int_equal(store_agent_get(db, ids[0], &a), OK);
	assert_int_equal(store_agent_get(db, ids[1], &a), ERR_NOTFOUND);
	assert_int_equal(store_agent_get(db, ids[2], &a), OK);
	drop(db);
}

static void
test_backup_is_a_whole_database(void **state)
{
	struct db *db = fresh(), *copy;
	struct agent_row a;
	char name[128];

	(void)state;
	add_agent(db, A1, "pc", "till");
	(void)snprintf(name, sizeof(name), "%s-copy", path);
	assert_int_equal(db_backup(db, name, NULL), OK);
	assert_int_equal(db_open(&copy, name, NULL), OK);
	assert_int_equal(store_agent_get(copy, A1, &a), OK);
	db_close(copy);
	drop(db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agents),
		cmocka_unit_test(test_seen_is_written_sparingly),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_a_delivery_from_offer_to_outcome),
		cmocka_unit_test(test_cancel_and_expiry),
		cmocka_unit_test(test_old_tasks_are_forgotten),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_a_failed_job_takes_back_its_own_work_only),
		cmocka_unit_test(test_backup_is_a_whole_database),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
