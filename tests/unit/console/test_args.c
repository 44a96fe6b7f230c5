/* The command line of a verb, and the list of revoked agents. */
#include "args.h"
#include "revoked.h"
#include "test.h"

#include <stdio.h>

#define SPEC "--config= --json --uses= --use"

static void
test_options_and_words(void **state)
{
	const char *argv[] = { "send", "--config", "f", "pc", "--json", "--uses=3", "--", "--not",
		NULL };
	struct args a;

	(void)state;
	assert_int_equal(args_parse(&a, 8, argv, SPEC, NULL), OK);
	assert_int_equal(a.n_words, 3);
	assert_string_equal(a.words[0], "send");
	assert_string_equal(a.words[1], "pc");
	assert_string_equal(a.words[2], "--not");
	assert_string_equal(args_value(&a, "--config"), "f");
	assert_string_equal(args_value(&a, "--uses"), "3");
	assert_true(args_has(&a, "--json"));
	assert_false(args_has(&a, "--use")); /* never by prefix */
	assert_null(args_value(&a, "--con"));
}

static void
test_refusals(void **state)
{
	static const struct {
		const char *argv[3];
		int n;
		const char *says;
	} cases[] = {
		{ { "--colour" }, 1, "unknown option --colour" },
		{ { "--conf", "x" }, 2, "unknown option --conf" },
		{ { "--config" }, 1, "needs a value" },
		{ { "--json=1" }, 1, "takes no value" },
		{ { "--" "=x" }, 1, "unknown option" },
	};
	struct args a;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fault f = { 0 };

		assert_int_equal(args_parse(&a, cases[i].n, cases[i].argv, SPEC, &f), ERR_INVAL);
		assert_non_null(strstr(fault_text(&f), cases[i].says));
	}
}

static void
test_the_last_value_counts(void **state)
{
	const char *argv[] = { "--uses", "1", "--uses", "2" };
	struct args a;

	(void)state;
	assert_int_equal(args_parse(&a, 4, argv, SPEC, NULL), OK);
	assert_string_equal(args_value(&a, "--uses"), "2");
}

static void
test_revoked(void **state)
{
	struct revoked *r;
	char id[40];

	(void)state;
	assert_int_equal(revoked_new(&r), OK);
	for (unsigned i = 0; i < 1000; i++) { /* in an order that is not sorted */
		(void)snprintf(id, sizeof(id), "01890000-0000-7000-8000-%012u", (i * 7919) % 1000);
		assert_int_equal(revoked_add(r, id), OK);
		assert_int_equal(revoked_add(r, id), OK);
	}
	assert_int_equal(revoked_count(r), 1000);
	assert_true(revoked_has(r, "01890000-0000-7000-8000-000000000999"));
	assert_false(revoked_has(r, "01890000-0000-7000-8000-000000001000"));
	assert_false(revoked_has(r, ""));
	revoked_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_and_words),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_the_last_value_counts),
		cmocka_unit_test(test_revoked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
