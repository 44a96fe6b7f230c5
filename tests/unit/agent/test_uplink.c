/* What a batch looks like for each receiver, and what each answer allows to delete. */
#include "test.h"
#include "uplink_batch.h"
#include "uplink_gzip.h"

#include <stdio.h>
#include <zlib.h>

#define EPOCH "00112233445566778899aabbccddeeff"
#define OTHER "ffeeddccbbaa99887766554433221100"
#define SOURCE "atalaia://o/agent/a"

/* Two detections (7, 8), one task event (3), three of telemetry (100..102). */
static const struct {
	unsigned class;
	uint32_t seq;
} rows[] = { { 0, 7 }, { 0, 8 }, { 1, 3 }, { 2, 100 }, { 2, 101 }, { 2, 102 } };
#define ROWS (sizeof rows / sizeof rows[0])

static struct spool_picked items[ROWS];
static char bodies[ROWS][160];
static struct spool_batch batch = { .epoch = EPOCH, .items = items, .n = ROWS };

static int
setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		int n = snprintf(bodies[i], sizeof bodies[i],
		    "\"id\":\"0191c0de-0000-7000-8000-00000000000%zu\",\"time\":\"1970-01-01T00:00:"
		    "0%zu.250Z\","
		    "\"type\":\"t\"",
		    i, i);

		items[i] = (struct spool_picked){ rows[i].class, rows[i].seq, 0,
			(uint8_t *)bodies[i], (size_t)n };
	}
	return 0;
}

static struct uplink_sent
build(struct buf *out, enum uplink_format format, size_t events, size_t bytes)
{
	struct uplink_sent sent;

	buf_init(out, 1 << 20);
	assert_int_equal(uplink_build(out, &batch, format, SOURCE, events, bytes, &sent), OK);
	return sent;
}

static void
batches_hold_what_fits(void **state)
{
	struct uplink_sent sent;
	struct event_list l;
	struct buf b;

	(void)state;
	sent = build(&b, UPLINK_CONSOLE, 500, 262144);
	assert_int_equal(sent.n, ROWS);
	assert_int_equal(sent.class[0].first, 7);
	assert_int_equal(sent.class[0].last, 8);
	assert_int_equal(sent.class[2].first, 100);
	assert_int_equal(sent.class[2].last, 102);
	assert_int_equal(
	    event_list_parse(&l, EVENT_BATCH, buf_text(&b), b.len, 10, NULL, NULL), OK);
	assert_int_equal(l.n, ROWS);
	event_list_free(&l);
	buf_free(&b);
	sent = build(&b, UPLINK_CONSOLE, 4, 262144);
	assert_int_equal(sent.n, 4);
	assert_int_equal(sent.class[2].last, 100);
	buf_free(&b);
	sent = build(&b, UPLINK_CONSOLE, 500, 500); /* bytes bind */
	assert_in_range(sent.n, 1, 2);
	assert_true(b.len <= 500);
	assert_int_equal(
	    event_list_parse(&l, EVENT_BATCH, buf_text(&b), b.len, 10, NULL, NULL), OK);
	event_list_free(&l);
	buf_free(&b);
	sent = build(&b, UPLINK_CONSOLE, 500, 10); /* one always goes */
	assert_int_equal(sent.n, 1);
	buf_free(&b);
}

static void
other_receivers_get_their_form(void **state)
{
	struct uplink_sent sent;
	struct event_list l;
	struct buf b;

	(void)state;
	sent = build(&b, UPLINK_NDJSON, 2, 262144);
	assert_int_equal(
	    event_list_parse(&l, EVENT_NDJSON, buf_text(&b), b.len, 10, NULL, NULL), OK);
	assert_int_equal(l.n, 2);
	event_list_free(&l);
	buf_free(&b);
	sent = build(&b, UPLINK_ELASTIC, 1, 262144);
	assert_int_equal(sent.n, 1);
	assert_ptr_equal(strstr(buf_text(&b), "{\"create\":{\"_id\":\"0191c0de-0000-7000-8000-"
					      "000000000000\"}}\n{\"specversion\""),
	    buf_text(&b));
	assert_int_equal(b.data[b.len - 1], '\n');
	buf_free(&b);
	sent = build(&b, UPLINK_SPLUNK, 1, 262144);
	assert_ptr_equal(strstr(buf_text(&b), "{\"time\":0.250,\"source\":\"" SOURCE
					      "\",\"sourcetype\":\"_json\",\"event\":{"),
	    buf_text(&b));
	buf_free(&b);
}

#define ACK(class, epoch, seq) "\"" class "\":{\"epoch\":\"" epoch "\",\"seq\":" #seq "}"
#define ACKS(list) "{\"acks\":{" list "}}"
#define ITEM(s) "{\"create\":{\"status\":" #s "}}"
#define BULK(list) "{\"took\":1,\"errors\":true,\"items\":[" list "]}"

