/* The strict reader: what must be refused, at which byte, and what must pass. */
#include "base/json.h"
#include "test.h"

#include <stdlib.h>

struct golden {
	const char *text;
	enum json_mode mode;
	enum err want;
	size_t where;
};

static const struct golden cases[] = {
	{ "{}", JSON_SIGNED, OK, 2 },
	{ " [1, 2,\t3]\r\n", JSON_SIGNED, OK, 12 },
	{ "\"x\"", JSON_SIGNED, OK, 3 },
	{ "{\"a\":{\"a\":1},\"b\":{\"a\":1}}", JSON_SIGNED, OK, 25 },
	{ "9007199254740991", JSON_SIGNED, OK, 16 },
	{ "\"\\ud83d\\ude00\"", JSON_SIGNED, OK, 14 },
	{ "-1.5e-3", JSON_EVENT, OK, 7 },
	{ "-0", JSON_EVENT, OK, 2 },
	{ "", JSON_SIGNED, ERR_PARSE, 0 },
	{ "  ", JSON_SIGNED, ERR_PARSE, 2 },
	{ "{\"a\":1,\"a\":2}", JSON_SIGNED, ERR_PARSE, 7 },
	{ "{\"a\":1,\"\\u0061\":2}", JSON_SIGNED, ERR_PARSE, 7 },
	{ "{\"\":1,\"\":2}", JSON_SIGNED, ERR_PARSE, 6 },
	{ "\xef\xbb\xbf{}", JSON_SIGNED, ERR_PARSE, 0 },
	{ "\"\\u0000\"", JSON_SIGNED, ERR_PARSE, 2 },
	{ "\"\\ud800\"", JSON_SIGNED, ERR_PARSE, 7 },
	{ "\"\\udc00\"", JSON_SIGNED, ERR_PARSE, 2 },
	{ "\"\\ud800\\u0041\"", JSON_SIGNED, ERR_PARSE, 7 },
	{ "\"\xff\"", JSON_SIGNED, ERR_PARSE, 0 },
	{ "\"\xc0\x80\"", JSON_SIGNED, ERR_PARSE, 0 },
	{ "\"\xed\xa0\x80\"", JSON_SIGNED, ERR_PARSE, 0 },
	{ "01", JSON_SIGNED, ERR_PARSE, 0 },
	{ "1.0", JSON_SIGNED, ERR_PARSE, 3 },
	{ "1e3", JSON_SIGNED, ERR_PARSE, 3 },
	{ "-1", JSON_SIGNED, ERR_PARSE, 2 },
	{ "9007199254740992", JSON_SIGNED, ERR_PARSE, 16 },
	{ "1e999", JSON_EVENT, ERR_PARSE, 5 },
	{ "1.", JSON_EVENT, ERR_PARSE, 2 },
	{ "1e", JSON_EVENT, ERR_PARSE, 2 },
	{ "+1", JSON_EVENT, ERR_PARSE, 0 },
	{ "NaN", JSON_EVENT, ERR_PARSE, 0 },
	{ "{\"a\":1} x", JSON_SIGNED, ERR_PARSE, 8 },
	{ "[1,]", JSON_SIGNED, ERR_PARSE, 3 },
	{ "{\"a\":1,}", JSON_SIGNED, ERR_PARSE, 7 },
	{ "{a:1}", JSON_SIGNED, ERR_PARSE, 1 },
	{ "[1}", JSON_SIGNED, ERR_PARSE, 2 },
	{ "\"a", JSON_SIGNED, ERR_PARSE, 2 },
	{ "\"\t\"", JSON_SIGNED, ERR_PARSE, 1 },
	{ "\"\\x\"", JSON_SIGNED, ERR_PARSE, 2 },
	{ "nul", JSON_SIGNED, ERR_PARSE, 0 },
};

static void
scans_as_stated(void **state)
{
	size_t i, where;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fault f = { OK, "" };
		size_t n = strlen(cases[i].text);
		char *exact = test_copy(cases[i].text, n);
		enum err e = json_scan(exact, n, cases[i].mode, &where, &f);

		if (e != cases[i].want || where != cases[i].where)
			fail_msg("%s: got %s at %zu (%s), wanted %s at %zu", cases[i].text,
			    err_word(e), where, fault_text(&f), err_word(cases[i].want),
			    cases[i].where);
		if (e != OK)
			assert_true(f.text[0] != '\0');
		free(exact);
	}
}

