/* 2227, spool and uplink in one loop against a receiver that does what a script says. */
#include "base/json.h"
#include "base/text.h"
#include "events.h"
#include "os/file.h"
#include "proto/event.h"
#include "test.h"
#include "uplink.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define EV "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"demo\"}"
#define KEPT 4096

/* How the receiver answers its n-th request; 'k' once the script is over.
 * k keep and ack, b ack beyond, B ack behind, e ack of another epoch, g garbage, x cut,
 * 4 400 for the first event, 1 413, 9 409 conflict, 5 503 now, 2 429 after 1 s, a 401, l keep but
 * say nothing true (the ack is lost: the events come again) */
struct world {
	uv_loop_t loop;
	struct events *ev;
	struct httpc *http;
	struct httpd *receiver;
	const char *script;
	size_t requests;
	char epoch[EVENT_EPOCH];
	struct {
		unsigned class;
		uint32_t seq;
		char epoch[EVENT_EPOCH];
		char type[64];
	} kept[KEPT];
	size_t n_kept, duplicates, conflicts;
	/* the latest answer to our own client */
	bool answered;
	int status;
	char body[4096];
	int closing;
};

static char dir[64], url[64], owner[] = "owner";

static bool
known(struct world *w, const struct event_key *k)
{
	for (size_t i = 0; i < w->n_kept; i++)
		if (w->kept[i].class == k->class && w->kept[i].seq == k->seq &&
		    strcmp(w->kept[i].epoch, k->epoch) == 0)
			return true;
	return false;
}

static void
keep(struct world *w, const struct event_key *k)
{
	if (known(w, k)) {
		w->duplicates++;
		return;
	}
	assert_true(w->n_kept < KEPT);
	w->kept[w->n_kept].class = k->class;
	w->kept[w->n_kept].seq = k->seq;
	(void)snprintf(w->kept[w->n_kept].epoch, EVENT_EPOCH, "%s", k->epoch);
	(void)snprintf(w->kept[w->n_kept].type, sizeof w->kept[0].type, "%s", k->type);
	w->n_kept++;
}

static void
answer_acks(struct http_req *r, const struct event_list *l, char how)
{
	struct event_ack acks[EVENT_CLASSES] = { 0 };
	struct buf b;

	for (size_t i = 0; i < l->n; i++) {
		struct event_key k;

		assert_int_equal(event_key_read(l->items[i], &k, NULL), OK);
		acks[k.class].present = true;
		acks[k.class].seq = how == 'b' ? k.seq + 1 : how == 'B' ? 0 : k.seq;
		memcpy(acks[k.class].epoch,
		    how == 'e' ? "00000000000000000000000000000000" : k.epoch, EVENT_EPOCH);
	}
	buf_init(&b, 4096);
	assert_int_equal(event_acks_print(&b, acks), OK);
	http_reply(r, 200, "application/json", b.data, how == 'x' ? b.len / 2 : b.len);
	buf_free(&b);
}

static void
receive(struct http_req *r, void *ctx)
{
	struct world *w = ctx;
	char how = w->requests < strlen(w->script) ? w->script[w->requests] : 'k';
	struct event_list l;
	struct event_where at;
	struct fault f = { OK, "" };
	const uint8_t *p;
	size_t n;

	w->requests++;
	p = http_body(r, &n);
	if (event_list_parse(&l, EVENT_BATCH, (const char *)p, n, 500, &at, &f) != OK)
		fail_msg("batch: %s", f.text);
	switch (how) {
	case 'g':
		http_reply(r, 200, "text/plain", "thanks", 6);
		break;
	case '4':
		http_reply(r, 400, "application/json", "{\"index\":0}", 11);
		break;
	case '1':
		http_problem(r, 413, "too-large", "too large");
		break;
	case '9':
		http_problem(r, 409, "event-conflict", "restored disk");
		break;
	case '5':
		http_problem(r, 503, "busy", "busy");
		break;
	case '2':
		http_set(r, "Retry-After", "1");
		http_problem(r, 429, "slow", "slow");
		break;
	case 'a':
		http_problem(r, 401, "who", "who");
		break;
	default:
		for (size_t i = 0; how != 'b' && how != 'e' && i < l.n; i++) {
			struct event_key k;

			assert_int_equal(event_key_read(l.items[i], &k, NULL), OK);
			assert_string_equal(k.source, "atalaia://org/agent/uuid");
			keep(w, &k);
		}
		answer_acks(r, &l, how);
	}
	event_list_free(&l);
}

static const struct http_route receiver_routes[] = { { "POST", "/v1/events", 0, 1 << 20,
    receive } };

