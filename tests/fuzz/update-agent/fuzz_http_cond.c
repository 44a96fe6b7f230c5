/* Four fields out of any bytes: what is sent always lies inside the file. */
#include "http_cond.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[4][64] = { "", "", "", "" };
	struct http_conditions c = { text[0], text[1], text[2], text[3] };
	uint64_t first = 0, length = 0, file = size > 0 ? data[0] * 3u : 0;
	size_t field = 0, n = 0, i;
	enum http_answer a;

	for (i = 1; i < size && field < 4; i++) {
		if (data[i] == '\n') {
			field++;
			n = 0;
		} else if (n < sizeof(text[0]) - 1 && data[i] != '\0') {
			text[field][n++] = (char)data[i];
		}
	}
	a = http_decide(&c, "\"1-2-3.4\"", 1795529160, file, &first, &length);
	if ((a == HTTP_ANSWER_FULL || a == HTTP_ANSWER_PART) &&
	    (first > file || length > file - first))
		abort();
	if (a == HTTP_ANSWER_PART && length == 0)
		abort();
	return 0;
}
