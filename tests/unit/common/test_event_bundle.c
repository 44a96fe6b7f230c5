/* Events in one file: what is written, byte for byte, what is refused when it is read, and whom an
 * acknowledgement must be from. */
#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "net_world.h"
#include "proto/event_bundle.h"
#include "test.h"

#define AGENT "0193a4f0-7b1c-7000-8000-0000000000aa"
#define EPOCH "0123456789abcdef0123456789abcdef"
#define SOURCE "atalaia://example/agent/" AGENT

static struct world_fleet ours, others;

static int
make_fleets(void **state)
{
	(void)state;
	world_fleet_new(&ours, "example");
	world_fleet_new(&others, "other");
	return 0;
}

static int
drop_fleets(void **state)
{
	(void)state;
	world_fleet_free(&ours);
	world_fleet_free(&others);
	return 0;
}

static enum err
keep(void *ctx, const void *p, size_t n)
{
	return buf_append(ctx, p, n);
}

static void
add(struct event_bundle_writer *w, enum event_class class, uint32_t seq)
{
	const char *stored = "\"id\":\"x\",\"type\":\"t\"";

	assert_int_equal(event_bundle_add(w, class, seq, stored, strlen(stored)), OK);
}

static void
make(struct buf *out, struct event_bundle_mark *mark, const struct world_cert *by, const char *org)
{
	struct event_bundle_about about = { org, AGENT, by->cert, by->key, 1700000000000ll };
	struct event_bundle_writer *w;
	struct fault f = { 0 };

	buf_init(out, 1u << 20);
	assert_int_equal(event_bundle_new(&w, SOURCE, EPOCH, keep, out), OK);
	add(w, EVENT_DETECTION, 3);
	add(w, EVENT_DETECTION, 4);
	add(w, EVENT_DETECTION, 6); /* 5 was dropped: another batch */
	add(w, EVENT_TELEMETRY, 1);
	assert_int_equal(event_bundle_finish(w, &about, cJSON_CreateArray(), mark, &f), OK);
	event_bundle_drop(w);
}

static const char *
last_line(const struct buf *b, size_t *n)
{
	size_t end = b->len - 1, at = end; /* without its end */

	while (at > 0 && b->data[at - 1] != '\n')
		at--;
	*n = end - at;
	return buf_text(b) + at;
}

#define EVENT(seq)                                                                                 \
	"{\"specversion\":\"1.0\",\"source\":\"" SOURCE                                            \
	"\",\"id\":\"x\",\"type\":\"t\",\"atalaiaepoch\":\"" EPOCH "\",\"atalaiaseq\":" seq "}"

static void
a_bundle_is_written_as_agreed(void **state)
{
	static const char golden[] =
	    "[" EVENT("3") "," EVENT("4") "]\n"
					  "[" EVENT("6") "]\n"
							 "[" EVENT("1") "]\n";
	struct event_bundle_mark mark;
	struct event_bundle b;
	struct pki_trust t = { .ca_pem = ours.ca };
	struct pki_identity who;
	struct fault f = { 0 };
	struct buf text;
	const char *line;
	size_t n;

	(void)state;
	make(&text, &mark, &ours.agent, "example");
	assert_memory_equal(text.data, golden, sizeof golden - 1);
	line = last_line(&text, &n);
	assert_ptr_equal(line, buf_text(&text) + sizeof golden - 1);
	assert_int_equal(event_bundle_read(&b, line, n, &f), OK);
	assert_int_equal(event_bundle_check(&b, &t, "example", clock_wall_ms(), &who, &f), OK);
	assert_string_equal(b.agent, AGENT);
	assert_string_equal(b.epoch, EPOCH);
	assert_string_equal(b.name, mark.name);
	assert_int_equal(b.created_ms, 1700000000000ll);
	assert_int_equal(b.n, 3);
	assert_int_equal(b.batches[0].first, 3);
	assert_int_equal(b.batches[0].last, 4);
	assert_int_equal(b.batches[1].first, 6);
	assert_int_equal(b.batches[2].class, EVENT_TELEMETRY);
	assert_int_equal(mark.upto[EVENT_DETECTION], 6);
	assert_int_equal(mark.upto[EVENT_TASK], 0);
	assert_int_equal(mark.events, 4);
	assert_int_equal(mark.bytes, text.len);
	assert_false(mark.more);
	event_bundle_free(&b);
	buf_free(&text);
}

