#include "base/uuid.h"

#include "base/text.h"

#include <string.h>

static void
format(char out[UUID_TEXT], const uint8_t b[16])
{
	char hex[33];

	text_hex(hex, b, 16);
	memcpy(out, hex, 8);
	out[8] = '-';
	memcpy(out + 9, hex + 8, 4);
	out[13] = '-';
	memcpy(out + 14, hex + 12, 4);
	out[18] = '-';
	memcpy(out + 19, hex + 16, 4);
	out[23] = '-';
	memcpy(out + 24, hex + 20, 13);
}

void
uuid_v7(char out[UUID_TEXT], int64_t unix_ms, const uint8_t random10[10])
{
	uint64_t t = unix_ms > 0 ? (uint64_t)unix_ms : 0;
	uint8_t b[16];
	int i;

	for (i = 0; i < 6; i++)
		b[i] = (uint8_t)(t >> (40 - 8 * i));
	memcpy(b + 6, random10, 10);
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x70);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	format(out, b);
}

void
uuid_v4(char out[UUID_TEXT], const uint8_t random16[16])
{
	uint8_t b[16];

	memcpy(b, random16, 16);
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	format(out, b);
}

int64_t
uuid_v7_ms(const char *text)
{
	char digits[12];
	uint8_t b[6];
	uint64_t v = 0;
	int i;

	if (text == NULL || !text_is_uuid(text, strlen(text)) || text[14] != '7')
		return -1;
	memcpy(digits, text, 8);
	memcpy(digits + 8, text + 9, 4);
	if (text_unhex(b, sizeof b, digits, sizeof digits, NULL) != OK)
		return -1;
	for (i = 0; i < 6; i++)
		v = v << 8 | b[i];
	return (int64_t)v;
}
