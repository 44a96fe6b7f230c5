#include "base/inject.h"

#include <stddef.h>

#ifndef NDEBUG
#include "base/text.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define POINTS 16

static struct {
	char name[64];
	unsigned calls;
} seen[POINTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* How often this point was reached, this time included. */
static unsigned
count_call(const char *point)
{
	unsigned i, n = 1;

	(void)pthread_mutex_lock(&lock);
	for (i = 0; i < POINTS; i++) {
		if (seen[i].name[0] == '\0' &&
		    text_copy(seen[i].name, sizeof seen[i].name, point, strlen(point)) != OK)
			break;
		if (strcmp(seen[i].name, point) == 0) {
			n = ++seen[i].calls;
			break;
		}
	}
	(void)pthread_mutex_unlock(&lock);
	return n;
}

bool
inject(const char *point)
{
	const char *spec = getenv("ATALAIA_INJECT");
	size_t len = strlen(point);

	while (spec != NULL && *spec != '\0') {
		size_t item = strcspn(spec, ",");
		uint32_t ordinal;

		if (item == len && memcmp(spec, point, len) == 0)
			return true;
		if (item > len + 1 && memcmp(spec, point, len) == 0 && spec[len] == '@')
			return text_u32(spec + len + 1, item - len - 1, UINT32_MAX, &ordinal) ==
				   OK &&
			       count_call(point) == ordinal;
		spec += item;
		if (*spec == ',')
			spec++;
	}
	return false;
}
#endif
