/* The keys of the authority, followed through changes that this PC slept through: each must be
 * signed by the keys before it and by those it names, in order, and nothing ever goes back. */
#include "authority_pin.h"
#include "base/json.h"
#include "os/file.h"
#include "test.h"
#include "update/hash.h"
#include "update/key.h"
#include "update/signed.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define GENERATIONS 4

static struct sign_private *keys[GENERATIONS];
static cJSON *named[GENERATIONS]; /* what member "authority" says of each */
static char dir[64], pins[96], tuf[96], set[96];

static void
write_text(const char *folder, const char *name, const struct buf *b)
{
	char path[200];

	assert_int_equal(file_join(path, sizeof path, folder, name), OK);
	assert_int_equal(file_replace(path, b->data, b->len, 0644, NULL), OK);
}

static void
write_tree(const char *folder, const char *name, const cJSON *tree)
{
	struct buf b;

	buf_init(&b, 65536);
	assert_int_equal(json_print(tree, &b), OK);
	write_text(folder, name, &b);
	buf_free(&b);
}

static void
generation(int i)
{
	char id[KEY_ID_TEXT];
	cJSON *object, *ring, *ids;

	assert_int_equal(sign_generate(&keys[i], NULL), OK);
	assert_int_equal(key_of_private(keys[i], &object, id, NULL), OK);
	named[i] = cJSON_CreateObject();
	assert_int_equal(json_add_object(named[i], "keys", &ring), OK);
	assert_true(cJSON_AddItemToObject(ring, id, object));
	assert_int_equal(json_add_array(named[i], "keyids", &ids), OK);
	assert_int_equal(json_append_string(ids, id), OK);
	assert_int_equal(json_add_u64(named[i], "threshold", 1), OK);
}

/* An authority of this version that names a generation (-1: none), and the signed document that
 * names its bytes. */
static void
make(struct buf *text, struct buf *doc, unsigned version, int next, const int *signers, size_t n)
{
	const struct sign_private *by[GENERATIONS];
	cJSON *tree = cJSON_CreateObject(), *body = cJSON_CreateObject(), *targets, *target,
	      *hashes;
	char sha[HASH_SHA256_TEXT];

	assert_int_equal(json_add_u64(tree, "version", version), OK);
	if (next >= 0)
		assert_true(
		    cJSON_AddItemToObject(tree, "authority", cJSON_Duplicate(named[next], true)));
	buf_init(text, 65536);
	buf_init(doc, 65536);
	assert_int_equal(json_print(tree, text), OK);
	hash_sha256_text(text->data, text->len, sha);
	assert_int_equal(json_add_object(body, "targets", &targets), OK);
	assert_int_equal(json_add_object(targets, "authority.json", &target), OK);
	assert_int_equal(json_add_object(target, "hashes", &hashes), OK);
	assert_int_equal(json_add_string(hashes, "sha256", sha), OK);
	for (size_t i = 0; i < n; i++)
		by[i] = keys[signers[i]];
	assert_int_equal(signed_build(body, by, n, doc, NULL), OK);
	cJSON_Delete(tree);
	cJSON_Delete(body);
}

static void
step(unsigned version, int next, const int *signers, size_t n)
{
	struct buf text, doc;
	char name[64];

	make(&text, &doc, version, next, signers, n);
	(void)snprintf(name, sizeof name, "authority/%u.json", version);
	write_text(set, name, &text);
	(void)snprintf(name, sizeof name, "authority/%u.signed.json", version);
	write_text(set, name, &doc);
	buf_free(&text);
	buf_free(&doc);
}

#define STEP(version, next, ...)                                                                   \
	step(version, next, (const int[]){ __VA_ARGS__ },                                          \
	    sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int))

/* The newest authority, signed by one generation, meets the PC. */
static enum err
newest(unsigned version, int signer)
{
	struct buf text, doc;
	enum err e;

	make(&text, &doc, version, -1, &signer, 1);
	write_text(tuf, "authority.json", &doc);
	e = authority_pin_check(pins, tuf, set, &text, NULL);
	buf_free(&text);
	buf_free(&doc);
	return e;
}

