/* bar.c - see bar.h. */
#include "bar.h"

#include "base/text.h"
#include "screen.h"

#include <stdio.h>
#include <string.h>

#define WIDTH 24
#define KNOWN_MS 1000 /* a rate before that is no rate */

/* "12 s", "3 min", "2 h" */
static void
put_time(char *dst, size_t size, uint64_t s)
{
	if (s < 120)
		(void)snprintf(dst, size, "%llu s", (unsigned long long)s);
	else if (s < 7200)
		(void)snprintf(dst, size, "%llu min", (unsigned long long)(s / 60));
	else
		(void)snprintf(dst, size, "%llu h", (unsigned long long)(s / 3600));
}

static const char *
kind(const cJSON *feed)
{
	const char *file = screen_text(feed, "file");

	if (strcmp(screen_text(feed, "phase"), "download") != 0 || file[0] == '\0')
		return "";
	return text_starts(file, "delta/") ? " delta" : " full";
}

/* Empty until a second has passed; then the mean since this transfer was first seen. */
static void
put_rate(const struct bar *b, char *dst, size_t size, uint64_t done, uint64_t total, uint64_t now)
{
	uint64_t ms = now - b->first_ms, per_s;
	char rate[32], left[32] = "";

	dst[0] = '\0';
	if (ms < KNOWN_MS || done <= b->first_done)
		return;
	per_s = (done - b->first_done) * 1000 / ms;
	screen_bytes(rate, sizeof rate, per_s);
	if (total > done && per_s > 0)
		put_time(left, sizeof left, (total - done + per_s - 1) / per_s);
	(void)snprintf(dst, size, ", %s/s%s%s", rate, left[0] == '\0' ? "" : ", still ", left);
}

void
bar_line(struct bar *b, char *dst, size_t size, const cJSON *feed, uint64_t now_ms)
{
	static const char full[] = "########################";
	uint64_t done = screen_number(feed, "done"), total = screen_number(feed, "total");
	int part = total == 0 ? 0 : (int)(done > total ? WIDTH : done * WIDTH / total);
	const char *from = screen_text(feed, "from");
	char got[32], all[32], rate[96], what[sizeof b->what];

	(void)snprintf(what, sizeof what, "%.18s %.18s %.18s%s", screen_text(feed, "feed"),
	    screen_text(feed, "state"), screen_text(feed, "phase"), kind(feed));
	if (strcmp(what, b->what) != 0 || done < b->first_done) {
		memcpy(b->what, what, sizeof what);
		b->first_done = done;
		b->first_ms = now_ms;
	}
	screen_bytes(got, sizeof got, done);
	screen_bytes(all, sizeof all, total);
	put_rate(b, rate, sizeof rate, done, total, now_ms);
	(void)snprintf(dst, size, "%s [%.*s%*s] %s of %s%s%s%s", what, part, full, WIDTH - part, "",
	    got, all, rate, from[0] == '\0' ? "" : ", from ", from);
}
