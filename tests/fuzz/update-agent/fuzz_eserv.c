/* Any bytes as an eserv.ini: refused, or a section without a line that the file smuggled in. */
#include "eserv.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fault f = { 0 };
	struct buf out;
	const char *p;
	size_t lines = 0;

	buf_init(&out, 65536);
	if (eserv_convert(&out, "f", (const char *)data, size, &f) == OK) {
		for (p = buf_text(&out); *p != '\0'; p++)
			lines += *p == '\n';
		if (lines > 6)
			abort();
	}
	buf_free(&out);
	return 0;
}
