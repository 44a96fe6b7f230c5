/* Manifests of sets: what is accepted is exactly what would be written again. */
#include "update/set_priv.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct set_manifest m = { 0 };
	struct buf text;

	buf_init(&text, 1 << 20);
	if (size <= 1 << 16 && set_manifest_parse(&m, (const char *)data, size, NULL) == OK) {
		if (set_manifest_text(&m, &text, NULL) != OK || text.len != size ||
		    (size > 0 && memcmp(text.data, data, size) != 0))
			abort();
	}
	buf_free(&text);
	set_manifest_free(&m);
	return 0;
}