static enum err
check(const struct buf *text, int64_t now)
{
	struct pki_trust t = { .ca_pem = ours.ca };
	struct fault f = { 0 };
	struct pki_identity who;
	struct event_bundle b;
	size_t n;
	const char *line = last_line(text, &n);
	enum err e = event_bundle_read(&b, line, n, &f);

	if (e == OK)
		e = event_bundle_check(&b, &t, "example", now, &who, &f);
	assert_true(e == OK || fault_text(&f)[0] != '\0');
	event_bundle_free(&b);
	return e;
}

static void
only_the_agent_that_it_names_may_sign(void **state)
{
	struct world_cert mixed = ours.agent;
	struct event_bundle_mark mark;
	struct buf text;

	(void)state;
	make(&text, &mark, &others.agent, "other"); /* another organisation */
	assert_int_equal(check(&text, clock_wall_ms()), ERR_AUTH);
	buf_free(&text);
	make(&text, &mark, &others.agent, "example"); /* that says it were ours */
	assert_int_equal(check(&text, clock_wall_ms()), ERR_AUTH);
	buf_free(&text);
	make(&text, &mark, &ours.console, "example"); /* a console */
	assert_int_not_equal(check(&text, clock_wall_ms()), OK);
	buf_free(&text);
	mixed.key = ours.console.key;
	make(&text, &mark, &mixed, "example"); /* with a key that is not the certificate's */
	assert_int_not_equal(check(&text, clock_wall_ms()), OK);
	buf_free(&text);
	make(&text, &mark, &ours.agent, "example");
	assert_int_equal(check(&text, clock_wall_ms() + 3650ll * DAY), ERR_EXPIRED);
	for (size_t i = text.len - 400; i < text.len; i += 11) { /* the signed part's end */
		text.data[i] ^= 1;
		assert_int_not_equal(check(&text, clock_wall_ms()), OK);
		text.data[i] ^= 1;
	}
	assert_int_equal(check(&text, clock_wall_ms()), OK);
	buf_free(&text);
}

#define SHA "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEAD(batches)                                                                              \
	EVENT_BUNDLE_MAGIC "{\"certificate\":\"c\",\"sig\":\"00\",\"signed\":{\"_type\":"          \
			   "\"events\",\"org\":\"o\",\"agent\":\"" AGENT "\",\"epoch\":\"" EPOCH   \
			   "\",\"created\":\"2026-01-01T00:00:00Z\","                              \
			   "\"more\":false,\"receipts\":[],\"batches\":[" batches "]}}"
#define BATCH(class, first, last, bytes)                                                           \
	"{\"class\":\"" class "\",\"first\":" first ",\"last\":" last ",\"bytes\":" bytes          \
			      ",\"sha256\":\"" SHA "\"}"

