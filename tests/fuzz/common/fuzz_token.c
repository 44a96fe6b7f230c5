/* The word that an operator types. What is accepted must encode to the same word. */
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
	try_word((const char *)data, size);
	return 0;
}