static void
on_local(struct http_req *r, void *ctx)
{
	http_reply(r, 200, "text/plain", events_owner(ctx), 5);
}

static const struct http_route local_routes[] = { { "GET", "/v1/status", 0, 0, on_local } };

static uint32_t unlisted_share; /* 0: the default */

static void
open_world(struct world *w, const char *script, const char *uids)
{
	struct httpd_options h = {
		.name = "receiver", .routes = receiver_routes, .n_routes = 1, .ctx = w
	};
	struct events_options o = { .port = 0,
		.detection_uids = uids,
		.target = "console",
		.routes = local_routes,
		.n_routes = 1,
		.owner = owner,
		.unlisted_share = unlisted_share };
	char socket[100];
	struct fault f = { OK, "" };
	uint16_t port;

	memset(w, 0, sizeof *w);
	w->script = script;
	assert_int_equal(uv_loop_init(&w->loop), 0);
	o.loop = &w->loop;
	o.state = dir;
	o.listen = "127.0.70.1";
	(void)snprintf(socket, sizeof socket, "%s/events.sock", dir);
	o.socket = socket;
	for (unsigned c = 0; c < EVENT_CLASSES; c++)
		o.quota[c] = 1 << 20;
	if (events_open(&w->ev, &o, &f) != OK)
		fail_msg("%s", f.text);
	assert_int_equal(httpc_new(&w->http, &w->loop, NULL, &f), OK);
	assert_int_equal(httpd_new(&w->receiver, &w->loop, &h, &f), OK);
	assert_int_equal(httpd_listen(w->receiver, "127.0.70.2", 0, &port, &f), OK);
	(void)snprintf(url, sizeof url, "http://127.0.70.2:%u/v1/events", port);
}

static void
connect_world(struct world *w)
{
	assert_int_equal(events_identity(w->ev, "org", "uuid"), OK);
	assert_int_equal(events_console(w->ev, w->http, url), OK);
}

static void
closed(void *ctx)
{
	((struct world *)ctx)->closing--;
}

static void
close_world(struct world *w)
{
	w->closing = 3;
	events_close(w->ev, closed, w);
	httpd_close(w->receiver, 0, closed, w);
	httpc_close(w->http, closed, w);
	(void)uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(w->closing, 0);
	assert_int_equal(uv_loop_close(&w->loop), 0);
}

static void
answered(void *ctx, const struct httpc_response *r)
{
	struct world *w = ctx;

	w->answered = true;
	w->status = r->status;
	(void)snprintf(w->body, sizeof w->body, "%s", r->len > 0 ? (const char *)r->body : "");
}

static int
post(struct world *w, const char *type, const char *extra, const char *body, bool by_socket)
{
	char there[64], socket[100], header[128];
	const char *headers[3] = { header, extra };
	struct httpc_request q = { .url = there,
		.headers = headers,
		.body = body,
		.body_len = strlen(body),
		.done = answered,
		.ctx = w };
	struct httpc_call *call;
	struct fault f = { OK, "" };

	(void)snprintf(there, sizeof there, "http://127.0.70.1:%u/v1/events", events_port(w->ev));
	(void)snprintf(
	    header, sizeof header, "Content-Type:%s%s", type[0] != '\0' ? " " : "", type);
	(void)snprintf(socket, sizeof socket, "%s/events.sock", dir);
	if (by_socket) {
		q.unix_socket = socket;
		(void)snprintf(there, sizeof there, "http://localhost/v1/events");
	}
	w->answered = false;
	if (httpc_start(w->http, &q, &call, &f) != OK)
		fail_msg("%s", f.text);
	while (!w->answered)
		(void)uv_run(&w->loop, UV_RUN_ONCE);
	return w->status;
}

static uint64_t
depth(struct world *w)
{
	struct events_stats s = events_stats(w->ev);

	return s.class[0].depth + s.class[1].depth + s.class[2].depth;
}

static void
run_until_sent(struct world *w, size_t kept)
{
	uint64_t until = uv_now(&w->loop) + 20000;

	while (w->n_kept < kept || depth(w) > 0) {
		(void)uv_run(&w->loop, UV_RUN_ONCE);
		if (uv_now(&w->loop) > until)
			fail_msg("%zu of %zu events came, %zu wait: %s", w->n_kept, kept,
			    (size_t)depth(w), events_stats(w->ev).error);
	}
}

static void
emit(struct world *w, enum event_class class, int n)
{
	for (int i = 0; i < n; i++) {
		cJSON *data = cJSON_CreateObject();

		assert_int_equal(json_add_u64(data, "i", (uint64_t)i), OK);
		events_emit(w->ev, class, "test", data);
	}
}

