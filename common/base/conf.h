/* conf.h - configuration files: ini syntax (libinih), an option table per program, one sentence per
 * mistake naming file, line, option and remedy. The default is text and goes through the same
 * parser as the operator's value. The table also prints --help and the man page's option list. */
#ifndef ATALAIA_BASE_CONF_H
#define ATALAIA_BASE_CONF_H

#include "base/err.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum conf_type {
	CONF_STRING, /* char *         owned, freed by conf_free */
	CONF_PATH,   /* char *         as string; must be absolute (a relative one is taken from the
			file's folder) */
	CONF_BOOL,   /* bool           */
	CONF_PORT,   /* uint16_t       0..65535; 0 = any free port */
	CONF_U32,    /* uint32_t       within min..max */
	CONF_SIZE,   /* uint64_t bytes within min..max */
	CONF_DURATION, /* uint64_t ms    within min..max */
	CONF_LIST,   /* char *         comma or space separated, kept as written and checked by the
			caller's conf_check */
	CONF_CHOICE, /* uint32_t       index in choices */
};

struct conf_option {
	const char *section, *name;
	enum conf_type type;
	size_t at;		    /* offset in the target struct */
	const char *dflt;	    /* text; NULL = required, "" allowed for strings */
	const char *help;	    /* one sentence without full stop */
	uint64_t min, max;	    /* for numbers, 0,0 = no bounds */
	const char *const *choices; /* NULL-terminated, for CONF_CHOICE */
};

/* Where a value came from: for sentences of conf_check and for --explain. line 0 = default. */
struct conf_origin {
	const char *file;
	int line;
};

struct conf; /* remembers origins; opaque */

/* Reads `file` into `target` (zeroed by the caller) by the table of n rows. Sections may be
 * repeated only when they are the same section. Unknown section or option, bad value, duplicate,
 * missing required: ERR_INVAL with the sentence. file == NULL: defaults only. */
MUST_CHECK enum err conf_load(struct conf **out, void *target, const struct conf_option *table,
    size_t n, const char *file, struct fault *f);
/* Same, from memory; `name` stands in messages. Pure: for tests and the fuzzer. */
MUST_CHECK enum err conf_load_text(struct conf **out, void *target, const struct conf_option *table,
    size_t n, const char *name, const char *text, size_t len, struct fault *f);
/* Sets one option as if it stood in the file (policy, role.set). origin text is borrowed by copy.
 */
MUST_CHECK enum err conf_set(struct conf *c, const char *section, const char *name,
    const char *value, const char *origin, struct fault *f);
struct conf_origin conf_origin(const struct conf *c, const char *section, const char *name);
/* "FILE line N: [section] name: " in front, for rules over several options. Returns ERR_INVAL. */
enum err conf_fault(const struct conf *c, const char *section, const char *name, struct fault *f,
    const char *fmt, ...) PRINTF_LIKE(5, 6);
void conf_free(struct conf *c); /* frees the strings inside target too; NULL is fine */
void conf_print_help(FILE *out, const struct conf_option *table, size_t n);

#endif
