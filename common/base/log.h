/* log.h - key=value lines to stderr for journald. One fact, once: log_info("update.applied",
 * "feed=%s from=%" PRIu64 " to=%" PRIu64, ...). Values with spaces or quotes are the caller's to
 * quote (use %s with log_q). Rate limited per event name. Thread-safe. No secrets. */
#ifndef ATALAIA_BASE_LOG_H
#define ATALAIA_BASE_LOG_H

#include "base/err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* `program` is borrowed for ever. `spec` is "info" or "info,ftp=debug,tuf=warn": a module is the
 * part of the event name before the first dot. */
MUST_CHECK enum err log_init(const char *program, const char *spec);
void log_write(enum log_level level, const char *event, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Quotes a value for one log line: control bytes become \xHH. Returns one of eight per-thread slots
 * of 256 bytes. */
const char *log_q(const char *value);

#define log_error(event, ...) log_write(LOG_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...) log_write(LOG_WARN, event, __VA_ARGS__)
#define log_info(event, ...) log_write(LOG_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) log_write(LOG_DEBUG, event, __VA_ARGS__)

#endif
