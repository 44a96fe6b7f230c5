#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048
#define MODULES 16
#define RATES 64
#define RATE_LINES 200 /* lines of one event name in a window before the rest is counted only */
#define RATE_WINDOW_MS 10000

static const char *const level_names[] = { "error", "warn", "info", "debug" };
/* What the journal makes of its PRIORITY field: sd-daemon(3). */
static const char *const level_prefixes[] = { "<3>", "<4>", "<6>", "<7>" };

static struct {
	const char *program;
	enum log_level level;
	bool journal; /* standard error goes to systemd's journal */
	struct {
		char name[32];
		enum log_level level;
	} module[MODULES];
	size_t modules;
	struct {
		char event[48];
		uint64_t start;
		unsigned lines, dropped;
	} rate[RATES];
	pthread_mutex_t lock;
} logger = { .program = "atalaia", .level = LOG_INFO, .lock = PTHREAD_MUTEX_INITIALIZER };

static enum err
parse_level(const char *p, size_t n, enum log_level *out)
{
	unsigned i;

	for (i = 0; i < 4; i++)
		if (text_eq(p, n, level_names[i])) {
			*out = (enum log_level)i;
			return OK;
		}
	return ERR_PARSE;
}

static enum err
parse_item(const char *p, size_t n)
{
	const char *eq = memchr(p, '=', n);
	size_t name;

	if (eq == NULL)
		return parse_level(p, n, &logger.level);
	name = (size_t)(eq - p);
	if (logger.modules == MODULES)
		return ERR_TOOBIG;
	if (text_copy(logger.module[logger.modules].name, sizeof logger.module[0].name, p, name) !=
	    OK)
		return ERR_TOOBIG;
	return parse_level(eq + 1, n - name - 1, &logger.module[logger.modules++].level);
}

/* The journal names the socket that it gave us by device and inode (systemd.exec(5)). */
static bool
is_journal(void)
{
	const char *said = getenv("JOURNAL_STREAM");
	char text[64];
	struct stat st;

	if (said == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	(void)snprintf(text, sizeof text, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(said, text) == 0;
}

enum err
log_init(const char *program, const char *spec)
{
	logger.program = program;
	logger.level = LOG_INFO;
	logger.journal = is_journal();
	logger.modules = 0;
	while (*spec != '\0') {
		size_t n = strcspn(spec, ",");
		enum err e = parse_item(spec, n);

		if (e != OK)
			return e;
		spec += n;
		if (*spec == ',')
			spec++;
	}
	return OK;
}

static bool
wanted(enum log_level level, const char *event)
{
	size_t n = strcspn(event, "."), i;

	for (i = 0; i < logger.modules; i++)
		if (text_eq(event, n, logger.module[i].name))
			return level <= logger.module[i].level;
	return level <= logger.level;
}

/* Under the lock. False when the line is over the rate; *dropped counts those left out before it.
 */
static bool
within_rate(const char *event, unsigned *dropped)
{
	uint64_t now = clock_mono_ms();
	size_t i, slot = 0;

	for (i = 0; i < RATES; i++) {
		if (strcmp(logger.rate[i].event, event) == 0) {
			slot = i;
			break;
		}
		if (logger.rate[i].start < logger.rate[slot].start)
			slot = i;
	}
	*dropped = 0;
	if (strcmp(logger.rate[slot].event, event) != 0 ||
	    now - logger.rate[slot].start >= RATE_WINDOW_MS) {
		if (strcmp(logger.rate[slot].event, event) == 0)
			*dropped = logger.rate[slot].dropped;
		logger.rate[slot].start = now;
		logger.rate[slot].lines = logger.rate[slot].dropped = 0;
		if (text_copy(logger.rate[slot].event, sizeof logger.rate[slot].event, event,
			strlen(event)) != OK)
			return true;
	}
	if (logger.rate[slot].lines++ < RATE_LINES)
		return true;
	logger.rate[slot].dropped++;
	return false;
}

/* One write per line, so that lines of several processes do not mix. A broken stderr is nobody's
 * news. */
static void
emit(const char *line, size_t n)
{
	ssize_t k = write(STDERR_FILENO, line, n);

	(void)k;
}

void
log_write(enum log_level level, const char *event, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES], when[CLOCK_TEXT];
	unsigned dropped;
	va_list ap;
	size_t n;
	int k;

	if (!wanted(level, event))
		return;
	(void)pthread_mutex_lock(&logger.lock);
	if (!within_rate(event, &dropped)) {
		(void)pthread_mutex_unlock(&logger.lock);
		return;
	}
	(void)pthread_mutex_unlock(&logger.lock);
	clock_format(when, clock_wall_ms());
	k = snprintf(line, sizeof line, "%stime=%s level=%s program=%s event=%s ",
	    logger.journal ? level_prefixes[level] : "", when, level_names[level], logger.program,
	    event);
	n = k > 0 ? (size_t)k : 0;
	if (dropped > 0) {
		k = snprintf(line + n, sizeof line - n, "suppressed=%u ", dropped);
		n += k > 0 ? (size_t)k : 0;
	}
	va_start(ap, fmt);
	k = vsnprintf(line + n, sizeof line - n, fmt, ap);
	va_end(ap);
	n += k > 0 ? (size_t)k : 0;
	if (n > sizeof line - 2)
		n = sizeof line - 2;
	line[n++] = '\n';
	emit(line, n);
}

const char *
log_q(const char *value)
{
	static _Thread_local char slot[8][256];
	static _Thread_local unsigned next;
	char *out = slot[next++ % 8];
	struct buf b;

	buf_init(&b, 250);
	if (value == NULL)
		value = "";
	if (buf_puts(&b, "\"") != OK ||
	    text_printable(&b, (const uint8_t *)value, strlen(value), 240) != OK ||
	    buf_puts(&b, "\"") != OK)
		buf_reset(&b);
	memcpy(out, buf_text(&b), b.len + 1);
	buf_free(&b);
	return out;
}
