/* The client's own promises: what it tells, what it keeps, what it survives. The workflow itself is
 * driven through tuf-client by tests/integration/test_tuf_*.py. */
#include "base/clock.h"
#include "base/inject.h"
#include "base/json.h"
#include "os/file.h"
#include "tuf_fixture.h"
#include "update/key.h"
#include "update/tuf.h"

#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct world {
	struct tuf_fixture x;
	struct tuf_source s;
	struct tuf_options o;
	struct tuf *t;
	char dir[64];
	char told[2048]; /* "file:version:fresh " for each document the observer saw */
	enum err observer;
	struct fault f;
};

static enum err
observe(void *ctx, const struct tuf_document *d, struct fault *f)
{
	struct world *w = ctx;
	size_t n = strlen(w->told);

	(void)f;
	(void)snprintf(w->told + n, sizeof w->told - n, "%s%s%s", n > 0 ? " " : "", d->file,
	    d->fresh ? "+" : "");
	return w->observer;
}

static void
setup(struct world *w)
{
	const struct buf *root;

	memset(w, 0, sizeof *w);
	fixture_init(&w->x);
	w->s = fixture_source(&w->x);
	(void)snprintf(w->dir, sizeof w->dir, "/tmp/test_tuf.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	root = fixture_file(&w->x, "1.root.json");
	w->o = (struct tuf_options){ .dir = w->dir,
		.root = root->data,
		.root_len = root->len,
		.accepted = observe,
		.accepted_ctx = w };
	assert_int_equal(tuf_open(&w->t, &w->o, &w->f), OK);
}

static void
teardown(struct world *w)
{
	tuf_close(w->t);
	fixture_free(&w->x);
	assert_int_equal(file_remove_tree(AT_FDCWD, w->dir, NULL), OK);
}

static void
reopen(struct world *w)
{
	tuf_close(w->t);
	w->told[0] = '\0';
	w->x.asked[0] = '\0';
	assert_int_equal(tuf_open(&w->t, &w->o, &w->f), OK);
}

static enum err
refresh(struct world *w)
{
	fault_reset(&w->f);
	return tuf_refresh(w->t, &w->s, NULL, 0, &w->f);
}

static void
write_file(struct world *w, const char *name, const char *text)
{
	char path[128];

	(void)snprintf(path, sizeof path, "%s/%s", w->dir, name);
	assert_int_equal(file_replace(path, text, strlen(text), 0644, NULL), OK);
}

static void
tells_every_document_in_order(void **state)
{
	struct world w;
	struct tuf_target target;
	size_t len;

	(void)state;
	setup(&w);
	fixture_publish(&w.x, FX_ROOT);
	assert_int_equal(refresh(&w), OK);
	assert_string_equal(w.told, "1.root.json 2.root.json+ timestamp.json+ 1.snapshot.json+ "
				    "1.targets.json+");
	assert_int_equal(tuf_find(w.t, &w.s, "a/1", &target, &w.f), OK);
	assert_non_null(strstr(w.told, " 1.a.json+"));
	assert_int_equal(tuf_version(w.t, "root"), 2);
	assert_int_equal(tuf_version(w.t, "a"), 1);
	assert_int_equal(tuf_version(w.t, "b"), 0);
	assert_memory_equal(tuf_bytes(w.t, "a", &len), fixture_file(&w.x, "1.a.json")->data, len);
	assert_int_equal(len, fixture_file(&w.x, "1.a.json")->len);
	reopen(&w);
	assert_int_equal(tuf_version(w.t, "targets"), 1); /* known before any refresh */
	assert_int_equal(tuf_find(w.t, &w.s, "top", &target, &w.f), ERR_STATE);
	assert_int_equal(refresh(&w), OK);
	assert_string_equal(w.told, "2.root.json timestamp.json 1.snapshot.json 1.targets.json");
	assert_string_equal(w.x.asked, "3.root.json timestamp.json");
	teardown(&w);
}

static void
an_observer_can_end_it(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	w.observer = ERR_NOSPACE;
	assert_int_equal(refresh(&w), ERR_NOSPACE);
	assert_int_equal(tuf_failure(w.t)->rule, TUF_RULE_STORE);
	w.observer = OK;
	assert_int_equal(refresh(&w), OK);
	teardown(&w);
}

/* --- bytes from port 3333 --- */

static void
hints_save_a_fetch(void **state)
{
	struct world w;
	const struct buf *ts;

	(void)state;
	setup(&w);
	ts = fixture_file(&w.x, "timestamp.json");
	assert_int_equal(tuf_refresh(w.t, &w.s, ts->data, ts->len, &w.f), OK);
	assert_string_equal(w.x.asked, "2.root.json 1.snapshot.json 1.targets.json");
	assert_int_equal(tuf_hint_failure(w.t)->rule, TUF_RULE_NONE);
	teardown(&w);
}

static void
bad_hints_only_cost_a_fetch(void **state)
{
	static const char lies[] = "{\"signatures\":[],\"signed\":{}}";
	struct world w;
	struct buf old, big;

	(void)state;
	setup(&w);
	buf_init(&old, 65536);
	assert_int_equal(buf_append(&old, fixture_file(&w.x, "timestamp.json")->data,
			     fixture_file(&w.x, "timestamp.json")->len),
	    OK);
	assert_int_equal(tuf_refresh(w.t, &w.s, lies, strlen(lies), &w.f), OK);
	assert_int_equal(tuf_hint_failure(w.t)->rule, TUF_RULE_JSON);
	assert_non_null(strstr(w.x.asked, "timestamp.json"));

	buf_init(&big, 1u << 20);
	while (big.len < 100000)
		assert_int_equal(buf_puts(&big, "          "), OK);
	assert_int_equal(tuf_refresh(w.t, &w.s, big.data, big.len, &w.f), OK);
	assert_int_equal(tuf_hint_failure(w.t)->rule, TUF_RULE_LENGTH);

	/* a mirror that is behind */
	fixture_publish(&w.x, FX_TIMESTAMP);
	assert_int_equal(refresh(&w), OK);
	assert_int_equal(tuf_refresh(w.t, &w.s, old.data, old.len, &w.f), OK);
	assert_int_equal(tuf_hint_failure(w.t)->rule, TUF_RULE_ROLLBACK);
	assert_string_equal(tuf_hint_failure(w.t)->expected, "2");
	assert_string_equal(tuf_hint_failure(w.t)->got, "1");
	assert_int_equal(tuf_version(w.t, "timestamp"), 2);
	buf_free(&old);
	buf_free(&big);
	teardown(&w);
}

/* --- failures say file, rule, expected, got --- */

static void
failures_are_precise(void **state)
{
	struct world w;
	const struct tuf_failure *why;

	(void)state;
	setup(&w);
	assert_int_equal(refresh(&w), OK);
	assert_int_equal(tuf_failure(w.t)->rule, TUF_RULE_NONE);

	fixture_publish(&w.x, FX_SNAPSHOT);
	fixture_publish(&w.x, FX_TIMESTAMP);
	fixture_put(&w.x, "2.snapshot.json", "{}", 2);
	assert_int_equal(refresh(&w), ERR_PARSE);
	why = tuf_failure(w.t);
	assert_string_equal(why->file, "2.snapshot.json");
	assert_string_equal(tuf_rule_word(why->rule), "json");
	assert_string_equal(why->text, w.f.text);

	w.x.fail = ERR_TIMEOUT;
	assert_int_equal(refresh(&w), ERR_TIMEOUT);
	assert_string_equal(tuf_failure(w.t)->file, "2.root.json");
	assert_int_equal(tuf_failure(w.t)->rule, TUF_RULE_FETCH);
	w.x.fail = OK;

	/* another source, same client: the good documents of before are still there */
	assert_int_equal(tuf_version(w.t, "snapshot"), 1);
	fixture_publish(&w.x, FX_SNAPSHOT);
	fixture_publish(&w.x, FX_TIMESTAMP);
	assert_int_equal(refresh(&w), OK);
	assert_int_equal(tuf_version(w.t, "snapshot"), 3);
	teardown(&w);
}

static void
rule_words(void **state)
{
	int i;

	(void)state;
	for (i = 0; i <= TUF_RULE_STORE; i++)
		assert_true(tuf_rule_word((enum tuf_rule)i)[0] != '\0');
	assert_string_equal(tuf_rule_word((enum tuf_rule)99), "unknown");
}

/* The root takes the targets key away in version 2; version 3 is broken, so the refresh fails
 * between the two. The next one must not take the stored targets for signed. */
static void
a_key_taken_away_stays_away(void **state)
{
	struct world w;
	cJSON *ids;

	(void)state;
	setup(&w);
	assert_int_equal(refresh(&w), OK);
	ids = json_get(json_get(json_get(w.x.body[FX_ROOT], "roles"), "targets"), "keyids");
	cJSON_DeleteItemFromArray(ids, 0);
	fixture_publish(&w.x, FX_ROOT);
	fixture_put(&w.x, "3.root.json", "{}", 2);
	assert_int_equal(refresh(&w), ERR_PARSE);
	assert_int_equal(tuf_version(w.t, "root"), 2);
	fixture_put(&w.x, "3.root.json", "", 0);
	w.x.n_files--; /* 3.root.json was the last one: it is gone */
	assert_int_equal(refresh(&w), ERR_AUTH);
	assert_string_equal(tuf_failure(w.t)->file, "1.targets.json");
	assert_int_equal(tuf_version(w.t, "targets"), 0);
	buf_free(&w.x.files[w.x.n_files].bytes);
	teardown(&w);
}

/* --- look-ups --- */

struct listing {
	char text[1024];
	enum err stop;
};

static enum err
list_one(void *ctx, const struct tuf_target *target, struct fault *f)
{
	struct listing *l = ctx;
	size_t n = strlen(l->text);

	(void)f;
	(void)snprintf(l->text + n, sizeof l->text - n, "%s%s=%s", n > 0 ? " " : "", target->path,
	    target->role);
	return l->stop;
}

static void
lists_what_a_search_would_find(void **state)
{
	struct world w;
	struct listing l = { "", OK };

	(void)state;
	setup(&w);
	assert_int_equal(tuf_each(w.t, &w.s, list_one, &l, &w.f), ERR_STATE);
	fixture_add_target(w.x.body[FX_A], "b/2", "a may not sign for b/");
	fixture_add_target(w.x.body[FX_A], "top", "nor for top");
	fixture_add_target(w.x.body[FX_B], "a/1", "a comes first");
	fixture_add_target(w.x.body[FX_B], "a/2", "but a has no a/2");
	fixture_publish(&w.x, FX_A);
	fixture_publish(&w.x, FX_B);
	fixture_publish(&w.x, FX_SNAPSHOT);
	fixture_publish(&w.x, FX_TIMESTAMP);
	assert_int_equal(refresh(&w), OK);
	assert_int_equal(tuf_each(w.t, &w.s, list_one, &l, &w.f), OK);
	assert_string_equal(l.text, "top=targets a/1=a a/2=b b/1=b");
	assert_non_null(strstr(w.told, "2.a.json+ 2.b.json+"));
	l.stop = ERR_CANCELED;
	assert_int_equal(tuf_each(w.t, &w.s, list_one, &l, &w.f), ERR_CANCELED);
	teardown(&w);
}

static void
terminating_hides_later_roles(void **state)
{
	struct world w;
	struct listing l = { "", OK };
	struct tuf_target target;
	cJSON *roles;

	(void)state;
	setup(&w);
	roles = json_get(json_get(w.x.body[FX_TARGETS], "delegations"), "roles");
	cJSON_ReplaceItemInObjectCaseSensitive(roles->child, "terminating", cJSON_CreateTrue());
	fixture_add_target(w.x.body[FX_B], "a/2", "out of reach");
	fixture_publish(&w.x, FX_B);
	fixture_publish(&w.x, FX_TARGETS);
	fixture_publish(&w.x, FX_SNAPSHOT);
	fixture_publish(&w.x, FX_TIMESTAMP);
	assert_int_equal(refresh(&w), OK);
	assert_int_equal(tuf_each(w.t, &w.s, list_one, &l, &w.f), OK);
	assert_string_equal(l.text, "top=targets a/1=a b/1=b");
	assert_int_equal(tuf_find(w.t, &w.s, "a/2", &target, &w.f), ERR_NOTFOUND);
	assert_int_equal(tuf_failure(w.t)->rule, TUF_RULE_NONE);
	teardown(&w);
}

static void
look_ups_without_a_source_use_the_folder(void **state)
{
	struct world w;
	struct tuf_target target;

	(void)state;
	setup(&w);
	assert_int_equal(refresh(&w), OK);
	assert_int_equal(tuf_find(w.t, NULL, "a/1", &target, &w.f), ERR_NOTFOUND);
	assert_int_equal(tuf_failure(w.t)->rule, TUF_RULE_FETCH);
	assert_int_equal(tuf_find(w.t, &w.s, "a/1", &target, &w.f), OK);
	assert_string_equal(target.role, "a");
	assert_int_equal(target.length, 4);
	reopen(&w);
	assert_int_equal(refresh(&w), OK);
	assert_int_equal(tuf_find(w.t, NULL, "a/1", &target, &w.f), OK);
	assert_null(target.custom);
	teardown(&w);
}

static void
signers_of_roles(void **state)
{
	struct world w;
	const struct signers *s;

	(void)state;
	setup(&w);
	assert_null(tuf_signers(w.t, "a")); /* no targets yet */
	assert_int_equal(refresh(&w), OK);
	s = tuf_signers(w.t, "a");
	assert_non_null(s);
	assert_int_equal(s->n, 1);
	assert_int_equal(s->threshold, 1);
	assert_non_null(tuf_signers(w.t, "timestamp"));
	assert_null(tuf_signers(w.t, "nobody"));
	teardown(&w);
}

/* --- target files --- */

static void
target_names_and_checks(void **state)
{
	struct world w;
	struct tuf_target target;
	struct tuf_check c;
	struct tuf_failure why = { .file = "a/1" };
	struct buf name;

	(void)state;
	setup(&w);
	buf_init(&name, 512);
	assert_int_equal(refresh(&w), OK);
	assert_int_equal(tuf_find(w.t, &w.s, "a/1", &target, &w.f), OK);
	assert_int_equal(tuf_target_file(w.t, &target, &name), OK);
	assert_true(strncmp(buf_text(&name), "a/", 2) == 0);
	assert_int_equal(name.len, 2 + 64 + 2);
	assert_string_equal(buf_text(&name) + 2 + 64, ".1");

	tuf_check_init(&c, &target);
	assert_int_equal(tuf_check_update(&c, "of", 2), OK);
	assert_int_equal(tuf_check_update(&c, " a", 2), OK);
	assert_int_equal(tuf_check_final(&c, &why, &w.f), OK);
	tuf_check_init(&c, &target);
	assert_int_equal(tuf_check_update(&c, "of a!", 5), ERR_TOOBIG);
	tuf_check_init(&c, &target);
	assert_int_equal(tuf_check_update(&c, "of A", 4), OK);
	assert_int_equal(tuf_check_final(&c, &why, &w.f), ERR_VERIFY);
	assert_int_equal(why.rule, TUF_RULE_HASH);
	assert_string_equal(why.file, "a/1");
	assert_true(strncmp(why.expected, "sha256:", 7) == 0 && strcmp(why.expected, why.got) != 0);
	tuf_check_init(&c, &target);
	assert_int_equal(tuf_check_update(&c, "of", 2), OK);
	assert_int_equal(tuf_check_final(&c, &why, NULL), ERR_VERIFY);
	assert_int_equal(why.rule, TUF_RULE_LENGTH);
	buf_free(&name);
	teardown(&w);
}

/* --- the clock --- */

static int64_t fake_wall;

static int64_t
wall(void)
{
	return fake_wall;
}

static void
verified_time_is_a_floor(void **state)
{
	struct world w;
	int64_t now = 1800000000000;

	(void)state;
	fake_wall = now;
	clock_replace(wall, NULL);
	setup(&w);
	w.o.keep_floor = true;
	reopen(&w);
	assert_int_equal(tuf_verified_ms(w.t), 0);
	assert_int_equal(refresh(&w), OK);
	assert_true(tuf_verified_ms(w.t) == now);

	/* the clock goes back ten years; what expired meanwhile stays expired */
	cJSON_ReplaceItemInObjectCaseSensitive(
	    w.x.body[FX_TIMESTAMP], "expires", cJSON_CreateString("2027-01-15T07:59:59Z"));
	fixture_publish(&w.x, FX_TIMESTAMP);
	fake_wall = now - 10ll * 365 * 86400000;
	reopen(&w);
	assert_int_equal(refresh(&w), ERR_EXPIRED);
	assert_true(tuf_clock_behind_ms(w.t) == now - fake_wall);
	assert_int_equal(tuf_version(w.t, "timestamp"), 1);
	w.o.keep_floor = false;
	reopen(&w);
	assert_int_equal(refresh(&w), OK);
	assert_int_equal(tuf_clock_behind_ms(w.t), 0);
	teardown(&w);
	clock_replace(NULL, NULL);
}

static void
an_unreadable_floor_is_no_floor(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	w.o.keep_floor = true;
	write_file(&w, "verified-time", "soon");
	reopen(&w);
	assert_int_equal(tuf_verified_ms(w.t), 0);
	assert_int_equal(refresh(&w), OK);
	assert_true(tuf_verified_ms(w.t) > 0);
	teardown(&w);
}

/* --- the disk --- */

static void
a_lost_root_starts_again_from_the_initial_one(void **state)
{
	static const char *const contents[] = { "", "{}", "\n\n\n\n", "{\"signatures\":[]" };
	struct world w;
	size_t i;

	(void)state;
	setup(&w);
	fixture_publish(&w.x, FX_ROOT);
	for (i = 0; i < sizeof contents / sizeof *contents; i++) {
		assert_int_equal(refresh(&w), OK);
		assert_int_equal(tuf_version(w.t, "root"), 2);
		write_file(&w, "root.json", contents[i]);
		reopen(&w);
		assert_int_equal(tuf_version(w.t, "root"), 1);
	}
	tuf_close(w.t);
	w.t = NULL;
	write_file(&w, "root.json", "");
	w.o.root = NULL;
	assert_int_equal(tuf_open(&w.t, &w.o, NULL), ERR_PARSE);
	w.t = NULL;
	teardown(&w);
}

static void
one_holder_at_a_time(void **state)
{
	struct world w;
	struct tuf *other;

	(void)state;
	setup(&w);
	assert_int_equal(tuf_open(&other, &w.o, NULL), ERR_BUSY);
	assert_int_equal(tuf_init(w.dir, w.o.root, w.o.root_len, NULL), ERR_BUSY);
	teardown(&w);
}

#ifndef NDEBUG
/* Each write and each fsync of a refresh fails once; what is trusted is the old document or the
 * new one, and the next refresh heals. */
static void
disk_errors(void **state)
{
	static const char *const points[] = { "file.write", "file.fsync" };
	char where[64];
	struct world w;
	enum err e;
	size_t i;
	int n, before;

	(void)state;
	setup(&w);
	assert_int_equal(refresh(&w), OK);
	for (i = 0; i < 2; i++) {
		/* inject counts the calls of all rounds: n of them in the n-th, which fails there
		 */
		for (n = 1, before = 0, e = ERR_IO; e != OK; before += n++) {
			fixture_publish(&w.x, FX_ROOT);
			fixture_publish(&w.x, FX_TARGETS);
			fixture_publish(&w.x, FX_SNAPSHOT);
			fixture_publish(&w.x, FX_TIMESTAMP);
			(void)snprintf(where, sizeof where, "%s@%d", points[i], before + n);
			assert_int_equal(setenv("ATALAIA_INJECT", where, 1), 0);
			reopen(&w);
			e = refresh(&w);
			assert_int_equal(unsetenv("ATALAIA_INJECT"), 0);
			if (e != OK)
				assert_int_equal(tuf_failure(w.t)->rule, TUF_RULE_STORE);
			reopen(&w);
			assert_int_equal(refresh(&w), OK);
			assert_true(n < 40);
		}
		assert_true(n > 4); /* four documents at least */
	}
	teardown(&w);
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_every_document_in_order),
		cmocka_unit_test(an_observer_can_end_it),
		cmocka_unit_test(hints_save_a_fetch),
		cmocka_unit_test(bad_hints_only_cost_a_fetch),
		cmocka_unit_test(failures_are_precise),
		cmocka_unit_test(rule_words),
		cmocka_unit_test(a_key_taken_away_stays_away),
		cmocka_unit_test(lists_what_a_search_would_find),
		cmocka_unit_test(terminating_hides_later_roles),
		cmocka_unit_test(look_ups_without_a_source_use_the_folder),
		cmocka_unit_test(signers_of_roles),
		cmocka_unit_test(target_names_and_checks),
		cmocka_unit_test(verified_time_is_a_floor),
		cmocka_unit_test(an_unreadable_floor_is_no_floor),
		cmocka_unit_test(a_lost_root_starts_again_from_the_initial_one),
		cmocka_unit_test(one_holder_at_a_time),
#ifndef NDEBUG
		cmocka_unit_test(disk_errors),
#endif
	};

	return cmocka_run_group_tests_name("tuf", tests, NULL, NULL);
}
