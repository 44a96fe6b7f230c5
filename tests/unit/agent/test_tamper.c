/* What a look at this PC sees, what of it is news, and when a name's address from policy is taken.
 */
#include "os/file.h"
#include "tamper_facts.h"
#include "tamper_look.h"
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const names[] = { "mirror.example", "console.example" };

static void
hosts(const char *text, const char *want)
{
	struct tamper_facts l = { 0 };
	char got[2000] = "", *exact = test_copy(text, strlen(text));

	assert_int_equal(tamper_facts_hosts(&l, exact, strlen(text), names, 2), OK);
	for (size_t i = 0; i < l.n; i++)
		(void)snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s",
		    i > 0 ? ", " : "", l.item[i].name);
	assert_string_equal(got, want);
	tamper_facts_free(&l);
	free(exact);
}

static void
entries_of_the_hosts_file(void **state)
{
	hosts("", "");
	hosts("127.0.0.1 localhost\n", "");
	hosts("127.0.0.1 mirror.example", "mirror.example 127.0.0.1");
	hosts("0.0.0.0\tx  MIRROR.Example. y\r\n", "mirror.example 0.0.0.0");
	hosts("# 127.0.0.1 mirror.example\n127.0.0.1 a # mirror.example\n", "");
	hosts("::ffff:10.0.0.1 console.example\n10.0.0.2 console.example\n10.0.0.2 console.example",
	    "console.example 10.0.0.1, console.example 10.0.0.2");
	hosts("10.0.0.1 mirror.example console.example\n",
	    "mirror.example 10.0.0.1, console.example 10.0.0.1");
	hosts("mirror.example\n \n\n10.0.0.1\nnonsense mirror.example mirror.example2 "
	      "amirror.example",
	    "mirror.example nonsense");
}

static void
a_full_list_is_no_crash(void **state)
{
	struct tamper_facts l = { 0 };
	char *text = malloc(100000);
	size_t n = 0;

	assert_non_null(text);
	for (unsigned i = 0; i < LIMIT_TAMPER_FACTS + 10; i++)
		n += (size_t)snprintf(
		    text + n, 100000 - n, "10.1.%u.%u mirror.example\n", i / 256, i % 256);
	assert_int_equal(tamper_facts_hosts(&l, text, n, names, 2), ERR_TOOBIG);
	assert_int_equal(l.n, LIMIT_TAMPER_FACTS);
	tamper_facts_free(&l);
	free(text);
}

struct changes {
	char text[600];
};

static void
on_change(void *ctx, const struct tamper_fact *before, const struct tamper_fact *now)
{
	struct changes *c = ctx;
	size_t n = strlen(c->text);

	(void)snprintf(c->text + n, sizeof c->text - n, "%s %s>%s%s;",
	    now != NULL ? now->name : before->name, before != NULL ? before->state : "",
	    now != NULL ? now->state : "", tamper_is_end(before, now) ? " end" : "");
}

static void
differences_are_news_once(void **state)
{
	struct tamper_facts a = { 0 }, b = { 0 }, again = { 0 };
	struct changes c = { "" };
	cJSON *kept = cJSON_CreateArray();

	assert_int_equal(tamper_facts_add(&a, "config", "f", "1"), OK);
	assert_int_equal(tamper_facts_add(&a, "unit", "u", "present:1"), OK);
	assert_int_equal(tamper_facts_add(&a, "unit", "v", "missing"), OK);
	assert_int_equal(tamper_facts_add(&a, "unit", "w", "masked"), OK);
	assert_int_equal(tamper_facts_add(&a, "hosts", "x 1", "listed"), OK);
	assert_int_equal(tamper_facts_add(&a, "hosts", "x 1", "listed"), OK);
	assert_int_equal(a.n, 5);
	assert_int_equal(tamper_facts_add(&b, "config", "f", "2"), OK);
	assert_int_equal(tamper_facts_add(&b, "unit", "u", "missing"), OK);
	assert_int_equal(tamper_facts_add(&b, "unit", "v", "missing"), OK);
	assert_int_equal(tamper_facts_add(&b, "unit", "w", "present:3"), OK);
	assert_int_equal(tamper_facts_add(&b, "hosts", "y 1", "listed"), OK);
	tamper_facts_absent(&a, &b); /* u was here, v as well */
	tamper_facts_compare(&a, &b, on_change, &c);
	assert_string_equal(c.text,
	    "f 1>2;u present:1>missing;w masked>present:3 end;y 1 >listed;x 1 listed> end;");
	assert_int_equal(tamper_facts_json(&b, kept), OK);
	assert_int_equal(tamper_facts_read(&again, kept), OK);
	c.text[0] = '\0';
	tamper_facts_compare(&b, &again, on_change, &c);
	assert_string_equal(c.text, "");
	cJSON_Delete(kept);
	tamper_facts_free(&again);
	again = (struct tamper_facts){ 0 };
	assert_int_equal(tamper_facts_add(&again, "unit", "never", "missing"), OK);
	tamper_facts_absent(&a, &again);
	assert_string_equal(again.item[0].state, TAMPER_ABSENT);
	tamper_facts_free(&a);
	tamper_facts_free(&b);
	tamper_facts_free(&again);
}

