/* rate.h - a token bucket shared by all transfers of one run. Pure: the time is the caller's
 * (monotonic milliseconds). Over any ten seconds no more than 10.5 times the rate passes: the
 * bucket holds a quarter of a second, and the last piece may overdraw it by at most one piece. */
#ifndef ATALAIA_FETCH_RATE_H
#define ATALAIA_FETCH_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rate {
	uint64_t per_s;  /* bytes; 0 = no limit */
	int64_t tokens;  /* thousandths of a byte, so that slow rates lose nothing to rounding */
	uint64_t last;   /* when tokens was computed */
};

void rate_init(struct rate *r, uint64_t bytes_per_s, uint64_t now_ms);
/* May a piece be taken now? When true the caller takes it and says so with rate_take. */
bool rate_open(struct rate *r, uint64_t now_ms);
void rate_take(struct rate *r, size_t bytes);
/* Milliseconds until rate_open can be true again; 0 when it is now. */
unsigned rate_wait_ms(struct rate *r, uint64_t now_ms);
/* Largest piece that keeps the promise above, for receive buffers: 1 KiB to 128 KiB. */
size_t rate_piece(const struct rate *r);

#endif
