/* Canonical JSON and the hashes below it. */
#include "base/json.h"
#include "update/canon.h"
#include "update/hash.h"

#include "base/text.h"
#include "test.h"

static void
canonical_forms(void **state)
{
	static const struct {
		const char *in, *out; /* out NULL: none */
	} cases[] = {
		{ "{}", "{}" },
		{ "[]", "[]" },
		{ " { \"b\" : 1 , \"a\" : [ true , false , null ] } ",
		    "{\"a\":[true,false,null],\"b\":1}" },
		{ "{\"\":0,\"A\":1,\"a\":2,\"B\":3,\"a1\":4,\"a\\u00e9\":5}",
		    "{\"\":0,\"A\":1,\"B\":3,\"a\":2,\"a1\":4,\"a\xc3\xa9\":5}" },
		/* code points, not UTF-16 units: U+FF5E sorts before U+1F600 */
		{ "{\"\\ud83d\\ude00\":1,\"\\uff5e\":2}",
		    "{\"\xef\xbd\x9e\":2,\"\xf0\x9f\x98\x80\":1}" },
		{ "\"a\\\"b\\\\c\\/d\\n\\t\\u0001\\u007f\"", "\"a\\\"b\\\\c/d\n\t\x01\x7f\"" },
		{ "9007199254740991", "9007199254740991" },
		{ "[0,1,4294967296,2147483648]", "[0,1,4294967296,2147483648]" },
		{ "[[],{},[{}]]", "[[],{},[{}]]" },
		{ "1.5", NULL },
		{ "-1", NULL },
		{ "[-0,1]", NULL },
		{ "9007199254740992", NULL },
		{ "1e300", NULL },
	};
	struct buf b;
	cJSON *t;
	size_t i;

	(void)state;
	buf_init(&b, 4096);
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		buf_reset(&b);
		assert_int_equal(
		    json_parse(&t, cases[i].in, strlen(cases[i].in), JSON_EVENT, NULL), OK);
		assert_int_equal(canon_json(t, &b, NULL), cases[i].out != NULL ? OK : ERR_PARSE);
		if (cases[i].out != NULL)
			assert_string_equal(buf_text(&b), cases[i].out);
		cJSON_Delete(t);
	}
	buf_free(&b);
}

static void
limits(void **state)
{
	struct buf b;
	cJSON *deep = cJSON_CreateArray(), *at = deep, *next;
	int i;

	(void)state;
	buf_init(&b, 8);
	assert_int_equal(canon_json(NULL, &b, NULL), ERR_PARSE);
	assert_int_equal(json_parse(&at, "\"12345678\"", 10, JSON_SIGNED, NULL), OK);
	assert_int_equal(canon_json(at, &b, NULL), ERR_TOOBIG);
	cJSON_Delete(at);
	for (at = deep, i = 0; i < JSON_MAX_DEPTH + 5; i++) {
		next = cJSON_CreateArray();
		(void)cJSON_AddItemToArray(at, next);
		at = next;
	}
	buf_free(&b);
	buf_init(&b, 4096);
	assert_int_equal(canon_json(deep, &b, NULL), ERR_PARSE);
	cJSON_Delete(deep);
	buf_free(&b);
}

/* FIPS 180-4 examples and RFC 4231 cases 1, 2 and 6. */
static void
hashes(void **state)
{
	static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	uint8_t out[HASH_MAX_LEN];
	char hex[2 * HASH_MAX_LEN + 1];
	struct hash h, copy;
	size_t i;

	(void)state;
	hash_sha256_text("abc", 3, hex);
	assert_string_equal(
	    hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	hash_sha256_text("", 0, hex);
	assert_string_equal(
	    hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	hash_init(&h, HASH_SHA256);
	for (i = 0; i < strlen(two_blocks); i++) {
		if (i == 20)
			copy = h;
		hash_update(&h, two_blocks + i, 1);
	}
	hash_final(&h, out);
	text_hex(hex, out, HASH_SHA256_LEN);
	assert_string_equal(
	    hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	hash_update(&copy, two_blocks + 20, strlen(two_blocks) - 20);
	hash_final(&copy, out);
	text_hex(hex, out, HASH_SHA256_LEN);
	assert_string_equal(
	    hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	hash_once(HASH_SHA512, "abc", 3, out);
	text_hex(hex, out, HASH_SHA512_LEN);
	assert_string_equal(hex,
	    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
	    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(canonical_forms),
		cmocka_unit_test(limits),
		cmocka_unit_test(hashes),
	};

	return cmocka_run_group_tests_name("canon", tests, NULL, NULL);
}
