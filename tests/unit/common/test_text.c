/* Numbers, names and encodings: what passes, what is refused. */
#include "base/clock.h"
#include "base/text.h"
#include "base/uuid.h"
#include "test.h"

#define LEN(s) (s), strlen(s)

static void
numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		enum err want;
		uint64_t value;
	} cases[] = {
		{ "0", 10, OK, 0 },
		{ "10", 10, OK, 10 },
		{ "11", 10, ERR_TOOBIG, 0 },
		{ "18446744073709551615", UINT64_MAX, OK, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, ERR_TOOBIG, 0 },
		{ "", 10, ERR_PARSE, 0 },
		{ "01", 10, ERR_PARSE, 0 },
		{ "+1", 10, ERR_PARSE, 0 },
		{ "-1", 10, ERR_PARSE, 0 },
		{ " 1", 10, ERR_PARSE, 0 },
		{ "1 ", 10, ERR_PARSE, 0 },
		{ "0x1", 10, ERR_PARSE, 0 },
	};
	uint64_t v;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(text_u64(LEN(cases[i].text), cases[i].max, &v), cases[i].want);
		if (cases[i].want == OK)
			assert_true(v == cases[i].value);
	}
}

static void
sizes_and_times(void **state)
{
	uint64_t v;

	(void)state;
	assert_int_equal(text_size(LEN("64k"), &v), OK);
	assert_true(v == 65536);
	assert_int_equal(text_size(LEN("4G"), &v), OK);
	assert_true(v == 4ull << 30);
	assert_int_equal(text_size(LEN("20mb"), &v), OK);
	assert_true(v == 20ull << 20);
	assert_int_equal(text_size(LEN("k"), &v), ERR_PARSE);
	assert_int_equal(text_size(LEN("1 k"), &v), ERR_PARSE);
	assert_int_equal(text_size(LEN("99999999T"), &v), ERR_TOOBIG);
	assert_int_equal(text_duration_ms(LEN("30"), &v), OK);
	assert_true(v == 30000);
	assert_int_equal(text_duration_ms(LEN("250ms"), &v), OK);
	assert_true(v == 250);
	assert_int_equal(text_duration_ms(LEN("8h"), &v), OK);
	assert_true(v == 8 * 3600000);
	assert_int_equal(text_duration_ms(LEN("8w"), &v), ERR_PARSE);
}

static void
names(void **state)
{
	(void)state;
	assert_true(text_is_target_path(LEN("a")));
	assert_true(text_is_target_path(LEN("delta/daily.hdb.0123.d")));
	assert_true(text_is_target_path(LEN("..a")));
	assert_false(text_is_target_path(LEN("")));
	assert_false(text_is_target_path(LEN("/a")));
	assert_false(text_is_target_path(LEN("a/")));
	assert_false(text_is_target_path(LEN("a//b")));
	assert_false(text_is_target_path(LEN("a/../b")));
	assert_false(text_is_target_path(LEN("./a")));
	assert_false(text_is_target_path(LEN("a\\b")));
	assert_false(text_is_target_path("a\0b", 3));
	assert_false(text_is_target_path(LEN("a b")));
	assert_true(text_is_role_name(LEN("authority")));
	assert_false(text_is_role_name(LEN("Authority")));
	assert_true(text_is_uuid(LEN("018f4f2a-0000-7000-8000-000000000000")));
	assert_false(text_is_uuid(LEN("018F4f2a-0000-7000-8000-000000000000")));
	assert_false(text_is_uuid(LEN("018f4f2a00000-7000-8000-000000000000")));
}

static void
base64(void **state)
{
	static const struct {
		const char *plain, *std, *url;
	} cases[] = {
		{ "", "", "" },
		{ "f", "Zg==", "Zg" },
		{ "fo", "Zm8=", "Zm8" },
		{ "foo", "Zm9v", "Zm9v" },
		{ "foobar", "Zm9vYmFy", "Zm9vYmFy" },
		{ "\xfb\xff", "+/8=", "-_8" },
	};
	static const char *const refused[] = { "Z", "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "Zg==\n",
		"Zm 9v", "-_8=" };
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, 100);
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		buf_reset(&b);
		assert_int_equal(
		    text_b64(&b, (const uint8_t *)cases[i].plain, strlen(cases[i].plain)), OK);
		assert_string_equal(buf_text(&b), cases[i].std);
		buf_reset(&b);
		assert_int_equal(
		    text_b64url(&b, (const uint8_t *)cases[i].plain, strlen(cases[i].plain)), OK);
		assert_string_equal(buf_text(&b), cases[i].url);
		buf_reset(&b);
		assert_int_equal(text_unb64(&b, LEN(cases[i].std)), OK);
		assert_string_equal(buf_text(&b), cases[i].plain);
		buf_reset(&b);
		assert_int_equal(text_unb64url(&b, LEN(cases[i].url)), OK);
		assert_string_equal(buf_text(&b), cases[i].plain);
	}
	for (i = 0; i < sizeof refused / sizeof *refused; i++)
		assert_int_equal(text_unb64(&b, LEN(refused[i])), ERR_PARSE);
	buf_free(&b);
}

