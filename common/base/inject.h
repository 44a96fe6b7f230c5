/* inject.h - named points where a test makes something fail: inject("spool.fsync") is true when
 * ATALAIA_INJECT names the point
 * ("spool.fsync" every time, "spool.fsync@3" the third time only, several joined by ','). Compiled
 * to false in release builds (NDEBUG). */
#ifndef ATALAIA_BASE_INJECT_H
#define ATALAIA_BASE_INJECT_H

#include <stdbool.h>

#ifdef NDEBUG
#define inject(point) false
#else
bool inject(const char *point);
#endif

#endif
