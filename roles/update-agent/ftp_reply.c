#include "ftp_reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Replies that the client does not take, or no memory: either way this session is over. */
static void
check(struct ftp_session *s, enum err e)
{
	if (e != OK && s != NULL)
		s->broken = true;
}

void
ftp_raw(struct ftp_session *s, struct buf *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	check(s, buf_vprintf(out, fmt, ap));
	va_end(ap);
}

void
ftp_reply(struct ftp_session *s, struct buf *out, enum ftp_code code, const char *fmt, ...)
{
	va_list ap;

	check(s, buf_printf(out, "%d ", (int)code));
	va_start(ap, fmt);
	check(s, buf_vprintf(out, fmt, ap));
	va_end(ap);
	check(s, buf_puts(out, "\r\n"));
}

void
ftp_quoted(
    struct ftp_session *s, struct buf *out, enum ftp_code code, const char *path, const char *tail)
{
	const char *p;

	check(s, buf_printf(out, "%d \"/", (int)code));
	for (p = path; *p != '\0'; p++)
		check(s, buf_append(out, *p == '"' ? "\"\"" : p, *p == '"' ? 2 : 1));
	check(s, buf_printf(out, "\" %s\r\n", tail));
}

void
ftp_time_text(char out[FTP_TIME_TEXT], int64_t seconds)
{
	time_t t = seconds < 0 ? 0 : (time_t)seconds;
	struct tm tm;

	memset(&tm, 0, sizeof(tm));
	(void)gmtime_r(&t, &tm);
	if (strftime(out, FTP_TIME_TEXT, "%Y%m%d%H%M%S", &tm) == 0)
		out[0] = '\0';
}

void
ftp_session_farewell(struct buf *out, const char *reason)
{
	ftp_reply(NULL, out, R_UNAVAILABLE, "%s", reason);
}
