/* The agent's config message: what is taken, what is refused and with which words. */
#include "test.h"

#include "config.h"

#include "base/json.h"

#include <stdio.h>

#define SET                                                                                        \
	"\"type\":\"config\",\"mode\":\"set\",\"feed\":\"signatures\",\"state\":\"/s/feeds/"       \
	"signatures\","
#define SRC "\"sources\":[{\"name\":\"b\",\"url\":\"ftp://127.0.1.2:2021/signatures/\"}]"

static enum err
read_text(const char *text, struct fetch_config **c, struct fault *f)
{
	cJSON *tree;
	enum err e;

	fault_reset(f);
	assert_int_equal(json_parse(&tree, text, strlen(text), JSON_EVENT, f), OK);
	e = fetch_config_read(c, tree, f);
	cJSON_Delete(tree);
	return e;
}

static void
a_set_has_defaults(void **state)
{
	struct fetch_config *c;
	struct fault f;

	assert_int_equal(read_text("{" SET SRC "}", &c, &f), OK);
	assert_int_equal(c->mode, FETCH_SET);
	assert_string_equal(c->work, "/s/feeds/signatures/work");
	assert_string_equal(c->sources[0].url, "ftp://127.0.1.2:2021/signatures");
	assert_int_equal(c->delta, DELTA_PREFER);
	assert_int_equal(c->keep, 2);
	assert_int_equal(c->rate_limit, 0);
	assert_null(c->proxy);
	assert_int_equal(c->timestamp.len, 0);
	fetch_config_free(c);
}

#define SEND "{\"type\":\"config\",\"mode\":\"send\",\"file\":\"/s/box/x\",\"name\":\"mwav.log\","
#define BOX "\"sources\":[{\"name\":\"b\",\"url\":\"ftp://127.0.1.2:2021/incoming\"}]"

static void
sending_takes_a_file_and_ftp_only(void **state)
{
	static const char *const bad[] = {
		"{\"type\":\"config\",\"mode\":\"send\",\"name\":\"x\"," BOX "}",
		"{\"type\":\"config\",\"mode\":\"send\",\"file\":\"x\",\"name\":\"x\"," BOX "}",
		"{\"type\":\"config\",\"mode\":\"send\",\"file\":\"/x\",\"name\":\"a/b\"," BOX "}",
		SEND "\"sources\":[{\"name\":\"b\",\"url\":\"http://h/incoming\"}]}",
		SEND "\"feed\":\"signatures\"," BOX "}",
	};
	struct fetch_config *c;
	struct fault f;

	assert_int_equal(read_text(SEND "\"rate_limit\":9," BOX "}", &c, &f), OK);
	assert_int_equal(c->mode, FETCH_SEND);
	assert_string_equal(c->file, "/s/box/x");
	assert_string_equal(c->name, "mwav.log");
	assert_int_equal(c->rate_limit, 9);
	fetch_config_free(c);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_not_equal(read_text(bad[i], &c, &f), OK);
		assert_true(fault_text(&f)[0] != '\0');
	}
}

static void
a_mirror_takes_everything(void **state)
{
	static const char text[] =
	    "{\"type\":\"config\",\"mode\":\"mirror\",\"feed\":\"p\",\"root\":\"/m/root/\","
	    "\"work\":\"/m/work/p\",\"root_json\":\"/r.json\",\"sources\":[{\"name\":\"a\",\"url\":"
	    "\"http://h/p\"},{\"name\":\"a\",\"url\":\"https://[::1]:1/"
	    "p\"}],\"timestamp\":\"e30=\","
	    "\"delta\":\"off\",\"rate_limit\":100,\"current\":7,\"reject\":[],\"keep\":1,\"grace_"
	    "s\":5,"
	    "\"disk_floor\":9,\"proxy\":\"http://"
	    "proxy:3128\",\"stall_ms\":10,\"require_confinement\":true}";
	struct fetch_config *c;
	struct fault f;

	assert_int_equal(read_text(text, &c, &f), OK);
	assert_string_equal(c->root, "/m/root");
	assert_int_equal(c->source_count, 2);
	assert_int_equal(c->timestamp.len, 2);
	assert_int_equal(c->keep, 3); /* never fewer */
	assert_true(c->require_confinement);
	assert_string_equal(c->proxy, "http://proxy:3128");
	fetch_config_free(c);
}

static void
mistakes_are_named(void **state)
{
	static const struct {
		const char *text, *word;
	} bad[] = {
		{ "{\"type\":\"config\"}", "mode" },
		{ "{" SET SRC ",\"mode2\":1}", "mode2" },
		{ "{" SET "\"sources\":[]}", "sources" },
		{ "{" SET "\"sources\":{}}", "sources" },
		{ "{" SET "\"sources\":[1]}", "name" },
		{ "{" SET "\"sources\":[{\"name\":\"x\",\"url\":\"gopher://h/p\"}]}", "'x'" },
		{ "{" SET "\"sources\":[{\"name\":\"x\",\"url\":\"http://u:p@h/p\"}]}", "'x'" },
		{ "{" SET "\"sources\":[{\"name\":\"x\",\"url\":\"http://h/p?q\"}]}", "'x'" },
		{ "{" SET "\"sources\":[{\"name\":\"x\",\"url\":\"http:///p\"}]}", "'x'" },
		{ "{" SET "\"sources\":[{\"name\":\"x\",\"url\":\"http://h/ p\"}]}", "'x'" },
		{ "{" SET "\"sources\":[{\"name\":\"\",\"url\":\"http://h/p\"}]}", "name" },
		{ "{" SET "\"sources\":[{\"name\":\"x\",\"url\":\"http://h/p\",\"z\":1}]}", "'z'" },
		{ "{" SET SRC ",\"delta\":\"some\"}", "some" },
		{ "{" SET SRC ",\"timestamp\":\"***\"}", "timestamp" },
		{ "{" SET SRC ",\"reject\":[\"12\"]}", "reject" },
		{ "{" SET SRC ",\"rate_limit\":-1}", "rate_limit" },
		{ "{" SET SRC ",\"root\":\"/m\"}", "root" },
		{ "{" SET SRC ",\"root_json\":\"r.json\"}", "root_json" },
		{ "{" SET SRC ",\"root_json\":\"/a/../r.json\"}", "root_json" },
		{ "{\"type\":\"config\",\"mode\":\"set\",\"feed\":\"a/b\",\"state\":\"/s\"," SRC
		  "}",
		    "feed" },
		{ "{\"type\":\"config\",\"mode\":\"mirror\",\"feed\":\"a\",\"root\":\"/s\"," SRC
		  "}",
		    "work" },
	};
	struct fetch_config *c;
	struct fault f;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_not_equal(read_text(bad[i].text, &c, &f), OK);
		assert_null(c);
		if (strstr(fault_text(&f), bad[i].word) == NULL)
			fail_msg("%s: %s", bad[i].text, fault_text(&f));
	}
}

static void
refused_sets_are_known_by_hash(void **state)
{
	char text[512], sha[65];
	struct fetch_config *c;
	struct fault f;

	memset(sha, 'a', 64);
	sha[64] = '\0';
	(void)snprintf(text, sizeof text, "{" SET SRC ",\"reject\":[\"%s\"]}", sha);
	assert_int_equal(read_text(text, &c, &f), OK);
	assert_true(fetch_config_rejects(c, sha));
	sha[0] = 'b';
	assert_false(fetch_config_rejects(c, sha));
	fetch_config_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_has_defaults),
		cmocka_unit_test(sending_takes_a_file_and_ftp_only),
		cmocka_unit_test(a_mirror_takes_everything),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(refused_sets_are_known_by_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
