/* The result message: complete, bounded, and printable whatever a mirror said. */
#include "test.h"

#include "report.h"

#include "base/json.h"
#include "base/limits.h"
#include "proto/childctl.h"

#include <stdio.h>

static void
everything_is_in_the_message(void **state)
{
	struct report r;
	cJSON *m, *o;
	const char *s;
	uint64_t v;

	report_init(&r, "signatures", 4);
	r.outcome = OUTCOME_UPDATED;
	r.version = 5;
	r.bytes[BYTES_DELTA] = 77;
	r.expires_ms = 1700000000000;
	report_refuse(&r, &(struct refusal){ .source = "branch",
			      .url = "ftp://x/y",
			      .file = "a.hdb",
			      .rule = "hash",
			      .expected = "aa",
			      .got = "bb",
			      .error = ERR_VERIFY,
			      .text = "why" });
	m = report_message(&r);
	assert_int_equal(json_get_string(m, "outcome", &s, NULL), OK);
	assert_string_equal(s, "updated");
	assert_int_equal(json_get_u64(m, "from", 100, &v, NULL), OK);
	assert_int_equal(v, 4);
	assert_int_equal(json_get_object(m, "bytes", &o, NULL), OK);
	assert_int_equal(json_get_u64(o, "delta", 100, &v, NULL), OK);
	assert_int_equal(v, 77);
	assert_int_equal(json_get_string(m, "expires", &s, NULL), OK);
	assert_string_equal(s, "2023-11-14T22:13:20Z");
	assert_int_equal(json_get_array(m, "errors", &o, NULL), OK);
	assert_int_equal(json_get_string(o->child, "error", &s, NULL), OK);
	assert_string_equal(s, "verify");
	assert_null(json_get(m, "set"));
	cJSON_Delete(m);
}

static void
the_largest_message_fits_in_a_line(void **state)
{
	char hostile[2000], file[2020];
	struct report r;
	struct buf b;
	cJSON *m;

	for (size_t i = 0; i < sizeof hostile - 1; i++)
		hostile[i] = "\\\"\n\xff\x01"[i % 5];
	hostile[sizeof hostile - 1] = '\0';
	report_init(&r, "signatures", 0);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(file, sizeof file, "%d%s", i, hostile);
		report_refuse(&r, &(struct refusal){ .source = hostile,
				      .url = hostile,
				      .file = file,
				      .rule = hostile,
				      .expected = hostile,
				      .got = hostile,
				      .error = ERR_VERIFY,
				      .text = hostile });
	}
	assert_int_equal(r.error_count, REPORT_ERRORS);
	assert_int_equal(r.errors_dropped, 100 - REPORT_ERRORS);
	m = report_message(&r);
	assert_non_null(m);
	buf_init(&b, LIMIT_CHILD_LINE + 1);
	assert_int_equal(childctl_format(m, &b), OK);
	assert_true(b.len < LIMIT_CHILD_LINE);
	buf_free(&b);
	cJSON_Delete(m);
}

static void
the_same_refusal_is_told_once(void **state)
{
	struct refusal why = { .source = "s", .file = "f", .rule = "hash", .error = ERR_VERIFY };
	struct report r;

	report_init(&r, "x", 0);
	report_refuse(&r, &why);
	report_refuse(&r, &why);
	assert_int_equal(r.error_count, 1);
	why.rule = "length";
	report_refuse(&r, &why);
	assert_int_equal(r.error_count, 2);
	assert_true(report_has(&r, ERR_VERIFY));
	assert_false(report_has(&r, ERR_IO));
}

static void
exit_status_tells_success(void **state)
{
	static const struct {
		enum outcome outcome;
		int clean, partial;
	} rows[] = { { OUTCOME_UPDATED, 0, 3 }, { OUTCOME_CURRENT, 0, 3 },
		{ OUTCOME_WAITING, 1, 1 }, { OUTCOME_FAILED, 1, 1 }, { OUTCOME_CANCELED, 1, 1 } };
	struct refusal why = { .source = "s", .file = "f", .rule = "hash", .error = ERR_VERIFY };

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct report r;

		report_init(&r, "x", 0);
		r.outcome = rows[i].outcome;
		assert_int_equal(report_exit(&r), rows[i].clean);
		report_refuse(&r, &why);
		assert_int_equal(report_exit(&r), rows[i].partial);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_in_the_message),
		cmocka_unit_test(the_largest_message_fits_in_a_line),
		cmocka_unit_test(the_same_refusal_is_told_once),
		cmocka_unit_test(exit_status_tells_success),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