/* Within each epoch and class the numbers came from 1 on without gaps and in order. */
static void
assert_complete(const struct world *w, size_t n)
{
	uint32_t last[EVENT_CLASSES] = { 0 };
	const char *epoch = w->kept[0].epoch;

	assert_int_equal(w->n_kept, n);
	for (size_t i = 0; i < w->n_kept; i++) {
		if (strcmp(epoch, w->kept[i].epoch) != 0) {
			epoch = w->kept[i].epoch;
			memset(last, 0, sizeof last);
		}
		assert_int_equal(w->kept[i].seq, last[w->kept[i].class] + 1);
		last[w->kept[i].class]++;
	}
}

static void
posted_events_arrive(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, "", "0");
	assert_int_equal(post(&w, "application/cloudevents+json", NULL, EV, false), 202);
	assert_non_null(strstr(w.body, "\"accepted\":1"));
	assert_non_null(strstr(w.body, "\"class\":\"telemetry\",\"seq\":1,"));
	assert_int_equal(
	    post(&w, "application/cloudevents-batch+json", NULL, "[" EV "," EV "]", true), 202);
	assert_non_null(strstr(w.body, "\"seq\":3"));
	assert_int_equal(post(&w, "application/x-ndjson", NULL, EV "\n" EV "\n", false), 202);
	assert_int_equal(post(&w, "application/json", NULL, "[]", false), 202);
	assert_int_equal(depth(&w), 5);
	connect_world(&w);
	run_until_sent(&w, 5);
	assert_complete(&w, 5);
	assert_int_equal(events_stats(w.ev).class[EVENT_TELEMETRY].delivered, 5);
	close_world(&w);
}

static void
senders_are_held_to_the_rules(void **state)
{
	static const struct {
		const char *type, *extra, *body;
		int status;
		const char *says;
	} t[] = {
		{ "text/plain", NULL, EV, 415, "content-type" },
		{ "", NULL, EV, 415, "" },
		{ "application/json", "Origin: http://evil.example", EV, 403, "" },
		{ "application/json", "Host: evil.example", EV, 403, "" },
		{ "application/json", NULL, "{", 400, "\"offset\":1" },
		{ "application/cloudevents-batch+json", NULL, "[" EV ",{}]", 400, "\"index\":1" },
		{ "application/json", NULL,
		    "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/"
		    "s\",\"type\":\"org.atalaia.detection\"}",
		    403, "not-permitted" },
		{ "application/json", NULL,
		    "[" EV ",{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\","
		    "\"type\":\"x\",\"atalaiaclass\":\"detection\"}]",
		    403, "\"index\":1" },
		{ "application/json", NULL,
		    "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\","
		    "\"type\":\"org.atalaia.update.applied\"}",
		    403, "the agent's own" },
	};
	struct world w;

	(void)state;
	open_world(&w, "", "4000000");
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		int status = post(&w, t[i].type, t[i].extra, t[i].body, false);

		if (status != t[i].status || strstr(w.body, t[i].says) == NULL)
			print_message("case %zu: %d %s\n", i, status, w.body);
		assert_int_equal(status, t[i].status);
		assert_non_null(strstr(w.body, t[i].says));
	}
	assert_int_equal(depth(&w), 0);
	assert_int_equal(post(&w, "application/json", NULL, EV, true), 202);
	close_world(&w);
}

static void
one_user_cannot_drown_the_others(void **state)
{
	char *body = calloc(1, 65536);
	struct world w;

	(void)state;
	assert_non_null(body);
	(void)snprintf(body, 65536,
	    "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\","
	    "\"data\":\"%060000d\"}",
	    7);
	for (unsigned share = 25; share <= 50; share += 25) {
		int status = 202, posts = 0;

		unlisted_share = share == 25 ? 0 : share;
		open_world(&w, "", "4000000");
		while (status == 202 && posts++ < 10)
			status = post(&w, "application/json", NULL, body, false);
		assert_int_equal(status, 429);
		assert_int_equal(posts, share == 25 ? 5 : 9); /* a quarter of 1 MiB is 4 of these */
		close_world(&w);
	}
	unlisted_share = 0;
	free(body);
}

