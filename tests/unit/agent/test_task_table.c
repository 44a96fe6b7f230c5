/* Arguments of tasks: each row is a type, its arguments and the code of the refusal. */
#include "base/json.h"
#include "task_table.h"
#include "test.h"

#include <stdio.h>

static const struct {
	const char *type, *args, *code;
} cases[] = {
	{ "update.now", "{}", NULL },
	{ "update.now", "{\"feed\":\"signatures\"}", NULL },
	{ "update.now", "{\"feed\":\"../x\"}", "wrong-argument" },
	{ "update.now", "{\"feed\":1}", "wrong-argument" },
	{ "update.now", "{\"Feed\":\"signatures\"}", "unknown-argument" },
	{ "update.now", "{\"command\":\"rm\"}", "unknown-argument" },
	{ "update.pin",
	    "{\"feed\":\"signatures\",\"version\":3,\"until\":\"2026-12-01T00:00:00Z\"}", NULL },
	{ "update.pin", "{\"feed\":\"signatures\",\"version\":3}", "missing-argument" },
	{ "update.pin",
	    "{\"feed\":\"signatures\",\"version\":\"3\",\"until\":\"2026-12-01T00:00:00Z\"}",
	    "wrong-argument" },
	{ "update.pin", "{\"feed\":\"signatures\",\"version\":3,\"until\":\"for ever\"}",
	    "wrong-argument" },
	{ "update.pin",
	    "{\"feed\":\"signatures\",\"version\":4294967296,\"until\":\"2026-12-01T00:00:00Z\"}",
	    "wrong-argument" },
	{ "policy.refresh", "{}", NULL },
	{ "policy.refresh", "{\"x\":1}", "unknown-argument" },
	{ "role.set", "{\"role\":\"update-agent\",\"on\":true}", NULL },
	{ "role.set",
	    "{\"role\":\"update-agent\",\"on\":true,\"settings\":{\"ftp_port\":\"2021\"}}", NULL },
	{ "role.set", "{\"role\":\"update-agent\",\"on\":true,\"settings\":{\"ftp_port\":2021}}",
	    "wrong-argument" },
	{ "role.set", "{\"role\":\"console\",\"on\":true}", "wrong-argument" },
	{ "role.set", "{\"role\":\"update\",\"on\":true}", "wrong-argument" },
	{ "role.set", "{\"role\":\"update-agent\",\"on\":\"yes\"}", "wrong-argument" },
	{ "role.set", "{\"on\":true}", "missing-argument" },
	{ "scan.start", "{\"paths\":[\"/home\"]}", NULL },
	{ "scan.start", "{\"paths\":[\"/home\"],\"quarantine\":true}", NULL },
	{ "scan.start", "{\"paths\":[]}", "wrong-argument" },
	{ "scan.start", "{\"paths\":[\"home\"]}", "wrong-argument" },
	{ "scan.start", "{\"paths\":[\"/a\\nb\"]}", "wrong-argument" },
	{ "scan.start", "{\"paths\":\"/home\"}", "wrong-argument" },
	{ "scan.start", "{}", "missing-argument" },
	{ "quarantine.list", "{}", NULL },
	{ "quarantine.restore", "{\"id\":\"0191c0de-0000-7000-8000-00000000000a\"}", NULL },
	{ "quarantine.restore", "{}", "missing-argument" },
	{ "quarantine.restore", "{\"id\":\"0191c0de-0000-7000-8000-00000000000ab\"}",
	    "argument-too-big" },
	{ "collect", "{\"what\":[\"system\",\"mwav\"]}", NULL },
	{ "collect", "{\"what\":[\"system\",\"mwav\",\"system\"]}", "argument-too-big" },
	{ "collect", "{\"what\":[\"passwords\"]}", "wrong-argument" },
	{ "status", "{}", NULL },
	{ "agent.restart", "{\"now\":true}", "unknown-argument" },
};

static void
each_row_is_taken_or_refused_by_name(void **state)
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct task_type *t = task_type_find(cases[i].type);
		struct fault f = { 0 };
		const char *code;
		cJSON *args;

		assert_non_null(t);
		assert_int_equal(
		    json_parse(&args, cases[i].args, strlen(cases[i].args), JSON_SIGNED, NULL), OK);
		code = task_args_check(t, args, &f);
		if (cases[i].code == NULL && code != NULL)
			fail_msg("%s %s: %s", cases[i].type, cases[i].args, code);
		if (cases[i].code != NULL) {
			if (code == NULL || strcmp(code, cases[i].code) != 0)
				fail_msg("%s %s: %s", cases[i].type, cases[i].args,
				    code == NULL ? "taken" : code);
			assert_non_null(strstr(fault_text(&f), "argument '"));
		}
		cJSON_Delete(args);
	}
}

static void
too_many_paths_are_refused(void **state)
{
	const struct task_type *t = task_type_find("scan.start");
	cJSON *args = cJSON_CreateObject(), *list;

	assert_int_equal(json_add_array(args, "paths", &list), OK);
	for (int i = 0; i < 65; i++)
		assert_int_equal(json_append_string(list, "/x"), OK);
	assert_string_equal(task_args_check(t, args, NULL), "argument-too-big");
	cJSON_Delete(args);
}

static void
no_type_runs_a_command_and_each_can_end(void **state)
{
	static const char *const known[] = { "update.now", "update.cancel", "update.pin",
		"policy.refresh", "role.set", "scan.start", "scan.stop", "quarantine.list",
		"quarantine.restore", "collect", "status", "doctor", "agent.restart",
		"agent.group" };

	assert_int_equal(task_type_count, sizeof known / sizeof known[0]);
	for (size_t i = 0; i < task_type_count; i++) {
		assert_string_equal(task_types[i].name, known[i]);
		assert_non_null(task_types[i].start);
		assert_true(task_types[i].deadline_s > 0);
	}
	assert_null(task_type_find("run"));
	assert_null(task_type_find("update"));
	assert_null(task_type_find("update.now "));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_is_taken_or_refused_by_name),
		cmocka_unit_test(too_many_paths_are_refused),
		cmocka_unit_test(no_type_runs_a_command_and_each_can_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
