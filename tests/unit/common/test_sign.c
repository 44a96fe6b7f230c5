/* Keys: reading what others wrote, and refusing what is no key of ours. */
#include "base/buf.h"
#include "os/file.h"
#include "update/sign.h"
#include "update/sign_pkcs8.h"

#include "base/text.h"
#include "test.h"

#include <stdio.h>

static struct buf
pem(const char *name)
{
	char path[128];
	struct buf b;

	(void)snprintf(path, sizeof path, "tests/golden/keys/%s.pem", name);
	buf_init(&b, 8192);
	assert_int_equal(file_read(path, &b, NULL), OK);
	return b;
}

/* Made with python3-cryptography over "message". */
static const struct vector {
	enum sign_scheme scheme;
	const char *public, *sig;
} vectors[] = {
	{ SIGN_ECDSA_P256,
	    "-----BEGIN PUBLIC KEY-----\n"
	    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE0jn3/DU7LgPYcsVQi83/5Dp6LN5H\n"
	    "CF6lWf1hzlWf68L1saQl38el5818YbB3B/Z90R63Qaib4QXFp5J5CXrLgQ==\n"
	    "-----END PUBLIC KEY-----\n",
	    "3046022100ffedef1bd4456e38bed6df0c4cb40ead53d7a611d1969b9e198fa5"
	    "8902f9b193022100f261c4d091f2f02ed70d600a7378f990e1619800a25ddfcd"
	    "0069e7795bb3fe53" },
	{ SIGN_RSA_PSS_SHA256,
	    "-----BEGIN PUBLIC KEY-----\n"
	    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0LsB1paULcvCiiI58QV3\n"
	    "aH1T74Kr94DLk6pnc7oAxFFy6hQUk/8olnsMH8b07YzSF5SuaMRhaMOogag8SkbW\n"
	    "VIbYCg2NtCkeW/0SpVS6/+TlRbY2WwyBvlvcW19cBXyDW9JuLQC2Sl9wJQIZxpa5\n"
	    "OtDLGtM3XpfJ62ghbdDdp8hDeO6wtOyR1f0onf/cbzuegdObnVji4466xFbRZOje\n"
	    "qydXZ62JKPHcLVmYMhy4O8QmikMLzyJO0kf/Riltl6fsQjN9TfJHSVKlAG/ev4ex\n"
	    "KGI1uuwAdWp/8sWA/sxC6nvD5+/pjMSeWUncU//MbHbgsevnvUgjY3i4ociZOttT\n"
	    "ZQIDAQAB\n"
	    "-----END PUBLIC KEY-----\n",
	    "73c97de85ec1a9db0a0d9d08b7709c597dcc3c50e4515fe1ab7adb27e0409d06"
	    "ffa79eb3731bde218662705d023d4e5ba3f9d13e61441104b574fe5b0aa9325a"
	    "f07fcd4f6e689e5ae46e35b80744867f9b1fd4d40a487b80b42ecdf674878de6"
	    "e591753ad1cc8924bc540af8a10a28b8d86c971af39d0ac65cd59e9d8e433ec2"
	    "196a55ea76101c20274b5d0b132553d8221dd7224002ac36c4eddd199a3d4caf"
	    "b219fc4c2667fce2dca6b0108c22a77edd8b92d9ab40fb923c9d33877daaee8b"
	    "8a9e152b4dbbf42448586739d2a43d73cba677a5f508bee3ee37d879b8e54ae0"
	    "bc24b9a188d7999612b1e5c0083b499573f8a674db42214b9459e2706092d5d0" },
#ifdef HAVE_SODIUM
	{ SIGN_ED25519, "8b33f5b8aff2d32ad2715908151c66f20729eb92fe7060ef82b6ad081057a297",
	    "74b086eec90618867a8aef66860d5bcf65b684d95111f47bdd27d05e6257da23"
	    "7faec60a943eea043d38b324463205e2526bf6678bea54f97aadaf043ff41208" },
#endif
};

