#include "args.h"

#include <string.h>

/* Is this option in the list, and does it want a value? */
static const char *
find(const char *spec, const char *name, size_t n, bool *wants)
{
	const char *p = spec;

	while (*p != '\0') {
		size_t len = strcspn(p, " ");
		bool value = len > 0 && p[len - 1] == '=';
		size_t bare = len - (value ? 1 : 0);

		if (bare == n && memcmp(p, name, n) == 0) {
			*wants = value;
			return p;
		}
		p += len;
		p += strspn(p, " ");
	}
	return NULL;
}

/* The name without '=' and value, as it stands in spec: a literal that outlives argv. */
static enum err
take_option(
    struct args *a, int argc, const char *const *argv, int *at, const char *spec, struct fault *f)
{
	const char *text = argv[*at], *eq = strchr(text, '='), *known;
	size_t n = eq != NULL ? (size_t)(eq - text) : strlen(text);
	bool wants;

	known = find(spec, text, n, &wants);
	if (known == NULL)
		return fault_set(f, ERR_INVAL, "unknown option %.*s: see --help", (int)n, text);
	if (!wants && eq != NULL)
		return fault_set(f, ERR_INVAL, "option %.*s takes no value", (int)n, text);
	if (wants && eq == NULL && *at + 1 >= argc)
		return fault_set(f, ERR_INVAL, "option %s needs a value", text);
	if (a->n_options == ARGS_OPTIONS)
		return fault_set(f, ERR_INVAL, "too many options");
	a->options[a->n_options].name = known;
	a->options[a->n_options].value = !wants ? "" : eq != NULL ? eq + 1 : argv[++*at];
	a->n_options++;
	return OK;
}

enum err
args_parse(struct args *a, int argc, const char *const *argv, const char *spec, struct fault *f)
{
	bool words_only = false;

	memset(a, 0, sizeof(*a));
	for (int i = 0; i < argc; i++) {
		enum err e = OK;

		if (!words_only && strcmp(argv[i], "--") == 0) {
			words_only = true;
		} else if (!words_only && strncmp(argv[i], "--", 2) == 0) {
			e = take_option(a, argc, argv, &i, spec, f);
		} else if (a->n_words == ARGS_WORDS) {
			e = fault_set(f, ERR_INVAL, "too many words");
		} else {
			a->words[a->n_words++] = argv[i];
		}
		if (e != OK)
			return e;
	}
	return OK;
}

const char *
args_value(const struct args *a, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = a->n_options; i-- > 0;) { /* the last one counts */
		const char *own = a->options[i].name;
		if (strncmp(own, name, n) == 0 &&
		    (own[n] == '\0' || own[n] == ' ' || own[n] == '='))
			return a->options[i].value;
	}
	return NULL;
}

bool
args_has(const struct args *a, const char *name)
{
	return args_value(a, name) != NULL;
}
