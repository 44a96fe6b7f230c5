/* Refusals that are told: the first of each kind and source, then one a minute with the count; a
 * crowd of sources shares what is left. */
#include "net/refusals.h"
#include "test.h"

#include <stdio.h>

static void
the_first_is_told_and_the_rest_counted(void **state)
{
	struct refusals x = { 0 };
	uint64_t n = 0, now = 5;

	assert_true(refusals_tell(&x, "handshake", "10.0.0.1", now, &n));
	assert_int_equal(n, 1);
	for (int i = 0; i < 100; i++)
		assert_false(refusals_tell(&x, "handshake", "10.0.0.1", now + 100, &n));
	assert_true(refusals_tell(&x, "wrong-role", "10.0.0.1", now + 200, &n));
	assert_true(refusals_tell(&x, "handshake", "10.0.0.2", now + 200, &n));
	assert_int_equal(n, 1);
	assert_true(refusals_tell(&x, "handshake", "10.0.0.1", now + REFUSALS_PAUSE_MS, &n));
	assert_int_equal(n, 101);
}

static void
a_crowd_of_sources_stays_within_the_slots_and_is_counted(void **state)
{
	struct refusals x = { 0 };
	uint64_t n, told = 0, counted = 0, now = 1;
	char peer[32];

	for (int i = 0; i < 5000; i++) {
		(void)snprintf(peer, sizeof peer, "10.0.%d.%d", i / 250, i % 250);
		n = 0;
		told += refusals_tell(&x, "handshake", peer, now, &n);
		counted += n;
	}
	assert_int_equal(told, REFUSALS_SLOTS + 1);
	now += REFUSALS_PAUSE_MS;
	for (int i = 0; i < 5000; i++) {
		(void)snprintf(peer, sizeof peer, "10.1.%d.%d", i / 250, i % 250);
		n = 0;
		told += refusals_tell(&x, "handshake", peer, now, &n);
		counted += n;
	}
	assert_int_equal(told, 2 * (REFUSALS_SLOTS + 1));
	assert_int_equal(counted, 5000 + REFUSALS_SLOTS + 1); /* all of the first minute */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_is_told_and_the_rest_counted),
		cmocka_unit_test(a_crowd_of_sources_stays_within_the_slots_and_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
