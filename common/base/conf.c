/* conf.c - one door for every value: text in, typed member out. libinih splits the lines. */
#include "base/conf.h"

#include "base/buf.h"
#include "base/text.h"

#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define CONF_MAX_BYTES 262144 /* far above any hand-written file */

struct conf {
	const struct conf_option *table;
	size_t n;
	void *target;
	char *file;
	struct {
		char *origin; /* NULL: default */
		int line;
	} *from;
};

static size_t
find(const struct conf *c, const char *section, const char *name)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (strcmp(c->table[i].section, section) == 0 &&
		    strcmp(c->table[i].name, name) == 0)
			break;
	return i;
}

static bool
section_known(const struct conf *c, const char *section)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (strcmp(c->table[i].section, section) == 0)
			return true;
	return false;
}

static enum err
set_string(char **at, const char *value)
{
	char *copy = strdup(value);

	if (copy == NULL)
		return ERR_NOMEM;
	free(*at);
	*at = copy;
	return OK;
}

/* A relative path is taken from the folder of the file that names it. */
static enum err
set_path(char **at, const char *value, const char *file)
{
	const char *slash = file != NULL ? strrchr(file, '/') : NULL;
	struct buf b;
	enum err e;

	if (value[0] == '/' || value[0] == '\0' || slash == NULL)
		return set_string(at, value);
	buf_init(&b, 4096);
	e = buf_printf(&b, "%.*s/%s", (int)(slash - file), file, value);
	if (e == OK)
		e = set_string(at, buf_text(&b));
	buf_free(&b);
	return e;
}

static enum err
in_bounds(const struct conf_option *o, uint64_t v, struct fault *f)
{
	if ((o->min == 0 && o->max == 0) || (v >= o->min && v <= o->max))
		return OK;
	return fault_set(f, ERR_INVAL, "must be between %" PRIu64 " and %" PRIu64 "%s", o->min,
	    o->max,
	    o->type == CONF_DURATION ? " milliseconds"
	    : o->type == CONF_SIZE   ? " bytes"
				     : "");
}

static enum err
set_choice(const struct conf_option *o, const char *value, uint32_t *at, struct fault *f)
{
	char list[160] = "";
	size_t i, used = 0;

	for (i = 0; o->choices[i] != NULL; i++) {
		if (strcmp(o->choices[i], value) == 0) {
			*at = (uint32_t)i;
			return OK;
		}
		used += (size_t)snprintf(
		    list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "", o->choices[i]);
		if (used >= sizeof list)
			used = sizeof list - 1;
	}
	return fault_set(f, ERR_INVAL, "'%.60s' is not one of: %s", value, list);
}

static enum err
set_number(const struct conf_option *o, const char *value, char *at, struct fault *f)
{
	size_t n = strlen(value);
	uint64_t v = 0;
	enum err e;

	if (o->type == CONF_SIZE)
		e = text_size(value, n, &v);
	else if (o->type == CONF_DURATION)
		e = text_duration_ms(value, n, &v);
	else
		e = text_u64(value, n, o->type == CONF_PORT ? 65535 : UINT32_MAX, &v);
	if (e == ERR_TOOBIG)
		return fault_set(f, ERR_INVAL, "'%.60s' is too big%s", value,
		    o->type == CONF_PORT ? "; a port is 0 to 65535" : "");
	if (e != OK)
		return fault_set(f, ERR_INVAL, "'%.60s' is not %s", value,
		    o->type == CONF_SIZE       ? "a size; write for example 64k, 20M or 4G"
		    : o->type == CONF_DURATION ? "a time; write for example 30s, 10m, 8h or 30d"
		    : o->type == CONF_PORT     ? "a port; write a number from 0 to 65535"
					       : "a whole number");
	e = in_bounds(o, v, f);
	if (e != OK)
		return e;
	if (o->type == CONF_PORT)
		*(uint16_t *)(void *)at = (uint16_t)v;
	else if (o->type == CONF_U32)
		*(uint32_t *)(void *)at = (uint32_t)v;
	else
		*(uint64_t *)(void *)at = v;
	return OK;
}

static enum err
set_value(struct conf *c, const struct conf_option *o, const char *value, struct fault *f)
{
	char *at = (char *)c->target + o->at;

	switch (o->type) {
	case CONF_STRING:
	case CONF_LIST:
		return set_string((char **)(void *)at, value);
	case CONF_PATH:
		return set_path((char **)(void *)at, value, c->file);
	case CONF_BOOL:
		if (text_bool(value, strlen(value), (bool *)(void *)at) != OK)
			return fault_set(f, ERR_INVAL, "'%.60s' is not yes or no", value);
		return OK;
	case CONF_CHOICE:
		return set_choice(o, value, (uint32_t *)(void *)at, f);
	case CONF_PORT:
	case CONF_U32:
	case CONF_SIZE:
	case CONF_DURATION:
		return set_number(o, value, at, f);
	}
	return ERR_INVAL;
}

