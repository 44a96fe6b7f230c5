/* Memory before a load test and a reload, against the real clamd and clamscan with what is free
 * said by an option: each kind of reload is chosen, and what does not fit waits. */
#include "engine_world.h"

#include "engine_internal.h"

#include <stdlib.h>
#include <time.h>

#define MB (1ull << 20)

static void
which_reload_fits(void **state)
{
	static const struct {
		enum reload_kind kind;
		bool restart;
		unsigned need, have, held; /* MiB */
		enum reload_way want;
	} rows[] = {
		{ RELOAD_CONCURRENT, false, 100, 100, 50, WAY_CONCURRENT },
		{ RELOAD_CONCURRENT, true, 100, 100, 50, WAY_CONCURRENT },
		{ RELOAD_CONCURRENT, false, 100, 99, 50, WAY_NONE },
		{ RELOAD_CONCURRENT, true, 100, 99, 50, WAY_RESTART },
		{ RELOAD_CONCURRENT, true, 100, 50, 50, WAY_RESTART },
		{ RELOAD_CONCURRENT, true, 100, 49, 50, WAY_NONE },
		{ RELOAD_BLOCKING, false, 100, 100, 50, WAY_BLOCKING },
		{ RELOAD_BLOCKING, false, 100, 50, 50, WAY_BLOCKING },
		{ RELOAD_BLOCKING, true, 100, 49, 50, WAY_NONE },
		{ RELOAD_UNKNOWN, false, 100, 100, 50, WAY_CONCURRENT },
		{ RELOAD_UNKNOWN, false, 100, 99, 50, WAY_NONE },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct engine_facts f = {
			.running = true, .kind = rows[i].kind, .memory = rows[i].held * MB
		};

		assert_int_equal(
		    engine_reload_way(&f, rows[i].need * MB, rows[i].have * MB, rows[i].restart),
		    rows[i].want);
	}
}

static void
a_clamd_that_runs_tells_more_than_the_table(void **state)
{
	struct engine_facts f = { .running = true, .memory = 600 * MB, .holds = 100 * MB };

	assert_in_range(engine_clamav_need(&f, 100 * MB, 1), 660 * MB, 700 * MB);
	assert_in_range(engine_clamav_need(&f, 200 * MB, 1), 1320 * MB, 1360 * MB);
	f.memory = MB; /* it has not loaded it yet: never below what was measured at least */
	assert_in_range(engine_clamav_need(&f, 100 * MB, 1), 180 * MB, 220 * MB);
	f.holds = 0;
	assert_int_equal(engine_clamav_need(&f, 100 * MB, 77), 77);
}

static void
reload(struct world *w, enum err want, const char *rule, const char *way, const char *kind)
{
	struct fault f = { OK, "" };
	const cJSON *m;
	cJSON *s;

	assert_int_equal(engine_reload(w->e, at("db"), on_done, w, NULL, &f), OK);
	run(w);
	s = engine_status(w->e);
	m = cJSON_GetObjectItemCaseSensitive(s, "memory");
	if (w->out.err != want)
		print_message("reload: %s %s\n", w->out.rule, fault_text(&w->out.fault));
	assert_int_equal(w->out.err, want);
	assert_string_equal(w->out.rule, rule);
	assert_non_null(cJSON_GetObjectItemCaseSensitive(m, "reload"));
	assert_non_null(cJSON_GetObjectItemCaseSensitive(m, "kind"));
	assert_non_null(cJSON_GetObjectItemCaseSensitive(m, "held"));
	assert_string_equal(cJSON_GetObjectItemCaseSensitive(m, "reload")->valuestring, way);
	assert_string_equal(cJSON_GetObjectItemCaseSensitive(m, "kind")->valuestring, kind);
	assert_true(cJSON_GetObjectItemCaseSensitive(m, "held")->valuedouble > 4e6);
	cJSON_Delete(s);
}

/* The clamd that the script started is no child of ours. */
static void
kill_restarted(void)
{
	char text[32] = "";
	FILE *f = fopen(at("clamd.pid"), "r");
	long pid;

	assert_non_null(f);
	assert_non_null(fgets(text, sizeof text, f));
	(void)fclose(f);
	pid = strtol(text, NULL, 10);
	assert_true(pid > 1);
	assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
}

/* A set of one line needs about 24 MiB by the table and 15 by its load test; the clamd that has it
 * holds 8. */