static void
forms_that_cannot_be_are_refused(void **state)
{
	static const struct {
		const char *text;
		enum err e;
	} rows[] = {
		{ HEAD(""), OK },
		{ HEAD(BATCH("task", "1", "500", "262144")), OK },
		{ HEAD(BATCH("task", "1", "2", "9") "," BATCH("task", "3", "3", "9")), OK },
		{ HEAD(BATCH("task", "1", "2", "9") "," BATCH("task", "2", "3", "9")), ERR_PARSE },
		{ HEAD(BATCH("task", "3", "3", "9") "," BATCH("task", "1", "2", "9")), ERR_PARSE },
		{ HEAD(BATCH("task", "0", "2", "9")), ERR_PARSE },
		{ HEAD(BATCH("task", "5", "4", "9")), ERR_PARSE },
		{ HEAD(BATCH("task", "1", "501", "9")), ERR_PARSE },
		{ HEAD(BATCH("task", "1", "4294967297", "9")), ERR_PARSE },
		{ HEAD(BATCH("task", "1", "2", "262145")), ERR_PARSE },
		{ HEAD(BATCH("secret", "1", "2", "9")), ERR_PARSE },
		{ HEAD("7"), ERR_PARSE },
		{ "", ERR_PARSE },
		{ "[]", ERR_PARSE },
		{ EVENT_BUNDLE_MAGIC, ERR_PARSE },
		{ EVENT_BUNDLE_MAGIC "{}", ERR_PARSE },
		{ EVENT_BUNDLE_MAGIC "{\"certificate\":\"\",\"sig\":\"\",\"signed\":"
				     "{\"_type\":\"dropped\"}}",
		    ERR_PARSE },
		{ EVENT_BUNDLE_ACK_MAGIC "{}", ERR_PARSE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct event_bundle b;
		struct fault f = { 0 };
		enum err e = event_bundle_read(&b, rows[i].text, strlen(rows[i].text), &f);
		bool as_told = rows[i].e == OK ? e == OK : e == ERR_PARSE || e == ERR_TOOBIG;

		if (!as_told)
			fail_msg("row %zu: %s, %s", i, err_word(e), fault_text(&f));
		event_bundle_free(&b);
	}
}

static void
a_bundle_that_is_full_says_that_more_waits(void **state)
{
	struct event_bundle_about about = { "example", AGENT, ours.agent.cert, ours.agent.key, 1 };
	const char *stored = "\"id\":\"x\",\"type\":\"t\"";
	struct event_bundle_writer *w;
	struct event_bundle_mark mark;
	struct fault f = { 0 };
	struct buf text;
	uint32_t seq = 1;
	enum err e = OK;

	(void)state;
	buf_init(&text, 4u << 20);
	assert_int_equal(event_bundle_new(&w, SOURCE, EPOCH, keep, &text), OK);
	for (; e == OK; seq += 2) /* every other number is missing: a batch for each event */
		e = event_bundle_add(w, EVENT_TASK, seq, stored, strlen(stored));
	assert_int_equal(e, ERR_TOOBIG);
	assert_int_equal(event_bundle_finish(w, &about, cJSON_CreateArray(), &mark, &f), OK);
	event_bundle_drop(w);
	assert_true(mark.more);
	assert_int_equal(mark.events, LIMIT_BUNDLE_BATCHES);
	assert_int_equal(mark.upto[EVENT_TASK], 2 * LIMIT_BUNDLE_BATCHES - 1);
	assert_int_equal(check(&text, clock_wall_ms()), OK);
	buf_free(&text);
}

static enum err
ack(struct event_bundle_ack *back, const struct world_cert *by, const char *org)
{
	struct event_bundle_about about = { org, NULL, by->cert, by->key, 1700000000000ll };
	struct event_bundle_ack a = { .agent = AGENT, .bundle = SHA, .upto = { 7, 0, 9 } };
	struct pki_trust t = { .ca_pem = ours.ca };
	struct fault f = { 0 };
	struct buf text;
	enum err e;

	buf_init(&text, LIMIT_PEM);
	assert_int_equal(event_bundle_ack_make(&text, &a, &about, &f), OK);
	e = event_bundle_ack_read(
	    back, buf_text(&text), text.len, &t, "example", clock_wall_ms(), &f);
	buf_free(&text);
	return e;
}

static void
only_the_console_acknowledges(void **state)
{
	struct event_bundle_ack back;

	(void)state;
	assert_int_equal(ack(&back, &ours.console, "example"), OK);
	assert_string_equal(back.agent, AGENT);
	assert_string_equal(back.bundle, SHA);
	assert_false(back.conflict);
	assert_int_equal(back.upto[EVENT_DETECTION], 7);
	assert_int_equal(back.upto[EVENT_TASK], 0);
	assert_int_equal(back.upto[EVENT_TELEMETRY], 9);
	assert_int_not_equal(ack(&back, &ours.agent, "example"), OK);
	assert_int_not_equal(ack(&back, &others.console, "other"), OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bundle_is_written_as_agreed),
		cmocka_unit_test(only_the_agent_that_it_names_may_sign),
		cmocka_unit_test(forms_that_cannot_be_are_refused),
		cmocka_unit_test(a_bundle_that_is_full_says_that_more_waits),
		cmocka_unit_test(only_the_console_acknowledges),
	};

	return cmocka_run_group_tests(tests, make_fleets, drop_fleets);
}
