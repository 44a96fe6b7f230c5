/* A compressed batch: whatever comes, never more than the limit. */
#include "gunzip.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out;

	buf_init(&out, 65536);
	if (gunzip(&out, data, size) == OK && out.len > 65536)
		abort();
	buf_free(&out);
	return 0;
}
