/* The word that an operator types. What is accepted must encode to the same word. */
#include "base/text.h"
#include "net/pki.h"
#include "proto/token.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_word(const char *p, size_t n)
{
	struct token t;
	struct buf b;

	if (token_decode(&t, p, n, NULL) != OK)
		return;
	buf_init(&b, LIMIT_TOKEN_TEXT);
	if (token_encode(&t, &b, NULL) != OK || memmem(p, n, b.data, b.len) == NULL)
		abort();
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf raw, word;
	uint8_t sum[PKI_SHA256];

	try_word((const char *)data, size);
	/* With the right checksum, so that what lies behind it is reached. */
	buf_init(&raw, 4096);
	buf_init(&word, 8192);
	pki_sha256(sum, data, size);
	if (buf_append(&raw, data, size) == OK && buf_append(&raw, sum, 4) == OK &&
	    buf_puts(&word, TOKEN_PREFIX) == OK && text_b64url(&word, raw.data, raw.len) == OK)
		try_word(buf_text(&word), word.len);
	buf_free(&raw);
	buf_free(&word);
	return 0;
}
