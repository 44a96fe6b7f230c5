/* The catalog and the plan: which deltas, when a full copy, when to wait. */
#include "test.h"

#include "catalog.h"
#include "plan.h"

#include "base/json.h"
#include "base/text.h"

#include <stdio.h>

/* Content is one letter here; its hash is that letter 32 times. */
static void
hash_of(char c, uint8_t out[SHA_LEN])
{
	memset(out, c, SHA_LEN);
}

static void
add(struct catalog *c, const char *path, char content, uint64_t length, const char *custom)
{
	struct tuf_target t = { .path = path, .length = length, .has_sha256 = true };
	cJSON *tree = NULL;

	hash_of(content, t.sha256);
	if (custom != NULL)
		assert_int_equal(json_parse(&tree, custom, strlen(custom), JSON_SIGNED, NULL), OK);
	t.custom = tree;
	assert_int_equal(catalog_add(c, &t, path, NULL), OK);
	cJSON_Delete(tree);
}

static void
add_delta(struct catalog *c, char from, char to, uint64_t length)
{
	char path[32], custom[256], a[65], b[65];
	uint8_t raw[SHA_LEN];

	hash_of(from, raw);
	text_hex(a, raw, SHA_LEN);
	hash_of(to, raw);
	text_hex(b, raw, SHA_LEN);
	(void)snprintf(path, sizeof path, "delta/%02x%02x", (unsigned)from, (unsigned)to);
	(void)snprintf(
	    custom, sizeof custom, "{\"atalaia\":{\"from\":\"%s\",\"to\":\"%s\"}}", a, b);
	add(c, path, (char)(from ^ to ^ 0x55), length, custom);
}

static bool
held(void *ctx, const uint8_t sha256[SHA_LEN])
{
	return strchr(ctx, sha256[0]) != NULL;
}

static void
plan(struct plan *p, const struct catalog *c, enum fetch_delta mode, bool had, const char *have)
{
	plan_target(p, c, catalog_find(c, "t"), mode, had, held, (void *)(uintptr_t)have);
}

/* t is D; deltas lead A -> B -> C -> D; a compressed copy of 400 bytes exists. */
static void
chain_world(struct catalog *c, uint64_t delta_bytes)
{
	add_delta(c, 'A', 'B', delta_bytes);
	add_delta(c, 'B', 'C', delta_bytes);
	add_delta(c, 'C', 'D', delta_bytes);
	add(c, "t", 'D', 1000, "{\"atalaia\":{\"full\":\"full/t\"}}");
	add(c, "full/t", 'z', 400, NULL);
	catalog_finish(c);
}

static void
unchanged_content_is_held(void **state)
{
	struct catalog c = { 0 };
	struct plan p;

	chain_world(&c, 10);
	plan(&p, &c, DELTA_PREFER, true, "D");
	assert_int_equal(p.how, PLAN_HELD);
	catalog_free(&c);
}

static void
the_chain_leads_from_the_newest_held_base(void **state)
{
	struct catalog c = { 0 };
	struct plan p;

	chain_world(&c, 10);
	plan(&p, &c, DELTA_PREFER, true, "A");
	assert_int_equal(p.how, PLAN_CHAIN);
	assert_int_equal(p.chain_count, 3);
	assert_string_equal(p.chain[0]->path, "delta/4142");
	assert_string_equal(p.chain[2]->path, "delta/4344");
	assert_int_equal(p.chain_bytes, 30);
	plan(&p, &c, DELTA_PREFER, true, "AC");
	assert_int_equal(p.chain_count, 1);
	assert_int_equal(p.base[0], 'C');
	catalog_free(&c);
}

static void
more_than_half_of_the_full_copy_is_too_much(void **state)
{
	struct catalog c = { 0 };
	struct plan p;

	chain_world(&c, 67); /* 201 > 400 / 2 */
	plan(&p, &c, DELTA_PREFER, true, "A");
	assert_int_equal(p.how, PLAN_FULL);
	assert_int_equal(p.full_bytes, 400);
	plan(&p, &c, DELTA_PREFER, true, "B");
	assert_int_equal(p.how, PLAN_CHAIN);
	plan(&p, &c, DELTA_REQUIRE, true, "A"); /* whatever it costs */
	assert_int_equal(p.how, PLAN_CHAIN);
	catalog_free(&c);
}