static const char *
detour(const char *policy, const char *listed, const char *found)
{
	static struct tamper_name name;
	struct tamper_addresses l = { 0 }, f = { 0 };

	memset(&name, 0, sizeof name);
	if (policy[0] != '\0')
		(void)snprintf(name.address[name.n_addresses++], ADDR_TEXT, "%s", policy);
	if (listed[0] != '\0')
		(void)snprintf(l.text[l.n++], ADDR_TEXT, "%s", listed);
	if (found[0] != '\0')
		(void)snprintf(f.text[f.n++], ADDR_TEXT, "%s", found);
	return tamper_detour(&name, &l, &f);
}

static void
addresses_of_policy_are_taken_when_names_fail(void **state)
{
	assert_string_equal(detour("", "127.0.0.1", "127.0.0.1"), ""); /* policy gives none */
	assert_string_equal(detour("10.0.0.1", "", "10.0.0.9"), "");   /* DNS may know better */
	assert_string_equal(detour("10.0.0.1", "", "10.0.0.1"), "");
	assert_string_equal(detour("10.0.0.1", "", ""), "10.0.0.1");
	assert_string_equal(detour("10.0.0.1", "", "127.0.0.1"), "10.0.0.1");
	assert_string_equal(detour("10.0.0.1", "", "::1"), "10.0.0.1");
	assert_string_equal(detour("10.0.0.1", "", "0.0.0.0"), "10.0.0.1");
	assert_string_equal(detour("10.0.0.1", "6.6.6.6", "6.6.6.6"), "10.0.0.1");
	assert_string_equal(detour("10.0.0.1", "10.0.0.1", "10.0.0.1"), "");
	assert_string_equal(detour("127.0.9.1", "", "127.0.9.1"), "");
}

static void
only_large_steps_back_count(void **state)
{
	assert_int_equal(tamper_clock_back(1000000, 1000, 1060000, 61000), 0);
	assert_int_equal(tamper_clock_back(1000000, 1000, 1040000, 61000), 0); /* NTP: 20 s */
	assert_int_equal(tamper_clock_back(1000000, 1000, 9000000, 61000), 0);
	assert_int_equal(tamper_clock_back(1000000, 1000, 100000, 61000), 960000);
	assert_int_equal(tamper_clock_back(1000000, 0, 900000, 0), 100000); /* after a start */
}

/* --- a folder of units --- */

struct place {
	char dir[64], units[200], config[100];
};

static void
put(const char *dir, const char *name, const char *text)
{
	char path[400];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	(void)fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static const char *
unit_state(struct place *p)
{
	static char text[96];
	struct tamper_facts l = { 0 };
	struct tamper_plan plan = { .config = p->config,
		.roots = "/nonexistent",
		.hosts = "/nonexistent",
		.units = "a.service",
		.unit_folders = p->units };

	assert_int_equal(tamper_look(&plan, &l), OK);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.item[0].kind, "config");
	(void)snprintf(text, sizeof text, "%s", l.item[1].state);
	tamper_facts_free(&l);
	return text;
}

static void
units_are_seen_with_all_that_changes_them(void **state)
{
	struct place p = { .dir = "/tmp/atalaia-tamper-XXXXXX" };
	char sub[100], first[96], path[200];

	assert_non_null(mkdtemp(p.dir));
	(void)snprintf(p.units, sizeof p.units, "%s/etc, %s/lib", p.dir, p.dir);
	(void)snprintf(p.config, sizeof p.config, "%s/agent.conf", p.dir);
	for (int i = 0; i < 3; i++) {
		static const char *const folders[] = { "etc", "lib",
			"etc/multi-user.target.wants" };

		(void)snprintf(sub, sizeof sub, "%s/%s", p.dir, folders[i]);
		assert_int_equal(mkdir(sub, 0700), 0);
	}
	assert_string_equal(unit_state(&p), "missing");
	put(p.dir, "lib/a.service", "[Service]\nExecStart=/bin/true\n");
	assert_memory_equal(unit_state(&p), "disabled:", 9);
	put(p.dir, "etc/multi-user.target.wants/a.service", "");
	(void)snprintf(first, sizeof first, "%s", unit_state(&p));
	assert_memory_equal(first, "present:", 8);
	assert_string_equal(unit_state(&p), first);
	(void)snprintf(sub, sizeof sub, "%s/etc/a.service.d", p.dir);
	assert_int_equal(mkdir(sub, 0700), 0);
	assert_string_equal(unit_state(&p), first);
	put(sub, "x.conf", "[Service]\nExecStart=/bin/false\n");
	assert_string_not_equal(unit_state(&p), first);
	(void)snprintf(path, sizeof path, "%s/x.conf", sub);
	assert_int_equal(unlink(path), 0);
	assert_string_equal(unit_state(&p), first);
	(void)snprintf(path, sizeof path, "%s/etc/a.service", p.dir);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_string_equal(unit_state(&p), "masked");
	assert_int_equal(file_remove_tree(AT_FDCWD, p.dir, NULL), OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_of_the_hosts_file),
		cmocka_unit_test(a_full_list_is_no_crash),
		cmocka_unit_test(differences_are_news_once),
		cmocka_unit_test(addresses_of_policy_are_taken_when_names_fail),
		cmocka_unit_test(only_large_steps_back_count),
		cmocka_unit_test(units_are_seen_with_all_that_changes_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
