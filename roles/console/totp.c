#include "totp.h"

#include "base/text.h"
#include "net/pki.h"

#include <string.h>

uint32_t
totp_value(const uint8_t *key, size_t n, uint64_t counter, unsigned digits)
{
	static const uint32_t powers[] = { 1000000, 10000000, 100000000 };
	uint8_t text[8], mac[PKI_SHA1];
	uint32_t value;
	size_t at;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(counter >> (8 * (7 - i)));
	pki_hmac_sha1(mac, key, n, text, sizeof(text));
	at = mac[PKI_SHA1 - 1] & 15u;
	value = (uint32_t)(mac[at] & 127u) << 24 | (uint32_t)mac[at + 1] << 16 |
		(uint32_t)mac[at + 2] << 8 | mac[at + 3];
	return value % powers[digits >= 6 && digits <= 8 ? digits - 6 : 0];
}

/* Every step is computed, whichever matches: time tells nothing. */
bool
totp_check(
    const uint8_t *key, size_t n, const char *code, int64_t now_ms, int64_t last, int64_t *step)
{
	int64_t now = now_ms / (TOTP_STEP_S * 1000);
	uint32_t given = 0;
	bool good = false;

	if (strlen(code) != 6)
		return false;
	for (size_t i = 0; i < 6; i++) {
		if (code[i] < '0' || code[i] > '9')
			return false;
		given = given * 10 + (uint32_t)(code[i] - '0');
	}
	for (int64_t s = now - TOTP_DRIFT; s <= now + TOTP_DRIFT; s++) {
		uint32_t right = s >= 0 ? totp_value(key, n, (uint64_t)s, 6) : UINT32_MAX;

		if (pki_equal(&right, &given, sizeof(right)) && s > last && !good) {
			good = true;
			*step = s;
		}
	}
	return good;
}

enum err
totp_base32(struct buf *out, const uint8_t *p, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	uint32_t bits = 0;
	unsigned have = 0;
	enum err e = OK;

	for (size_t i = 0; e == OK && i < n; i++) {
		bits = bits << 8 | p[i];
		have += 8;
		while (e == OK && have >= 5) {
			have -= 5;
			e = buf_append(out, &digits[bits >> have & 31], 1);
		}
	}
	if (e == OK && have > 0)
		e = buf_append(out, &digits[bits << (5 - have) & 31], 1);
	return e;
}
