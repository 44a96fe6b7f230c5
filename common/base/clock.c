#include "base/clock.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static int64_t (*replaced_wall)(void);
static uint64_t (*replaced_mono)(void);

int64_t
clock_wall_ms(void)
{
	struct timespec t;

	if (replaced_wall != NULL)
		return replaced_wall();
	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

uint64_t
clock_mono_ms(void)
{
	struct timespec t;

	if (replaced_mono != NULL)
		return replaced_mono();
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void
clock_replace(int64_t (*wall_ms)(void), uint64_t (*mono_ms)(void))
{
	replaced_wall = wall_ms;
	replaced_mono = mono_ms;
}

/* Days since 1970-01-01 of a civil date and back (proleptic Gregorian, years from March). */
static int64_t
days_from_civil(int64_t y, unsigned m, unsigned d)
{
	int64_t era;
	unsigned yoe, doy;

	y -= m <= 2;
	era = y / 400;
	yoe = (unsigned)(y - era * 400);
	doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
	return era * 146097 + (int64_t)(yoe * 365 + yoe / 4 - yoe / 100 + doy) - 719468;
}

static void
civil_from_days(int64_t z, int64_t *y, unsigned *m, unsigned *d)
{
	int64_t era;
	unsigned doe, yoe, doy, mp;

	z += 719468;
	era = z / 146097;
	doe = (unsigned)(z - era * 146097);
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	*d = doy - (153 * mp + 2) / 5 + 1;
	*m = mp < 10 ? mp + 3 : mp - 9;
	*y = (int64_t)yoe + era * 400 + (*m <= 2);
}

static void
format(char out[CLOCK_TEXT], int64_t wall_ms, int with_ms)
{
	int64_t days, rest, y;
	unsigned m, d, s;

	if (wall_ms < 0)
		wall_ms = 0;
	if (wall_ms > 253402300799999) /* the last instant of the year 9999 */
		wall_ms = 253402300799999;
	days = wall_ms / 86400000;
	rest = wall_ms % 86400000;
	civil_from_days(days, &y, &m, &d);
	s = (unsigned)(rest / 1000);
	if (with_ms)
		(void)snprintf(out, CLOCK_TEXT, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
		    (unsigned)y % 10000, m % 100, d % 100, s / 3600 % 24, s / 60 % 60, s % 60,
		    (unsigned)(rest % 1000));
	else
		(void)snprintf(out, CLOCK_TEXT, "%04u-%02u-%02uT%02u:%02u:%02uZ",
		    (unsigned)y % 10000, m % 100, d % 100, s / 3600 % 24, s / 60 % 60, s % 60);
}

void
clock_format(char out[CLOCK_TEXT], int64_t wall_ms)
{
	format(out, wall_ms, 1);
}

void
clock_format_s(char out[CLOCK_TEXT], int64_t wall_ms)
{
	format(out, wall_ms, 0);
}

/* Exactly `width` digits at p. */
static enum err
digits(const char *p, size_t width, unsigned *out)
{
	size_t i;

	*out = 0;
	for (i = 0; i < width; i++) {
		if (p[i] < '0' || p[i] > '9')
			return ERR_PARSE;
		*out = *out * 10 + (unsigned)(p[i] - '0');
	}
	return OK;
}

/* ".fraction": 1 to 9 digits, the first three count. */
static enum err
fraction(const char *p, size_t n, unsigned *ms)
{
	unsigned weight = 100;
	size_t i;

	*ms = 0;
	if (n < 2 || n > 10 || p[0] != '.')
		return ERR_PARSE;
	for (i = 1; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return ERR_PARSE;
		*ms += (unsigned)(p[i] - '0') * weight;
		weight /= 10;
	}
	return OK;
}

enum err
clock_parse(const char *p, size_t n, int64_t *wall_ms)
{
	static const char shape[] = "0000-00-00T00:00:00";
	static const unsigned char month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };
	static const struct {
		size_t at, width;
	} field[6] = { { 0, 4 }, { 5, 2 }, { 8, 2 }, { 11, 2 }, { 14, 2 }, { 17, 2 } };
	unsigned v[6], ms = 0, last;
	size_t i;

	if (n < sizeof shape || p[n - 1] != 'Z')
		return ERR_PARSE;
	for (i = 0; i < sizeof shape - 1; i++)
		if (shape[i] != '0' && p[i] != shape[i])
			return ERR_PARSE;
	for (i = 0; i < 6; i++)
		if (digits(p + field[i].at, field[i].width, &v[i]) != OK)
			return ERR_PARSE;
	if (n > sizeof shape && fraction(p + 19, n - 20, &ms) != OK)
		return ERR_PARSE;
	if (v[0] < 1970 || v[1] < 1 || v[1] > 12 || v[3] > 23 || v[4] > 59 || v[5] > 59)
		return ERR_PARSE;
	last = month_days[v[1] - 1];
	if (v[1] == 2 && v[0] % 4 == 0 && (v[0] % 100 != 0 || v[0] % 400 == 0))
		last = 29;
	if (v[2] < 1 || v[2] > last)
		return ERR_PARSE;
	*wall_ms =
	    (days_from_civil(v[0], v[1], v[2]) * 86400 + v[3] * 3600 + v[4] * 60 + v[5]) * 1000 +
	    ms;
	return OK;
}
