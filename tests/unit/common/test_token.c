/* The enrolment token and the enrolment documents. */
#include "base/text.h"
#include "net/pki.h"
#include "proto/enroll.h"
#include "proto/token.h"
#include "test.h"

static struct token
sample(void)
{
	struct token t = {
		.host = "server.example", .port = 2225, .id = "0123456789abcdef", .n_roots = 1
	};

	memset(t.ca_spki, 0xca, sizeof(t.ca_spki));
	memset(t.secret, 0x5e, sizeof(t.secret));
	memcpy(t.roots[0].feed, "signatures", sizeof("signatures"));
	memset(t.roots[0].sha256, 0x07, 32);
	return t;
}

/* The word of sample(), fixed: agents in the field hold such words. */
#define GOLDEN                                                                                     \
	"ATL1AQixDnNlcnZlci5leGFtcGxlysrKysrKysrKysrKysrKysrKysrKysrKysrKysrKysoBI0VniavN"         \
	"715eXl5eXl5eXl5eXl5eXl4BCnNpZ25hdHVyZXMHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHB73iJ4s"

static void
test_round_trip(void **state)
{
	struct token t = sample(), back;
	struct fault f = { 0 };
	struct buf b;

	(void)state;
	buf_init(&b, LIMIT_TOKEN_TEXT);
	assert_int_equal(token_encode(&t, &b, &f), OK);
	assert_string_equal(buf_text(&b), GOLDEN);
	assert_int_equal(token_decode(&back, buf_text(&b), b.len, &f), OK);
	assert_memory_equal(&t, &back, sizeof(t));
	assert_non_null(token_root_hash(&back, "signatures"));
	assert_null(token_root_hash(&back, "packages"));
	buf_free(&b);
}

static void
test_white_space_around_is_fine_inside_is_not(void **state)
{
	static const char around[] = " \n\t" GOLDEN "\r\n";
	char inside[sizeof(GOLDEN) + 1];
	struct token t;

	(void)state;
	assert_int_equal(token_decode(&t, around, sizeof(around) - 1, NULL), OK);
	memcpy(inside, GOLDEN, 20);
	inside[20] = ' ';
	memcpy(inside + 21, GOLDEN + 20, sizeof(GOLDEN) - 20);
	assert_int_equal(token_decode(&t, inside, sizeof(GOLDEN), NULL), ERR_PARSE);
}

/* Every single changed or missing character is noticed. */
static void
test_every_typing_error_is_noticed(void **state)
{
	struct token t;
	size_t n = sizeof(GOLDEN) - 1;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		char *word = test_copy(GOLDEN, n);

		word[i] = word[i] == 'A' ? 'B' : 'A';
		assert_int_equal(token_decode(&t, word, n, NULL), ERR_PARSE);
		assert_int_equal(t.port, 0); /* nothing of it is left */
		free(word);
		word = test_copy(GOLDEN, i);
		assert_int_equal(token_decode(&t, word, i, NULL), ERR_PARSE);
		free(word);
	}
}

static void
test_what_cannot_be_encoded(void **state)
{
	struct token t;
	struct buf b;

	(void)state;
	buf_init(&b, LIMIT_TOKEN_TEXT);
	t = sample();
	t.port = 0;
	assert_int_equal(token_encode(&t, &b, NULL), ERR_INVAL);
	t = sample();
	t.host[0] = '\0';
	assert_int_equal(token_encode(&t, &b, NULL), ERR_INVAL);
	t = sample();
	t.host[3] = ' ';
	assert_int_equal(token_encode(&t, &b, NULL), ERR_INVAL);
	t = sample();
	t.id[0] = 'x';
	assert_int_equal(token_encode(&t, &b, NULL), ERR_INVAL);
	t = sample();
	t.roots[0].feed[0] = 'S';
	assert_int_equal(token_encode(&t, &b, NULL), ERR_INVAL);
	t = sample();
	t.n_roots = TOKEN_MAX_ROOTS + 1;
	assert_int_equal(token_encode(&t, &b, NULL), ERR_INVAL);
	assert_int_equal(b.len, 0);
	buf_free(&b);
}

static void
test_longest_token_fits(void **state)
{
	struct token t = sample(), back;
	struct buf b;

	(void)state;
	memset(t.host, 'h', TOKEN_HOST_TEXT - 1);
	t.n_roots = TOKEN_MAX_ROOTS;
	for (size_t i = 0; i < TOKEN_MAX_ROOTS; i++)
		memset(t.roots[i].feed, 'a' + (int)i, TOKEN_FEED_TEXT - 1);
	buf_init(&b, LIMIT_TOKEN_TEXT);
	assert_int_equal(token_encode(&t, &b, NULL), OK);
	assert_int_equal(token_decode(&back, buf_text(&b), b.len, NULL), OK);
	assert_memory_equal(&t, &back, sizeof(t));
	buf_free(&b);
}

/* Known answers, computed with Python's hmac. */
static void
test_proof_and_mac(void **state)
{
	struct token t = sample();
	uint8_t leaf[32], csr[32], proof[ENROLL_MAC], mac[ENROLL_MAC];
	char hex[65];

	(void)state;
	memset(leaf, 1, sizeof(leaf));
	memset(csr, 2, sizeof(csr));
	enroll_proof(proof, &t, leaf, csr);
	text_hex(hex, proof, sizeof(proof));
	assert_string_equal(
	    hex, "0ec3c340061e257a18e321b9a02012a9d15e1d7e54435a2c96fdaa07f17c9511");
	enroll_answer_mac(mac, t.secret, proof, "{}", 2);
	text_hex(hex, mac, sizeof(mac));
	assert_string_equal(
	    hex, "62912273cb85e724a0f7766c4b70052f4b4749254845267c561902f0783a610a");
	csr[0]++;
	enroll_proof(mac, &t, leaf, csr);
	assert_memory_not_equal(mac, proof, sizeof(mac));
}

