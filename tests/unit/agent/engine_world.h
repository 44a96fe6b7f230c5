/* engine_world.h - an engine in a loop of its own, a small clamd, sets of a few signatures. */
#ifndef ATALAIA_TESTS_ENGINE_WORLD_H
#define ATALAIA_TESTS_ENGINE_WORLD_H

#include "base/text.h"
#include "engine.h"
#include "os/file.h"
#include "proto/clamd.h"
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
static const char *clamd_more = ""; /* lines of clamd.conf */

static inline void
write_file(const char *name, const char *text, unsigned mode)
{
	char path[200];

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_int_equal(file_replace(path, text, strlen(text), mode, NULL), OK);
}

static inline void
make_dir(const char *name)
{
	char path[200];

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_int_equal(file_make_dirs(path, 0755, NULL), OK);
}

static inline const char *
at(const char *name)
{
	static char path[4][200];
	static unsigned i;

	i = (i + 1) % 4;
	(void)snprintf(path[i], sizeof path[i], "%s/%s", dir, name);
	return path[i];
}

static inline void
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
static inline void
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

static inline void
start_clamd(void)
{
	char conf[600];

	(void)snprintf(conf, sizeof conf,
	    "LocalSocket %s/clamd.sock\nDatabaseDirectory %s/db\nForeground yes\n"
	    "PidFile %s/clamd.pid\nSelfCheck 0\nTemporaryDirectory %s\n%s",
	    dir, dir, dir, dir, clamd_more);
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

static inline void
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

static inline void
on_event(void *ctx, const char *type, cJSON *data)
{
	struct world *w = ctx;
	size_t n = strlen(w->events);

	(void)snprintf(w->events + n, sizeof w->events - n, "%s ", type);
	cJSON_Delete(data);
}

static inline void
on_done(void *ctx, const struct engine_outcome *o)
{
	struct world *w = ctx;

	assert_false(w->done);
	w->done = true;
	w->out = *o;
}

static inline void
open_world(struct world *w, struct engine_options o)
{
	struct fault f = { OK, "" };

	memset(w, 0, sizeof *w);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	o.loop = &w->loop;
	o.clamd_socket = at("clamd.sock");
	o.clamscan = o.clamscan != NULL ? o.clamscan : "/usr/bin/clamscan";
	o.deadline_ms = o.deadline_ms > 0 ? o.deadline_ms : 20000;
	o.watch_ms = o.watch_ms > 0 ? o.watch_ms : 50;
	o.event = on_event;
	o.ctx = w;
	if (engine_open(&w->e, &o, &f) != OK)
		fail_msg("%s", f.text);
}

static inline void
close_world(struct world *w)
{
	engine_close(w->e, NULL, NULL);
	(void)uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
}

static inline void
run(struct world *w)
{
	while (!w->done)
		(void)uv_run(&w->loop, UV_RUN_ONCE);
	w->done = false;
}

static inline void
until_up(struct world *w, bool up)
{
	while (engine_is_up(w->e) != up)
		(void)uv_run(&w->loop, UV_RUN_ONCE);
}

static inline void
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

static inline void
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

static inline int
setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof dir, "/tmp/atalaia-engine-XXXXXX");
	return mkdtemp(dir) == NULL || chmod(dir, 0755) != 0;
}

static inline int
teardown(void **state)
{
	(void)state;
	stop_clamd();
	return file_remove_tree(AT_FDCWD, dir, NULL) != OK;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
