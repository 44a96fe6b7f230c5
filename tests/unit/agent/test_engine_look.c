/* What a look at an engine sees: version and memory of clamd, health of a command. */
#include "base/json.h"
#include "engine_internal.h"
#include "engine_world.h"

/* --- what a look sees, with a clamd of our own --- */

struct fake {
	uv_pipe_t server;
	const char *version, *stats;
};

struct fake_client {
	uv_pipe_t pipe;
	uv_write_t write;
	struct fake *f;
	char space[4096];
};

static void
fake_closed(uv_handle_t *h)
{
	free(h->data);
}

static void
fake_space(uv_handle_t *h, size_t wanted, uv_buf_t *b)
{
	struct fake_client *c = h->data;

	(void)wanted;
	*b = uv_buf_init(c->space, sizeof c->space);
}

static void
fake_wrote(uv_write_t *w, int status)
{
	(void)status;
	uv_close((uv_handle_t *)w->handle, fake_closed);
}

static void
fake_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct fake_client *c = s->data;
	const char *text = "stream: OK";
	uv_buf_t out;

	if (n <= 0) {
		if (!uv_is_closing((uv_handle_t *)s))
			uv_close((uv_handle_t *)s, fake_closed);
		return;
	}
	if (strcmp(b->base, "zVERSION") == 0)
		text = c->f->version;
	else if (strcmp(b->base, "zSTATS") == 0)
		text = c->f->stats;
	out = uv_buf_init((char *)(uintptr_t)text, (unsigned)strlen(text) + 1);
	(void)uv_read_stop(s);
	assert_int_equal(uv_write(&c->write, s, &out, 1, fake_wrote), 0);
}

static void
fake_connection(uv_stream_t *server, int status)
{
	struct fake_client *c = calloc(1, sizeof *c);

	assert_int_equal(status, 0);
	assert_non_null(c);
	c->f = server->data;
	(void)uv_pipe_init(server->loop, &c->pipe, 0);
	c->pipe.data = c;
	assert_int_equal(uv_accept(server, (uv_stream_t *)&c->pipe), 0);
	(void)uv_read_start((uv_stream_t *)&c->pipe, fake_space, fake_read);
}

static void
until_event(struct world *w, const char *type)
{
	while (strstr(w->events, type) == NULL)
		(void)uv_run(&w->loop, UV_RUN_ONCE);
}

static void
a_look_sees_version_and_memory(void **state)
{
	struct fake f = { .version = "ClamAV 1.0.7/27000",
		.stats = "POOLS: 1\n\nSTATE: VALID PRIMARY\nTHREADS: live 1  idle 0 max 10\n"
			 "QUEUE: 3 items\n\nMEMSTATS: heap N/A pools_total 1.000M\nEND" };
	struct world w;
	cJSON *status;

	(void)state;
	open_world(&w, (struct engine_options){ .type = ENGINE_CLAMD });
	(void)uv_pipe_init(&w.loop, &f.server, 0);
	f.server.data = &f;
	assert_int_equal(uv_pipe_bind(&f.server, at("clamd.sock")), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&f.server, 5, fake_connection), 0);
	until_up(&w, true);
	for (unsigned i = 0; i < 20; i++)
		(void)uv_run(&w.loop, UV_RUN_ONCE);
	assert_null(strstr(w.events, "engine.version")); /* the first is no news */
	assert_null(strstr(w.events, "engine.memory"));
	f.version = "ClamAV 1.0.7/27001";
	f.stats = "POOLS: 1\nTHREADS: live 1\nMEMSTATS: heap N/A pools_total 9999999.000M\nEND";
	until_event(&w, "engine.version");
	until_event(&w, "engine.memory");
	status = engine_status(w.e);
	assert_non_null(json_get(json_get(status, "memory"), "used"));
	assert_true(json_get(json_get(status, "memory"), "used")->valuedouble > 9e12);
	cJSON_Delete(status);
	for (unsigned i = 0; i < 20; i++)
		(void)uv_run(&w.loop, UV_RUN_ONCE);
	assert_null(strstr(strstr(w.events, "engine.memory") + 1, "engine.memory")); /* once */
	uv_close((uv_handle_t *)&f.server, NULL);
	close_world(&w);
}

static void
the_real_clamd_tells_its_memory(void **state)
{
	uint64_t used = 0;
	struct world w;

	(void)state;
	make_set("db", "em", 7);
	start_clamd();
	open_world(&w, (struct engine_options){ .type = ENGINE_CLAMD });
	until_up(&w, true);
	while (used == 0) {
		cJSON *status = engine_status(w.e);

		if (json_opt_u64(
			json_get(status, "memory"), "used", JSON_MAX_INT, 0, &used, NULL) != OK)
			used = 0;
		cJSON_Delete(status);
		(void)uv_run(&w.loop, UV_RUN_ONCE);
	}
	close_world(&w);
}

