/* Policies: what is accepted, what is refused by which name, how a group overrides the default. */
#include "proto/policy.h"
#include "test.h"

static struct policy *
parse(const char *origin, const char *text)
{
	struct policy *p;
	struct fault f = { 0 };

	assert_int_equal(policy_parse(&p, origin, text, strlen(text), &f), OK);
	return p;
}

static const struct {
	const char *text, *says; /* says NULL: accepted */
} documents[] = {
	{ "{}", NULL },
	{ "{\"update\":{\"auto\":false,\"interval\":\"4h\",\"bypass\":\"never\"}}", NULL },
	{ "{\"update\":{\"bypass\":\"30m\",\"delta\":\"require\",\"rate_limit\":\"64k\"}}", NULL },
	{ "{\"update\":{\"windows\":[\"22:00-06:00\",\"12:00-24:00\"]}}", NULL },
	{ "{\"engine\":{\"gate\":\"on\",\"n\":1,\"b\":true}}", NULL },
	{ "{\"newer\":{\"x\":[{}]},\"update\":{\"newer\":1}}", NULL },
	{ "[]", "object" },
	{ "7", "object" },
	{ "{\"update\":7}", "'update'" },
	{ "{\"update\":{\"auto\":1}}", "'update.auto'" },
	{ "{\"update\":{\"auto\":null}}", "'update.auto'" },
	{ "{\"update\":{\"interval\":4}}", "'update.interval'" },
	{ "{\"update\":{\"interval\":\"soon\"}}", "'update.interval'" },
	{ "{\"update\":{\"interval\":\"never\"}}", "'update.interval'" },
	{ "{\"update\":{\"delta\":\"Prefer\"}}", "prefer require off" },
	{ "{\"update\":{\"delta\":\"\"}}", "'update.delta'" },
	{ "{\"update\":{\"delta\":\"prefer require\"}}", "'update.delta'" },
	{ "{\"update\":{\"rate_limit\":-1}}", "" },
	{ "{\"update\":{\"rate_limit\":\"fast\"}}", "'update.rate_limit'" },
	{ "{\"update\":{\"windows\":\"22:00-06:00\"}}", "'update.windows'" },
	{ "{\"update\":{\"windows\":[\"2:00-06:00\"]}}", "'update.windows'" },
	{ "{\"update\":{\"windows\":[\"24:01-06:00\"]}}", "'update.windows'" },
	{ "{\"update\":{\"windows\":[7]}}", "'update.windows'" },
	{ "{\"scan\":{\"paths\":[7]}}", "'scan.paths'" },
	{ "{\"engine\":{\"x\":{}}}", "'engine.x'" },
	{ "{\"engine\":[]}", "'engine'" },
	{ "{\"events\":{\"quotas\":{\"task\":[]}}}", "'events.quotas.task'" },
	{ "{\"events\":{\"quotas\":{\"telemetry\":\"1000k\"}}}", "at least 1M" },
	{ "{\"sources\":{\"update_agents\":[{\"host\":\"h\"}]}}", "'name'" },
	{ "{\"sources\":{\"update_agents\":[{\"name\":\"n\"}]}}", "'host'" },
	{ "{\"sources\":{\"update_agents\":[{\"name\":\"n\",\"host\":\"h\",\"ftp\":70000}]}"
	  "}",
	    "'ftp'" },
	{ "{\"sources\":{\"update_agents\":[{\"name\":\"n\",\"host\":\"h\",\"subnets\":["
	  "\"x\"]}]}}",
	    "'subnets'" },
	{ "{\"sources\":{\"update_agents\":[{\"name\":\"n\",\"host\":\"h\",\"subnets\":7}]}"
	  "}",
	    "'subnets'" },
	{ "{\"sources\":{\"addresses\":{\"m.example\":[\"10.1.0.5\",\"fd00::1\"]}}}", NULL },
	{ "{\"sources\":{\"addresses\":[]}}", "'sources.addresses'" },
	{ "{\"sources\":{\"addresses\":{\"m.example\":\"10.1.0.5\"}}}",
	    "'sources.addresses.m.example'" },
	{ "{\"sources\":{\"addresses\":{\"m.example\":[\"m2\"]}}}",
	    "'sources.addresses.m.example'" },
	{ "{\"update\":{},\"update\":{}}", "" },
};