static int
setup(void **state)
{
	cJSON *targets = cJSON_CreateObject(), *body, *delegations, *roles, *role;
	char path[200];

	(void)snprintf(dir, sizeof dir, "/tmp/test_authority_pin.XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(pins, sizeof pins, "%s/authority-keys.json", dir);
	(void)snprintf(tuf, sizeof tuf, "%s/tuf", dir);
	(void)snprintf(set, sizeof set, "%s/set", dir);
	(void)snprintf(path, sizeof path, "%s/authority", set);
	assert_int_equal(file_make_dirs(tuf, 0755, NULL), OK);
	assert_int_equal(file_make_dirs(path, 0755, NULL), OK);
	for (int i = 0; i < GENERATIONS; i++)
		if (keys[i] == NULL)
			generation(i);
	assert_int_equal(json_add_object(targets, "signed", &body), OK);
	assert_int_equal(json_add_object(body, "delegations", &delegations), OK);
	assert_true(cJSON_AddItemToObject(
	    delegations, "keys", cJSON_Duplicate(json_get(named[0], "keys"), true)));
	assert_int_equal(json_add_array(delegations, "roles", &roles), OK);
	role = cJSON_Duplicate(named[0], true);
	cJSON_DeleteItemFromObjectCaseSensitive(role, "keys");
	assert_int_equal(json_add_string(role, "name", "authority"), OK);
	assert_true(cJSON_AddItemToArray(roles, role));
	write_tree(tuf, "targets.json", targets);
	cJSON_Delete(targets);
	assert_int_equal(newest(1, 0), OK); /* the first one: its keys are remembered */
	return 0;
}

static int
teardown(void **state)
{
	assert_int_equal(file_remove_tree(AT_FDCWD, dir, NULL), OK);
	return 0;
}

static void
three_changes_are_followed_one_after_the_other(void **state)
{
	STEP(3, 1, 0, 1);
	STEP(10, 2, 1, 2); /* after 3 and 9 by number, before them by name */
	STEP(11, 3, 2, 3);
	assert_int_equal(newest(12, 3), OK);
	assert_int_equal(newest(13, 0), ERR_AUTH);
}

static void
a_gap_leaves_the_newest_refused_and_what_was_walked_kept(void **state)
{
	STEP(3, 1, 0, 1);
	STEP(11, 3, 2, 3);
	assert_int_equal(newest(12, 3), ERR_AUTH);
	STEP(10, 2, 1, 2);
	assert_int_equal(newest(12, 3), OK);
}

static void
a_step_needs_both_generations(void **state)
{
	STEP(3, 1, 1);
	assert_int_equal(newest(12, 1), ERR_AUTH);
	STEP(3, 1, 0);
	assert_int_equal(newest(12, 1), ERR_AUTH);
	assert_int_equal(newest(12, 0), OK);
}

/* Keys that came back must not open the way that left from them long ago. */
static void
an_old_step_is_not_walked_again(void **state)
{
	STEP(3, 1, 0, 1);
	STEP(5, 0, 1, 0);
	assert_int_equal(newest(6, 0), OK);
	assert_int_equal(newest(7, 1), ERR_AUTH);
	assert_int_equal(newest(4, 0), ERR_ROLLBACK);
}

static void
bytes_that_were_not_signed_are_no_step(void **state)
{
	struct buf text, doc;
	const int both[] = { 0, 1 };

	STEP(3, 1, 0, 1);
	make(&text, &doc, 3, 2, both, 2);
	write_text(set, "authority/3.json", &text);
	assert_int_equal(newest(12, 1), ERR_AUTH);
	assert_int_equal(newest(12, 2), ERR_AUTH);
	buf_free(&text);
	buf_free(&doc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    three_changes_are_followed_one_after_the_other, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_gap_leaves_the_newest_refused_and_what_was_walked_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(a_step_needs_both_generations, setup, teardown),
		cmocka_unit_test_setup_teardown(an_old_step_is_not_walked_again, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    bytes_that_were_not_signed_are_no_step, setup, teardown),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	for (int i = 0; i < GENERATIONS; i++) {
		sign_private_free(keys[i]);
		cJSON_Delete(named[i]);
	}
	return failed;
}
