/* Detection events against golden files, which test_detection_schema.py holds against the JSON
 * schema. */
#include "base/buf.h"
#include "base/json.h"
#include "detection.h"
#include "os/file.h"
#include "test.h"

#include <stdio.h>

static const struct {
	const char *name;
	struct detection d;
} cases[] = {
	{ "plain", { .uid = "0191c0de-0000-7000-8000-000000000001",
		       .path = "/home/anna/bad.com",
		       .signature = "Eicar-Test",
		       .time_ms = 1795531088625,
		       .size = 68,
		       .engine = "clamd" } },
	{ "full", { .uid = "0191c0de-0000-7000-8000-000000000002",
		      .path = "/srv/\xc3\xa4 \"x\"",
		      .signature = "Test.Eicar.UNOFFICIAL",
		      .sha256 = "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f",
		      .time_ms = 1795531088625,
		      .mtime_s = 1795531000,
		      .size = 68,
		      .engine = "clamd",
		      .engine_version = "ClamAV 1.4.6/27000/Mon",
		      .task = "0191c0de-0000-7000-8000-00000000000a",
		      .quarantine = "0191c0de-0000-7000-8000-00000000000b" } },
	{ "not-quarantined",
	    { .uid = "0191c0de-0000-7000-8000-000000000003",
		.path = "/bad",
		.signature = "Rule.Hit",
		.time_ms = 1795531088625,
		.engine = "command",
		.quarantine_error = "/bad cannot be removed: Permission denied" } },
};

static void
golden(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		cJSON *o = detection_event(&cases[i].d);
		struct buf got, want;
		char path[200];

		buf_init(&got, 65536);
		buf_init(&want, 65536);
		assert_non_null(o);
		assert_int_equal(json_print_pretty(o, &got), OK);
		assert_int_equal(buf_puts(&got, "\n"), OK);
		(void)snprintf(path, sizeof path, "tests/golden/detection/%s.json", cases[i].name);
		if (getenv("GOLDEN_WRITE") != NULL)
			assert_int_equal(file_replace(path, got.data, got.len, 0644, NULL), OK);
		assert_int_equal(file_read(path, &want, NULL), OK);
		assert_string_equal(buf_text(&got), buf_text(&want));
		buf_free(&got);
		buf_free(&want);
		cJSON_Delete(o);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(golden) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
