/* Golden cases for CloudEvents: what is accepted, what is refused, and where. */
#include "base/limits.h"
#include "proto/event.h"
#include "proto/event_time.h"
#include "test.h"

#include <stdio.h>

#define MIN "\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\""
#define EV "{" MIN "}"
#define SPLIT 9999

static const struct {
	enum event_format format;
	const char *in;
	enum err want;
	size_t n; /* events, or index of the wrong one */
	size_t offset;
	const char *says;
} cases[] = {
	{ EVENT_SINGLE, EV, OK, 1, 0, "" },
	{ EVENT_SINGLE, "[" EV "," EV "]", OK, 2, 0, "" },
	{ EVENT_SINGLE, "  " EV " ", OK, 1, 0, "" },
	{ EVENT_BATCH, "[]", OK, 0, 0, "" },
	{ EVENT_BATCH, "[" EV "]", OK, 1, 0, "" },
	{ EVENT_BATCH, EV, ERR_PARSE, 0, 0, "must be an array" },
	{ EVENT_NDJSON, EV "\n" EV, OK, 2, 0, "" },
	{ EVENT_NDJSON, EV "\r\n\n" EV "\n", OK, 2, 0, "" },
	{ EVENT_NDJSON, "", OK, 0, 0, "" },
	{ EVENT_SINGLE, "", ERR_PARSE, 0, 0, "" },
	{ EVENT_SINGLE, "7", ERR_PARSE, 0, 0, "must be an object" },
	{ EVENT_SINGLE, "{" MIN ",\"data\":{\"a\":[1,2.5,null]}}", OK, 1, 0, "" },
	{ EVENT_SINGLE, "{" MIN ",\"subject\":null,\"x\":1,\"y\":true,\"z\":\"\"}", OK, 1, 0, "" },
	{ EVENT_SINGLE, "{" MIN ",\"time\":\"2026-11-24T10:00:00+02:00\"}", OK, 1, 0, "" },
	{ EVENT_SINGLE, "{" MIN ",\"data_base64\":\"AAAA\"}", OK, 1, 0, "" },
	{ EVENT_SINGLE, "{" MIN ",\"data_base64\":\"AA=A\"}", ERR_PARSE, 0, 0, "base64" },
	{ EVENT_SINGLE, "{" MIN ",\"data_base64\":\"AAAA\",\"data\":1}", ERR_PARSE, 0, 0,
	    "exclude" },
	{ EVENT_SINGLE, "{" MIN ",\"time\":\"yesterday\"}", ERR_PARSE, 0, 0, "RFC 3339" },
	{ EVENT_SINGLE, "{" MIN ",\"Upper\":1}", ERR_PARSE, 0, 0, "lower-case" },
	{ EVENT_SINGLE, "{" MIN ",\"x\":{}}", ERR_PARSE, 0, 0, "structure belongs" },
	{ EVENT_SINGLE, "{" MIN ",\"x\":1.5}", ERR_PARSE, 0, 0, "32 bits" },
	{ EVENT_SINGLE, "{" MIN ",\"x\":2147483648}", ERR_PARSE, 0, 0, "32 bits" },
	{ EVENT_SINGLE, "{" MIN ",\"id\":\"2\"}", ERR_PARSE, 0, SPLIT, "" },
	{ EVENT_SINGLE, "{\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}",
	    ERR_PARSE, 0, 0, "must be \"1.0\"" },
	{ EVENT_SINGLE, "{\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}", ERR_PARSE, 0, 0,
	    "'specversion' is missing" },
	{ EVENT_SINGLE, "{\"specversion\":\"1.0\",\"id\":\"\",\"source\":\"/s\",\"type\":\"t\"}",
	    ERR_PARSE, 0, 0, "must not be empty" },
	{ EVENT_SINGLE,
	    "{\"specversion\":\"1.0\",\"id\":\"a\\nb\",\"source\":\"/s\",\"type\":\"t\"}",
	    ERR_PARSE, 0, 0, "control" },
	{ EVENT_SINGLE,
	    "{\"specversion\":\"1.0\",\"id\":\"\\u0085\",\"source\":\"/s\",\"type\":\"t\"}",
	    ERR_PARSE, 0, 0, "control" },
	{ EVENT_BATCH, "[" EV ", {\"a\":\"]},[\"}]", ERR_PARSE, 1, sizeof EV + 2, "is missing" },
	{ EVENT_BATCH, "[" EV "," EV ",7]", ERR_PARSE, 2, 2 * sizeof EV + 1, "must be an object" },
	{ EVENT_BATCH, "[" EV "," EV ",}", ERR_PARSE, 2, 2 * sizeof EV + 1, "" },
	{ EVENT_BATCH, "[" EV "," EV, ERR_PARSE, 1, 2 * sizeof EV, "" },
	{ EVENT_BATCH, "[" EV "," EV "," EV "," EV "," EV "]", ERR_TOOBIG, 4, 4 * sizeof EV + 1,
	    "more than 4" },
	{ EVENT_NDJSON, EV "\n{\"a\":01}\n", ERR_PARSE, 1, SPLIT, "" },
	{ EVENT_NDJSON, EV "\n\n7", ERR_PARSE, 1, sizeof EV + 1, "must be an object" },
};

