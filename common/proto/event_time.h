/* event_time.h - RFC 3339 times as local senders write them: any offset, 't' and 'z' too. Pure. */
#ifndef ATALAIA_PROTO_EVENT_TIME_H
#define ATALAIA_PROTO_EVENT_TIME_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

MUST_CHECK enum err event_time_parse(const char *p, size_t n, int64_t *wall_ms);

#endif
