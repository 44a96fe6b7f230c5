#include "proto/command.h"

#include "base/buf.h"

#include <stdbool.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 65536

static enum err
put_name(struct buf *out, const char **p, const char *set, const char *file)
{
	if (strncmp(*p, "{set}", 5) == 0) {
		*p += 5;
		return buf_puts(out, set);
	}
	if (strncmp(*p, "{file}", 6) == 0) {
		*p += 6;
		return buf_puts(out, file);
	}
	return ERR_INVAL;
}

/* One word with its NUL. */
static enum err
put_word(struct buf *out, const char **p, const char *set, const char *file)
{
	bool quoted = false;
	enum err e = OK;

	while (e == OK && **p != '\0' && (quoted || strchr(" \t", **p) == NULL)) {
		if (**p == '"') {
			quoted = !quoted;
			(*p)++;
		} else if (**p == '{') {
			e = put_name(out, p, set, file);
		} else {
			e = buf_append(out, (*p)++, 1);
		}
	}
	if (e == OK && quoted)
		e = ERR_INVAL;
	return e == OK ? buf_append(out, "", 1) : e;
}

enum err
command_make(struct command *w, const char *line, const char *set, const char *file)
{
	size_t at[COMMAND_WORDS] = { 0 };
	struct buf out;
	enum err e = OK;

	memset(w, 0, sizeof *w);
	buf_init(&out, LINE_MAX_BYTES);
	while (e == OK && *(line += strspn(line, " \t")) != '\0') {
		if (w->n == COMMAND_WORDS) {
			e = ERR_TOOBIG;
			break;
		}
		at[w->n++] = out.len;
		e = put_word(&out, &line, set, file);
	}
	if (e == OK && w->n == 0)
		e = ERR_INVAL;
	if (e != OK) {
		buf_free(&out);
		w->n = 0;
		return e;
	}
	w->text = (char *)out.data;
	for (size_t i = 0; i < w->n; i++)
		w->argv[i] = w->text + at[i];
	return OK;
}

void
command_free(struct command *w)
{
	free(w->text);
	w->text = NULL;
}

void
command_first_word(char *out, size_t size, const char *text)
{
	size_t n;

	text += strspn(text, " \t\r\n");
	n = strcspn(text, " \t\r\n");
	(void)snprintf(out, size, "%.*s", (int)(n < size ? n : size - 1), text);
}
