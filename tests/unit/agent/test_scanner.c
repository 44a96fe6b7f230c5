/* A whole scan: the real atalaia-scan and clamd, a vault, mwav.log, and the events that come out.
 */
#include "base/json.h"
#include "base/text.h"
#include "events.h"
#include "os/file.h"
#include "proto/clamd.h"
#include "quarantine.h"
#include "scanner.h"
#include "test.h"
#include "update/hash.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], bin[PATH_MAX];
static pid_t clamd_pid;

static const char *
at(const char *name)
{
	static char path[8][300];
	static unsigned i;

	i = (i + 1) % 8;
	(void)snprintf(path[i], sizeof path[i], "%s/%s", dir, name);
	return path[i];
}

static void
write_bytes(const char *name, const void *p, size_t n)
{
	assert_int_equal(file_replace(at(name), p, n, 0644, NULL), OK);
}

static void
start_clamd(void)
{
	char text[600], hex[HASH_SHA256_TEXT], arg[200];
	uint8_t sum[HASH_SHA256_LEN];
	struct buf eicar;

	buf_init(&eicar, 200);
	assert_int_equal(clamd_eicar(&eicar), OK);
	hash_once(HASH_SHA256, eicar.data, eicar.len, sum);
	text_hex(hex, sum, sizeof sum);
	assert_int_equal(mkdir(at("db"), 0755), 0);
	(void)snprintf(text, sizeof text, "%s:%zu:Test.Eicar\n", hex, eicar.len);
	write_bytes("db/t.hsb", text, strlen(text));
	buf_free(&eicar);
	(void)snprintf(text, sizeof text,
	    "LocalSocket %s/clamd.sock\nDatabaseDirectory %s/db\nForeground yes\nSelfCheck 0\n"
	    "PidFile %s/clamd.pid\nTemporaryDirectory %s\n",
	    dir, dir, dir, dir);
	write_bytes("clamd.conf", text, strlen(text));
	(void)snprintf(arg, sizeof arg, "--config-file=%s/clamd.conf", dir);
	clamd_pid = fork();
	if (clamd_pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		(void)dup2(null, 1);
		(void)dup2(null, 2);
		(void)execl("/usr/sbin/clamd", "clamd", arg, (char *)NULL);
		_exit(127);
	}
}

struct world {
	uv_loop_t loop;
	struct events *ev;
	struct engine *engine;
	struct scanner *scanner;
	struct httpd *receiver;
	struct httpc *http;
	cJSON *got; /* every event, in order */
	bool done;
	struct scan_result result;
	int progress, closing;
};

static void
receive(struct http_req *r, void *ctx)
{
	struct world *w = ctx;
	const uint8_t *p;
	cJSON *batch;
	size_t n;

	p = http_body(r, &n);
	assert_int_equal(json_parse(&batch, (const char *)p, n, JSON_EVENT, NULL), OK);
	while (batch->child != NULL)
		assert_int_equal(
		    json_append(w->got, cJSON_DetachItemViaPointer(batch, batch->child)), OK);
	cJSON_Delete(batch);
	http_reply(r, 200, NULL, NULL, 0);
}

static const struct http_route routes[] = { { "POST", "/in", 0, 1 << 20, receive } };

static void
on_progress(void *ctx, const struct scan_result *r)
{
	((struct world *)ctx)->progress++;
	(void)r;
}

static void
on_done(void *ctx, const struct scan_result *r)
{
	struct world *w = ctx;

	assert_false(w->done);
	w->done = true;
	w->result = *r;
}

static void
open_world(struct world *w, const char *libexec)
{
	struct httpd_options h = { .name = "in", .routes = routes, .n_routes = 1, .ctx = w };
	struct events_options o = {
		.loop = &w->loop, .state = at("state"), .listen = "127.0.70.1"
	};
	struct engine_options e = { .loop = &w->loop, .type = ENGINE_CLAMD };
	struct scanner_options s = { .loop = &w->loop, .state = at("state"), .libexec = libexec };
	struct fault f = { OK, "" };
	char target[100];
	uint16_t port;

	assert_int_equal(file_make_dirs(at("state"), 0700, NULL), OK);
	memset(w, 0, sizeof *w);
	w->got = cJSON_CreateArray();
	assert_int_equal(uv_loop_init(&w->loop), 0);
	assert_int_equal(httpc_new(&w->http, &w->loop, NULL, &f), OK);
	assert_int_equal(httpd_new(&w->receiver, &w->loop, &h, &f), OK);
	assert_int_equal(httpd_listen(w->receiver, "127.0.70.2", 0, &port, &f), OK);
	(void)snprintf(target, sizeof target, "json http://127.0.70.2:%u/in", port);
	o.target = target;
	o.plain = w->http;
	for (unsigned c = 0; c < EVENT_CLASSES; c++)
		o.quota[c] = 1 << 20;
	if (events_open(&w->ev, &o, &f) != OK)
		fail_msg("%s", f.text);
	e.clamd_socket = at("clamd.sock");
	assert_int_equal(engine_open(&w->engine, &e, &f), OK);
	s.engine = w->engine;
	s.events = w->ev;
	assert_int_equal(scanner_open(&w->scanner, &s, &f), OK);
}

static void
one_closed(void *ctx)
{
	((struct world *)ctx)->closing--;
}

