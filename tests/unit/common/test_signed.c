/* TUF keys and signed documents. */
#include "base/json.h"
#include "base/limits.h"
#include "update/signed.h"

#include "test.h"

#include <stdio.h>

struct world {
	struct sign_private *keys[3];
	cJSON *body, *ring_json;
	struct keyring ring;
	char ids[3][KEY_ID_TEXT];
};

static void
setup(struct world *w)
{
	cJSON *object;
	int i;

	memset(w, 0, sizeof *w);
	w->ring_json = cJSON_CreateObject();
	for (i = 0; i < 3; i++) {
		assert_int_equal(sign_generate(&w->keys[i], NULL), OK);
		assert_int_equal(key_of_private(w->keys[i], &object, w->ids[i], NULL), OK);
		assert_true(cJSON_AddItemToObject(w->ring_json, w->ids[i], object));
	}
	assert_int_equal(keyring_parse(&w->ring, w->ring_json, NULL), OK);
	w->body = cJSON_CreateObject();
	assert_int_equal(json_add_string(w->body, "id", "\"\\ \xe2\x82\xac"), OK);
}

static void
teardown(struct world *w)
{
	int i;

	for (i = 0; i < 3; i++)
		sign_private_free(w->keys[i]);
	keyring_free(&w->ring);
	cJSON_Delete(w->ring_json);
	cJSON_Delete(w->body);
}

static void
make_signers(struct world *w, struct signers *s, const char *threshold)
{
	char text[512];
	cJSON *role;

	(void)snprintf(text, sizeof text,
	    "{\"keyids\":[\"%s\",\"%s\",\"%s\",\"nobody\"],\"threshold\":%s}", w->ids[0], w->ids[1],
	    w->ids[2], threshold);
	assert_int_equal(json_parse(&role, text, strlen(text), JSON_SIGNED, NULL), OK);
	assert_int_equal(signers_parse(s, role, &w->ring, NULL), OK);
	cJSON_Delete(role);
}

static void
thresholds(void **state)
{
	static const struct {
		const char *threshold;
		size_t sign;
		enum err want;
	} cases[] = {
		{ "1", 1, OK },
		{ "2", 1, ERR_AUTH },
		{ "2", 2, OK },
		{ "3", 3, OK },
		{ "4", 3, ERR_AUTH },
		{ "1", 0, ERR_AUTH },
		{ "9007199254740991", 3, ERR_AUTH },
	};
	struct world w;
	struct signers s;
	struct signed_doc d;
	struct buf text;
	uint64_t valid;
	size_t i;

	(void)state;
	setup(&w);
	buf_init(&text, 65536);
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		make_signers(&w, &s, cases[i].threshold);
		assert_int_equal(s.n, 3);
		buf_reset(&text);
		assert_int_equal(signed_build(w.body, (const struct sign_private *const *)w.keys,
				     cases[i].sign, &text, NULL),
		    OK);
		assert_int_equal(signed_parse(&d, text.data, text.len, NULL), OK);
		assert_int_equal(signed_verify(&d, &s, &valid, NULL), cases[i].want);
		assert_int_equal(valid, cases[i].sign);
		signed_free(&d);
		signers_free(&s);
	}
	buf_free(&text);
	teardown(&w);
}

static void
a_changed_body_is_refused(void **state)
{
	struct world w;
	struct signers s;
	struct signed_doc d;
	struct buf text;
	uint8_t *euro;

	(void)state;
	setup(&w);
	buf_init(&text, 65536);
	make_signers(&w, &s, "1");
	assert_int_equal(
	    signed_build(w.body, (const struct sign_private *const *)w.keys, 1, &text, NULL), OK);
	euro = memmem(text.data, text.len, "\xe2\x82\xac", 3);
	assert_non_null(euro);
	euro[2] ^= 1;
	assert_int_equal(signed_parse(&d, text.data, text.len, NULL), OK);
	assert_int_equal(signed_verify(&d, &s, NULL, NULL), ERR_AUTH);
	signed_free(&d);
	signers_free(&s);
	buf_free(&text);
	teardown(&w);
}

static void
forms(void **state)
{
	static const struct {
		const char *text;
		enum err want;
	} cases[] = {
		{ "{\"signed\":{},\"signatures\":[]}", OK },
		{ "{\"signed\":{},\"signatures\":[],\"more\":1}", OK },
		{ "{\"signed\":{},\"signatures\":[{\"keyid\":\"a\",\"sig\":\"\",\"x\":1}]}", OK },
		{ "{\"signed\":{}}", ERR_PARSE },
		{ "{\"signatures\":[]}", ERR_PARSE },
		{ "{\"signed\":[],\"signatures\":[]}", ERR_PARSE },
		{ "{\"signed\":{},\"signatures\":{}}", ERR_PARSE },
		{ "{\"signed\":{},\"signatures\":[1]}", ERR_PARSE },
		{ "{\"signed\":{},\"signatures\":[{\"keyid\":\"a\"}]}", ERR_PARSE },
		{ "{\"signed\":{},\"signatures\":[{\"sig\":\"a\"}]}", ERR_PARSE },
		{ "{\"signed\":{},\"signatures\":[{\"keyid\":\"a\",\"sig\":1}]}", ERR_PARSE },
		{ "{\"signed\":{},\"signatures\":[{\"keyid\":\"a\",\"sig\":\"\"},"
		  "{\"keyid\":\"b\",\"sig\":\"\"},{\"keyid\":\"a\",\"sig\":\"00\"}]}",
		    ERR_PARSE },
		{ "{\"Signed\":{},\"signatures\":[]}", ERR_PARSE },
		{ "{\"signed\":{\"x\":1.5},\"signatures\":[]}", ERR_PARSE },
		{ "[]", ERR_PARSE },
		{ "", ERR_PARSE },
		{ "null", ERR_PARSE },
	};
	struct signed_doc d;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *copy = test_copy(cases[i].text, strlen(cases[i].text));

		assert_int_equal(
		    signed_parse(&d, copy, strlen(cases[i].text), NULL), cases[i].want);
		if (cases[i].want == OK)
			signed_free(&d);
		free(copy);
	}
}