static void
nesting_ends_at_32(void **state)
{
	char text[400];
	int depth;

	(void)state;
	for (depth = 31; depth <= 34; depth++) {
		memset(text, '[', (size_t)depth);
		memset(text + depth, ']', (size_t)depth);
		assert_int_equal(json_scan(text, (size_t)depth * 2, JSON_SIGNED, NULL, NULL),
		    depth <= 32 ? OK : ERR_PARSE);
	}
}

/* 200,000 brackets and 40,000 members: time must stay linear and the stack flat. */
static void
large_hostile_documents_are_cheap(void **state)
{
	struct buf b;
	size_t where;
	int i;

	(void)state;
	buf_init(&b, 4u << 20);
	for (i = 0; i < 200000; i++)
		assert_int_equal(buf_puts(&b, "["), OK);
	assert_int_equal(json_scan(buf_text(&b), b.len, JSON_SIGNED, &where, NULL), ERR_PARSE);
	assert_int_equal(where, 32);
	buf_reset(&b);
	assert_int_equal(buf_puts(&b, "{"), OK);
	for (i = 0; i < 40000; i++)
		assert_int_equal(buf_printf(&b, "%s\"member%d\":%d", i > 0 ? "," : "", i, i), OK);
	assert_int_equal(buf_puts(&b, ",\"member39999\":1}"), OK);
	assert_int_equal(json_scan(buf_text(&b), b.len, JSON_SIGNED, &where, NULL), ERR_PARSE);
	assert_int_equal(where, b.len - strlen("\"member39999\":1}"));
	buf_free(&b);
}

static void
getters_mind_case_and_type(void **state)
{
	static const char text[] =
	    "{\"Name\":\"x\",\"n\":9007199254740991,\"b\":true,\"o\":{},\"a\":[]}";
	struct fault f = { OK, "" };
	const char *s;
	uint64_t v;
	cJSON *t;
	bool b;

	(void)state;
	assert_int_equal(json_parse(&t, text, strlen(text), JSON_SIGNED, &f), OK);
	assert_int_equal(json_get_string(t, "name", &s, &f), ERR_NOTFOUND);
	assert_string_equal(f.text, "member 'name' is missing");
	fault_reset(&f);
	assert_int_equal(json_get_string(t, "Name", &s, &f), OK);
	assert_int_equal(json_get_string(t, "n", &s, &f), ERR_PARSE);
	assert_string_equal(f.text, "member 'n' must be a string");
	assert_int_equal(json_get_u64(t, "n", UINT64_MAX, &v, NULL), OK);
	assert_true(v == JSON_MAX_INT);
	assert_int_equal(json_get_u64(t, "n", 5, &v, NULL), ERR_TOOBIG);
	assert_int_equal(json_get_bool(t, "b", &b, NULL), OK);
	assert_true(b);
	assert_int_equal(json_opt_u64(t, "absent", 10, 7, &v, NULL), OK);
	assert_true(v == 7);
	cJSON_Delete(t);
}

static void
unknown_members_are_named(void **state)
{
	static const char *const allowed[] = { "a", "b", NULL };
	static const struct {
		const char *text, *want;
	} rows[] = { { "{\"a\":1}", NULL }, { "{\"a\":1,\"B\":2}", "B" }, { "[[]]", NULL },
		{ "1", NULL } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *got;
		cJSON *t;

		assert_int_equal(
		    json_parse(&t, rows[i].text, strlen(rows[i].text), JSON_SIGNED, NULL), OK);
		got = json_unknown_member(t, allowed);
		if (rows[i].want == NULL)
			assert_null(got);
		else
			assert_string_equal(got, rows[i].want);
		cJSON_Delete(t);
	}
}

static void
prints_what_it_read(void **state)
{
	static const char text[] = "{\"a\":[1,2.5,\"q\\\"\\\\\\u0007\xc3\xa9\",true,null],\"n\":"
				   "9007199254740991,\"e\":{}}";
	struct buf out;
	cJSON *t;

	(void)state;
	buf_init(&out, 4096);
	assert_int_equal(json_parse(&t, text, strlen(text), JSON_EVENT, NULL), OK);
	assert_int_equal(json_print(t, &out), OK);
	assert_string_equal(buf_text(&out), text);
	cJSON_Delete(t);
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scans_as_stated),
		cmocka_unit_test(nesting_ends_at_32),
		cmocka_unit_test(large_hostile_documents_are_cheap),
		cmocka_unit_test(getters_mind_case_and_type),
		cmocka_unit_test(unknown_members_are_named),
		cmocka_unit_test(prints_what_it_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
