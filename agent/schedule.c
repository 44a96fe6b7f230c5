/* schedule.c - see schedule.h. */
#include "schedule.h"

#include "base/text.h"

#define DAY_MINUTES 1440u

static enum err
clock_time(const char *p, size_t n, uint16_t *out)
{
	uint32_t v[4];

	if (n != 5 || p[2] != ':')
		return ERR_PARSE;
	for (size_t i = 0, k = 0; i < 5; i++) {
		if (i == 2)
			continue;
		if (p[i] < '0' || p[i] > '9')
			return ERR_PARSE;
		v[k++] = (uint32_t)(p[i] - '0');
	}
	if (v[0] * 10 + v[1] > 24 || v[2] > 5 || (v[0] * 10 + v[1] == 24 && v[2] + v[3] > 0))
		return ERR_PARSE;
	*out = (uint16_t)((v[0] * 10 + v[1]) * 60 + v[2] * 10 + v[3]);
	return OK;
}

enum err
window_parse(const char *p, size_t n, struct window *out)
{
	struct window w;

	if (n != 11 || p[5] != '-' || clock_time(p, 5, &w.from) != OK ||
	    clock_time(p + 6, 5, &w.to) != OK)
		return ERR_PARSE;
	w.from %= DAY_MINUTES;
	w.to %= DAY_MINUTES;
	*out = w;
	return OK;
}

static unsigned
wait_for(const struct window *w, unsigned minute)
{
	bool open;

	if (w->from == w->to)
		return 0;
	if (w->from < w->to)
		open = minute >= w->from && minute < w->to;
	else
		open = minute >= w->from || minute < w->to;
	if (open)
		return 0;
	return (w->from + DAY_MINUTES - minute) % DAY_MINUTES;
}

unsigned
windows_wait(const struct window *w, size_t n, unsigned minute_of_day)
{
	unsigned best = n == 0 ? 0 : DAY_MINUTES;

	for (size_t i = 0; i < n; i++) {
		unsigned t = wait_for(&w[i], minute_of_day % DAY_MINUTES);

		if (t < best)
			best = t;
	}
	return best;
}

bool
windows_open(const struct window *w, size_t n, unsigned minute_of_day)
{
	return windows_wait(w, n, minute_of_day) == 0;
}

uint64_t
schedule_next(const struct schedule_in *in)
{
	uint64_t jitter = in->jitter_ms == 0 ? 0 : in->seed % (in->jitter_ms + 1);
	uint64_t wait = in->interval_ms + jitter;

	if (in->failed && in->retry_at != 0)
		wait = in->retry_at > in->now ? in->retry_at - in->now : 1;
	if (in->failed && wait > in->interval_ms + jitter)
		wait = in->interval_ms + jitter;
	return wait == 0 ? 1 : wait;
}

uint64_t
schedule_spread(uint64_t retry_after_ms, uint64_t cap_ms, uint32_t seed)
{
	if (retry_after_ms > cap_ms)
		retry_after_ms = cap_ms;
	return retry_after_ms + seed % (retry_after_ms / 4 + 1);
}