static void
test_refusals_name_the_member(void **state)
{
	struct policy *p;

	(void)state;
	for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
		struct fault f = { 0 };
		size_t n = strlen(documents[i].text);
		char *text = test_copy(documents[i].text, n);
		enum err e = policy_parse(&p, "default.json", text, n, &f);

		assert_true((e == OK) == (documents[i].says == NULL));
		if (e != OK) {
			assert_non_null(strstr(fault_text(&f), documents[i].says));
			assert_non_null(strstr(fault_text(&f), "default.json"));
		}
		policy_free(p);
		free(text);
	}
}

static void
test_built_in_values(void **state)
{
	(void)state;
	assert_true(policy_bool(NULL, "update.auto"));
	assert_int_equal(policy_duration(NULL, "update.interval"), 4 * 3600000);
	assert_int_equal(policy_duration(NULL, "update.bypass"), 30 * 60000);
	assert_int_equal(policy_size(NULL, "update.rate_limit"), 0);
	assert_string_equal(policy_string(NULL, "update.delta"), "prefer");
	assert_null(policy_value(NULL, "update.windows"));
	assert_string_equal(policy_origin(NULL, "update.auto"), POLICY_BUILT_IN);
	assert_int_equal(policy_sources(NULL, "10.0.0.1", NULL, 0), 0);
}

static void
test_group_overrides_member_by_member(void **state)
{
	struct policy *base = parse("default.json",
	    "{\"update\":{\"auto\":false,\"interval\":\"1h\",\"windows\":[\"01:00-02:00\"]},"
	    "\"events\":{\"quotas\":{\"task\":\"1M\",\"telemetry\":\"2M\"}},\"new\":{\"a\":1,\"b\":"
	    "2}}");
	struct policy *over = parse("group/till.json",
	    "{\"update\":{\"interval\":\"2h\",\"windows\":[],\"delta\":\"off\"},"
	    "\"events\":{\"quotas\":{\"telemetry\":\"3M\"}},\"new\":{\"b\":3}}");
	struct policy *p;
	const char *text;

	(void)state;
	assert_int_equal(policy_merge(&p, base, over), OK);
	assert_false(policy_bool(p, "update.auto"));
	assert_string_equal(policy_origin(p, "update.auto"), "default.json");
	assert_int_equal(policy_duration(p, "update.interval"), 2 * 3600000);
	assert_string_equal(policy_origin(p, "update.interval"), "group/till.json");
	assert_int_equal(cJSON_GetArraySize(policy_value(p, "update.windows")), 0);
	assert_string_equal(policy_string(p, "update.delta"), "off");
	assert_string_equal(policy_origin(p, "update.jitter"), POLICY_BUILT_IN);
	assert_int_equal(
	    json_get_string(policy_value(p, "events.quotas"), "task", &text, NULL), OK);
	assert_string_equal(text, "1M");
	assert_int_equal(
	    json_get_string(policy_value(p, "events.quotas"), "telemetry", &text, NULL), OK);
	assert_string_equal(text, "3M");
	assert_string_equal(policy_unknown(p, 0), "new");
	assert_null(policy_unknown(p, 1));
	assert_string_equal(policy_origin(p, "events.quotas"), "group/till.json");
	policy_free(p);
	assert_int_equal(policy_merge(&p, base, NULL), OK); /* either may be absent */
	assert_int_equal(policy_duration(p, "update.interval"), 3600000);
	policy_free(p);
	assert_int_equal(policy_merge(&p, NULL, over), OK);
	assert_true(policy_bool(p, "update.auto"));
	policy_free(p);
	policy_free(base);
	policy_free(over);
}

