/* The first line of a file from a drop box: whatever it is, it proves nothing without a CA. */
#include "proto/dropped.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pki_trust none = { .ca_pem = NULL };
	struct dropped d;
	size_t head = 0;
	struct fault f = { OK, "" };
	enum err e = dropped_open(
	    &d, &head, (const char *)data, size, &none, "example", 1700000000000ll, &f);

	if (e == OK || f.text[0] == '\0' || head > size)
		abort();
	return 0;
}