static void
signatures_of_others(void **state)
{
	const struct vector *v;
	struct sign_public *k;
	uint8_t sig[512];
	size_t n, i;

	(void)state;
	for (v = vectors; v < vectors + sizeof vectors / sizeof *vectors; v++) {
		assert_int_equal(text_unhex(sig, sizeof sig, v->sig, strlen(v->sig), &n), OK);
		assert_int_equal(
		    sign_public_parse(&k, v->scheme, v->public, strlen(v->public), NULL), OK);
		assert_int_equal(sign_verify(k, "message", 7, sig, n), OK);
		assert_int_equal(sign_verify(k, "Message", 7, sig, n), ERR_AUTH);
		assert_int_equal(sign_verify(k, "message", 6, sig, n), ERR_AUTH);
		assert_int_equal(sign_verify(k, "message", 7, sig, n - 1), ERR_AUTH);
		assert_int_equal(sign_verify(k, "message", 7, sig, 0), ERR_AUTH);
		sig[n] = 0;
		assert_int_equal(sign_verify(k, "message", 7, sig, n + 1), ERR_AUTH);
		for (i = 0; i < n; i += 7) {
			sig[i] ^= 1;
			assert_int_equal(sign_verify(k, "message", 7, sig, n), ERR_AUTH);
			sig[i] ^= 1;
		}
		sign_public_free(k);
	}
}

static enum err
parse(enum sign_scheme scheme, const char *p, size_t n)
{
	struct sign_public *k = NULL;
	char *copy = test_copy(p, n);
	enum err e = sign_public_parse(&k, scheme, copy, n, NULL);

	sign_public_free(k);
	free(copy);
	return e;
}

static void
keys_that_are_none(void **state)
{
	struct buf pub = pem("pub"), p384 = pem("pub384"), small = pem("rsa1024"), priv = pem("p8");
	const char *rsa = vectors[1].public;
	size_t n;

	(void)state;
	assert_int_equal(parse(SIGN_ECDSA_P256, buf_text(&pub), pub.len), OK);
	assert_int_equal(parse(SIGN_RSA_PSS_SHA256, buf_text(&pub), pub.len), ERR_PARSE);
	assert_int_equal(parse(SIGN_ECDSA_P256, rsa, strlen(rsa)), ERR_PARSE);
	assert_int_equal(parse(SIGN_ECDSA_P256, buf_text(&p384), p384.len), ERR_PARSE);
	assert_int_equal(parse(SIGN_RSA_PSS_SHA256, buf_text(&small), small.len), ERR_PARSE);
	assert_int_equal(parse(SIGN_ECDSA_P256, buf_text(&priv), priv.len), ERR_PARSE);
	for (n = 0; n < pub.len - 2; n++)
		assert_int_equal(parse(SIGN_ECDSA_P256, buf_text(&pub), n), ERR_PARSE);
#ifdef HAVE_SODIUM
	assert_int_equal(parse(SIGN_ED25519, vectors[2].public, 64), OK);
	assert_int_equal(parse(SIGN_ED25519, vectors[2].public, 62), ERR_PARSE);
	assert_int_equal(parse(SIGN_ED25519, "zz", 2), ERR_PARSE);
#else
	assert_int_equal(parse(SIGN_ED25519, "zz", 2), ERR_UNSUPPORTED);
#endif
	buf_free(&pub);
	buf_free(&p384);
	buf_free(&small);
	buf_free(&priv);
}

static void
same_key_in_other_clothes(void **state)
{
	struct buf a = pem("pub"), b = pem("pubc");
	struct sign_public *ka, *kb, *kc;

	(void)state;
	assert_int_equal(sign_public_parse(&ka, SIGN_ECDSA_P256, buf_text(&a), a.len, NULL), OK);
	assert_int_equal(sign_public_parse(&kc, SIGN_ECDSA_P256, vectors[0].public,
			     strlen(vectors[0].public), NULL),
	    OK);
	assert_true(sign_public_same(ka, ka));
	assert_false(sign_public_same(ka, kc));
	/* mbedTLS 2.28 reads no compressed points: then it is no key at all, not another one. */
	if (sign_public_parse(&kb, SIGN_ECDSA_P256, buf_text(&b), b.len, NULL) == OK) {
		assert_true(sign_public_same(ka, kb));
		sign_public_free(kb);
	}
	sign_public_free(ka);
	sign_public_free(kc);
	buf_free(&a);
	buf_free(&b);
}

static void
check_loaded(const struct sign_private *k)
{
	struct buf want = pem("pub"), got, sig;
	struct sign_public *pub;

	buf_init(&got, 4096);
	buf_init(&sig, 256);
	assert_int_equal(sign_private_public_pem(k, &got), OK);
	assert_string_equal(buf_text(&got), buf_text(&want));
	assert_int_equal(sign_make(k, "text", 4, &sig), OK);
	assert_int_equal(
	    sign_public_parse(&pub, SIGN_ECDSA_P256, buf_text(&got), got.len, NULL), OK);
	assert_int_equal(sign_verify(pub, "text", 4, sig.data, sig.len), OK);
	sign_public_free(pub);
	buf_free(&want);
	buf_free(&got);
	buf_free(&sig);
}