static void
memory_decides_how_clamd_reloads(void **state)
{
	struct engine_options o = { .type = ENGINE_CLAMD, .gate = GATE_OFF };
	char script[700], command[200];
	struct world w;

	make_set("db", "em", 1);
	start_clamd();
	o.memory_limit = 100 * MB;
	open_world(&w, o);
	until_up(&w, true);
	reload(&w, OK, "", "concurrent", "concurrent");
	close_world(&w);

	o.memory_limit =
	    20 * MB; /* enough for a blocking one alone, and this clamd has the other */
	open_world(&w, o);
	reload(&w, ERR_NOMEM, "memory", "none", "concurrent");
	assert_non_null(strstr(w.out.fault.text, "a blocking one fits"));
	gate(&w, "db", 1, ERR_NOMEM, "memory"); /* before it could become current */
	close_world(&w);

	(void)snprintf(script, sizeof script,
	    "#!/bin/sh\nkill -9 $(cat %s/clamd.pid)\nrm -f %s/clamd.sock\n"
	    "/usr/sbin/clamd --config-file=%s/clamd.conf >/dev/null 2>&1 &\n",
	    dir, dir, dir);
	write_file("restart.sh", script, 0755);
	(void)snprintf(command, sizeof command, "%s/restart.sh", dir);
	o.clamd_restart = command;
	open_world(&w, o);
	make_set("db", "em", 2);
	reload(&w, OK, "", "restart", "concurrent");
	probe(&w, 2, OK, ""); /* the new process has the new set */
	write_file("restart.sh", "#!/bin/sh\nexit 3\n", 0755);
	reload(&w, OK, "", "restart", "concurrent"); /* no second time for one set */
	probe(&w, 2, OK, "");
	close_world(&w);
	kill_restarted();
	stop_clamd();
}

static void
a_blocking_clamd_needs_less(void **state)
{
	struct engine_options o = { .type = ENGINE_CLAMD, .memory_limit = 20 * MB };
	struct world w;

	/* A blocking reload waits for clamd's idle threads to end: 30 s unless told otherwise. */
	clamd_more = "ConcurrentDatabaseReload no\nIdleTimeout 1\n";
	make_set("db", "em", 1);
	start_clamd();
	o.gate = GATE_OFF;
	open_world(&w, o);
	until_up(&w, true);
	gate(&w, "db", 1, OK, "");
	make_set("db", "em", 2);
	reload(&w, OK, "", "blocking", "blocking");
	probe(&w, 2, OK, "");
	close_world(&w);

	o.memory_limit = 8 * MB;
	open_world(&w, o);
	reload(&w, ERR_NOMEM, "memory", "none", "blocking");
	close_world(&w);

	o.gate = GATE_ON; /* the load test needs room beside the clamd that runs */
	o.memory_limit = 20 * MB;
	open_world(&w, o);
	gate(&w, "db", 2, ERR_NOMEM, "memory");
	assert_non_null(strstr(w.out.fault.text, "a load test"));
	close_world(&w);
	o.memory_limit = 30 * MB;
	open_world(&w, o);
	gate(&w, "db", 2, OK, "");
	close_world(&w);
	clamd_more = "";
	stop_clamd();
}

static void
a_configuration_younger_than_clamd_says_nothing(void **state)
{
	struct engine_options o = { .type = ENGINE_CLAMD, .gate = GATE_OFF };
	struct timespec later[2] = { { 0 } };
	struct world w;

	make_set("db", "em", 1);
	start_clamd();
	o.memory_limit = 100 * MB;
	open_world(&w, o);
	until_up(&w, true);
	later[0].tv_sec = later[1].tv_sec = time(NULL) + 60;
	assert_int_equal(utimensat(AT_FDCWD, at("clamd.conf"), later, 0), 0);
	reload(&w, OK, "", "concurrent", "unknown");
	close_world(&w);
	stop_clamd();
}

static void
words_of_clamd_conf(void **state)
{
	static const char text[] = "# LocalSocket /no\nLocalSocket /run/a\n\tUser\tclam \r\n"
				   "LocalSocketMode 666\nLocalSocket \"/run/b c\"\nBare\n";
	static const char args[] = "clamd\0-F\0--config-file=/x/y\0\0";
	static const char two[] = "clamd\0-c\0/z\0\0", none[] = "clamd\0--foreground\0\0";
	char out[16];

	assert_true(clamd_conf_value(text, "LocalSocket", out, sizeof out));
	assert_string_equal(out, "/run/b c");
	assert_true(clamd_conf_value(text, "User", out, sizeof out));
	assert_string_equal(out, "clam");
	assert_false(clamd_conf_value(text, "Bare", out, sizeof out));
	assert_false(clamd_conf_value(text, "Local", out, sizeof out));
	assert_false(clamd_conf_value(text, "LocalSocket", out, 4));
	assert_string_equal(clamd_conf_argument(args), "/x/y");
	assert_string_equal(clamd_conf_argument(two), "/z");
	assert_null(clamd_conf_argument(none));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(which_reload_fits),
		TEST(a_clamd_that_runs_tells_more_than_the_table),
		TEST(memory_decides_how_clamd_reloads),
		TEST(a_blocking_clamd_needs_less),
		TEST(a_configuration_younger_than_clamd_says_nothing),
		TEST(words_of_clamd_conf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
