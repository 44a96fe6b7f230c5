/* The engine interface against the real clamd and clamscan, on a small database of our own; and
 * against a command engine made of a shell script. */
#include "engine_world.h"
#include "proto/command.h"

#include <signal.h>

static void
the_gate_refuses_what_must_not_become_current(void **state)
{
	struct world w;

	(void)state;
	make_set("good", "em", 7);
	make_set("plain", "e", 0);
	make_set("broken", "emb", 7);
	make_set("blind", "m", 7);
	make_set("alarm", "emc", 7);
	make_set("old", "em", 6);
	make_dir("empty");
	open_world(&w, (struct engine_options){ .type = ENGINE_CLAMD });
	gate(&w, "good", 7, OK, "");
	gate(&w, "plain", 7, OK, ""); /* a set without a marker */
	gate(&w, "broken", 7, ERR_VERIFY, "load");
	gate(&w, "blind", 7, ERR_VERIFY, "canary");
	gate(&w, "alarm", 7, ERR_VERIFY, "clean");
	gate(&w, "old", 7, ERR_VERIFY, "marker");
	gate(&w, "empty", 7, ERR_VERIFY, "load");
	close_world(&w);
}

static void
own_samples_count_too(void **state)
{
	struct world w;

	(void)state;
	make_set("good", "em", 7);
	make_dir("canaries");
	make_dir("clean");
	write_file("clean/letter.txt", "Dear reader\n", 0644);
	open_world(&w,
	    (struct engine_options){
		.type = ENGINE_CLAMD, .clean_samples = at("clean"), .canaries = at("canaries") });
	gate(&w, "good", 7, OK, "");
	write_file("canaries/unknown.bin", "no signature knows this\n", 0644);
	gate(&w, "good", 7, ERR_VERIFY, "canary");
	assert_non_null(strstr(w.out.fault.text, "unknown.bin"));
	close_world(&w);
	open_world(&w, (struct engine_options){ .type = ENGINE_CLAMD, .canaries = "/nowhere" });
	gate(&w, "good", 7, ERR_NOTFOUND, "samples");
	close_world(&w);
	open_world(
	    &w, (struct engine_options){ .type = ENGINE_CLAMD, .clamscan = "/nowhere/clamscan" });
	gate(&w, "good", 7, ERR_NOTFOUND, "clamscan");
	close_world(&w);
	open_world(&w, (struct engine_options){ .type = ENGINE_CLAMD, .gate = GATE_OFF });
	gate(&w, "good", 7, OK, "");
	assert_true(w.out.skipped);
	close_world(&w);
}

static void
a_reload_ends_when_the_marker_is_found(void **state)
{
	struct fault f = { OK, "" };
	struct world w;
	cJSON *status;

	(void)state;
	make_set("db", "em", 1);
	start_clamd();
	open_world(&w, (struct engine_options){ .type = ENGINE_CLAMD, .deadline_ms = 20000 });
	until_up(&w, true);
	probe(&w, 1, OK, "");
	make_set("db", "em", 2);
	assert_int_equal(engine_reload(w.e, at("db"), on_done, &w, NULL, &f), OK);
	run(&w);
	assert_int_equal(w.out.err, OK);
	probe(&w, 2, OK, "");
	make_set("db", "emc", 3); /* loads, and raises a false alarm */
	assert_int_equal(engine_reload(w.e, at("db"), on_done, &w, NULL, &f), OK);
	run(&w);
	probe(&w, 3, ERR_VERIFY, "clean");
	status = engine_status(w.e);
	assert_non_null(
	    strstr(cJSON_GetObjectItemCaseSensitive(status, "version")->valuestring, "ClamAV"));
	cJSON_Delete(status);
	close_world(&w);
	open_world(&w, (struct engine_options){ .type = ENGINE_CLAMD, .deadline_ms = 1000 });
	probe(&w, 9, ERR_TIMEOUT, "deadline");
	close_world(&w);
	stop_clamd();
}

