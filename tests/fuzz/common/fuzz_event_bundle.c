/* The last line of a bundle of events, and an acknowledgement: whatever they are, they prove
 * nothing without a CA, and what is read keeps to the limits. */
#include "base/limits.h"
#include "proto/event_bundle.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pki_trust none = { .ca_pem = NULL };
	struct event_bundle_ack ack;
	struct event_bundle b;
	struct pki_identity who;
	struct fault f = { OK, "" };

	if (event_bundle_read(&b, (const char *)data, size, &f) == OK) {
		if (b.n > LIMIT_BUNDLE_BATCHES)
			abort();
		for (size_t i = 0; i < b.n; i++)
			if (b.batches[i].first == 0 || b.batches[i].last < b.batches[i].first)
				abort();
		if (event_bundle_check(&b, &none, "example", 1700000000000ll, &who, &f) == OK)
			abort();
	} else if (f.text[0] == '\0') {
		abort();
	}
	event_bundle_free(&b);
	fault_reset(&f);
	if (event_bundle_ack_read(
		&ack, (const char *)data, size, &none, "example", 1700000000000ll, &f) == OK)
		abort();
	return 0;
}
