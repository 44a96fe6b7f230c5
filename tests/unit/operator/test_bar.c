/* The progress line, over a transfer of a minute. */
#include "bar.h"
#include "base/json.h"

#include "test.h"

#include <stdio.h>

static void
line(struct bar *b, uint64_t now, const char *json, const char *want)
{
	char got[400];
	cJSON *feed;

	assert_int_equal(json_parse(&feed, json, strlen(json), JSON_EVENT, NULL), OK);
	bar_line(b, got, sizeof got, feed, now);
	assert_string_equal(got, want);
	cJSON_Delete(feed);
}

#define FEED(phase, file, done, total)                                                             \
	"{\"feed\":\"signatures\",\"state\":\"fetch\",\"phase\":\"" phase "\",\"file\":\"" file    \
	"\",\"from\":\"branch\",\"done\":" #done ",\"total\":" #total "}"

static void
a_minute(void **state)
{
	struct bar b = { .first_ms = 0 };

	(void)state;
	line(&b, 5000, FEED("metadata", "timestamp.json", 0, 0),
	    "signatures fetch metadata [                        ] 0 B of 0 B, from branch");
	line(&b, 5100, FEED("download", "delta/a.hdb.1.d", 0, 1048576),
	    "signatures fetch download delta [                        ] 0 B of 1024 KiB, from "
	    "branch");
	line(&b, 5600, FEED("download", "delta/a.hdb.1.d", 131072, 1048576),
	    "signatures fetch download delta [###                     ] 128 KiB of 1024 KiB, from "
	    "branch");
	line(&b, 9100, FEED("download", "delta/a.hdb.1.d", 524288, 1048576),
	    "signatures fetch download delta [############            ] 512 KiB of 1024 KiB, 128 "
	    "KiB/s, "
	    "still 4 s, from branch");
	line(&b, 9200, FEED("download", "full/a.hdb.zst", 10, 1000),
	    "signatures fetch download full [                        ] 10 B of 1000 B, from "
	    "branch");
	line(&b, 19200, FEED("download", "a.hdb", 11, 100000000),
	    "signatures fetch download full [                        ] 11 B of 95 MiB, 0 B/s, from "
	    "branch");
	line(&b, 20200, FEED("download", "a.hdb", 220010, 100000000),
	    "signatures fetch download full [                        ] 214 KiB of 95 MiB, 19 "
	    "KiB/s, "
	    "still 83 min, from branch");
	line(&b, 99200, FEED("download", "a.hdb", 999, 10),
	    "signatures fetch download full [########################] 999 B of 10 B, 10 B/s, from "
	    "branch");
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_minute) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
