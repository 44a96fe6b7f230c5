/* finding.h - what is good or wrong, for people, as a JSON array: name, good, code, text, values,
 * remedy. The code is stable: interfaces in other languages say the sentence of the code with the
 * values; text is the same in English. Worker thread. */
#ifndef CONSOLE_FINDING_H
#define CONSOLE_FINDING_H

#include "base/buf.h"

#include <stdbool.h>

struct finding_value {
	const char *name, *text;
};

struct findings {
	struct buf *out;
	bool any;
};

struct finding {
	const char *name; /* what was looked at */
	const char *code; /* what was seen there */
	bool good;
	const char *text;   /* {name} stands for a value */
	const char *remedy; /* NULL when good */
};

#define FINDING_VALUES(...) ((const struct finding_value[]){ __VA_ARGS__, { NULL, NULL } })
/* values: up to one whose name is NULL; NULL: none. */
MUST_CHECK enum err finding_add(
    struct findings *x, const struct finding *f, const struct finding_value *values);

#endif