static void
close_world(struct world *w)
{
	w->closing = 1;
	scanner_close(w->scanner, one_closed, w);
	while (w->closing > 0)
		(void)uv_run(&w->loop, UV_RUN_ONCE);
	engine_close(w->engine, NULL, NULL);
	w->closing = 1; /* events use the client to their end */
	events_close(w->ev, one_closed, w);
	while (w->closing > 0)
		(void)uv_run(&w->loop, UV_RUN_ONCE);
	httpd_close(w->receiver, 0, NULL, NULL);
	httpc_close(w->http, NULL, NULL);
	(void)uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	cJSON_Delete(w->got);
}

static const cJSON *
wait_event(struct world *w, const char *type)
{
	uint64_t until = uv_now(&w->loop) + 20000;

	for (;;) {
		const cJSON *e;

		cJSON_ArrayForEach(
		    e, w->got) if (strcmp(json_get(e, "type")->valuestring, type) == 0) return e;
		if (uv_now(&w->loop) > until)
			fail_msg("no %s", type);
		(void)uv_run(&w->loop, UV_RUN_ONCE);
	}
}

static void
start(struct world *w, bool quarantine)
{
	const char *paths[] = { at("files") };
	const struct scan_request q = { .paths = paths,
		.n_paths = 1,
		.quarantine = quarantine,
		.task = "0191c0de-0000-7000-8000-00000000000a",
		.progress = on_progress,
		.done = on_done,
		.ctx = w };
	struct fault f = { OK, "" };

	w->done = false;
	if (scanner_start(w->scanner, &q, &f) != OK)
		fail_msg("%s", f.text);
	assert_int_equal(scanner_start(w->scanner, &q, &f), ERR_BUSY);
}

static void
until_done(struct world *w)
{
	while (!w->done)
		(void)uv_run(&w->loop, UV_RUN_ONCE);
}

static void
log_says(const char *text)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	assert_int_equal(file_read(at("state/mwav.log"), &b, NULL), OK);
	if (strstr(buf_text(&b), text) == NULL)
		fail_msg("mwav.log does not say '%s': %s", text, buf_text(&b));
	buf_free(&b);
}

static void
make_files(void)
{
	struct buf eicar;

	buf_init(&eicar, 200);
	assert_int_equal(clamd_eicar(&eicar), OK);
	assert_int_equal(mkdir(at("files"), 0755), 0);
	write_bytes("files/clean", "clean\n", 6);
	write_bytes("files/bad.com", eicar.data, eicar.len);
	buf_free(&eicar);
}

static void
a_finding_becomes_an_event_and_a_line(void **state)
{
	const cJSON *e, *data;
	struct world w;

	(void)state;
	make_files();
	start_clamd();
	open_world(&w, bin);
	start(&w, false);
	until_done(&w);
	if (w.result.err != OK)
		print_message("%s\n", fault_text(&w.result.fault));
	assert_int_equal(w.result.err, OK);
	assert_int_equal(w.result.files, 2);
	assert_int_equal(w.result.found, 1);
	e = wait_event(&w, "org.atalaia.detection");
	assert_string_equal(json_get(e, "atalaiaclass")->valuestring, "detection");
	data = json_get(e, "data");
	assert_int_equal(json_get(data, "class_uid")->valueint, 2004);
	assert_int_equal(json_get(data, "disposition_id")->valueint, 15);
	(void)wait_event(&w, "org.atalaia.scan.done");
	log_says("FOUND Test.Eicar.UNOFFICIAL left");
	log_says("SCAN outcome=done files=2");
	/* again, and this time it goes */
	start(&w, true);
	until_done(&w);
	assert_int_equal(w.result.quarantined, 1);
	assert_int_equal(access(at("files/bad.com"), F_OK), -1);
	log_says("quarantined=");
	start(&w, true);
	until_done(&w);
	assert_int_equal(w.result.found, 0);
	close_world(&w);
}

static void
a_scan_can_be_stopped_or_fail(void **state)
{
	struct fault f = { OK, "" };
	struct scan_request q = { 0 };
	struct world w;

	(void)state;
	make_files(); /* no clamd: it waits for one */
	open_world(&w, bin);
	assert_int_equal(scanner_start(w.scanner, &q, &f), ERR_INVAL);
	start(&w, false);
	scanner_stop(w.scanner);
	until_done(&w);
	assert_int_equal(w.result.err, ERR_CANCELED);
	start(&w, false);
	close_world(&w); /* while one runs */
	assert_true(w.done);
	open_world(&w, "/nowhere");
	q.n_paths = 1;
	q.paths = (const char *const[]){ "/tmp" };
	assert_int_not_equal(scanner_start(w.scanner, &q, &f), OK);
	close_world(&w);
}

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof dir, "/tmp/atalaia-scanner-XXXXXX");
	return mkdtemp(dir) == NULL || chmod(dir, 0755) != 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (clamd_pid > 0) {
		(void)kill(clamd_pid, SIGKILL);
		(void)waitpid(clamd_pid, NULL, 0);
	}
	clamd_pid = 0;
	return file_remove_tree(AT_FDCWD, dir, NULL) != OK;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_finding_becomes_an_event_and_a_line, setup, teardown),
		cmocka_unit_test_setup_teardown(a_scan_can_be_stopped_or_fail, setup, teardown),
	};
	char self[PATH_MAX];

	/* build/MODE/tests/unit/agent/test_scanner: the programs are four folders up */
	if (realpath(argv[0], self) == NULL)
		return 1;
	(void)snprintf(bin, sizeof bin, "%s", dirname(dirname(dirname(dirname(self)))));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
