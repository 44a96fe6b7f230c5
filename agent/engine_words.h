/* engine_words.h - a configured command line as an argument list. Pure. */
#ifndef ATALAIA_AGENT_ENGINE_WORDS_H
#define ATALAIA_AGENT_ENGINE_WORDS_H

#include "base/err.h"

#include <stddef.h>

#define ENGINE_WORDS 64

struct engine_words {
	const char *argv[ENGINE_WORDS + 1]; /* NULL-terminated */
	size_t n;
	char *text;                         /* private */
};

/* ERR_INVAL: no word, an open quote, or an unknown {name}; ERR_TOOBIG. Free in any case. */
MUST_CHECK enum err engine_words_make(struct engine_words *w, const char *line, const char *set,
    const char *file);
void engine_words_free(struct engine_words *w);
/* First word of a text; "" when there is none. */
void engine_first_word(char *out, size_t size, const char *text);

#endif
