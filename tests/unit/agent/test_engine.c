/* The engine interface against the real clamd and clamscan, on a small database of our own; and
 * against a command engine made of a shell script. */
#include "base/text.h"
#include "engine.h"
#include "os/file.h"
#include "proto/clamd.h"
#include "proto/command.h"
#include "test.h"
#include "update/hash.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];
static pid_t clamd_pid;

static void
write_file(const char *name, const char *text, unsigned mode)
{
	char path[200];

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_int_equal(file_replace(path, text, strlen(text), mode, NULL), OK);
}

static void
make_dir(const char *name)
{
	char path[200];

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_int_equal(file_make_dirs(path, 0755, NULL), OK);
}

static const char *
at(const char *name)
{
	static char path[4][200];
	static unsigned i;

	i = (i + 1) % 4;
	(void)snprintf(path[i], sizeof path[i], "%s/%s", dir, name);
	return path[i];
}

static void
signature(struct buf *out, const struct buf *content, const char *name)
{
	uint8_t sum[HASH_SHA256_LEN];
	char hex[2 * HASH_SHA256_LEN + 1];

	hash_once(HASH_SHA256, content->data, content->len, sum);
	text_hex(hex, sum, sizeof sum);
	assert_int_equal(buf_printf(out, "%s:%zu:%s\n", hex, content->len, name), OK);
}

/* A ClamAV set with these parts: e EICAR, m marker of feed "signatures" and that version, c the
 * clean sample as a virus, b a broken database. */
static void
make_set(const char *name, const char *parts, unsigned version)
{
	char file[100], marker[100];
	struct buf b, content;

	make_dir(name);
	buf_init(&b, 4096);
	buf_init(&content, 4096);
	for (; *parts != '\0'; parts++) {
		buf_reset(&b);
		buf_reset(&content);
		(void)snprintf(file, sizeof file, "%s/%c.hsb", name, *parts);
		if (*parts == 'e') {
			assert_int_equal(clamd_eicar(&content), OK);
			signature(&b, &content, "Test.Eicar");
		} else if (*parts == 'm') {
			assert_int_equal(clamd_marker_content(&content, "signatures", version), OK);
			(void)snprintf(
			    marker, sizeof marker, "Atalaia.Marker.signatures.%u", version);
			signature(&b, &content, marker);
			(void)snprintf(file, sizeof file, "%s/atalaia-marker.hsb", name);
		} else if (*parts == 'c') {
			assert_int_equal(clamd_clean_sample(&content), OK);
			signature(&b, &content, "Test.False.Alarm");
		} else {
			assert_int_equal(buf_puts(&b, "this is no signature\n"), OK);
		}
		write_file(file, buf_text(&b), 0644);
	}
	buf_free(&b);
	buf_free(&content);
}

static void
start_clamd(void)
{
	char conf[600];

	(void)snprintf(conf, sizeof conf,
	    "LocalSocket %s/clamd.sock\nDatabaseDirectory %s/db\nForeground yes\n"
	    "PidFile %s/clamd.pid\nSelfCheck 0\nTemporaryDirectory %s\n",
	    dir, dir, dir, dir);
	write_file("clamd.conf", conf, 0644);
	clamd_pid = fork();
	if (clamd_pid == 0) {
		char arg[200];
		int null = open("/dev/null", O_WRONLY);

		(void)snprintf(arg, sizeof arg, "--config-file=%s/clamd.conf", dir);
		(void)dup2(null, 1);
		(void)dup2(null, 2);
		(void)execl("/usr/sbin/clamd", "clamd", arg, (char *)NULL);
		_exit(127);
	}
}

static void
stop_clamd(void)
{
	if (clamd_pid > 0) {
		(void)kill(clamd_pid, SIGKILL);
		(void)waitpid(clamd_pid, NULL, 0);
	}
	clamd_pid = 0;
}

struct world {
	uv_loop_t loop;
	struct engine *e;
	bool done;
	struct engine_outcome out;
	char events[400];
};

static void
on_event(void *ctx, const char *type, cJSON *data)
{
	struct world *w = ctx;
	size_t n = strlen(w->events);

	(void)snprintf(w->events + n, sizeof w->events - n, "%s ", type);
	cJSON_Delete(data);
}

static void
on_done(void *ctx, const struct engine_outcome *o)
{
	struct world *w = ctx;

	assert_false(w->done);
	w->done = true;
	w->out = *o;
}

static void
open_world(struct world *w, struct engine_options o)
{
	struct fault f = { OK, "" };

	memset(w, 0, sizeof *w);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	o.loop = &w->loop;
	o.clamd_socket = at("clamd.sock");
	o.clamscan = o.clamscan != NULL ? o.clamscan : "/usr/bin/clamscan";
	o.deadline_ms = o.deadline_ms > 0 ? o.deadline_ms : 20000;
	o.watch_ms = 50;
	o.event = on_event;
	o.ctx = w;
	if (engine_open(&w->e, &o, &f) != OK)
		fail_msg("%s", f.text);
}

static void
close_world(struct world *w)
{
	engine_close(w->e, NULL, NULL);
	(void)uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
}

static void
run(struct world *w)
{
	while (!w->done)
		(void)uv_run(&w->loop, UV_RUN_ONCE);
	w->done = false;
}

static void
until_up(struct world *w, bool up)
{
	while (engine_is_up(w->e) != up)
		(void)uv_run(&w->loop, UV_RUN_ONCE);
}

static void
gate(struct world *w, const char *set, unsigned version, enum err want, const char *rule)
{
	struct fault f = { OK, "" };

	assert_int_equal(
	    engine_gate(w->e, at(set), "signatures", version, on_done, w, NULL, &f), OK);
	run(w);
	if (w->out.err != want || strcmp(w->out.rule, rule) != 0)
		print_message("gate of %s: %s %s\n", set, w->out.rule, fault_text(&w->out.fault));
	assert_int_equal(w->out.err, want);
	assert_string_equal(w->out.rule, rule);
}

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
probe(struct world *w, unsigned version, enum err want, const char *rule)
{
	struct fault f = { OK, "" };

	assert_int_equal(engine_probe(w->e, "signatures", version, true, on_done, w, NULL, &f), OK);
	run(w);
	if (w->out.err != want)
		print_message("probe: %s %s\n", w->out.rule, fault_text(&w->out.fault));
	assert_int_equal(w->out.err, want);
	assert_string_equal(w->out.rule, rule);
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

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof dir, "/tmp/atalaia-engine-XXXXXX");
	return mkdtemp(dir) == NULL || chmod(dir, 0755) != 0;
}

static int
teardown(void **state)
{
	(void)state;
	stop_clamd();
	return file_remove_tree(AT_FDCWD, dir, NULL) != OK;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

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

	return cmocka_run_group_tests(tests, NULL, NULL);
}