static void
accepts_and_refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		size_t n = strlen(cases[i].in);
		char *copy = test_copy(cases[i].in, n);
		struct event_where w;
		struct event_list l;
		struct fault f = { OK, "" };
		enum err e = event_list_parse(&l, cases[i].format, copy, n, 4, &w, &f);

		if (e != cases[i].want)
			print_message("case %zu: %s: %s\n", i, cases[i].in, fault_text(&f));
		assert_int_equal(e, cases[i].want);
		if (e == OK)
			assert_int_equal(l.n, cases[i].n);
		else
			assert_int_equal(w.index, cases[i].n);
		if (e != OK && cases[i].offset != SPLIT)
			assert_int_equal(w.offset, cases[i].offset);
		if (strstr(fault_text(&f), cases[i].says) == NULL)
			print_message("case %zu says: %s\n", i, fault_text(&f));
		assert_non_null(strstr(fault_text(&f), cases[i].says));
		event_list_free(&l);
		free(copy);
	}
}

static void
one_long_event_refuses_the_batch(void **state)
{
	size_t n = 2 * LIMIT_EVENT_BYTES + 1000;
	char *text = calloc(1, n);
	struct event_where w;
	struct event_list l;
	struct fault f = { OK, "" };
	size_t used;

	(void)state;
	assert_non_null(text);
	used = (size_t)snprintf(text, n, "[%s,{%s,\"data\":\"", EV, MIN);
	memset(text + used, 'x', LIMIT_EVENT_BYTES);
	memcpy(text + used + LIMIT_EVENT_BYTES, "\"}]", 3);
	assert_int_equal(
	    event_list_parse(&l, EVENT_BATCH, text, used + LIMIT_EVENT_BYTES + 3, 4, &w, &f),
	    ERR_TOOBIG);
	assert_int_equal(w.index, 1);
	assert_int_equal(w.offset, sizeof EV + 1);
	free(text);
}

static void
times(void **state)
{
	static const struct {
		const char *in;
		enum err want;
		int64_t ms;
	} t[] = {
		{ "1970-01-01T00:00:01Z", OK, 1000 },
		{ "1970-01-01t02:00:01.25+02:00", OK, 1250 },
		{ "1970-01-01T00:00:00.5-00:30", OK, 1800500 },
		{ "1970-01-01T00:00:01z", OK, 1000 },
		{ "1970-01-01T00:00:01", ERR_PARSE, 0 },
		{ "1970-01-01T00:00:01+0200", ERR_PARSE, 0 },
		{ "1970-01-01T00:00:01+24:00", ERR_PARSE, 0 },
		{ "1970-01-01 00:00:01Z", ERR_PARSE, 0 },
	};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		assert_int_equal(event_time_parse(t[i].in, strlen(t[i].in), &ms), t[i].want);
		if (t[i].want == OK)
			assert_int_equal(ms, t[i].ms);
	}
}

#define EPOCH "00112233445566778899aabbccddeeff"

