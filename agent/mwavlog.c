#include "mwavlog.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "os/file.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 40000

static enum err
append(const char *state, const struct buf *line)
{
	char path[LIMIT_STATE_PATH + 16], old[LIMIT_STATE_PATH + 20];
	uint64_t size = 0;
	enum err e;
	int fd;

	e = file_join(path, sizeof path, state, "mwav.log");
	if (e != OK)
		return e;
	if (file_size(path, &size) == OK && size + line->len > LIMIT_MWAVLOG) {
		(void)snprintf(old, sizeof old, "%s.1", path);
		if (rename(path, old) != 0)
			return ERR_IO;
	}
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0)
		return ERR_IO;
	e = file_write_all(fd, line->data, line->len);
	if (close(fd) != 0 && e == OK)
		e = ERR_IO;
	return e;
}

enum err
mwavlog_line(
    const char *state, int64_t now_ms, const char *word, const char *path, const char *fmt, ...)
{
	char time[CLOCK_TEXT], tail[600];
	struct buf line;
	va_list ap;
	enum err e;

	va_start(ap, fmt);
	(void)vsnprintf(tail, sizeof tail, fmt, ap);
	va_end(ap);
	clock_format_s(time, now_ms);
	buf_init(&line, LINE_MAX_BYTES);
	e = buf_printf(&line, "%s %s ", time, word);
	if (e == OK)
		e = text_printable(&line, (const uint8_t *)tail, strlen(tail), 2000);
	if (e == OK && path != NULL)
		e = buf_puts(&line, " ");
	if (e == OK && path != NULL)
		e = text_printable(&line, (const uint8_t *)path, strlen(path), LIMIT_SCAN_PATH);
	if (e == OK)
		e = buf_puts(&line, "\n");
	if (e == OK)
		e = append(state, &line);
	buf_free(&line);
	return e;
}