static void
utf8(void **state)
{
	static const char *const good[] = { "", "a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
		"\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf" };
	static const char *const bad[] = { "\x80", "\xc1\xbf", "\xc2", "\xe0\x9f\xbf",
		"\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
		"\xe2\x82", "\xff" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(text_utf8_valid((const uint8_t *)good[i], strlen(good[i])));
	for (i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(text_utf8_valid((const uint8_t *)bad[i], strlen(bad[i])));
}

static void
times(void **state)
{
	static const char *const bad[] = { "", "2026-11-24", "2026-11-24T13:54:29",
		"2026-11-24T13:54:60Z", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "1969-12-31T23:59:59Z",
		"2026-11-24t13:54:29Z", "2026-11-24T13:54:29.Z", "2026-11-24T13:54:29+00:00",
		"2026-11-24T24:00:00Z" };
	char out[CLOCK_TEXT];
	int64_t ms;
	size_t i;

	(void)state;
	assert_int_equal(clock_parse(LEN("2026-11-24T13:54:29.120Z"), &ms), OK);
	assert_true(ms == 1795528469120);
	clock_format(out, ms);
	assert_string_equal(out, "2026-11-24T13:54:29.120Z");
	clock_format_s(out, ms);
	assert_string_equal(out, "2026-11-24T13:54:29Z");
	assert_int_equal(clock_parse(LEN("2028-02-29T00:00:00Z"), &ms), OK);
	clock_format_s(out, ms);
	assert_string_equal(out, "2028-02-29T00:00:00Z");
	assert_int_equal(clock_parse(LEN("9999-12-31T23:59:59Z"), &ms), OK);
	clock_format_s(out, ms);
	assert_string_equal(out, "9999-12-31T23:59:59Z");
	for (i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(clock_parse(LEN(bad[i]), &ms), ERR_PARSE);
}

static void
uuids(void **state)
{
	/* RFC 9562 appendix A.6 */
	static const uint8_t random10[10] = { 0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39,
		0x8f };
	char out[UUID_TEXT];

	(void)state;
	uuid_v7(out, 0x017f22e279b0, random10);
	assert_string_equal(out, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
	assert_true(uuid_v7_ms(out) == 0x017f22e279b0);
	assert_true(uuid_v7_ms("017f22e2-79b0-4cc3-98c4-dc0c0c07398f") == -1);
}

static void
buffers_keep_their_maximum(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	assert_string_equal(buf_text(&b), "");
	assert_int_equal(buf_puts(&b, "12345"), OK);
	assert_int_equal(buf_puts(&b, "6"), ERR_TOOBIG);
	assert_int_equal(buf_printf(&b, "%d", 7), ERR_TOOBIG);
	assert_string_equal(buf_text(&b), "12345");
	buf_consume(&b, 3);
	assert_string_equal(buf_text(&b), "45");
	assert_int_equal(buf_printf(&b, "%s", "abc"), OK);
	assert_string_equal(buf_text(&b), "45abc");
	buf_free(&b);
}

static void
printable_is_safe_and_cut(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(text_printable(&b, (const uint8_t *)"a\n\x1b\"", 4, 50), OK);
	assert_string_equal(buf_text(&b), "a\\x0a\\x1b\\x22");
	buf_reset(&b);
	/* CSI, an override and an isolate as UTF-8; letters of two and three bytes, one cut off */
	assert_int_equal(text_printable(&b, (const uint8_t *)"\xc2\x9bJ", 3, 50), OK);
	assert_int_equal(
	    text_printable(&b, (const uint8_t *)"\xe2\x80\xaez\xe2\x81\xa6", 7, 50), OK);
	assert_string_equal(buf_text(&b), "\\xc2\\x9bJ\\xe2\\x80\\xaez\\xe2\\x81\\xa6");
	buf_reset(&b);
	assert_int_equal(
	    text_printable(&b, (const uint8_t *)"\xc3\xa9\xe2\x82\xac\xc2", 6, 50), OK);
	assert_string_equal(buf_text(&b), "\xc3\xa9\xe2\x82\xac\xc2");
	buf_reset(&b);
	assert_int_equal(text_printable(&b, (const uint8_t *)"abcdef", 6, 3), OK);
	assert_string_equal(buf_text(&b), "abc...");
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(sizes_and_times),
		cmocka_unit_test(names),
		cmocka_unit_test(base64),
		cmocka_unit_test(utf8),
		cmocka_unit_test(times),
		cmocka_unit_test(uuids),
		cmocka_unit_test(buffers_keep_their_maximum),
		cmocka_unit_test(printable_is_safe_and_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
