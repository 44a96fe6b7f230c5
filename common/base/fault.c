#include "base/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
fault_reset(struct fault *f)
{
	if (f == NULL)
		return;
	f->code = OK;
	f->text[0] = '\0';
}

enum err
fault_set(struct fault *f, enum err code, const char *fmt, ...)
{
	va_list ap;

	if (f == NULL || f->code != OK)
		return code;
	f->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(f->text, sizeof f->text, fmt, ap);
	va_end(ap);
	return code;
}

enum err
fault_sys(struct fault *f, int sys, const char *fmt, ...)
{
	char why[128];
	va_list ap;
	int n;

	if (f == NULL || f->code != OK)
		return err_from_errno(sys);
	f->code = err_from_errno(sys);
	va_start(ap, fmt);
	n = vsnprintf(f->text, sizeof f->text, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof f->text)
		(void)snprintf(f->text + n, sizeof f->text - (size_t)n, ": %s",
		    strerror_r(sys, why, sizeof why));
	return f->code;
}

void
fault_prefix(struct fault *f, const char *fmt, ...)
{
	char old[sizeof f->text - 4];
	va_list ap;
	int n;

	if (f == NULL || f->code == OK)
		return;
	(void)snprintf(old, sizeof old, "%.*s", (int)sizeof old - 1, fault_text(f));
	va_start(ap, fmt);
	n = vsnprintf(f->text, sizeof f->text, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof f->text)
		(void)snprintf(f->text + n, sizeof f->text - (size_t)n, ": %s", old);
}

const char *
fault_text(const struct fault *f)
{
	if (f == NULL)
		return "no details";
	return f->text[0] != '\0' ? f->text : err_text(f->code);
}
