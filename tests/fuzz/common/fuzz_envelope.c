/* A task envelope before a NUL, the authority that judges it behind; without a NUL both are the
 * same text. */
#include "proto/envelope.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
judge(const struct envelope *e, const char *p, size_t n)
{
	struct envelope_context ctx = { .agent = "01890000-0000-7000-8000-00000000000a",
		.group = "till",
		.now_ms = 1700000000000ll,
		.skew_ms = 60000 };
	struct authority *a;
	struct fault f = { OK, "" };
	enum envelope_refusal r;

	if (authority_parse(&a, p, n, NULL) != OK)
		return;
	if (e->tree != NULL) {
		r = envelope_verify(e, a, &ctx, &f);
		if ((unsigned)r >= ENVELOPE_REFUSAL_COUNT ||
		    (r == ENVELOPE_OK) != (f.text[0] == '\0'))
			abort();
	}
	authority_free(a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data, *nul = memchr(data, 0, size);
	size_t n = nul != NULL ? (size_t)(nul - p) : size;
	struct envelope e, again;
	struct buf b;

	if (envelope_parse(&e, p, n, NULL) == OK) {
		buf_init(&b, 8 * 65536);
		if (envelope_write(&e, &b) != OK)
			abort();
		if (b.len <= 65536 && envelope_parse(&again, buf_text(&b), b.len, NULL) != OK)
			abort();
		if (b.len <= 65536)
			envelope_free(&again);
		buf_free(&b);
	}
	if (nul != NULL)
		judge(&e, nul + 1, size - n - 1);
	else
		judge(&e, p, n);
	envelope_free(&e);
	return 0;
}
