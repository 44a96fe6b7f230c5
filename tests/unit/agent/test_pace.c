/* When: the next check, Retry-After, restarts of a child, renewal of a certificate; and what may
 * follow what in an update. */
#include "backoff.h"
#include "flow.h"
#include "renew.h"
#include "schedule.h"
#include "test.h"

static void
a_check_follows_the_interval_or_the_earliest_useful_moment(void **state)
{
	struct schedule_in in = { .interval_ms = 1000, .jitter_ms = 100, .seed = 7, .now = 50 };

	assert_int_equal(schedule_next(&in), 1007);
	in.jitter_ms = 0;
	assert_int_equal(schedule_next(&in), 1000);
	in.failed = true;
	in.retry_at = 80;
	assert_int_equal(schedule_next(&in), 30);
	in.retry_at = 10; /* the moment has passed */
	assert_int_equal(schedule_next(&in), 1);
	in.retry_at = 99999; /* never later than a check without a failure */
	assert_int_equal(schedule_next(&in), 1000);
	in.retry_at = 0; /* nobody to ask */
	assert_int_equal(schedule_next(&in), 1000);
}

static void
retry_after_is_capped_and_jittered(void **state)
{
	assert_int_equal(schedule_spread(0, 1000, 12345), 0);
	assert_int_equal(schedule_spread(400, 1000, 0), 400);
	assert_in_range(schedule_spread(400, 1000, 99), 400, 500);
	assert_in_range(schedule_spread(UINT64_MAX, 1000, 98765), 1000, 1250);
}

static void
a_child_that_keeps_dying_is_fenced(void **state)
{
	struct backoff b = { 0 };

	assert_int_equal(backoff_next(&b, 0, 5, 0), 500);
	assert_int_equal(backoff_next(&b, 0, 5, 0), 1000);
	assert_int_equal(backoff_next(&b, 0, 5, 0), 2000);
	assert_int_equal(backoff_next(&b, 0, 5, 0), 4000);
	assert_true(backoff_next(&b, 0, 5, 0) == BACKOFF_FENCED);
	assert_true(backoff_next(&b, 0, 5, 0) == BACKOFF_FENCED);
	assert_int_equal(backoff_next(&b, 0, 600000, 0), 500); /* it worked for ten minutes */
	backoff_clear(&b);
	assert_int_equal(backoff_next(&b, 0, 5, 0), 500);
}

static void
renewal_comes_at_two_thirds_of_life(void **state)
{
	assert_int_equal(renewal_due(0, 30), 20);
	assert_int_equal(renewal_due(100, 100), 100);
	assert_int_equal(renewal_due(100, 50), 100);
}

static enum flow_state
run(enum flow_state s, const enum flow_input *in, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(flow_next(s, in[i], &s), OK);
	return s;
}

static void
an_update_goes_its_way_and_back(void **state)
{
	const enum flow_input good[] = { FLOW_GO, FLOW_ASKED, FLOW_STAGED, FLOW_PASSED, FLOW_ACTIVE,
		FLOW_HEALTHY };
	const enum flow_input sick[] = { FLOW_GO, FLOW_ASKED, FLOW_STAGED, FLOW_PASSED, FLOW_ACTIVE,
		FLOW_SICK, FLOW_BACK };
	const enum flow_input refused[] = { FLOW_GO, FLOW_ASKED, FLOW_STAGED, FLOW_REFUSED };
	const enum flow_input pin[] = { FLOW_SWITCH, FLOW_PASSED, FLOW_ACTIVE, FLOW_HEALTHY };
	const enum flow_input stopped[] = { FLOW_GO, FLOW_ASKED, FLOW_CANCEL, FLOW_NOTHING };

	assert_int_equal(run(FLOW_IDLE, good, 6), FLOW_IDLE);
	assert_int_equal(run(FLOW_IDLE, sick, 7), FLOW_IDLE);
	assert_int_equal(run(FLOW_IDLE, refused, 4), FLOW_IDLE);
	assert_int_equal(run(FLOW_IDLE, pin, 4), FLOW_IDLE);
	assert_int_equal(run(FLOW_IDLE, stopped, 4), FLOW_IDLE);
}

/* What must never happen, each pair. */
static void
no_set_becomes_active_without_the_gate(void **state)
{
	enum flow_state s;

	for (unsigned from = 0; from < FLOW_STATE_COUNT; from++) {
		enum flow_state next = FLOW_IDLE;

		for (unsigned in = 0; in < FLOW_INPUT_COUNT; in++) {
			if (flow_next((enum flow_state)from, (enum flow_input)in, &next) != OK)
				continue;
			if (next == FLOW_ACTIVATE && from != FLOW_ACTIVATE)
				assert_true(from == FLOW_GATE && in == FLOW_PASSED);
			if (next == FLOW_PROBE && from != FLOW_PROBE)
				assert_true((from == FLOW_ACTIVATE && in == FLOW_ACTIVE) ||
					    (from == FLOW_IDLE && in == FLOW_RECHECK));
			if (next == FLOW_GATE && from != FLOW_GATE)
				assert_true(in == FLOW_STAGED || in == FLOW_SWITCH);
		}
	}
	assert_int_equal(flow_next(FLOW_IDLE, FLOW_ACTIVE, &s), ERR_STATE);
	assert_string_equal(flow_state_word(FLOW_PROBE), "probe");
	assert_string_equal(flow_input_word(FLOW_SICK), "sick");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_check_follows_the_interval_or_the_earliest_useful_moment),
		cmocka_unit_test(retry_after_is_capped_and_jittered),
		cmocka_unit_test(a_child_that_keeps_dying_is_fenced),
		cmocka_unit_test(renewal_comes_at_two_thirds_of_life),
		cmocka_unit_test(an_update_goes_its_way_and_back),
		cmocka_unit_test(no_set_becomes_active_without_the_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
