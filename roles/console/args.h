/* args.h - the command line of one verb: options with and without value, then words. Pure. */
#ifndef CONSOLE_ARGS_H
#define CONSOLE_ARGS_H

#include "base/err.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>

#define ARGS_WORDS 64
#define ARGS_OPTIONS 16

struct args {
	struct {
		const char *name, *value; /* value "" for a flag */
	} options[ARGS_OPTIONS];
	size_t n_options;
	const char *words[ARGS_WORDS];
	size_t n_words;
};

/* spec: "--config= --json --uses=": '=' wants a value, given as --uses 3 or --uses=3. An option may
 * come before or after words; "--" ends options. ERR_INVAL with a sentence. Borrows argv. */
MUST_CHECK enum err args_parse(
    struct args *a, int argc, const char *const *argv, const char *spec, struct fault *f);
bool args_has(const struct args *a, const char *name);		/* "--json" */
const char *args_value(const struct args *a, const char *name); /* NULL when not given */

#endif