static struct enroll_answer
sample_answer(void)
{
	struct enroll_answer a = { .agent = "01890000-0000-7000-8000-000000000001",
		.org = "example",
		.group = "till",
		.certificate = "CERT",
		.ca = "CA",
		.console_name = "main",
		.console_host = "server",
		.console_port = 2225,
		.time = "2026-01-01T00:00:00.000Z",
		.n_feeds = 2,
		.n_sources = 1 };

	a.feeds[0] = (struct enroll_feed){ "policies", "{\"root\":1}", 10 };
	a.feeds[1] = (struct enroll_feed){ "signatures", NULL, 0 };
	a.sources[0] = (struct enroll_source){ "server", "10.0.0.1", 2021, 0, 3333 };
	return a;
}

static void
test_answer_round_trip(void **state)
{
	struct token t = sample();
	struct enroll_answer a = sample_answer(), back;
	uint8_t proof[ENROLL_MAC] = { 9 }, mac[ENROLL_MAC];
	struct fault f = { 0 };
	struct buf doc, wire;

	(void)state;
	buf_init(&doc, LIMIT_ENROLL_ANSWER);
	buf_init(&wire, LIMIT_ENROLL_ANSWER);
	assert_int_equal(enroll_answer_write(&a, &doc), OK);
	enroll_answer_mac(mac, t.secret, proof, doc.data, doc.len);
	assert_int_equal(enroll_answer_seal(&wire, doc.data, doc.len, mac), OK);
	assert_int_equal(enroll_answer_open(&back, &t, proof, buf_text(&wire), wire.len, &f), OK);
	assert_string_equal(back.agent, a.agent);
	assert_string_equal(back.group, "till");
	assert_int_equal(back.n_feeds, 2);
	assert_int_equal(back.feeds[0].root_len, 10);
	assert_memory_equal(back.feeds[0].root, "{\"root\":1}", 11);
	assert_null(back.feeds[1].root);
	assert_int_equal(back.sources[0].version, 3333);
	enroll_answer_free(&back);
	/* Another console, another request, a changed document: nothing inside is looked at. */
	t.secret[0]++;
	assert_int_equal(
	    enroll_answer_open(&back, &t, proof, buf_text(&wire), wire.len, &f), ERR_AUTH);
	t = sample();
	proof[0]++;
	assert_int_equal(
	    enroll_answer_open(&back, &t, proof, buf_text(&wire), wire.len, &f), ERR_AUTH);
	buf_free(&doc);
	buf_free(&wire);
}

static void
test_answers_that_lack_something(void **state)
{
	static const char *const members[] = { "agent", "org", "group", "certificate", "ca", "time",
		"console", "feeds", "sources" };
	struct enroll_answer a = sample_answer(), back;
	struct buf doc, cut;
	cJSON *tree;

	(void)state;
	buf_init(&doc, LIMIT_ENROLL_ANSWER);
	buf_init(&cut, LIMIT_ENROLL_ANSWER);
	assert_int_equal(enroll_answer_write(&a, &doc), OK);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		struct fault f = { 0 };

		assert_int_equal(json_parse(&tree, buf_text(&doc), doc.len, JSON_SIGNED, NULL), OK);
		cJSON_Delete(cJSON_DetachItemViaPointer(tree, json_get(tree, members[i])));
		buf_reset(&cut);
		assert_int_equal(json_print(tree, &cut), OK);
		cJSON_Delete(tree);
		assert_int_not_equal(enroll_answer_parse(&back, buf_text(&cut), cut.len, &f), OK);
		assert_non_null(strstr(fault_text(&f), members[i]));
	}
	buf_free(&doc);
	buf_free(&cut);
}

static void
test_states(void **state)
{
	static const struct {
		const char *text;
		enum err want;
	} cases[] = {
		{ "{\"state\":\"running\",\"step\":\"3\",\"updated\":\"2026-01-01T00:00:00Z\"}",
		    OK },
		{ "{\"state\":\"done\",\"result\":{\"x\":1.5}}", OK },
		{ "{\"state\":\"happy\"}", ERR_PARSE },
		{ "{\"state\":\"done\",\"result\":[]}", ERR_PARSE },
		{ "{\"state\":\"done\",\"updated\":\"now\"}", ERR_PARSE },
		{ "{}", ERR_NOTFOUND },
		{ "[]", ERR_PARSE },
	};
	struct enroll_state s;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(enroll_state_read(&s, cases[i].text, strlen(cases[i].text), NULL),
		    cases[i].want);
		enroll_state_free(&s);
	}
	assert_true(enroll_state_is_final("interrupted"));
	assert_false(enroll_state_is_final("running"));
	assert_false(enroll_state_is_final("happy"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_white_space_around_is_fine_inside_is_not),
		cmocka_unit_test(test_every_typing_error_is_noticed),
		cmocka_unit_test(test_what_cannot_be_encoded),
		cmocka_unit_test(test_longest_token_fits),
		cmocka_unit_test(test_proof_and_mac),
		cmocka_unit_test(test_answer_round_trip),
		cmocka_unit_test(test_answers_that_lack_something),
		cmocka_unit_test(test_states),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
