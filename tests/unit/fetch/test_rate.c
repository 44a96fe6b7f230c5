/* The rate limiter over ten-second windows, with a clock of our own. */
#include "test.h"

#include "rate.h"

/* Takes pieces as fast as allowed for `ms`; most and least bytes seen in any 10 s window. */
static void
drive(uint64_t per_s, size_t piece, unsigned tick_ms, uint64_t *most, uint64_t *least)
{
	enum { SECONDS = 60, STEP = 100 };
	static uint64_t at[SECONDS * 1000 / STEP];
	struct rate r;
	uint64_t now = 1000000;

	memset(at, 0, sizeof at);
	rate_init(&r, per_s, now);
	for (uint64_t t = 0; t < SECONDS * 1000; t += tick_ms)
		while (rate_open(&r, now + t)) {
			rate_take(&r, piece);
			at[t / STEP] += piece;
		}
	*most = 0;
	*least = UINT64_MAX;
	for (size_t i = 0; i + 100 <= sizeof at / sizeof *at; i++) {
		uint64_t sum = 0;

		for (size_t k = i; k < i + 100; k++)
			sum += at[k];
		*most = sum > *most ? sum : *most;
		*least = sum < *least ? sum : *least;
	}
}

static void
ten_seconds_stay_within_ten_percent(void **state)
{
	static const uint64_t rates[] = { 4096, 8000, 64000, 250000, 5000000 };

	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
		for (unsigned tick = 1; tick <= 100; tick += 33) {
			uint64_t most, least;
			struct rate r;

			rate_init(&r, rates[i], 0);
			drive(rates[i], rate_piece(&r), tick, &most, &least);
			assert_true(most <= rates[i] * 11);
			assert_true(least >= rates[i] * 9);
		}
}

static void
no_limit_is_always_open(void **state)
{
	struct rate r;

	rate_init(&r, 0, 5);
	for (int i = 0; i < 1000; i++) {
		assert_true(rate_open(&r, 5));
		rate_take(&r, 1 << 20);
	}
	assert_int_equal(rate_wait_ms(&r, 5), 0);
}

static void
waiting_ends_when_it_says(void **state)
{
	struct rate r;
	uint64_t now = 7;

	rate_init(&r, 1000, now);
	while (rate_open(&r, now))
		rate_take(&r, 300);
	for (int i = 0; i < 100; i++) {
		unsigned ms = rate_wait_ms(&r, now);

		assert_true(ms >= 1 && ms <= 1000);
		now += ms;
		if (rate_open(&r, now))
			rate_take(&r, 300);
	}
}

static void
a_clock_that_stands_or_goes_back_gives_nothing(void **state)
{
	struct rate r;

	rate_init(&r, 1000, 1000);
	while (rate_open(&r, 1000))
		rate_take(&r, 100);
	assert_false(rate_open(&r, 1000));
	assert_false(rate_open(&r, 10));
	assert_true(rate_open(&r, 100000));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_seconds_stay_within_ten_percent),
		cmocka_unit_test(no_limit_is_always_open),
		cmocka_unit_test(waiting_ends_when_it_says),
		cmocka_unit_test(a_clock_that_stands_or_goes_back_gives_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
