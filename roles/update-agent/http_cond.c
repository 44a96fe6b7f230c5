#include "http_cond.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

void
http_date(char out[HTTP_DATE_TEXT], int64_t seconds)
{
	time_t t = seconds < 0 ? 0 : (time_t)seconds;
	struct tm tm;

	memset(&tm, 0, sizeof(tm));
	(void)gmtime_r(&t, &tm);
	(void)snprintf(out, HTTP_DATE_TEXT, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
	    days + tm.tm_wday * 3 % 21, tm.tm_mday, months + tm.tm_mon * 3 % 36, tm.tm_year + 1900,
	    tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* "Tue, 24 Nov 2026 14:06:00 GMT" is rewritten as RFC 3339 and read by the one calendar we have. */
enum err
http_date_parse(const char *s, int64_t *seconds)
{
	char text[32];
	int64_t ms;
	int month;

	if (strlen(s) != 29 || s[3] != ',' || strcmp(s + 25, " GMT") != 0 || s[4] != ' ' ||
	    s[7] != ' ' || s[11] != ' ' || s[16] != ' ')
		return ERR_PARSE;
	for (month = 0; month < 12; month++) {
		if (memcmp(months + 3 * month, s + 8, 3) == 0)
			break;
	}
	if (month == 12)
		return ERR_PARSE;
	(void)snprintf(
	    text, sizeof(text), "%.4s-%02d-%.2sT%.8sZ", s + 12, month + 1, s + 5, s + 17);
	if (clock_parse(text, strlen(text), &ms) != OK)
		return ERR_PARSE;
	*seconds = ms / 1000;
	return OK;
}

/* RFC 9110 13.1.2: a list of entity tags, weak comparison. */
static bool
etag_listed(const char *list, const char *etag)
{
	size_t n = strlen(etag);

	for (;;) {
		list += strspn(list, ", \t");
		if (*list == '\0')
			return false;
		if (*list == '*')
			return true;
		if (strncmp(list, "W/", 2) == 0)
			list += 2;
		if (strncmp(list, etag, n) == 0 &&
		    (list[n] == '\0' || strchr(", \t", list[n]) != NULL))
			return true;
		list += strcspn(list, ",");
	}
}

static bool
not_modified(const struct http_conditions *c, const char *etag, int64_t mtime)
{
	int64_t since;

	if (c->if_none_match != NULL) /* then the date is ignored, 13.1.3 */
		return etag_listed(c->if_none_match, etag);
	return c->if_modified_since != NULL &&
	       http_date_parse(c->if_modified_since, &since) == OK && mtime <= since;
}

/* 13.1.5: strong comparison of the tag; a date must be the exact one. */
static bool
range_wanted(const struct http_conditions *c, const char *etag, int64_t mtime)
{
	int64_t date;

	if (c->range == NULL)
		return false;
	if (c->if_range == NULL)
		return true;
	if (c->if_range[0] == '"' || strncmp(c->if_range, "W/", 2) == 0)
		return strcmp(c->if_range, etag) == 0;
	return http_date_parse(c->if_range, &date) == OK && date == mtime;
}

/* "-500": the last 500 bytes. */
static enum http_answer
suffix(const char *p, size_t n, uint64_t size, uint64_t *first, uint64_t *length)
{
	uint64_t last;

	if (text_u64(p, n, INT64_MAX, &last) != OK)
		return HTTP_ANSWER_FULL;
	if (last == 0 || size == 0)
		return HTTP_ANSWER_BAD_RANGE;
	*length = last < size ? last : size;
	*first = size - *length;
	return HTTP_ANSWER_PART;
}

static enum http_answer
one_range(const char *spec, uint64_t size, uint64_t *first, uint64_t *length)
{
	const char *dash = strchr(spec, '-');
	uint64_t a, b = INT64_MAX;

	if (dash == NULL)
		return HTTP_ANSWER_FULL;
	if (dash == spec)
		return suffix(dash + 1, strlen(dash + 1), size, first, length);
	if (text_u64(spec, (size_t)(dash - spec), INT64_MAX, &a) != OK)
		return HTTP_ANSWER_FULL;
	if (dash[1] != '\0' && text_u64(dash + 1, strlen(dash + 1), INT64_MAX, &b) != OK)
		return HTTP_ANSWER_FULL;
	if (b < a)
		return HTTP_ANSWER_FULL;
	if (a >= size)
		return HTTP_ANSWER_BAD_RANGE;
	*first = a;
	*length = (b < size ? b + 1 : size) - a;
	return HTTP_ANSWER_PART;
}

enum http_answer
http_decide(const struct http_conditions *c, const char *etag, int64_t mtime, uint64_t size,
    uint64_t *first, uint64_t *length)
{
	enum http_answer a = HTTP_ANSWER_FULL;

	if (not_modified(c, etag, mtime))
		return HTTP_ANSWER_NOT_MODIFIED;
	if (range_wanted(c, etag, mtime) && strlen(c->range) > 6 &&
	    text_eq_nocase(c->range, 6, "bytes=") && strchr(c->range, ',') == NULL)
		a = one_range(c->range + 6, size, first, length);
	if (a == HTTP_ANSWER_FULL) {
		*first = 0;
		*length = size;
	}
	return a;
}
