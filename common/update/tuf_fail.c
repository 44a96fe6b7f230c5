#include "update/tuf_fail.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const rule_words[] = {
	[TUF_RULE_NONE] = "none",
	[TUF_RULE_FETCH] = "fetch",
	[TUF_RULE_LENGTH] = "length",
	[TUF_RULE_HASH] = "hash",
	[TUF_RULE_JSON] = "json",
	[TUF_RULE_TYPE] = "type",
	[TUF_RULE_SPEC] = "spec-version",
	[TUF_RULE_KEYID] = "keyid",
	[TUF_RULE_SIGNATURES] = "signatures",
	[TUF_RULE_VERSION] = "version",
	[TUF_RULE_ROLLBACK] = "rollback",
	[TUF_RULE_EXPIRED] = "expired",
	[TUF_RULE_DELEGATION] = "delegation",
	[TUF_RULE_STORE] = "store",
};

const char *
tuf_rule_word(enum tuf_rule rule)
{
	if ((size_t)rule >= sizeof(rule_words) / sizeof(rule_words[0]))
		return "unknown";
	return rule_words[rule];
}

static void
put(char *dst, size_t size, const char *s)
{
	(void)snprintf(dst, size, "%s", s != NULL ? s : "");
}

void
tuf_fail_reset(struct tuf_failure *w, const char *file)
{
	*w = (struct tuf_failure){ .code = OK };
	put(w->file, sizeof(w->file), file);
}

void
tuf_fail_file(struct tuf_failure *w, const char *file)
{
	if (w->rule == TUF_RULE_NONE)
		put(w->file, sizeof(w->file), file);
}

enum err
tuf_fail(struct tuf_failure *w, enum err code, enum tuf_rule rule, const char *expected,
    const char *got, const char *fmt, ...)
{
	char sentence[sizeof(w->text) - sizeof(w->file) / 2];
	va_list ap;

	if (w->rule != TUF_RULE_NONE)
		return code;
	va_start(ap, fmt);
	(void)vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	w->code = code;
	w->rule = rule;
	put(w->expected, sizeof(w->expected), expected);
	put(w->got, sizeof(w->got), got);
	(void)snprintf(w->text, sizeof(w->text), "%.100s: %s", w->file, sentence);
	return code;
}

enum err
tuf_fail_fault(struct tuf_failure *w, enum err code, enum tuf_rule rule, const struct fault *f)
{
	return tuf_fail(w, code, rule, NULL, NULL, "%s",
	    f->text[0] != '\0' ? f->text : err_text(code));
}

enum err
tuf_fail_u64(struct tuf_failure *w, enum err code, enum tuf_rule rule, uint64_t expected,
    uint64_t got, const char *what)
{
	char e[24], g[24];

	(void)snprintf(e, sizeof(e), "%" PRIu64, expected);
	(void)snprintf(g, sizeof(g), "%" PRIu64, got);
	return tuf_fail(w, code, rule, e, g, "%s: expected %s, got %s", what, e, g);
}

enum err
tuf_fail_to(const struct tuf_failure *w, enum err code, struct fault *f)
{
	if (code == OK)
		return OK;
	return fault_set(f, code, "%s", w->text[0] != '\0' ? w->text : err_text(code));
}
