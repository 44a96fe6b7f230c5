/* args.h - the command line of atalaia-repo: words and options, by one table per verb. */
#ifndef ATALAIA_PUBLISHER_ARGS_H
#define ATALAIA_PUBLISHER_ARGS_H

#include "base/err.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct option_def {
	const char *name;  /* without the dashes */
	const char *value; /* word for its value in the help; NULL: a flag */
	const char *help;
};

#define ARGS_MAX 128

struct args {
	const char *words[ARGS_MAX];
	size_t word_count;
	struct {
		const char *name, *value;
	} options[ARGS_MAX];
	size_t option_count;
};

/* ERR_INVAL with the sentence; strings are borrowed from argv. */
MUST_CHECK enum err args_parse(struct args *a, const struct option_def *defs, int argc, char **argv,
    struct fault *f);
bool args_has(const struct args *a, const char *name);
const char *args_get(const struct args *a, const char *name); /* the last one; NULL when absent */
size_t args_all(const struct args *a, const char *name, const char *out[ARGS_MAX]);
MUST_CHECK enum err args_u32(const struct args *a, const char *name, uint32_t max, uint32_t dflt,
    uint32_t *out, struct fault *f);

#endif
