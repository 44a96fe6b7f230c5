/* Replies of clamd, alone and in a session. The text that comes out must be printable and short. */
#include "proto/clamd.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct clamd_reply r;

	for (int session = 0; session < 2; session++) {
		if (clamd_parse(&r, (const char *)data, size, session != 0) != OK)
			continue;
		if (memchr(r.text, '\0', sizeof r.text) == NULL ||
		    (r.kind == CLAMD_FOUND && r.text[0] == '\0'))
			abort();
		for (const char *p = r.text; *p != '\0'; p++)
			if ((unsigned char)*p < 0x20 || *p == 0x7f)
				abort();
		(void)clamd_is_marker(r.text, "signatures", 1);
	}
	return 0;
}
