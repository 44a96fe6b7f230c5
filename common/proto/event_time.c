#include "proto/event_time.h"

#include "base/clock.h"
#include "base/text.h"

#include <string.h>

/* "+02:00" */
static enum err
parse_offset(const char *p, int64_t *ms)
{
	uint32_t hours, minutes;

	if ((p[0] != '+' && p[0] != '-') || p[3] != ':')
		return ERR_PARSE;
	if (p[1] < '0' || p[1] > '2' || p[2] < '0' || p[2] > '9' || p[4] < '0' || p[4] > '5' ||
	    p[5] < '0' || p[5] > '9')
		return ERR_PARSE;
	hours = (uint32_t)(p[1] - '0') * 10 + (uint32_t)(p[2] - '0');
	minutes = (uint32_t)(p[4] - '0') * 10 + (uint32_t)(p[5] - '0');
	if (hours > 23)
		return ERR_PARSE;
	*ms = ((int64_t)hours * 60 + minutes) * 60000 * (p[0] == '-' ? -1 : 1);
	return OK;
}

enum err
event_time_parse(const char *p, size_t n, int64_t *wall_ms)
{
	char text[48];
	int64_t offset = 0;
	enum err e;

	if (n < 20 || n > sizeof text - 1)
		return ERR_PARSE;
	memcpy(text, p, n);
	if (text[10] == 't')
		text[10] = 'T';
	if (text[n - 1] == 'z')
		text[n - 1] = 'Z';
	if (text[n - 1] != 'Z') {
		if (n < 25 || parse_offset(p + n - 6, &offset) != OK)
			return ERR_PARSE;
		text[n - 6] = 'Z';
		n -= 5;
	}
	e = clock_parse(text, n, wall_ms);
	if (e == OK)
		*wall_ms -= offset;
	return e;
}