static void
test_explain_has_a_row_for_every_member(void **state)
{
	struct policy *p = parse("default.json", "{\"update\":{\"auto\":false},\"x\":1}");
	const cJSON *row;
	cJSON *rows;
	size_t n = 0;

	(void)state;
	assert_int_equal(policy_explain(p, &rows), OK);
	cJSON_ArrayForEach(row, rows)
	{
		const char *member, *origin;

		assert_int_equal(json_get_string(row, "member", &member, NULL), OK);
		assert_int_equal(json_get_string(row, "origin", &origin, NULL), OK);
		assert_non_null(json_get(row, "value"));
		if (n < policy_member_count)
			assert_string_equal(member, policy_members[n].path);
		if (strcmp(member, "update.auto") == 0)
			assert_string_equal(origin, "default.json");
		n++;
	}
	assert_int_equal(n, policy_member_count + 1); /* and the unknown one */
	cJSON_Delete(rows);
	policy_free(p);
}

static void
test_windows(void **state)
{
	struct policy *p =
	    parse("p", "{\"update\":{\"windows\":[\"22:00-06:00\",\"12:00-13:00\"]}}");
	struct policy *day = parse("p", "{\"update\":{\"windows\":[\"08:00-08:00\"]}}");
	const cJSON *w = policy_value(p, "update.windows");

	(void)state;
	assert_true(policy_window_open(w, 22 * 60));
	assert_true(policy_window_open(w, 5 * 60 + 59));
	assert_false(policy_window_open(w, 6 * 60));
	assert_true(policy_window_open(w, 12 * 60 + 30));
	assert_int_equal(policy_window_wait(w, 6 * 60), 6 * 60);
	assert_int_equal(policy_window_wait(w, 21 * 60 + 59), 1);
	assert_int_equal(policy_window_wait(w, 0), 0);
	assert_true(policy_window_open(NULL, 0));
	assert_true(policy_window_open(policy_value(day, "update.windows"), 77));
	policy_free(p);
	policy_free(day);
}

static void
test_sources_by_subnet(void **state)
{
	struct policy *p = parse("p",
	    "{\"sources\":{\"update_agents\":["
	    "{\"name\":\"any\",\"host\":\"any\"},"
	    "{\"name\":\"b1\",\"host\":\"10.1.0.2\",\"subnets\":[\"10.1.0.0/16\",\"fd00:1::/32\"]},"
	    "{\"name\":\"b2\",\"host\":\"10.2.0.2\",\"ftp\":0,\"http\":2221,\"subnets\":[\"10.2.0."
	    "0/16\"]}]}}");
	struct policy_source s[4];

	(void)state;
	assert_int_equal(policy_sources(p, "10.1.7.7", s, 4), 2);
	assert_string_equal(s[0].name, "b1"); /* the nearer one first */
	assert_string_equal(s[1].name, "any");
	assert_int_equal(s[0].ftp, 2021);
	assert_int_equal(s[0].http, 0);
	assert_int_equal(s[0].version, 3333);
	assert_int_equal(policy_sources(p, "10.2.0.9", s, 4), 2);
	assert_int_equal(s[0].ftp, 0);
	assert_int_equal(s[0].http, 2221);
	assert_int_equal(policy_sources(p, "fd00:1::9", s, 4), 2);
	assert_int_equal(policy_sources(p, "192.168.1.1", s, 4), 1);
	assert_int_equal(policy_sources(p, "nonsense", s, 4), 1);
	assert_int_equal(policy_sources(p, "10.1.7.7", s, 1), 1);
	policy_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals_name_the_member),
		cmocka_unit_test(test_built_in_values),
		cmocka_unit_test(test_group_overrides_member_by_member),
		cmocka_unit_test(test_explain_has_a_row_for_every_member),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_sources_by_subnet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
