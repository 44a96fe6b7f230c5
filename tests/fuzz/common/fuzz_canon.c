/* Canonical JSON: its text is strict JSON, and canonical again to itself. */
#include "base/json.h"
#include "update/canon.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf once, twice, text;
	cJSON *t, *again;

	if (json_parse(&t, (const char *)data, size, JSON_EVENT, NULL) != OK)
		return 0;
	buf_init(&once, 1u << 22);
	buf_init(&twice, 1u << 22);
	buf_init(&text, 1u << 22);
	if (canon_json(t, &once, NULL) == OK) {
		/* Canonical text may hold raw control bytes, which JSON forbids; the way back leads
		 * through ordinary JSON text. */
		if (json_print(t, &text) != OK
		    || json_parse(&again, buf_text(&text), text.len, JSON_SIGNED, NULL) != OK)
			abort();
		if (canon_json(again, &twice, NULL) != OK || once.len != twice.len
		    || memcmp(once.data, twice.data, once.len) != 0)
			abort();
		cJSON_Delete(again);
	}
	cJSON_Delete(t);
	buf_free(&once);
	buf_free(&twice);
	buf_free(&text);
	return 0;
}
