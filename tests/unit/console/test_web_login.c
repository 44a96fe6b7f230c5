/* One-time codes against the RFC, what browsers say about themselves, sessions, signature forms. */
#include "base/text.h"
#include "net/pki.h"
#include "sigform.h"
#include "test.h"
#include "totp.h"
#include "update/sign.h"
#include "web_cookie.h"
#include "web_sessions.h"
#include "who.h"

#include <stdio.h>
#include <string.h>

/* RFC 6238, appendix B, the column of SHA-1: eight digits. */
static void
test_totp_of_the_rfc(void **state)
{
	static const uint8_t key[] = "12345678901234567890";
	static const struct {
		int64_t at;
		uint32_t code;
	} cases[] = {
		{ 59, 94287082 },
		{ 1111111109, 7081804 },
		{ 1111111111, 14050471 },
		{ 1234567890, 89005924 },
		{ 2000000000, 69279037 },
		{ 20000000000, 65353130 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(totp_value(key, 20, (uint64_t)cases[i].at / 30, 8), cases[i].code);
}

/* RFC 4226, appendix D: counters 0 to 9. */
static void
test_hotp_of_the_rfc(void **state)
{
	static const uint8_t key[] = "12345678901234567890";
	static const uint32_t codes[] = { 755224, 287082, 359152, 969429, 338314, 254676, 287922,
		162583, 399871, 520489 };

	(void)state;
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(totp_value(key, 20, i, 6), codes[i]);
}

static void
test_a_code_serves_once_and_around_its_time(void **state)
{
	static const uint8_t key[] = "12345678901234567890";
	const int64_t now = 1111111111000;
	int64_t step = 0, own = now / 30000;
	char code[7];

	(void)state;
	for (int64_t s = own - 2; s <= own + 2; s++) {
		bool near = s >= own - 1 && s <= own + 1;

		(void)snprintf(code, sizeof(code), "%06u", totp_value(key, 20, (uint64_t)s, 6));
		assert_int_equal(totp_check(key, 20, code, now, 0, &step), near);
		if (near)
			assert_int_equal(step, s);
		assert_false(totp_check(key, 20, code, now, s, &step));
		assert_int_equal(totp_check(key, 20, code, now, s - 1, &step), near);
	}
	assert_false(totp_check(key, 20, "", now, 0, &step));
	assert_false(totp_check(key, 20, "05047", now, 0, &step));
	assert_false(totp_check(key, 20, "0504711", now, 0, &step));
	assert_false(totp_check(key, 20, "05047a", now, 0, &step));
	assert_true(totp_check(key, 20, "050471", now, 0, &step));
}

static void
test_base32_of_the_rfc(void **state)
{
	static const char *const cases[][2] = { { "", "" }, { "f", "MY" }, { "fo", "MZXQ" },
		{ "foo", "MZXW6" }, { "foob", "MZXW6YQ" }, { "fooba", "MZXW6YTB" },
		{ "foobar", "MZXW6YTBOI" } };
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_init(&b, 64);
		assert_int_equal(
		    totp_base32(&b, (const uint8_t *)cases[i][0], strlen(cases[i][0])), OK);
		assert_string_equal(buf_text(&b), cases[i][1]);
		buf_free(&b);
	}
}

#define WORD "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-"
_Static_assert(sizeof(WORD) == COOKIE_WORD + 1, "length of a word");

static void
test_cookies(void **state)
{
	static const struct {
		const char *field;
		enum err e;
	} cases[] = {
		{ NULL, ERR_NOTFOUND },
		{ "", ERR_NOTFOUND },
		{ "__Host-atalaia=" WORD, OK },
		{ "a=b; __Host-atalaia=" WORD "; c=d", OK },
		{ "a=b;__Host-atalaia=" WORD, OK },
		{ "__host-atalaia=" WORD, ERR_NOTFOUND },
		{ "x__Host-atalaia=" WORD, ERR_NOTFOUND },
		{ "__Host-atalaia=" WORD "A", ERR_PARSE },
		{ "__Host-atalaia=", ERR_PARSE },
		{ "__Host-atalaia=\"" WORD "\"", ERR_PARSE },
		{ "__Host-atalaia=" WORD "; __Host-atalaia=" WORD, ERR_PARSE },
	};
	char word[COOKIE_WORD + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(cookie_word(cases[i].field, word), cases[i].e);
		assert_string_equal(word, cases[i].e == OK ? WORD : "");
	}
}

static void
test_origins_and_codings(void **state)
{
	(void)state;
	assert_true(origin_is_host("https://a.example:10443", "a.example:10443"));
	assert_true(origin_is_host("https://A.example", "a.example"));
	assert_false(origin_is_host("http://a.example:10443", "a.example:10443"));
	assert_false(origin_is_host("https://a.example:10443.evil", "a.example:10443"));
	assert_false(origin_is_host("https://a.example:1044", "a.example:10443"));
	assert_false(origin_is_host("null", "null"));
	assert_false(origin_is_host(NULL, "a"));
	assert_false(origin_is_host("https://", ""));
	assert_true(fetch_site_is_own(NULL));
	assert_true(fetch_site_is_own("same-origin"));
	assert_false(fetch_site_is_own("same-site"));
	assert_false(fetch_site_is_own("cross-site"));
	assert_true(accepts_coding("gzip, deflate, br", "br"));
	assert_true(accepts_coding("BR;q=0.5", "br"));
	assert_false(accepts_coding("br;q=0, gzip", "br"));
	assert_false(accepts_coding("br;q=0.000", "br"));
	assert_false(accepts_coding("brotli", "br"));
	assert_false(accepts_coding(NULL, "br"));
}

static void
test_csrf_hangs_on_the_word(void **state)
{
	char a[65], b[65];

	(void)state;
	cookie_csrf(a, WORD);
	cookie_csrf(b, "B" WORD);
	assert_int_equal(strlen(a), 64);
	assert_string_not_equal(a, b);
}

static struct session
make(const char *user, uint8_t mark, int64_t now)
{
	struct session x = { .created = now, .seen = now, .saved = now };

	(void)snprintf(x.who.name, sizeof(x.who.name), "%s", user);
	x.who.role = WHO_OPERATOR;
	memset(x.who.session, mark, sizeof(x.who.session));
	return x;
}

static void
test_sessions_end_in_time(void **state)
{
	struct sessions *s;
	struct session x = make("ana", 1, 1000000);
	uint8_t hash[32];
	bool save;

	(void)state;
	memset(hash, 1, sizeof(hash));
	assert_int_equal(sessions_new(&s, 10000, 100000), OK);
	sessions_add(s, &x);
	assert_non_null(
	    sessions_find(s, hash, 1010000, false, NULL)); /* the idle time is not over */
	assert_null(sessions_find(s, hash, 1010001, false, NULL));
	sessions_add(s, &x);
	for (int64_t t = 1000000; t <= 1100000; t += 9000)
		assert_non_null(sessions_find(s, hash, t, true, NULL));
	assert_null(sessions_find(s, hash, 1100001, true, NULL)); /* used, and still too old */
	sessions_add(s, &x);
	assert_null(sessions_find(s, hash, 900000, true, NULL)); /* the clock was set back */
	sessions_free(s);
	assert_int_equal(sessions_new(&s, 1000000, 1000000), OK);
	sessions_add(s, &x);
	assert_non_null(sessions_find(s, hash, 1000001, true, &save));
	assert_false(save);
	assert_non_null(sessions_find(s, hash, 1000000 + SESSION_SAVE_MS, true, &save));
	assert_true(save);
	sessions_sweep(s, 9000000);
	assert_false(sessions_drop(s, hash));
	sessions_free(s);
}

static void
test_sessions_are_bounded_per_user(void **state)
{
	struct sessions *s;
	struct session x;
	uint8_t hash[32];

	(void)state;
	assert_int_equal(sessions_new(&s, 1u << 30, 1u << 30), OK);
	x = make("bob", 200, 5);
	sessions_add(s, &x);
	for (uint8_t i = 0; i < SESSIONS_PER_USER + 3; i++) {
		x = make("ana", i, 10 + i);
		sessions_add(s, &x);
	}
	memset(hash, 2, sizeof(hash)); /* the oldest three went */
	assert_null(sessions_find(s, hash, 100, false, NULL));
	memset(hash, 3, sizeof(hash));
	assert_non_null(sessions_find(s, hash, 100, false, NULL));
	assert_int_equal(sessions_drop_user(s, "ana", hash), SESSIONS_PER_USER - 1);
	assert_non_null(sessions_find(s, hash, 100, false, NULL));
	assert_int_equal(sessions_drop_user(s, "ana", NULL), 1);
	memset(hash, 200, sizeof(hash));
	assert_non_null(sessions_find(s, hash, 100, false, NULL));
	sessions_free(s);
}

static void
test_groups_and_names(void **state)
{
	struct who w = { .role = WHO_OPERATOR };

	(void)state;
	assert_true(who_may_group(&w, "any"));
	assert_null(who_scope(&w));
	(void)snprintf(w.scope, sizeof(w.scope), "[\"till\",\"shop\"]");
	assert_true(who_may_group(&w, "shop"));
	assert_false(who_may_group(&w, "sho"));
	assert_false(who_may_group(&w, ""));
	(void)snprintf(w.scope, sizeof(w.scope), "[\"till\""); /* damaged: nothing */
	assert_false(who_may_group(&w, "till"));
	assert_true(who_is_name("ana.b-1", 7));
	assert_false(who_is_name("Ana", 3));
	assert_false(who_is_name("a\0b", 3));
	assert_false(who_is_name("", 0));
	assert_int_equal(who_role_parse("administrator"), WHO_ADMIN);
	assert_int_equal(who_role_parse("root"), 0);
}

/* The DER of a real signature taken apart and put together again must verify. */
static void
test_raw_signatures_become_der(void **state)
{
	uint8_t raw[64], der[SIGFORM_DER], *p;
	struct sign_private *key;
	struct sign_public *pub;
	struct buf pem, sig;
	size_t n;

	(void)state;
	buf_init(&pem, 4096);
	assert_int_equal(sign_generate(&key, NULL), OK);
	assert_int_equal(sign_private_public_pem(key, &pem), OK);
	assert_int_equal(
	    sign_public_parse(&pub, SIGN_ECDSA_P256, buf_text(&pem), pem.len, NULL), OK);
	for (int i = 0; i < 64; i++) { /* leading zeros and high bits of r and s occur */
		buf_init(&sig, 128);
		assert_int_equal(sign_make(key, "task", 4, &sig), OK);
		memset(raw, 0, sizeof(raw));
		p = sig.data + 2;
		for (int half = 0; half < 2; half++) {
			size_t len = p[1], skip = len > 32 ? len - 32 : 0;

			memcpy(raw + 32 * half + (32 - (len - skip)), p + 2 + skip, len - skip);
			p += 2 + len;
		}
		assert_int_equal(sigform_der(raw, sizeof(raw), der, &n), OK);
		assert_int_equal(n, sig.len);
		assert_memory_equal(der, sig.data, n);
		assert_int_equal(sign_verify(pub, "task", 4, der, n), OK);
		assert_int_equal(sign_verify(pub, "tusk", 4, der, n), ERR_AUTH);
		buf_free(&sig);
	}
	memset(raw, 0, 32);
	assert_int_equal(sigform_der(raw, sizeof(raw), der, &n), ERR_PARSE);
	assert_int_equal(sigform_der(raw, 63, der, &n), ERR_PARSE);
	assert_int_equal(sigform_text("0aFF", raw, sizeof(raw), &n), OK);
	assert_int_equal(n, 2);
	assert_int_equal(sigform_text("Cv8=", raw, sizeof(raw), &n), OK);
	assert_int_equal(sigform_text("_-8", raw, sizeof(raw), &n), OK);
	assert_int_equal(sigform_text("Cv8=", raw, 1, &n), ERR_PARSE);
	assert_int_equal(sigform_text("!", raw, sizeof(raw), &n), ERR_PARSE);
	sign_public_free(pub);
	sign_private_free(key);
	buf_free(&pem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_totp_of_the_rfc),
		cmocka_unit_test(test_hotp_of_the_rfc),
		cmocka_unit_test(test_a_code_serves_once_and_around_its_time),
		cmocka_unit_test(test_base32_of_the_rfc),
		cmocka_unit_test(test_cookies),
		cmocka_unit_test(test_origins_and_codings),
		cmocka_unit_test(test_csrf_hangs_on_the_word),
		cmocka_unit_test(test_sessions_end_in_time),
		cmocka_unit_test(test_sessions_are_bounded_per_user),
		cmocka_unit_test(test_groups_and_names),
		cmocka_unit_test(test_raw_signatures_become_der),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
