/* rate.c - see rate.h */
#include "rate.h"

#define PIECE_MIN 1024
#define PIECE_MAX 131072
#define MILLI 1000

static int64_t
capacity(const struct rate *r)
{
	return (int64_t)(r->per_s / 4) * MILLI + 1;
}

void
rate_init(struct rate *r, uint64_t bytes_per_s, uint64_t now_ms)
{
	r->per_s = bytes_per_s > INT64_MAX / (MILLI * MILLI) ? 0 : bytes_per_s;
	r->last = now_ms;
	r->tokens = capacity(r);
}

static void
refill(struct rate *r, uint64_t now_ms)
{
	uint64_t ms;

	if (now_ms <= r->last)
		return;
	ms = now_ms - r->last;
	r->last = now_ms;
	if (ms > MILLI) /* more than the bucket holds: avoids overflow after a long pause */
		ms = MILLI;
	r->tokens += (int64_t)(ms * r->per_s);
	if (r->tokens > capacity(r))
		r->tokens = capacity(r);
}

bool
rate_open(struct rate *r, uint64_t now_ms)
{
	if (r->per_s == 0)
		return true;
	refill(r, now_ms);
	return r->tokens > 0;
}

void
rate_take(struct rate *r, size_t bytes)
{
	if (r->per_s != 0)
		r->tokens -= (int64_t)bytes * MILLI;
}

unsigned
rate_wait_ms(struct rate *r, uint64_t now_ms)
{
	uint64_t ms;

	if (rate_open(r, now_ms))
		return 0;
	ms = (uint64_t)-r->tokens / r->per_s + 1;
	return ms > 1000 ? 1000 : (unsigned)ms;
}

size_t
rate_piece(const struct rate *r)
{
	size_t n = r->per_s == 0 ? PIECE_MAX : (size_t)(r->per_s / 16);

	return n < PIECE_MIN ? PIECE_MIN : n > PIECE_MAX ? PIECE_MAX : n;
}
