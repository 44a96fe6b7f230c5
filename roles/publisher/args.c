#include "args.h"

#include "base/text.h"

#include <string.h>

static const struct option_def *
find(const struct option_def *defs, const char *name, size_t n)
{
	for (; defs->name != NULL; defs++)
		if (text_eq(name, n, defs->name))
			return defs;
	return NULL;
}

/* --name, --name=value or --name value; *used is how many words of argv it took. */
static enum err
take_option(struct args *a, const struct option_def *defs, int argc, char **argv, int *used,
    struct fault *f)
{
	const char *name = argv[0] + 2, *eq = strchr(name, '=');
	size_t n = eq != NULL ? (size_t)(eq - name) : strlen(name);
	const struct option_def *d = find(defs, name, n);
	const char *value = eq != NULL ? eq + 1 : NULL;

	*used = 1;
	if (d == NULL)
		return fault_set(f, ERR_INVAL,
		    "the option --%.*s is not known here: --help lists them", (int)n, name);
	if (d->value == NULL && value != NULL)
		return fault_set(f, ERR_INVAL, "the option --%s takes no value", d->name);
	if (d->value != NULL && value == NULL) {
		if (argc < 2)
			return fault_set(
			    f, ERR_INVAL, "the option --%s needs a value: %s", d->name, d->value);
		value = argv[1];
		*used = 2;
	}
	if (a->option_count == ARGS_MAX)
		return fault_set(f, ERR_INVAL, "there are more than %d options", ARGS_MAX);
	a->options[a->option_count].name = d->name;
	a->options[a->option_count++].value = value;
	return OK;
}

enum err
args_parse(struct args *a, const struct option_def *defs, int argc, char **argv, struct fault *f)
{
	bool words_only = false;
	int i, used;
	enum err e = OK;

	memset(a, 0, sizeof *a);
	for (i = 0; e == OK && i < argc; i += used) {
		used = 1;
		if (!words_only && strcmp(argv[i], "--") == 0) {
			words_only = true;
		} else if (!words_only && text_starts(argv[i], "--")) {
			e = take_option(a, defs, argc - i, argv + i, &used, f);
		} else if (a->word_count == ARGS_MAX) {
			e = fault_set(f, ERR_INVAL, "there are more than %d words", ARGS_MAX);
		} else {
			a->words[a->word_count++] = argv[i];
		}
	}
	return e;
}

bool
args_has(const struct args *a, const char *name)
{
	size_t i;

	for (i = 0; i < a->option_count; i++)
		if (strcmp(a->options[i].name, name) == 0)
			return true;
	return false;
}

const char *
args_get(const struct args *a, const char *name)
{
	const char *value = NULL;
	size_t i;

	for (i = 0; i < a->option_count; i++)
		if (strcmp(a->options[i].name, name) == 0)
			value = a->options[i].value;
	return value;
}

size_t
args_all(const struct args *a, const char *name, const char *out[ARGS_MAX])
{
	size_t i, n = 0;

	for (i = 0; i < a->option_count; i++)
		if (strcmp(a->options[i].name, name) == 0)
			out[n++] = a->options[i].value;
	return n;
}

enum err
args_u32(const struct args *a, const char *name, uint32_t max, uint32_t dflt, uint32_t *out,
    struct fault *f)
{
	const char *v = args_get(a, name);

	*out = dflt;
	if (v == NULL)
		return OK;
	if (text_u32(v, strlen(v), max, out) != OK)
		return fault_set(
		    f, ERR_INVAL, "--%s must be a number from 0 to %u, and is %s", name, max, v);
	return OK;
}
