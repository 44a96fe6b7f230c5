/* mwavlog.h - <state>/mwav.log: what scans found, a line each, for people and for the `collect`
 * task. Blocking: worker thread, one at a time. Past LIMIT_MWAVLOG bytes the file becomes
 * mwav.log.1. */
#ifndef ATALAIA_AGENT_MWAVLOG_H
#define ATALAIA_AGENT_MWAVLOG_H

#include "base/err.h"
#include "base/fault.h"

#include <stdint.h>

/* "2026-11-24T15:00:00Z FOUND Eicar-Test /path quarantined=<id>" and the like; bytes that a
 * terminal would obey are escaped. */
MUST_CHECK enum err mwavlog_line(const char *state, int64_t now_ms, const char *word,
    const char *path, const char *fmt, ...) PRINTF_LIKE(5, 6);

#endif
