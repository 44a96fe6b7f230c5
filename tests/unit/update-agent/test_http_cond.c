/* Ranges, conditions and dates. */
#include "http_cond.h"
#include "test.h"

#define ETAG "\"1-2-3.4\""
#define DATE "Tue, 24 Nov 2026 14:06:00 GMT"
#define WHEN 1795529160

static void
ranges(void **state)
{
	static const struct {
		const char *range;
		uint64_t size;
		enum http_answer want;
		uint64_t first, length;
	} cases[] = {
		{ NULL, 10, HTTP_ANSWER_FULL, 0, 10 },
		{ "bytes=0-", 10, HTTP_ANSWER_PART, 0, 10 },
		{ "bytes=3-5", 10, HTTP_ANSWER_PART, 3, 3 },
		{ "BYTES=3-5", 10, HTTP_ANSWER_PART, 3, 3 },
		{ "bytes=9-100", 10, HTTP_ANSWER_PART, 9, 1 },
		{ "bytes=10-", 10, HTTP_ANSWER_BAD_RANGE, 0, 0 },
		{ "bytes=-3", 10, HTTP_ANSWER_PART, 7, 3 },
		{ "bytes=-30", 10, HTTP_ANSWER_PART, 0, 10 },
		{ "bytes=-0", 10, HTTP_ANSWER_BAD_RANGE, 0, 0 },
		{ "bytes=0-0", 0, HTTP_ANSWER_BAD_RANGE, 0, 0 },
		{ "bytes=-1", 0, HTTP_ANSWER_BAD_RANGE, 0, 0 },
		{ "bytes=0-9223372036854775807", 10, HTTP_ANSWER_PART, 0, 10 },
		{ "bytes=0-9223372036854775808", 10, HTTP_ANSWER_FULL, 0, 10 },
		{ "bytes=5-3", 10, HTTP_ANSWER_FULL, 0, 10 },
		{ "bytes=1-2,4-5", 10, HTTP_ANSWER_FULL, 0, 10 },
		{ "bytes= 1-2", 10, HTTP_ANSWER_FULL, 0, 10 },
		{ "bytes=01-2", 10, HTTP_ANSWER_FULL, 0, 10 },
		{ "bytes=", 10, HTTP_ANSWER_FULL, 0, 10 },
		{ "bytes=-", 10, HTTP_ANSWER_FULL, 0, 10 },
		{ "bytes", 10, HTTP_ANSWER_FULL, 0, 10 },
		{ "rows=1-2", 10, HTTP_ANSWER_FULL, 0, 10 },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http_conditions c = { .range = cases[i].range };
		uint64_t first = 0, length = 0;

		assert_int_equal(
		    http_decide(&c, ETAG, WHEN, cases[i].size, &first, &length), cases[i].want);
		if (cases[i].want == HTTP_ANSWER_BAD_RANGE)
			continue;
		assert_int_equal(first, cases[i].first);
		assert_int_equal(length, cases[i].length);
	}
}

static void
conditions(void **state)
{
	static const struct {
		struct http_conditions c;
		enum http_answer want;
	} cases[] = {
		{ { ETAG, NULL, NULL, NULL }, HTTP_ANSWER_NOT_MODIFIED },
		{ { "W/" ETAG, NULL, NULL, NULL }, HTTP_ANSWER_NOT_MODIFIED },
		{ { "\"x\" , " ETAG ",\"y\"", NULL, NULL, NULL }, HTTP_ANSWER_NOT_MODIFIED },
		{ { "*", NULL, NULL, NULL }, HTTP_ANSWER_NOT_MODIFIED },
		{ { ETAG "x", NULL, NULL, NULL }, HTTP_ANSWER_FULL },
		{ { "", NULL, NULL, NULL }, HTTP_ANSWER_FULL },
		{ { ",,,", NULL, NULL, NULL }, HTTP_ANSWER_FULL },
		{ { "\"x\"", DATE, NULL, NULL }, HTTP_ANSWER_FULL },
		{ { NULL, DATE, NULL, NULL }, HTTP_ANSWER_NOT_MODIFIED },
		{ { NULL, "Tue, 24 Nov 2026 14:05:59 GMT", NULL, NULL }, HTTP_ANSWER_FULL },
		{ { NULL, "nonsense", NULL, NULL }, HTTP_ANSWER_FULL },
		{ { NULL, NULL, ETAG, "bytes=0-0" }, HTTP_ANSWER_PART },
		{ { NULL, NULL, "W/" ETAG, "bytes=0-0" }, HTTP_ANSWER_FULL },
		{ { NULL, NULL, "\"x\"", "bytes=0-0" }, HTTP_ANSWER_FULL },
		{ { NULL, NULL, DATE, "bytes=0-0" }, HTTP_ANSWER_PART },
		{ { NULL, NULL, "Tue, 24 Nov 2026 14:06:01 GMT", "bytes=0-0" }, HTTP_ANSWER_FULL },
	};
	uint64_t first, length;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(
		    http_decide(&cases[i].c, ETAG, WHEN, 10, &first, &length), cases[i].want);
}

static void
dates(void **state)
{
	static const char *const bad[] = { "", "Tue, 24 Nov 2026 14:06:00",
		"Tue, 24 Nov 2026 25:06:00 GMT", "Tue, 31 Feb 2026 14:06:00 GMT",
		"Tuesday, 24-Nov-26 14:06:00 GMT", "Tue Nov 24 14:06:00 2026",
		"Tue, 24 Foo 2026 14:06:00 GMT" };
	char text[HTTP_DATE_TEXT];
	int64_t t = 0;
	size_t i;

	http_date(text, WHEN);
	assert_string_equal(text, DATE);
	assert_int_equal(http_date_parse(DATE, &t), OK);
	assert_int_equal(t, WHEN);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(http_date_parse(bad[i], &t), ERR_PARSE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges),
		cmocka_unit_test(conditions),
		cmocka_unit_test(dates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