static void
hostile_answers_lose_and_repeat_nothing(void **state)
{
	/* each kind of lie once; the receiver that lies about acks did not keep the events ('b',
	 * 'e'), the one that cuts or garbles its answer may have ('x') */
	static const char *const scripts[] = { "b", "B", "e", "g", "x", "5", "2", "a", "1", "9",
		"11" };
	struct world w;

	(void)state;
	for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
		open_world(&w, scripts[i], "0");
		emit(&w, EVENT_TELEMETRY, 20);
		emit(&w, EVENT_DETECTION, 3);
		while (depth(&w) < 23)
			(void)uv_run(&w.loop, UV_RUN_ONCE);
		connect_world(&w);
		run_until_sent(&w, 23);
		assert_complete(&w, 23);
		assert_int_equal(w.kept[0].class, EVENT_DETECTION);
		assert_int_equal(events_stats(w.ev).class[EVENT_TELEMETRY].dead, 0);
		close_world(&w);
		assert_int_equal(file_remove_tree(AT_FDCWD, dir, NULL), OK);
		assert_int_equal(file_make_dirs(dir, 0700, NULL), OK);
	}
}

static void
a_refused_event_becomes_a_dead_letter(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, "4", "0");
	emit(&w, EVENT_TASK, 5);
	while (depth(&w) < 5)
		(void)uv_run(&w.loop, UV_RUN_ONCE);
	connect_world(&w);
	run_until_sent(&w, 4);
	assert_int_equal(w.kept[0].seq, 2);
	assert_int_equal(events_stats(w.ev).class[EVENT_TASK].dead, 1);
	close_world(&w);
}

static void
a_conflict_opens_a_new_epoch(void **state)
{
	char before[EVENT_EPOCH];
	struct world w;

	(void)state;
	open_world(&w, "k9", "0");
	connect_world(&w);
	emit(&w, EVENT_TASK, 3);
	run_until_sent(&w, 3);
	memcpy(before, w.kept[0].epoch, sizeof before);
	emit(&w, EVENT_TASK, 3);
	run_until_sent(&w, 6);
	assert_string_not_equal(w.kept[3].epoch, before);
	assert_complete(&w, 6);
	close_world(&w);
}

static void
detections_overtake_a_backlog(void **state)
{
	size_t at = 0;
	struct world w;

	(void)state;
	open_world(&w, "5", "0");
	emit(&w, EVENT_TELEMETRY, 1500);
	while (depth(&w) < 1500)
		(void)uv_run(&w.loop, UV_RUN_ONCE);
	connect_world(&w);
	while (w.n_kept == 0)
		(void)uv_run(&w.loop, UV_RUN_ONCE);
	emit(&w, EVENT_DETECTION, 1);
	run_until_sent(&w, 1501);
	while (w.kept[at].class != EVENT_DETECTION)
		at++;
	assert_true(at <= 1000);
	close_world(&w);
}

static void
closing_keeps_what_was_emitted(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, "", "0");
	emit(&w, EVENT_TASK, 250);
	close_world(&w);
	open_world(&w, "", "0");
	assert_int_equal(depth(&w), 250);
	connect_world(&w);
	run_until_sent(&w, 250);
	assert_complete(&w, 250);
	close_world(&w);
}

static void
options_are_checked(void **state)
{
	static const struct {
		const char *uids, *target, *listen, *says;
	} t[] = {
		{ "root", "console", "127.0.70.1", "is not a user id" },
		{ "0", "ftp://x/", "127.0.70.1", "target" },
		{ "0", "ndjson https://x/", "127.0.70.1", "http only" },
		{ "0", "splunk http://127.0.70.1:1/ token_file=/nowhere", "127.0.70.1",
		    "/nowhere" },
		{ "0", "console", "0.0.0.0", "loopback" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		struct events_options o = { .detection_uids = t[i].uids,
			.target = t[i].target,
			.listen = t[i].listen,
			.state = dir,
			.quota = { 1 << 20, 1 << 20, 1 << 20 } };
		struct fault f = { OK, "" };
		struct events *ev;
		uv_loop_t loop;

		assert_int_equal(uv_loop_init(&loop), 0);
		o.loop = &loop;
		assert_int_not_equal(events_open(&ev, &o, &f), OK);
		if (strstr(f.text, t[i].says) == NULL)
			print_message("%s\n", f.text);
		assert_non_null(strstr(f.text, t[i].says));
		(void)uv_run(&loop, UV_RUN_DEFAULT);
		assert_int_equal(uv_loop_close(&loop), 0);
	}
}

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof dir, "/tmp/atalaia-events-XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	return file_remove_tree(AT_FDCWD, dir, NULL) != OK;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(posted_events_arrive),
		TEST(senders_are_held_to_the_rules),
		TEST(one_user_cannot_drown_the_others),
		TEST(hostile_answers_lose_and_repeat_nothing),
		TEST(a_refused_event_becomes_a_dead_letter),
		TEST(a_conflict_opens_a_new_epoch),
		TEST(detections_overtake_a_backlog),
		TEST(closing_keeps_what_was_emitted),
		TEST(options_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