static const struct {
	const char *what;
	enum uplink_format format;
	int status;
	const char *retry, *body;
	enum uplink_action action;
	uint32_t upto[EVENT_CLASSES];
	size_t index;
	uint64_t wait_ms;
	enum err fault;
} cases[] = {
	{ "all", UPLINK_CONSOLE, 200, NULL,
	    ACKS(ACK("detection", EPOCH, 8) "," ACK("task", EPOCH, 3) "," ACK(
		"telemetry", EPOCH, 102)),
	    UPLINK_TAKEN, { 8, 3, 102 }, 0, 0, OK },
	{ "part", UPLINK_CONSOLE, 200, NULL, ACKS(ACK("detection", EPOCH, 7)), UPLINK_TAKEN,
	    { 7, 0, 0 }, 0, 0, OK },
	{ "beyond", UPLINK_CONSOLE, 200, NULL,
	    ACKS(ACK("detection", EPOCH, 9) "," ACK("task", EPOCH, 3)), UPLINK_LATER, { 0, 3, 0 },
	    0, 0, ERR_VERIFY },
	{ "far beyond", UPLINK_CONSOLE, 200, NULL, ACKS(ACK("telemetry", EPOCH, 2147483647)),
	    UPLINK_LATER, { 0, 0, 0 }, 0, 0, ERR_VERIFY },
	{ "backwards", UPLINK_CONSOLE, 200, NULL, ACKS(ACK("telemetry", EPOCH, 99)), UPLINK_LATER,
	    { 0, 0, 0 }, 0, 0, ERR_VERIFY },
	{ "another epoch", UPLINK_CONSOLE, 200, NULL, ACKS(ACK("telemetry", OTHER, 102)),
	    UPLINK_LATER, { 0, 0, 0 }, 0, 0, ERR_VERIFY },
	{ "nothing", UPLINK_CONSOLE, 200, NULL, ACKS(""), UPLINK_LATER, { 0, 0, 0 }, 0, 0,
	    ERR_VERIFY },
	{ "no document", UPLINK_CONSOLE, 200, NULL, "OK", UPLINK_LATER, { 0, 0, 0 }, 0, 0,
	    ERR_PARSE },
	{ "cut document", UPLINK_CONSOLE, 200, NULL, "{\"acks\":{\"task\":{", UPLINK_LATER,
	    { 0, 0, 0 }, 0, 0, ERR_PARSE },
	{ "202 without acks", UPLINK_CONSOLE, 202, NULL, "", UPLINK_LATER, { 0, 0, 0 }, 0, 0,
	    ERR_PARSE },
	{ "named", UPLINK_CONSOLE, 400, NULL, "{\"code\":\"x\",\"index\":5}", UPLINK_BURY,
	    { 0, 0, 0 }, 5, 0, ERR_INVAL },
	{ "named wrongly", UPLINK_CONSOLE, 400, NULL, "{\"index\":6}", UPLINK_HALVE, { 0, 0, 0 }, 0,
	    0, ERR_INVAL },
	{ "unnamed", UPLINK_CONSOLE, 400, NULL, "bad", UPLINK_HALVE, { 0, 0, 0 }, 0, 0, ERR_INVAL },
	{ "too large", UPLINK_CONSOLE, 413, NULL, "", UPLINK_HALVE, { 0, 0, 0 }, 0, 0, ERR_TOOBIG },
	{ "conflict", UPLINK_CONSOLE, 409, NULL, "", UPLINK_EPOCH, { 0, 0, 0 }, 0, 0, ERR_EXISTS },
	{ "slow down", UPLINK_CONSOLE, 429, "7", "", UPLINK_LATER, { 0, 0, 0 }, 0, 7000, ERR_BUSY },
	{ "for years", UPLINK_CONSOLE, 503, "86000", "", UPLINK_LATER, { 0, 0, 0 }, 0, 3600000,
	    ERR_BUSY },
	{ "a date", UPLINK_CONSOLE, 503, "Fri, 31 Dec 1999 23:59:59 GMT", "", UPLINK_LATER,
	    { 0, 0, 0 }, 0, 0, ERR_BUSY },
	{ "no entry", UPLINK_CONSOLE, 401, NULL, "", UPLINK_LATER, { 0, 0, 0 }, 0, 0, ERR_AUTH },
	{ "moved", UPLINK_CONSOLE, 302, NULL, "", UPLINK_LATER, { 0, 0, 0 }, 0, 0, ERR_BUSY },
	{ "collector", UPLINK_JSON, 204, NULL, "", UPLINK_TAKEN, { 8, 3, 102 }, 0, 0, OK },
	{ "collector conflict", UPLINK_JSON, 409, NULL, "", UPLINK_LATER, { 0, 0, 0 }, 0, 0,
	    ERR_BUSY },
	{ "hec", UPLINK_SPLUNK, 400, NULL,
	    "{\"text\":\"Invalid data format\",\"code\":6,\"invalid-event-number\":2}", UPLINK_BURY,
	    { 0, 0, 0 }, 2, 0, ERR_INVAL },
	{ "bulk all, one known", UPLINK_ELASTIC, 200, NULL,
	    BULK(ITEM(201) "," ITEM(201) "," ITEM(409) "," ITEM(201) "," ITEM(201) "," ITEM(201)),
	    UPLINK_TAKEN, { 8, 3, 102 }, 0, 0, OK },
	{ "bulk one bad", UPLINK_ELASTIC, 200, NULL,
	    BULK(ITEM(201) "," ITEM(201) "," ITEM(400) "," ITEM(201) "," ITEM(201) "," ITEM(201)),
	    UPLINK_BURY, { 8, 0, 0 }, 2, 0, ERR_INVAL },
	{ "bulk busy", UPLINK_ELASTIC, 200, NULL,
	    BULK(ITEM(201) "," ITEM(429) "," ITEM(429) "," ITEM(429) "," ITEM(429) "," ITEM(429)),
	    UPLINK_LATER, { 7, 0, 0 }, 0, 0, ERR_BUSY },
	{ "bulk short", UPLINK_ELASTIC, 200, NULL, BULK(ITEM(201)), UPLINK_LATER, { 0, 0, 0 }, 0, 0,
	    ERR_PARSE },
};