static void
locate(struct fault *f, const char *origin, int line, const char *section, const char *name)
{
	if (line > 0)
		fault_prefix(f, "%s line %d: [%s] %s", origin, line, section, name);
	else
		fault_prefix(f, "%s: [%s] %s", origin != NULL ? origin : "default", section, name);
}

enum err
conf_set(struct conf *c, const char *section, const char *name, const char *value,
    const char *origin, struct fault *f)
{
	size_t i = find(c, section, name);
	enum err e;

	if (i == c->n)
		return fault_set(f, ERR_INVAL,
		    "%s: [%s] has no option '%s'; see --help for the list", origin, section, name);
	e = set_value(c, &c->table[i], value, f);
	if (e != OK) {
		locate(f, origin, 0, section, name);
		return e;
	}
	c->from[i].line = 0;
	return set_string(&c->from[i].origin, origin);
}

struct conf_origin
conf_origin(const struct conf *c, const char *section, const char *name)
{
	size_t i = find(c, section, name);

	if (i == c->n || c->from[i].origin == NULL)
		return (struct conf_origin){ "default", 0 };
	return (struct conf_origin){ c->from[i].origin, c->from[i].line };
}

enum err
conf_fault(const struct conf *c, const char *section, const char *name, struct fault *f,
    const char *fmt, ...)
{
	struct conf_origin o = conf_origin(c, section, name);
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	(void)fault_set(f, ERR_INVAL, "%s", text);
	locate(f, o.line > 0 ? o.file : c->file, o.line, section, name);
	return ERR_INVAL;
}

/* What ini_parse_stream reads from, and where faults of its handler go. */
struct reading {
	struct conf *c;
	const char *text;
	size_t len, at;
	struct fault *f;
	enum err e;
};

/* fgets over memory, as inih wants it. A NUL byte would hide the rest of its line: refused before.
 */
static char *
next_line(char *dst, int size, void *stream)
{
	struct reading *r = stream;
	const char *nl;
	size_t n = r->len - r->at;

	if (n == 0 || size < 2)
		return NULL;
	nl = memchr(r->text + r->at, '\n', n);
	if (nl != NULL)
		n = (size_t)(nl - (r->text + r->at)) + 1;
	if (n > (size_t)size - 1)
		n = (size_t)size - 1;
	memcpy(dst, r->text + r->at, n);
	dst[n] = '\0';
	r->at += n;
	return dst;
}

static int
line_of(const struct reading *r)
{
	size_t i;
	int line = 0;

	for (i = 0; i < r->at; i++)
		line += r->text[i] == '\n';
	return line + (r->at > 0 && r->text[r->at - 1] != '\n');
}

static int
on_option(void *user, const char *section, const char *name, const char *value)
{
	struct reading *r = user;
	struct conf *c = r->c;
	int line = line_of(r);
	size_t i = find(c, section, name);

	if (r->e != OK) /* inih goes on after a mistake; the first one is what counts */
		return 0;
	if (i == c->n)
		r->e = fault_set(r->f, ERR_INVAL,
		    section_known(c, section)
			? "%s line %d: [%s] has no option '%.60s'; see --help for the list"
			: "%s line %d: there is no section [%s] (option '%.60s'); see --help for "
			  "the list",
		    c->file, line, section, name);
	else if (c->from[i].line > 0)
		r->e = fault_set(r->f, ERR_INVAL,
		    "%s line %d: [%s] %s stands twice, first in line %d; "
		    "remove one",
		    c->file, line, section, name, c->from[i].line);
	else if ((r->e = set_value(c, &c->table[i], value, r->f)) != OK)
		locate(r->f, c->file, line, section, name);
	else
		r->e = set_string(&c->from[i].origin, c->file);
	if (r->e == OK)
		c->from[i].line = line;
	return r->e == OK;
}

static enum err
set_defaults(struct conf *c, struct fault *f)
{
	size_t i;
	enum err e;

	for (i = 0; i < c->n; i++) {
		if (c->table[i].dflt == NULL)
			continue;
		e = set_value(c, &c->table[i], c->table[i].dflt, f);
		if (e != OK) {
			locate(f, "default", 0, c->table[i].section, c->table[i].name);
			return e;
		}
	}
	return OK;
}

