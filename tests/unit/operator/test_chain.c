/* why-old: one broken world a row, and the first broken link that must be named. */
#include "base/clock.h"
#include "base/json.h"
#include "chain.h"
#include "test.h"

#define NOW "2026-11-24T12:00:00Z"
#define GOOD_ID                                                                                    \
	"\"identity\":{\"enrolled\":true,\"org\":\"x\",\"certificate_until\":\"2026-12-24T00:00:"  \
	"00Z\"},"                                                                                  \
	"\"policy\":{\"authority\":true}"
#define FEED(more)                                                                                 \
	"\"feeds\":[{\"feed\":\"signatures\",\"checked\":\"2026-11-24T11:00:00Z\","                \
	"\"sources\":[\"server\"],\"failing\":[]," more "}]"
#define GOOD_FEED FEED("\"version\":3,\"offered\":3,\"last\":\"current\"")

static const struct {
	const char *status, *first, *says;
} cases[] = {
	{ "{" GOOD_ID "," GOOD_FEED "}", NULL, NULL },
	{ "{\"clock_behind\":true,\"verified_time\":\"2030\"," GOOD_ID "," GOOD_FEED "}", "clock",
	    "2030" },
	{ "{\"identity\":{\"enrolled\":false},\"feeds\":[]}", "enrolment", "not enrolled" },
	{ "{\"identity\":{\"enrolled\":true,\"certificate_until\":\"2026-01-01T00:00:00Z\"},"
	  "\"policy\":{\"authority\":true}," GOOD_FEED "}",
	    "certificate", "2026-01-01" },
	{ "{\"identity\":{\"enrolled\":true},\"policy\":{\"authority\":false}," GOOD_FEED "}",
	    "trust", "no authority" },
	{ "{" GOOD_ID
	  ",\"feeds\":[{\"feed\":\"signatures\",\"version\":3,\"checked\":\"2026-11-24T11:00:00Z\","
	  "\"sources\":[],\"failing\":[{\"source\":\"branch\",\"fails\":2,\"error\":\"404\"}]}]}",
	    "sources", "every source failed" },
	{ "{" GOOD_ID "," FEED("\"version\":3,\"last\":\"failed\",\"why\":\"bad hash\"") "}",
	    "transfer", "bad hash" },
	{ "{" GOOD_ID "," FEED(
	      "\"version\":3,\"stale\":true,\"expires\":\"2026-11-01\",\"last\":\"current\"") "}",
	    "freshness", "2026-11-01" },
	{ "{" GOOD_ID
	  "," FEED("\"version\":3,\"offered\":4,\"rejected\":[{\"version\":4,\"rule\":\"load\","
		   "\"why\":\"crash\"}]") "}",
	    "offer", "version 4" },
	{ "{" GOOD_ID "," FEED("\"version\":3,\"pinned\":3,\"pinned_until\":\"2026-12-01\"") "}",
	    "pin", "2026-12-01" },
	{ "{" GOOD_ID "," FEED("\"version\":0") "}", "age", "no set" },
	{ "{" GOOD_ID "," GOOD_FEED
	  ",\"engine\":{\"type\":\"clamd\",\"up\":false,\"error\":\"gone\"}}",
	    "engine", "gone" },
};

static void
the_first_broken_link_is_named(void **state)
{
	static struct chain c;
	int64_t now;

	assert_int_equal(clock_parse(NOW, strlen(NOW), &now), OK);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct link *first = NULL;
		cJSON *s;

		assert_int_equal(
		    json_parse(&s, cases[i].status, strlen(cases[i].status), JSON_EVENT, NULL), OK);
		chain_walk(&c, s, NULL, now, 26 * 3600 * 1000);
		for (size_t k = c.n; k > 0; k--)
			if (c.links[k - 1].broken)
				first = &c.links[k - 1];
		if (cases[i].first == NULL) {
			assert_null(first);
			assert_int_equal(c.broken, 0);
		} else {
			assert_non_null(first);
			assert_string_equal(first->name, cases[i].first);
			assert_non_null(strstr(first->text, cases[i].says));
		}
		cJSON_Delete(s);
	}
}

static void
a_feed_that_was_verified_long_ago_is_old(void **state)
{
	static const char text[] = "{" GOOD_ID "," GOOD_FEED "}";
	static struct chain c;
	cJSON *s;
	int64_t now;

	assert_int_equal(clock_parse(NOW, strlen(NOW), &now), OK);
	assert_int_equal(json_parse(&s, text, sizeof text - 1, JSON_EVENT, NULL), OK);
	chain_walk(&c, s, NULL, now, 1000);
	assert_int_equal(c.broken, 1);
	chain_walk(&c, s, "policies", now, 1000);
	assert_int_equal(c.broken, 0);
	cJSON_Delete(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_broken_link_is_named),
		cmocka_unit_test(a_feed_that_was_verified_long_ago_is_old),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
