#include "finding.h"

#include "base/json.h"

#include <string.h>

#define SENTENCE 2048

static const char *
value_of(const struct finding_value *values, const char *name, size_t n)
{
	for (; values != NULL && values->name != NULL; values++)
		if (strlen(values->name) == n && memcmp(values->name, name, n) == 0)
			return values->text;
	return NULL;
}

static enum err
fill(struct buf *out, const char *text, const struct finding_value *values)
{
	enum err e = OK;

	while (e == OK && *text != '\0') {
		size_t plain = strcspn(text, "{"), n = strcspn(text + plain, "}");
		const char *v = n > 1 ? value_of(values, text + plain + 1, n - 1) : NULL;

		if (v == NULL)
			plain += text[plain] != '\0';
		e = buf_append(out, text, plain);
		if (e == OK && v != NULL)
			e = buf_puts(out, v);
		text += plain + (v != NULL ? n + 1 : 0);
	}
	return e;
}

static enum err
put_values(struct buf *out, const struct finding_value *values)
{
	const char *before = ",\"values\":{";
	enum err e = OK;

	for (; e == OK && values != NULL && values->name != NULL; values++, before = ",") {
		e = buf_printf(out, "%s\"%s\":", before, values->name);
		if (e == OK)
			e = json_quote(out, values->text, strlen(values->text));
	}
	return e == OK && before[1] == '\0' ? buf_puts(out, "}") : e;
}

enum err
finding_add(struct findings *x, const struct finding *f, const struct finding_value *values)
{
	struct buf text;
	enum err e;

	buf_init(&text, SENTENCE);
	e = fill(&text, f->text, values);
	if (e == ERR_TOOBIG) /* what is there is the beginning of the sentence */
		e = OK;
	if (e == OK)
		e = buf_printf(x->out,
		    "%s{\"name\":\"%s\",\"code\":\"%s\",\"good\":%s,\"text\":", x->any ? "," : "",
		    f->name, f->code, f->good ? "true" : "false");
	if (e == OK)
		e = json_quote(x->out, buf_text(&text), text.len);
	buf_free(&text);
	if (e == OK)
		e = put_values(x->out, values);
	x->any = true;
	return e == OK
		   ? buf_printf(x->out, ",\"remedy\":\"%s\"}", f->remedy != NULL ? f->remedy : "")
		   : e;
}