static void
stored_form_becomes_the_event_again(void **state)
{
	static const char in[] = "{" MIN ",\"time\":\"1970-01-01T00:00:01Z\",\"subject\":\"x\","
				 "\"atalaiauid\":0,\"atalaiaseq\":9,\"data\":{\"k\":[1,0.5]}}";
	static const char want[] =
	    "{\"specversion\":\"1.0\",\"source\":\"atalaia://o/agent/u\","
	    "\"id\":\"I\",\"time\":\"1970-01-01T00:00:01.000Z\","
	    "\"datacontenttype\":\"application/json\",\"atalaiaclass\":\"telemetry\","
	    "\"atalaiauid\":1000,\"atalaiapid\":7,\"atalaiaexe\":\"/usr/bin/"
	    "x\",\"atalaiaid\":\"1\",\"atalaiasource\":\"/s\","
	    "\"type\":\"t\",\"subject\":\"x\",\"data\":{\"k\":[1,0.5]},"
	    "\"atalaiaepoch\":\"" EPOCH "\",\"atalaiaseq\":5}";
	struct event_stamp s = { EVENT_TELEMETRY, "I", 5000, true, 1000, 7, "/usr/bin/x" };
	struct event_key key;
	struct event_list l;
	struct buf stored, sent;

	(void)state;
	buf_init(&stored, 4096);
	buf_init(&sent, 4096);
	assert_int_equal(event_list_parse(&l, EVENT_SINGLE, in, strlen(in), 1, NULL, NULL), OK);
	assert_int_equal(event_store_form(l.items[0], &s, &stored), OK);
	event_list_free(&l);
	assert_int_equal(
	    event_send_form(&sent, stored.data, stored.len, "atalaia://o/agent/u", EPOCH, 5), OK);
	assert_string_equal(buf_text(&sent), want);
	assert_int_equal(
	    event_list_parse(&l, EVENT_SINGLE, buf_text(&sent), sent.len, 1, NULL, NULL), OK);
	assert_int_equal(event_key_read(l.items[0], &key, NULL), OK);
	assert_int_equal(key.seq, 5);
	assert_int_equal(key.class, EVENT_TELEMETRY);
	assert_string_equal(key.epoch, EPOCH);
	event_list_free(&l);
	buf_free(&stored);
	buf_free(&sent);
}

static void
acks(void **state)
{
	static const struct {
		const char *in;
		enum err want;
		uint32_t seq;
	} t[] = {
		{ "{\"acks\":{\"task\":{\"epoch\":\"" EPOCH "\",\"seq\":7}}}", OK, 7 },
		{ "{\"acks\":{\"other\":1,\"task\":{\"epoch\":\"" EPOCH "\",\"seq\":1}}}", OK, 1 },
		{ "{\"acks\":{}}", OK, 0 },
		{ "{\"acks\":{\"task\":{\"epoch\":\"X\",\"seq\":7}}}", ERR_PARSE, 0 },
		{ "{\"acks\":{\"task\":{\"epoch\":\"" EPOCH "\",\"seq\":-1}}}", ERR_PARSE, 0 },
		{ "{\"acks\":{\"task\":{\"epoch\":\"" EPOCH "\",\"seq\":2147483648}}}", ERR_PARSE,
		    0 },
		{ "{\"acks\":[]}", ERR_PARSE, 0 },
		{ "ok", ERR_PARSE, 0 },
		{ "", ERR_PARSE, 0 },
	};
	struct event_ack got[EVENT_CLASSES];
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		assert_int_equal(event_acks_parse(got, t[i].in, strlen(t[i].in), NULL), t[i].want);
		if (t[i].want == OK)
			assert_int_equal(got[EVENT_TASK].seq, t[i].seq);
	}
	assert_int_equal(event_acks_parse(got, t[0].in, strlen(t[0].in), NULL), OK);
	buf_init(&b, 4096);
	assert_int_equal(event_acks_print(&b, got), OK);
	assert_string_equal(buf_text(&b), t[0].in);
	buf_free(&b);
}

static void
formats(void **state)
{
	enum event_format format;

	(void)state;
	assert_int_equal(event_format_of("application/json", &format), OK);
	assert_int_equal(
	    event_format_of("Application/CloudEvents+JSON; charset=utf-8", &format), OK);
	assert_int_equal(format, EVENT_SINGLE);
	assert_int_equal(event_format_of("application/cloudevents-batch+json", &format), OK);
	assert_int_equal(format, EVENT_BATCH);
	assert_int_equal(event_format_of("text/plain", &format), ERR_UNSUPPORTED);
	assert_int_equal(event_format_of("", &format), ERR_UNSUPPORTED);
	assert_int_equal(event_format_of("application/jsonx", &format), ERR_UNSUPPORTED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_and_refuses),
		cmocka_unit_test(one_long_event_refuses_the_batch),
		cmocka_unit_test(times),
		cmocka_unit_test(stored_form_becomes_the_event_again),
		cmocka_unit_test(acks),
		cmocka_unit_test(formats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
