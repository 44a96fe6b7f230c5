/* clock.h - time as a parameter. Wall time is libc's (so that faketime works in tests); deadlines
 * use the monotonic clock only. Text form: RFC 3339, UTC. */
#ifndef ATALAIA_BASE_CLOCK_H
#define ATALAIA_BASE_CLOCK_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define CLOCK_TEXT 32

int64_t clock_wall_ms(void); /* milliseconds since 1970-01-01T00:00:00Z */
uint64_t clock_mono_ms(void);
/* Tests replace both; NULL restores. */
void clock_replace(int64_t (*wall_ms)(void), uint64_t (*mono_ms)(void));

void clock_format(char out[CLOCK_TEXT], int64_t wall_ms);   /* 2026-11-24T13:54:29.120Z */
void clock_format_s(char out[CLOCK_TEXT], int64_t wall_ms); /* 2026-11-24T13:54:29Z, TUF's form */
/* Accepts exactly YYYY-MM-DDTHH:MM:SS[.fraction]Z, years 1970..9999, real calendar days. */
MUST_CHECK enum err clock_parse(const char *p, size_t n, int64_t *wall_ms);

#endif