static enum err
parse_key(const char *id, const char *text, bool *usable)
{
	struct key *k = NULL;
	cJSON *o;
	enum err e;

	assert_int_equal(json_parse(&o, text, strlen(text), JSON_SIGNED, NULL), OK);
	e = key_parse(&k, id, o, NULL);
	if (e == OK)
		*usable = key_usable(k);
	key_free(k);
	cJSON_Delete(o);
	return e;
}

#define PEM_TEXT                                                                                   \
	"-----BEGIN PUBLIC KEY-----\\n"                                                            \
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE0jn3/DU7LgPYcsVQi83/5Dp6LN5H\\n"                      \
	"CF6lWf1hzlWf68L1saQl38el5818YbB3B/Z90R63Qaib4QXFp5J5CXrLgQ==\\n"                          \
	"-----END PUBLIC KEY-----\\n"
#define CORE_ID "ee0e2aeb39f89f2e73e530c9c0134a61f0c1544fba62fb13f5eb225068babbfc"

static void
key_ids(void **state)
{
	static const char whole[] =
	    "{\"x\":[1],\"keytype\":\"ecdsa\",\"scheme\":\"ecdsa-sha2-nistp256\","
	    "\"keyval\":{\"public\":\"" PEM_TEXT "\"}}";
	char id[KEY_ID_TEXT];
	bool usable = false;
	cJSON *o;

	(void)state;
	assert_int_equal(parse_key(CORE_ID,
			     "{\"keytype\":\"ecdsa\",\"scheme\":\"ecdsa-sha2-nistp256\","
			     "\"keyval\":{\"public\":\"" PEM_TEXT "\"}}",
			     &usable),
	    OK);
	assert_true(usable);
	/* members of their own: the id may count them or not */
	assert_int_equal(parse_key(CORE_ID, whole, &usable), OK);
	assert_int_equal(json_parse(&o, whole, strlen(whole), JSON_SIGNED, NULL), OK);
	assert_int_equal(key_compute_id(o, id, NULL), OK);
	cJSON_Delete(o);
	assert_string_not_equal(id, CORE_ID);
	assert_int_equal(parse_key(id, whole, &usable), OK);
	id[0] = id[0] == 'a' ? 'b' : 'a';
	assert_int_equal(parse_key(id, whole, &usable), ERR_VERIFY);
	assert_int_equal(parse_key("", whole, &usable), ERR_VERIFY);
	assert_int_equal(parse_key("EE0E", whole, &usable), ERR_VERIFY);
	assert_int_equal(
	    parse_key(CORE_ID, "{\"keytype\":\"ecdsa\",\"keyval\":{}}", &usable), ERR_PARSE);
	assert_int_equal(parse_key(CORE_ID, "[]", &usable), ERR_PARSE);
}

static void
rotations(void **state)
{
	struct world w;
	struct signers all, two = { 0 };

	(void)state;
	setup(&w);
	make_signers(&w, &all, "1");
	two.keys = all.keys + 1;
	two.n = 2;
	assert_false(signers_lost_key(&all, &all));
	assert_false(signers_lost_key(&two, &all));
	assert_true(signers_lost_key(&all, &two));
	signers_free(&all);
	teardown(&w);
}

static void
role_forms(void **state)
{
	static const char *const bad[] = { "{}", "{\"keyids\":[],\"threshold\":0}",
		"{\"keyids\":[]}", "{\"keyids\":{},\"threshold\":1}",
		"{\"keyids\":[1],\"threshold\":1}", "{\"keyids\":[\"a\",\"a\"],\"threshold\":1}",
		"{\"keyids\":[],\"threshold\":\"1\"}", "[]" };
	struct keyring ring = { 0 };
	struct signers s;
	cJSON *o;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(json_parse(&o, bad[i], strlen(bad[i]), JSON_SIGNED, NULL), OK);
		assert_int_equal(signers_parse(&s, o, &ring, NULL), ERR_PARSE);
		cJSON_Delete(o);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thresholds),
		cmocka_unit_test(a_changed_body_is_refused),
		cmocka_unit_test(forms),
		cmocka_unit_test(key_ids),
		cmocka_unit_test(rotations),
		cmocka_unit_test(role_forms),
	};

	return cmocka_run_group_tests_name("signed", tests, NULL, NULL);
}
