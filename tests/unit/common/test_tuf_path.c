/* Names: patterns of delegations, and role and target names as file names. */
#include "update/hash.h"
#include "update/tuf_path.h"

#include "test.h"

static void
patterns(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool want;
	} cases[] = {
		{ "*", "file", true },
		{ "*", "", true },
		{ "*", "dir/file", false },
		{ "*/*", "dir/file", true },
		{ "*/*", "file", false },
		{ "*/*", "a/b/c", false },
		{ "targets/*.tgz", "targets/foo.tgz", true },
		{ "targets/*.tgz", "targets/foo.txt", false },
		{ "targets/*.tgz", "targets/x/foo.tgz", false },
		{ "foo-version-?.tgz", "foo-version-2.tgz", true },
		{ "foo-version-?.tgz", "foo-version-alpha.tgz", false },
		{ "a?c", "a/c", false },
		{ "a?c", "a\xc3\xa9" "c", true },
		{ "a??c", "a\xc3\xa9" "c", false },
		{ "a*b*c", "aXbYbZc", true },
		{ "a*b*c", "aXbYbZ", false },
		{ "a*/b", "aXX/b", true },
		{ "a*/b*/c", "a1/b2/c", true },
		{ "a*/b", "a/x/b", false },
		{ "*.md", "README.md", true },
		{ "*.md", "README.md/", false },
		{ "", "", true },
		{ "", "a", false },
		{ "a", "", false },
		{ "[abc]x", "bx", true },
		{ "[a-c]x", "dx", false },
		{ "[!a-c]x", "dx", true },
		{ "[!a-c]x", "ax", false },
		{ "[]]x", "]x", true },
		{ "[a", "[a", true },
		{ "[/]", "/", false },
		{ "x[/]y", "x/y", false },
		{ "\\*", "*", false },
		{ "\\*", "\\anything", true },
		{ "**", "abc", true },
		{ "**/x", "a/b/x", false },
		{ "FILE", "file", false },
		{ ".*", ".hidden", true },
		{ "*", ".hidden", true },
		{ "/x", "x", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++)
		if (tuf_path_match(cases[i].pattern, cases[i].path) != cases[i].want)
			fail_msg("'%s' on '%s'", cases[i].pattern, cases[i].path);
}

/* Patterns that make a backtracking matcher take for ever. */
static void
patterns_are_quick(void **state)
{
	char pattern[4001], path[4001];
	size_t i;

	(void)state;
	for (i = 0; i < 4000; i += 2) {
		pattern[i] = '*';
		pattern[i + 1] = 'a';
	}
	pattern[3999] = 'b';
	pattern[4000] = '\0';
	memset(path, 'a', 4000);
	path[4000] = '\0';
	assert_false(tuf_path_match(pattern, path));
}

static void
hash_prefixes(void **state)
{
	char sum[HASH_SHA256_TEXT];

	(void)state;
	hash_sha256_text("some/path", 9, sum);
	assert_true(tuf_path_hash_prefix(sum, "some/path"));
	sum[2] = '\0';
	assert_true(tuf_path_hash_prefix(sum, "some/path"));
	assert_false(tuf_path_hash_prefix("", "some/path"));
	sum[0] = sum[0] == '0' ? '1' : '0';
	assert_false(tuf_path_hash_prefix(sum, "some/path"));
}

static void
encodings(void **state)
{
	static const struct {
		const char *name, *want, *url;
	} cases[] = {
		{ "role", "role", "role" },
		{ "a/b", "a%2Fb", "a/b" },
		{ "../x", "..%2Fx", "../x" },
		{ "?#% +", "%3F%23%25%20%2B", "%3F%23%25%20%2B" },
		{ "\xc3\xa9", "%C3%A9", "%C3%A9" },
		{ "A-Za-z0-9._~-", "A-Za-z0-9._~-", "A-Za-z0-9._~-" },
		{ "\x01\x7f", "%01%7F", "%01%7F" },
	};
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, 256);
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		buf_reset(&b);
		assert_int_equal(tuf_path_encode(cases[i].name, &b), OK);
		assert_string_equal(buf_text(&b), cases[i].want);
		buf_reset(&b);
		assert_int_equal(tuf_path_encode_url(cases[i].name, &b), OK);
		assert_string_equal(buf_text(&b), cases[i].url);
	}
	assert_int_equal(tuf_path_encode("", &b), ERR_PARSE);
	assert_int_equal(tuf_path_encode(".", &b), ERR_PARSE);
	assert_int_equal(tuf_path_encode("..", &b), ERR_PARSE);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns),
		cmocka_unit_test(patterns_are_quick),
		cmocka_unit_test(hash_prefixes),
		cmocka_unit_test(encodings),
	};

	return cmocka_run_group_tests_name("tuf_path", tests, NULL, NULL);
}
