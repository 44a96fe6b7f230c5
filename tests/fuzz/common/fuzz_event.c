/* What local senders post on 2227: the first byte picks the format. What is accepted must survive
 * the spool's form and be accepted again. The same bytes go to the reader of acks. */
#include "base/limits.h"
#include "proto/event.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EPOCH "00112233445566778899aabbccddeeff"

static void
round_trip(const cJSON *event)
{
	struct event_stamp s = { EVENT_TASK, "0", 0, true, 7, 8, NULL };
	struct event_list again;
	struct event_key key;
	struct buf stored, sent;
	struct fault f = { OK, "" };

	buf_init(&stored, 8 * (size_t)LIMIT_EVENT_BYTES);
	buf_init(&sent, 8 * (size_t)LIMIT_EVENT_BYTES);
	if (event_store_form(event, &s, &stored) != OK ||
	    event_send_form(&sent, stored.data, stored.len, "atalaia://o/agent/a", EPOCH, 1) != OK)
		abort();
	if (sent.len <= LIMIT_EVENT_BYTES) {
		if (event_list_parse(
			&again, EVENT_SINGLE, buf_text(&sent), sent.len, 1, NULL, &f) != OK)
			abort();
		if (event_key_read(again.items[0], &key, &f) != OK || key.seq != 1)
			abort();
		event_list_free(&again);
	}
	buf_free(&stored);
	buf_free(&sent);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct event_ack acks[EVENT_CLASSES];
	struct event_where w;
	struct event_list l;
	struct fault f = { OK, "" };

	if (size < 1)
		return 0;
	if (event_list_parse(&l, (enum event_format)(data[0] % 3), (const char *)data + 1, size - 1,
		50, &w, &f) == OK) {
		for (size_t i = 0; i < l.n; i++)
			round_trip(l.items[i]);
		event_list_free(&l);
	} else if (w.offset > size - 1) {
		abort();
	}
	if (event_acks_parse(acks, (const char *)data + 1, size - 1, &f) != OK)
		return 0;
	return 0;
}
