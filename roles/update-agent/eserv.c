#include "eserv.h"

#include "base/text.h"
#include "net/addr.h"
#include "os/file.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ESERV_MAX 65536
#define VALUE_MAX 128

struct eserv {
	const char *file;
	bool in_general, add, has_add;
	uint32_t first, count;
	char address[64];
	struct fault *f;
};

struct span {
	const char *p;
	size_t n;
};

static struct span
trim(const char *p, size_t n)
{
	while (n > 0 && (*p == ' ' || *p == '\t')) {
		p++;
		n--;
	}
	while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t' || p[n - 1] == '\r'))
		n--;
	if (n >= 2 && p[0] == '"' && p[n - 1] == '"')
		return (struct span){ p + 1, n - 2 };
	return (struct span){ p, n };
}

static enum err
number(struct eserv *x, int line, const char *name, struct span v, uint32_t *out)
{
	if (text_u32(v.p, v.n, 65535, out) == OK)
		return OK;
	return fault_set(x->f, ERR_INVAL,
	    "%s line %d: %s is no number from 0 to 65535; correct it and import again", x->file,
	    line, name);
}

static enum err
address(struct eserv *x, int line, struct span v)
{
	struct addr a;

	if (v.n == 0)
		return OK;
	if (addr_parse_ip(&a, v.p, v.n) != OK || a.family != ADDR_V4)
		return fault_set(x->f, ERR_INVAL,
		    "%s line %d: Ser_Pasv_IPAddr is no IPv4 address; correct it and import again",
		    x->file, line);
	return text_copy(x->address, sizeof(x->address), v.p, v.n);
}

static enum err
option(struct eserv *x, int line, struct span name, struct span v)
{
	uint32_t on;

	if (text_eq_nocase(name.p, name.n, "AddPassivePort")) {
		enum err e = number(x, line, "AddPassivePort", v, &on);

		x->has_add = true;
		x->add = e == OK && on != 0;
		return e;
	}
	if (text_eq_nocase(name.p, name.n, "StartingPassivePort"))
		return number(x, line, "StartingPassivePort", v, &x->first);
	if (text_eq_nocase(name.p, name.n, "NoofPassivePorts"))
		return number(x, line, "NoofPassivePorts", v, &x->count);
	if (text_eq_nocase(name.p, name.n, "Ser_Pasv_IPAddr"))
		return address(x, line, v);
	return OK;
}

static enum err
one_line(struct eserv *x, int line, const char *p, size_t n)
{
	struct span s = trim(p, n);
	const char *eq;

	if (s.n == 0 || s.p[0] == ';' || s.p[0] == '#')
		return OK;
	if (s.p[0] == '[') {
		x->in_general = text_eq_nocase(s.p, s.n, "[General]");
		return OK;
	}
	eq = memchr(s.p, '=', s.n);
	if (!x->in_general || eq == NULL)
		return OK;
	return option(
	    x, line, trim(s.p, (size_t)(eq - s.p)), trim(eq + 1, s.n - (size_t)(eq - s.p) - 1));
}

static enum err
print_section(const struct eserv *x, struct buf *out)
{
	bool range = (x->add || !x->has_add) && x->first > 0 && x->count > 0;
	enum err e = buf_printf(out, "# from %s\n[update-agent]\n", x->file);

	if (e == OK && range)
		e = buf_printf(out, "passive_first=%u\npassive_count=%u\n", x->first, x->count);
	if (e == OK && !range)
		e = buf_puts(
		    out, "# AddPassivePort is off: any free port of the system\npassive_first=0\n");
	if (e == OK && x->address[0] != '\0')
		e = buf_printf(out, "passive_address=%s\n", x->address);
	if (e == OK && range && x->first <= 3333 && x->first + x->count > 3333)
		e = buf_puts(
		    out, "# the range has port 3333 (version_port) inside: serve leaves it out\n");
	return e;
}

enum err
eserv_convert(struct buf *out, const char *name, const char *text, size_t n, struct fault *f)
{
	struct eserv x = { .file = name, .f = f };
	size_t begin = 0, i;
	enum err e = OK;
	int line = 1;

	if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		begin = 3;
	for (i = begin; i <= n && e == OK; i++) {
		if (i < n && text[i] != '\n')
			continue;
		e = one_line(&x, line++, text + begin, i - begin);
		begin = i + 1;
	}
	if (e == OK && x.first > 0 && x.first + x.count > 65536)
		e = fault_set(f, ERR_INVAL,
		    "%s: the range %u + %u ends past port 65535; take fewer ports", name, x.first,
		    x.count);
	return e == OK ? print_section(&x, out) : e;
}

int
eserv_main(const char *file)
{
	struct buf text, out;
	struct fault f = { 0 };
	enum err e;

	buf_init(&text, ESERV_MAX);
	buf_init(&out, ESERV_MAX);
	e = file_read(file, &text, &f);
	if (e == OK)
		e = eserv_convert(&out, file, buf_text(&text), text.len, &f);
	if (e == OK)
		(void)fputs(buf_text(&out), stdout);
	else
		(void)fprintf(stderr, "atalaia-update-agent: %s\n", fault_text(&f));
	buf_free(&text);
	buf_free(&out);
	return e == OK ? 0 : 2;
}
