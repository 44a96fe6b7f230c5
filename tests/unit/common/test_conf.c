/* Configuration mistakes: each gives one sentence with file, line, option and remedy. */
#include "base/conf.h"
#include "test.h"

static const char *const modes[] = { "prefer", "require", "off", NULL };

struct options {
	char *root, *name;
	bool on;
	uint16_t port;
	uint32_t count, mode;
	uint64_t size, wait;
};

#define AT(member) offsetof(struct options, member)

static const struct conf_option table[] = {
	{ "a", "root", CONF_PATH, AT(root), NULL, "folder to serve", 0, 0, NULL },
	{ "a", "name", CONF_STRING, AT(name), "x", "a name", 0, 0, NULL },
	{ "a", "on", CONF_BOOL, AT(on), "no", "a switch", 0, 0, NULL },
	{ "b", "port", CONF_PORT, AT(port), "2021", "a port", 0, 0, NULL },
	{ "b", "count", CONF_U32, AT(count), "10", "how many", 1, 100, NULL },
	{ "b", "mode", CONF_CHOICE, AT(mode), "prefer", "delta mode", 0, 0, modes },
	{ "b", "size", CONF_SIZE, AT(size), "64k", "a size", 0, 0, NULL },
	{ "b", "wait", CONF_DURATION, AT(wait), "30s", "a time", 1000, 60000, NULL },
};

static enum err
load(struct conf **c, struct options *o, const char *text, struct fault *f)
{
	*o = (struct options){ 0 };
	return conf_load_text(
	    c, o, table, sizeof table / sizeof *table, "/etc/t.conf", text, strlen(text), f);
}

static void
values_and_defaults(void **state)
{
	struct fault f = { OK, "" };
	struct options o;
	struct conf *c;

	(void)state;
	assert_int_equal(load(&c, &o,
			     "# comment\n[a]\nroot = srv\non = yes\n\n[b]\nport=0\nmode = off\n"
			     "size=2M\nwait = 5s ; short\n",
			     &f),
	    OK);
	assert_string_equal(o.root, "/etc/srv");
	assert_string_equal(o.name, "x");
	assert_true(o.on);
	assert_int_equal(o.port, 0);
	assert_int_equal(o.count, 10);
	assert_int_equal(o.mode, 2);
	assert_true(o.size == 2u << 20);
	assert_true(o.wait == 5000);
	assert_int_equal(conf_origin(c, "b", "wait").line, 10);
	assert_int_equal(conf_origin(c, "b", "count").line, 0);
	assert_int_equal(conf_set(c, "b", "count", "11", "policy", &f), OK);
	assert_int_equal(o.count, 11);
	assert_int_equal(conf_set(c, "b", "count", "0", "policy", &f), ERR_INVAL);
	assert_string_equal(f.text, "policy: [b] count: must be between 1 and 100");
	conf_free(c);
}

static void
mistakes_name_file_line_option(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "[a]\nrot=/x\n",
		    "/etc/t.conf line 2: [a] has no option 'rot'; see --help for the list" },
		{ "[z]\nrot=/x\n", "/etc/t.conf line 2: there is no section [z] (option 'rot'); "
				   "see --help for the list" },
		{ "[a]\nroot=/x\nroot=/y\n",
		    "/etc/t.conf line 3: [a] root stands twice, first in line 2; remove one" },
		{ "[b]\nport=70000\n",
		    "/etc/t.conf line 2: [b] port: '70000' is too big; a port is 0 to 65535" },
		{ "[b]\nport=ftp\n", "/etc/t.conf line 2: [b] port: 'ftp' is not a port; write a "
				     "number from 0 to 65535" },
		{ "[b]\n\ncount=0\n", "/etc/t.conf line 3: [b] count: must be between 1 and 100" },
		{ "[b]\nmode=maybe\n",
		    "/etc/t.conf line 2: [b] mode: 'maybe' is not one of: prefer, require, off" },
		{ "[b]\nwait=1ms\n",
		    "/etc/t.conf line 2: [b] wait: must be between 1000 and 60000 milliseconds" },
		{ "[a]\non=perhaps\n", "/etc/t.conf line 2: [a] on: 'perhaps' is not yes or no" },
		{ "[a]\nname=x\n", "/etc/t.conf: [a] root is missing: folder to serve; add it" },
		{ "[a]\njust words\n",
		    "/etc/t.conf line 2: neither [section] nor name = value (lines are under 200 "
		    "characters)" },
	};
	struct options o;
	struct conf *c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fault f = { OK, "" };

		assert_int_equal(load(&c, &o, cases[i].text, &f), ERR_INVAL);
		assert_string_equal(f.text, cases[i].want);
		assert_null(c);
		assert_null(o.root);
	}
}

static void
rules_over_options_name_the_line(void **state)
{
	struct fault f = { OK, "" };
	struct options o;
	struct conf *c;

	(void)state;
	assert_int_equal(load(&c, &o, "[a]\nroot=/x\n[b]\nport=3333\n", &f), OK);
	assert_int_equal(conf_fault(c, "b", "port", &f, "%d is taken", 3333), ERR_INVAL);
	assert_string_equal(f.text, "/etc/t.conf line 4: [b] port: 3333 is taken");
	conf_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_and_defaults),
		cmocka_unit_test(mistakes_name_file_line_option),
		cmocka_unit_test(rules_over_options_name_the_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