static void
answers_allow_only_what_they_prove(void **state)
{
	struct uplink_sent sent;
	struct buf b;

	(void)state;
	sent = build(&b, UPLINK_CONSOLE, 500, 262144);
	buf_free(&b);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct uplink_verdict v;

		uplink_judge(&v, cases[i].format, &sent, &batch, cases[i].status, cases[i].retry,
		    cases[i].body, strlen(cases[i].body));
		if (v.action != cases[i].action || v.fault.code != cases[i].fault)
			print_message(
			    "%s: action %d, %s\n", cases[i].what, v.action, fault_text(&v.fault));
		assert_int_equal(v.action, cases[i].action);
		assert_memory_equal(v.upto, cases[i].upto, sizeof v.upto);
		assert_int_equal(v.fault.code, cases[i].fault);
		assert_int_equal(v.wait_ms, cases[i].wait_ms);
		if (v.action == UPLINK_BURY)
			assert_int_equal(v.index, cases[i].index);
	}
}

static void
a_single_refused_event_is_the_wrong_one(void **state)
{
	struct uplink_verdict v;
	struct uplink_sent sent;
	struct buf b;

	(void)state;
	sent = build(&b, UPLINK_CONSOLE, 1, 262144);
	buf_free(&b);
	uplink_judge(&v, UPLINK_CONSOLE, &sent, &batch, 400, NULL, NULL, 0);
	assert_int_equal(v.action, UPLINK_BURY);
	assert_int_equal(v.index, 0);
	uplink_judge(&v, UPLINK_CONSOLE, &sent, &batch, 413, NULL, NULL, 0);
	assert_int_equal(v.action, UPLINK_BURY);
}

static void
gzip(void **state)
{
	static const struct {
		const char *value;
		bool offered;
	} offers[] = { { "gzip", true }, { "identity", false }, { "deflate, GZIP;q=0.5", true },
		{ "gzip;q=0", false }, { "gzip; q=0.000", false }, { "", false },
		{ "xgzip", false }, { "br,gzip", true }, { ",,gzip", true } };
	unsigned char plain[4096];
	z_stream z = { 0 };
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof offers / sizeof offers[0]; i++)
		assert_int_equal(uplink_offers_gzip(offers[i].value), offers[i].offered);
	buf_init(&b, 1 << 20);
	for (int i = 0; i < 100; i++)
		assert_int_equal(buf_puts(&b, "{\"specversion\":\"1.0\"},"), OK);
	assert_int_equal(uplink_gzip(&b), OK);
	assert_true(b.len < 200);
	z.next_in = b.data;
	z.avail_in = (uInt)b.len;
	z.next_out = plain;
	z.avail_out = sizeof plain;
	assert_int_equal(inflateInit2(&z, 31), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.total_out, 2200);
	(void)inflateEnd(&z);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batches_hold_what_fits),
		cmocka_unit_test(other_receivers_get_their_form),
		cmocka_unit_test(answers_allow_only_what_they_prove),
		cmocka_unit_test(a_single_refused_event_is_the_wrong_one),
		cmocka_unit_test(gzip),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
