/* The strict reader: whatever it accepts must print and read back to the same text. */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum json_mode mode = size > 0 && data[size - 1] == '\n' ? JSON_EVENT : JSON_SIGNED;
	struct buf once, twice;
	cJSON *t;

	buf_init(&once, 1u << 22);
	buf_init(&twice, 1u << 22);
	if (json_parse(&t, (const char *)data, size, mode, NULL) == OK) {
		if (json_print(t, &once) != OK)
			abort();
		cJSON_Delete(t);
		if (json_parse(&t, buf_text(&once), once.len, JSON_EVENT, NULL) != OK ||
		    json_print(t, &twice) != OK || strcmp(buf_text(&once), buf_text(&twice)) != 0)
			abort();
		cJSON_Delete(t);
	}
	buf_free(&once);
	buf_free(&twice);
	return 0;
}