static void
private_keys_of_openssl(void **state)
{
	static const struct {
		const char *file, *passphrase;
		enum err want;
	} cases[] = {
		{ "sec1", NULL, OK },
		{ "p8", NULL, OK },
		{ "p8", "not needed", OK },
		{ "enc256", "secret", OK },
		{ "enc128", "secret", OK },
		{ "enc256", "Secret", ERR_AUTH },
		{ "enc256", "", ERR_AUTH },
		{ "enc256", NULL, ERR_AUTH },
		{ "encdes", "secret", ERR_UNSUPPORTED },
		{ "p384", NULL, ERR_UNSUPPORTED },
		{ "rsapriv", NULL, ERR_UNSUPPORTED },
		{ "pub", NULL, ERR_PARSE },
	};
	struct sign_private *k;
	struct fault f;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf b = pem(cases[i].file);

		fault_reset(&f);
		assert_int_equal(
		    sign_private_load(&k, buf_text(&b), b.len, cases[i].passphrase, &f),
		    cases[i].want);
		if (cases[i].want == OK)
			check_loaded(k);
		else
			assert_true(f.text[0] != '\0');
		sign_private_free(k);
		buf_free(&b);
	}
}

static void
round_trip(void **state)
{
	static const char *const passphrases[] = { NULL, "a passphrase with \xc3\xa9" };
	struct sign_private *k, *again;
	struct buf file, a, b;
	size_t i;

	(void)state;
	buf_init(&file, 4096);
	buf_init(&a, 4096);
	buf_init(&b, 4096);
	assert_int_equal(sign_generate(&k, NULL), OK);
	assert_int_equal(sign_private_public_pem(k, &a), OK);
	for (i = 0; i < 2; i++) {
		buf_reset(&file);
		buf_reset(&b);
		assert_int_equal(sign_private_save(k, passphrases[i], &file, NULL), OK);
		assert_non_null(strstr(
		    buf_text(&file), i == 0 ? "BEGIN PRIVATE KEY" : "BEGIN ENCRYPTED PRIVATE KEY"));
		assert_int_equal(
		    sign_private_load(&again, buf_text(&file), file.len, passphrases[i], NULL), OK);
		assert_int_equal(sign_private_public_pem(again, &b), OK);
		assert_string_equal(buf_text(&a), buf_text(&b));
		sign_private_free(again);
	}
	sign_private_free(k);
	buf_wipe(&file);
	buf_free(&a);
	buf_free(&b);
}

/* Every cut and every flipped bit of an encrypted key is refused, and nothing is read past its
 * end. The iteration count of the file is low, so that this is quick. */
static void
broken_envelopes(void **state)
{
	struct buf text = pem("enc256"), der, out;
	const char *body;
	size_t n = 0, i;
	char clean[1024];
	enum err e;

	(void)state;
	buf_init(&der, 1024);
	buf_init(&out, 1024);
	body = strchr(buf_text(&text), '\n') + 1;
	for (; *body != '-'; body++)
		if (*body != '\n')
			clean[n++] = *body;
	assert_int_equal(text_unb64(&der, clean, n), OK);
	assert_int_equal(pkcs8_decrypt(der.data, der.len, "secret", &out), OK);
	for (i = 0; i < der.len; i++) {
		uint8_t *copy = (uint8_t *)test_copy(der.data, i);

		buf_reset(&out);
		assert_int_not_equal(pkcs8_decrypt(copy, i, "secret", &out), OK);
		free(copy);
	}
	for (i = 0; i < 98; i++) { /* header, salt, iterations; the ciphertext has no checksum */
		der.data[i] ^= 0x40;
		buf_reset(&out);
		e = pkcs8_decrypt(der.data, der.len, "secret", &out);
		assert_true(e != OK || out.len > 0);
		der.data[i] ^= 0x40;
	}
	buf_free(&text);
	buf_free(&der);
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signatures_of_others),
		cmocka_unit_test(keys_that_are_none),
		cmocka_unit_test(same_key_in_other_clothes),
		cmocka_unit_test(private_keys_of_openssl),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(broken_envelopes),
	};

	return cmocka_run_group_tests_name("sign", tests, NULL, NULL);
}