static enum err
check_required(const struct conf *c, struct fault *f)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (c->table[i].dflt == NULL && c->from[i].origin == NULL)
			return fault_set(f, ERR_INVAL, "%s: [%s] %s is missing: %s; add it",
			    c->file, c->table[i].section, c->table[i].name, c->table[i].help);
	return OK;
}

static enum err
read_text(struct conf *c, const char *text, size_t len, struct fault *f)
{
	struct reading r = { .c = c, .text = text, .len = len, .f = f };
	int line;

	if (memchr(text, '\0', len) != NULL)
		return fault_set(
		    f, ERR_INVAL, "%s: holds a zero byte; write it again as plain text", c->file);
	line = ini_parse_stream(next_line, &r, on_option, &r);
	if (r.e != OK)
		return r.e;
	if (line != 0)
		return fault_set(f, ERR_INVAL,
		    "%s line %d: neither [section] nor name = value (lines are under 200 "
		    "characters)",
		    c->file, line < 0 ? 0 : line);
	return OK;
}

static enum err
make(struct conf **out, void *target, const struct conf_option *table, size_t n, const char *name)
{
	struct conf *c = calloc(1, sizeof *c);

	*out = c;
	if (c == NULL)
		return ERR_NOMEM;
	c->table = table;
	c->n = n;
	c->target = target;
	c->from = calloc(n > 0 ? n : 1, sizeof *c->from);
	c->file = strdup(name);
	return c->from != NULL && c->file != NULL ? OK : ERR_NOMEM;
}

enum err
conf_load_text(struct conf **out, void *target, const struct conf_option *table, size_t n,
    const char *name, const char *text, size_t len, struct fault *f)
{
	enum err e = make(out, target, table, n, name);

	if (e == OK)
		e = set_defaults(*out, f);
	if (e == OK)
		e = read_text(*out, text, len, f);
	if (e == OK)
		e = check_required(*out, f);
	if (e != OK) {
		(void)fault_set(f, e, "%s: %s", name, err_text(e));
		conf_free(*out);
		*out = NULL;
	}
	return e;
}

static enum err
read_file(const char *file, struct buf *text, struct fault *f)
{
	FILE *in = fopen(file, "re");
	char piece[4096];
	enum err e = OK;
	size_t n;

	if (in == NULL)
		return fault_set(f, ERR_INVAL,
		    "%s: cannot be read (%s); give the right path with --config", file,
		    strerror(errno));
	while (e == OK && (n = fread(piece, 1, sizeof piece, in)) > 0)
		e = buf_append(text, piece, n);
	if (e == OK && ferror(in))
		e = fault_set(f, ERR_IO, "%s: reading failed", file);
	if (e == ERR_TOOBIG)
		e = fault_set(f, ERR_INVAL, "%s: is larger than %d bytes", file, CONF_MAX_BYTES);
	(void)fclose(in);
	return e;
}

enum err
conf_load(struct conf **out, void *target, const struct conf_option *table, size_t n,
    const char *file, struct fault *f)
{
	struct buf text;
	enum err e = OK;

	*out = NULL;
	buf_init(&text, CONF_MAX_BYTES);
	if (file != NULL)
		e = read_file(file, &text, f);
	if (e == OK)
		e = conf_load_text(out, target, table, n, file != NULL ? file : "no file",
		    buf_text(&text), text.len, f);
	buf_free(&text);
	return e;
}

void
conf_free(struct conf *c)
{
	size_t i;

	if (c == NULL)
		return;
	for (i = 0; c->from != NULL && i < c->n; i++) {
		char **at = (char **)(void *)((char *)c->target + c->table[i].at);

		free(c->from[i].origin);
		if (c->table[i].type == CONF_STRING || c->table[i].type == CONF_PATH ||
		    c->table[i].type == CONF_LIST) {
			free(*at);
			*at = NULL;
		}
	}
	free(c->from);
	free(c->file);
	free(c);
}

void
conf_print_help(FILE *out, const struct conf_option *table, size_t n)
{
	const char *section = "";
	size_t i;

	for (i = 0; i < n; i++) {
		if (strcmp(section, table[i].section) != 0)
			(void)fprintf(out, "\n[%s]\n", table[i].section);
		section = table[i].section;
		(void)fprintf(out, "  %-26s %s", table[i].name, table[i].help);
		if (table[i].dflt == NULL)
			(void)fprintf(out, " (required)\n");
		else if (table[i].dflt[0] != '\0')
			(void)fprintf(out, " (default %s)\n", table[i].dflt);
		else
			(void)fprintf(out, "\n");
	}
}
