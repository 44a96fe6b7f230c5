/* From whom a feed is asked: order, pauses, and the rule for going past the update agents. */
#include "sources.h"
#include "test.h"

#include <stdio.h>

static const struct source own = { SOURCE_OWN, "own mirror", "127.0.0.1", 2021, 0, 3333 };
static const struct source near_a = { SOURCE_AGENT, "a", "10.0.0.1", 2021, 0, 3333 };
static const struct source near_b = { SOURCE_AGENT, "b", "10.0.0.2", 2021, 0, 3333 };
static const struct source server = { SOURCE_SERVER, "server", "10.9.0.1", 2021, 2221, 3333 };

static void
names(const struct source_plan *p, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < p->count; i++)
		used += (size_t)snprintf(
		    out + used, size - used, "%s%s", i == 0 ? "" : ",", p->list[i].name);
}

static const char *
plan(struct source_plan *p, const struct source_health *h, size_t nh, uint64_t bypass,
    bool policies, bool mirror, uint64_t now)
{
	static char text[256];
	const struct source all[] = { server, near_a, near_b, own };
	struct source_rules r = { bypass, policies, mirror };

	sources_plan(p, all, 4, h, nh, &r, now);
	names(p, text, sizeof text);
	return text;
}

static void
healthy_update_agents_hide_the_server(void **state)
{
	struct source_plan p;

	assert_string_equal(plan(&p, NULL, 0, 1000, false, false, 5), "own mirror,a,b");
	assert_false(p.bypassed);
	assert_string_equal(plan(&p, NULL, 0, 1000, true, false, 5), "own mirror,a,b,server");
	assert_string_equal(plan(&p, NULL, 0, 1000, false, true, 5), "a,b");
}

static void
the_healthier_goes_first_and_a_pause_is_kept(void **state)
{
	struct source_health h[] = { { "a", 2, 100, 50, "" }, { "b", 1, 90, 60, "" } };
	struct source_plan p;

	assert_string_equal(plan(&p, h, 2, BYPASS_NEVER, false, true, 95), "b");
	assert_string_equal(plan(&p, h, 2, BYPASS_NEVER, false, true, 100), "b,a");
	assert_string_equal(plan(&p, h, 2, BYPASS_NEVER, false, true, 10), "");
	assert_int_equal(p.retry_at, 90);
}

static void
the_server_is_asked_after_the_bypass_time_only(void **state)
{
	struct source_health h[] = { { "a", 2, 9000, 50, "" }, { "b", 1, 9000, 60, "" } };
	struct source_plan p;

	assert_string_equal(plan(&p, h, 2, 1000, false, true, 1059), "");
	assert_int_equal(p.retry_at, 1060);
	assert_string_equal(plan(&p, h, 2, 1000, false, true, 1060), "server");
	assert_true(p.bypassed);
	assert_string_equal(plan(&p, h, 2, BYPASS_NEVER, false, true, 5000), "");
	assert_int_equal(p.retry_at, 9000);
	h[1].fails = 0; /* one healthy update agent is enough to keep the rule */
	h[1].not_before = 0;
	assert_string_equal(plan(&p, h, 2, 1000, false, true, 5000), "b");
}

static void
without_update_agents_the_server_serves(void **state)
{
	struct source_rules r = { BYPASS_NEVER, false, false };
	struct source_plan p;

	sources_plan(&p, &server, 1, NULL, 0, &r, 1);
	assert_int_equal(p.count, 1);
	assert_false(p.bypassed);
	sources_plan(&p, &server, 0, NULL, 0, &r, 1);
	assert_int_equal(p.count, 0);
	assert_int_equal(p.retry_at, 0);
}

static void
a_pause_doubles_up_to_an_hour(void **state)
{
	struct source_health h = { .name = "a" };

	source_failed(&h, 1000, 60000, 0, 0, "gone");
	assert_int_equal(h.not_before, 61000);
	assert_int_equal(h.failing_since, 1000);
	source_failed(&h, 2000, 60000, 0, 0, "gone");
	assert_int_equal(h.not_before, 122000);
	assert_int_equal(h.failing_since, 1000);
	for (int i = 0; i < 40; i++)
		source_failed(&h, 0, 60000, 0, 0, "gone");
	assert_int_equal(h.not_before, 3600000);
	source_failed(&h, 0, 60000, 7200000, 1023, "busy");
	assert_int_equal(h.not_before, 7200000);
	source_failed(&h, 0, 60000, UINT64_MAX, 0, "liar");
	assert_int_equal(h.not_before, 86400000);
	source_worked(&h);
	assert_int_equal(h.fails, 0);
	assert_int_equal(h.failing_since, 0);
}

static void
urls_are_written_for_names_and_both_families(void **state)
{
	struct source six = { .host = "fd00::1" };
	char url[128], tiny[10];

	assert_int_equal(source_url(url, sizeof url, "ftp", &server, 2021, "signatures"), OK);
	assert_string_equal(url, "ftp://10.9.0.1:2021/signatures");
	assert_int_equal(source_url(url, sizeof url, "http", &six, 2221, "x"), OK);
	assert_string_equal(url, "http://[fd00::1]:2221/x");
	assert_int_equal(source_url(tiny, sizeof tiny, "ftp", &server, 2021, "x"), ERR_TOOBIG);
	assert_string_equal(tiny, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(healthy_update_agents_hide_the_server),
		cmocka_unit_test(the_healthier_goes_first_and_a_pause_is_kept),
		cmocka_unit_test(the_server_is_asked_after_the_bypass_time_only),
		cmocka_unit_test(without_update_agents_the_server_serves),
		cmocka_unit_test(a_pause_doubles_up_to_an_hour),
		cmocka_unit_test(urls_are_written_for_names_and_both_families),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