static void
death_and_return_are_told(void **state)
{
	struct fault f = { OK, "" };
	struct world w;

	(void)state;
	make_set("db", "em", 1);
	start_clamd();
	open_world(&w, (struct engine_options){ .type = ENGINE_CLAMD });
	until_up(&w, true);
	w.events[0] = '\0';
	stop_clamd();
	until_up(&w, false);
	assert_string_equal(w.events, "engine.down ");
	assert_int_equal(engine_reload(w.e, at("db"), on_done, &w, NULL, &f), OK);
	run(&w);
	assert_string_equal(w.out.rule, "down");
	start_clamd();
	until_up(&w, true);
	assert_string_equal(w.events, "engine.down engine.up ");
	close_world(&w);
	stop_clamd();
}

static void
jobs_can_be_canceled(void **state)
{
	struct engine_job *job;
	struct fault f = { OK, "" };
	struct world w;

	(void)state;
	make_set("good", "em", 7);
	open_world(&w, (struct engine_options){ .type = ENGINE_CLAMD });
	assert_int_equal(engine_gate(w.e, at("good"), "signatures", 7, on_done, &w, &job, &f), OK);
	engine_cancel(job);
	assert_false(w.done);
	run(&w);
	assert_int_equal(w.out.err, ERR_CANCELED);
	assert_int_equal(engine_gate(w.e, at("good"), "signatures", 7, on_done, &w, &job, &f), OK);
	close_world(&w); /* while one runs */
	assert_true(w.done);
	assert_int_equal(w.out.err, ERR_CANCELED);
}

static void
a_command_can_be_an_engine(void **state)
{
	struct engine_options o = { .type = ENGINE_COMMAND };
	char scan[300], test[300], canaries[200];
	struct world w;

	(void)state;
	write_file("scan.sh",
	    "#!/bin/sh\n[ -f \"$1/rules\" ] || exit 2\n"
	    "grep -q -f \"$1/rules\" \"$2\" && echo Rule.Hit \"$2\"\nexit 0\n",
	    0755);
	make_dir("set");
	make_dir("canaries");
	write_file("set/rules", "evil\n", 0644);
	write_file("canaries/one", "something evil\n", 0644);
	(void)snprintf(test, sizeof test, "/usr/bin/test -s {set}/rules");
	(void)snprintf(scan, sizeof scan, "/bin/sh %s/scan.sh {set} {file}", dir);
	(void)snprintf(canaries, sizeof canaries, "%s", at("canaries"));
	o.command_test = test;
	o.command_scan = scan;
	o.canaries = canaries;
	open_world(&w, o);
	gate(&w, "set", 1, OK, "");
	write_file("set/rules", "other\n", 0644);
	gate(&w, "set", 1, ERR_VERIFY, "canary");
	write_file("set/rules", "sample\nevil\n", 0644);
	gate(&w, "set", 1, ERR_VERIFY, "clean");
	write_file("set/rules", "", 0644);
	gate(&w, "set", 1, ERR_VERIFY, "load");
	close_world(&w);
	open_world(&w, (struct engine_options){ .type = ENGINE_NONE });
	gate(&w, "set", 1, OK, "");
	assert_true(w.out.skipped);
	close_world(&w);
}

static void
words(void **state)
{
	struct command w;

	(void)state;
	assert_int_equal(command_make(&w, " a  \"b c\"d x{set}y {file}", "S", "F"), OK);
	assert_int_equal(w.n, 4);
	assert_string_equal(w.argv[1], "b cd");
	assert_string_equal(w.argv[2], "xSy");
	assert_string_equal(w.argv[3], "F");
	assert_null(w.argv[4]);
	command_free(&w);
	assert_int_equal(command_make(&w, "", "S", "F"), ERR_INVAL);
	command_free(&w);
	assert_int_equal(command_make(&w, "a {home}", "S", "F"), ERR_INVAL);
	command_free(&w);
	assert_int_equal(command_make(&w, "a \"b", "S", "F"), ERR_INVAL);
	command_free(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_gate_refuses_what_must_not_become_current),
		TEST(own_samples_count_too),
		TEST(a_reload_ends_when_the_marker_is_found),
		TEST(death_and_return_are_told),
		TEST(jobs_can_be_canceled),
		TEST(a_command_can_be_an_engine),
		TEST(words),
	};

	(void)signal(SIGPIPE, SIG_IGN); /* as httpd_new does in the agent */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