static void
held_deltas_cost_nothing(void **state)
{
	struct catalog c = { 0 };
	struct plan p;
	char have[3] = { 'A', 'A' ^ 'B' ^ 0x55, '\0' };

	chain_world(&c, 67);
	plan(&p, &c, DELTA_PREFER, true, have);
	assert_int_equal(p.how, PLAN_CHAIN);
	assert_int_equal(p.chain_bytes, 134);
	catalog_free(&c);
}

static void
require_waits_but_not_for_what_cannot_be(void **state)
{
	struct catalog c = { 0 };
	struct plan p;

	chain_world(&c, 10);
	plan(&p, &c, DELTA_REQUIRE, true, "");
	assert_int_equal(p.how, PLAN_WAIT);
	plan(&p, &c, DELTA_REQUIRE, false, ""); /* the first download */
	assert_int_equal(p.how, PLAN_FULL);
	plan(&p, &c, DELTA_OFF, true, "C");
	assert_int_equal(p.how, PLAN_FULL);
	catalog_free(&c);
	add(&c, "t", 'N', 5, NULL); /* a new file has no predecessor */
	catalog_finish(&c);
	plan(&p, &c, DELTA_REQUIRE, true, "A");
	assert_int_equal(p.how, PLAN_FULL);
	catalog_free(&c);
}

static void
circles_end(void **state)
{
	struct catalog c = { 0 };
	struct plan p;

	add_delta(&c, 'A', 'B', 1);
	add_delta(&c, 'B', 'A', 1);
	add_delta(&c, 'B', 'B', 1);
	add(&c, "t", 'B', 100, NULL);
	catalog_finish(&c);
	plan(&p, &c, DELTA_PREFER, true, "Q");
	assert_int_equal(p.how, PLAN_FULL);
	plan(&p, &c, DELTA_PREFER, true, "A");
	assert_int_equal(p.chain_count, 1);
	catalog_free(&c);
}

static void
chains_have_a_longest(void **state)
{
	struct catalog c = { 0 };
	struct plan p;

	for (int i = 0; i < LIMIT_DELTA_CHAIN + 1; i++)
		add_delta(&c, (char)(1 + i), (char)(2 + i), 1);
	add(&c, "t", (char)(2 + LIMIT_DELTA_CHAIN), 1000, NULL);
	catalog_finish(&c);
	plan(&p, &c, DELTA_PREFER, true, "\1");
	assert_int_equal(p.how, PLAN_FULL);
	plan(&p, &c, DELTA_PREFER, true, "\2");
	assert_int_equal(p.how, PLAN_CHAIN);
	assert_int_equal(p.chain_count, LIMIT_DELTA_CHAIN);
	catalog_free(&c);
}

static void
strange_targets_are_refused_and_strange_helpers_ignored(void **state)
{
	static const char *const bad[] = { "../t", "/t", "a//b", "a b", "t\n", "" };
	struct catalog c = { 0 };
	struct tuf_target t = { .has_sha256 = true };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		t.path = bad[i];
		assert_int_equal(catalog_add(&c, &t, "x", NULL), ERR_INVAL);
	}
	t.path = "t";
	t.has_sha256 = false;
	assert_int_equal(catalog_add(&c, &t, "x", NULL), ERR_INVAL);
	t.has_sha256 = true;
	t.length = LIMIT_TARGET_BYTES + 1;
	assert_int_equal(catalog_add(&c, &t, "x", NULL), ERR_INVAL);
	add(&c, "t", 'T', 9, "{\"atalaia\":{\"pack\":7,\"full\":\"t\",\"delta\":[]}}");
	add(&c, "delta/x", 'x', 9, "{\"atalaia\":{\"from\":\"12\",\"to\":3}}");
	add(&c, "delta/y", 'y', 9, "[]");
	catalog_finish(&c);
	assert_false(catalog_find(&c, "t")->pack);
	assert_null(catalog_find(&c, "t")->full); /* not below full/ */
	assert_false(catalog_find(&c, "delta/x")->delta_known);
	assert_null(catalog_find(&c, "absent"));
	catalog_free(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unchanged_content_is_held),
		cmocka_unit_test(the_chain_leads_from_the_newest_held_base),
		cmocka_unit_test(more_than_half_of_the_full_copy_is_too_much),
		cmocka_unit_test(held_deltas_cost_nothing),
		cmocka_unit_test(require_waits_but_not_for_what_cannot_be),
		cmocka_unit_test(circles_end),
		cmocka_unit_test(chains_have_a_longest),
		cmocka_unit_test(strange_targets_are_refused_and_strange_helpers_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
