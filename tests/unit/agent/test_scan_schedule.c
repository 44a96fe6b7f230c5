/* When a scheduled scan is due: once in each window, whatever the clock does. */
#include "base/json.h"
#include "scan_schedule.h"
#include "test.h"

#define MINUTE 60000ll
#define DAY (1440 * MINUTE)

static bool
due(const char *windows, unsigned minute, int64_t last)
{
	cJSON *w;
	bool yes;

	assert_int_equal(json_parse(&w, windows, strlen(windows), JSON_SIGNED, NULL), OK);
	yes = scan_schedule_due(w, minute, 20000 * DAY + minute * MINUTE + 7, last);
	cJSON_Delete(w);
	return yes;
}

static void
once_in_each_window(void **state)
{
	const int64_t today = 20000 * DAY;

	assert_false(due("[]", 720, 0));
	assert_true(due("[\"12:00-13:00\"]", 720, 0));
	assert_false(due("[\"12:00-13:00\"]", 719, 0));
	assert_false(due("[\"12:00-13:00\"]", 780, 0));
	assert_true(due("[\"12:00-13:00\"]", 779, today + 719 * MINUTE)); /* before it opened */
	assert_false(due("[\"12:00-13:00\"]", 779, today + 730 * MINUTE));
	assert_true(due("[\"12:00-13:00\"]", 779, today - 700 * MINUTE)); /* yesterday */
	/* over midnight one window, not two */
	assert_true(due("[\"22:00-06:00\"]", 60, today - 180 * MINUTE));
	assert_false(due("[\"22:00-06:00\"]", 60, today - 110 * MINUTE));
	/* two windows a day; adjacent ones are one */
	assert_true(due("[\"08:00-09:00\",\"12:00-13:00\"]", 725, today + 481 * MINUTE));
	assert_false(due("[\"11:00-12:00\",\"12:00-13:00\"]", 725, today + 700 * MINUTE));
	/* all day: once a day */
	assert_true(due("[\"08:00-08:00\"]", 30, today - MINUTE));
	assert_false(due("[\"08:00-08:00\"]", 30, today + MINUTE));
	/* a clock that was set back must not stop scans for a year */
	assert_true(due("[\"12:00-13:00\"]", 730, today + 365 * DAY));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(once_in_each_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
