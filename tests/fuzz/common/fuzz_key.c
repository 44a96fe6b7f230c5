/* Keys and key files: the first byte says what the rest is. */
#include "base/json.h"
#include "update/key.h"
#include "update/sign.h"
#include "update/sign_pkcs8.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
tuf_key(const char *p, size_t n)
{
	char id[KEY_ID_TEXT];
	struct key *k = NULL;
	cJSON *t;

	if (json_parse(&t, p, n, JSON_SIGNED, NULL) != OK)
		return;
	if (key_compute_id(t, id, NULL) == OK && key_parse(&k, id, t, NULL) == OK) {
		if (!key_same(k, k))
			abort();
		if (key_verify(k, p, n, (const uint8_t *)p, n) == OK)
			abort();
	}
	key_free(k);
	cJSON_Delete(t);
}

static void
public_key(enum sign_scheme scheme, const char *p, size_t n)
{
	struct sign_public *k;

	if (sign_public_parse(&k, scheme, p, n, NULL) != OK)
		return;
	if (!sign_public_same(k, k) || sign_verify(k, "", 0, (const uint8_t *)p, n) == OK)
		abort();
	sign_public_free(k);
}

static void
private_key(const char *p, size_t n, const char *passphrase)
{
	struct sign_private *k;
	struct buf b;

	if (sign_private_load(&k, p, n, passphrase, NULL) != OK)
		return;
	buf_init(&b, 4096);
	if (sign_private_save(k, NULL, &b, NULL) != OK)
		abort();
	buf_wipe(&b);
	sign_private_free(k);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data + 1;
	struct buf out;

	if (size < 1)
		return 0;
	switch (data[0]) {
	case 'k':
		tuf_key(p, size - 1);
		break;
	case 'e':
		public_key(SIGN_ECDSA_P256, p, size - 1);
		break;
	case 'r':
		public_key(SIGN_RSA_PSS_SHA256, p, size - 1);
		break;
	case 'd':
		public_key(SIGN_ED25519, p, size - 1);
		break;
	case 'p':
		private_key(p, size - 1, NULL);
		break;
	case 'x':
		buf_init(&out, PKCS8_DER_MAX);
		if (pkcs8_decrypt(data + 1, size - 1, "secret", &out) == OK && out.len >= size)
			abort();
		buf_wipe(&out);
		break;
	default:
		break;
	}
	return 0;
}
