/* command.h - a configured command line as an argument list. Pure. */
#ifndef ATALAIA_PROTO_COMMAND_H
#define ATALAIA_PROTO_COMMAND_H

#include "base/err.h"

#include <stddef.h>

#define COMMAND_WORDS 64

struct command {
	const char *argv[COMMAND_WORDS + 1]; /* NULL-terminated */
	size_t n;
	char *text; /* private */
};

/* ERR_INVAL: no word, an open quote, or an unknown {name}; ERR_TOOBIG. Free in any case. */
MUST_CHECK enum err command_make(
    struct command *w, const char *line, const char *set, const char *file);
void command_free(struct command *w);
/* First word of a text; "" when there is none. */
void command_first_word(char *out, size_t size, const char *text);

#endif