/* One look, for as long as it takes: two looks of the timer are a deadline, which a busy machine
 * misses. */
static void
look(struct world *w)
{
	w->e->ops->look(w->e);
	while (w->e->look_run != NULL)
		(void)uv_run(&w->loop, UV_RUN_ONCE);
}

static void
a_command_is_watched_with_its_current_set(void **state)
{
	struct engine_options o = { .type = ENGINE_COMMAND, .watch_ms = 86400000 };
	struct fault f = { OK, "" };
	char scan[300];
	struct world w;

	(void)state;
	make_dir("set");
	write_file("set/rules", "evil\n", 0644);
	write_file("scan.sh", "#!/bin/sh\n[ -f \"$1/rules\" ] || exit 2\nexit 0\n", 0755);
	(void)snprintf(scan, sizeof scan, "/bin/sh %s/scan.sh {set} {file}", dir);
	o.command_scan = scan;
	open_world(&w, o);
	(void)uv_run(&w.loop, UV_RUN_NOWAIT); /* the first look */
	assert_true(engine_is_up(w.e));
	assert_int_equal(engine_reload(w.e, at("set"), on_done, &w, NULL, &f), OK);
	run(&w);
	look(&w);
	look(&w);
	assert_string_equal(w.events, "");
	assert_int_equal(unlink(at("set/rules")), 0);
	look(&w);
	assert_string_equal(w.events, ""); /* one that fails may be chance */
	look(&w);
	assert_string_equal(w.events, "engine.down ");
	write_file("set/rules", "evil\n", 0644);
	look(&w);
	assert_string_equal(w.events, "engine.down engine.up ");
	write_file("scan.sh", "#!/bin/sh\necho Everything.Is.Evil\n", 0755);
	look(&w);
	look(&w);
	assert_false(engine_is_up(w.e));
	write_file("scan.sh", "#!/bin/sh\nexec sleep 60\n", 0755);
	w.e->ops->look(w.e);
	w.e->ops->look(w.e); /* the first had the whole time until now */
	assert_string_equal(w.e->error, "the scan command takes too long");
	close_world(&w);
}

static void
replies_about_paths_and_memory(void **state)
{
	static const char stats[] =
	    "POOLS: 1\n\nSTATE: VALID PRIMARY\nTHREADS: live 2  idle 1 max 12 idle-timeout 30\n"
	    "QUEUE: 7 items\n\tSTATS 0.000394 \n\nMEMSTATS: heap 3.500M mmap 0.129M used 3.254M "
	    "free "
	    "0.406M releasable 0.129M pools 1 pools_used 1293.283M pools_total 1293.250M\nEND";
	struct clamd_stats s;
	struct clamd_reply r;
	size_t n;

	(void)state;
	assert_int_equal(clamd_stats_parse(&s, stats, sizeof stats - 1), OK);
	assert_true(s.memory > (1296ull << 20) && s.memory < (1297ull << 20));
	assert_int_equal(s.threads, 2);
	assert_int_equal(s.threads_max, 12);
	assert_int_equal(s.queue, 7);
	for (size_t cut = 0; cut < sizeof stats - 1; cut++) {
		char *part = test_copy(stats, cut);

		if (clamd_stats_parse(&s, part, cut) == OK)
			assert_true(cut >= 7);
		free(part);
	}
	assert_int_equal(clamd_stats_parse(&s, "COMMAND UNAVAILABLE", 19), ERR_PARSE);
	assert_int_equal(clamd_parse_path(&r, "/a: b/c: Sig.X FOUND", 20, &n), OK);
	assert_int_equal(r.kind, CLAMD_FOUND);
	assert_int_equal(n, 7);
	assert_string_equal(r.text, "Sig.X");
	assert_int_equal(clamd_parse_path(&r, "/a: OK", 6, &n), OK);
	assert_int_equal(r.kind, CLAMD_CLEAN);
	assert_int_equal(
	    clamd_parse_path(&r, "/a: lstat() failed: No such file. ERROR", 39, &n), OK);
	assert_int_equal(r.kind, CLAMD_FAILED);
	assert_int_equal(n, 2);
	assert_int_equal(clamd_parse_path(&r, "UNKNOWN COMMAND", 15, &n), OK);
	assert_int_equal(n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_look_sees_version_and_memory),
		TEST(the_real_clamd_tells_its_memory),
		TEST(a_command_is_watched_with_its_current_set),
		TEST(replies_about_paths_and_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
