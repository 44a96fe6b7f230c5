/* screen.h - what a terminal shows: marks and colours (only on terminals, never with NO_COLOR),
 * ages and sizes for people. */
#ifndef ATALAIA_OPERATOR_SCREEN_H
#define ATALAIA_OPERATOR_SCREEN_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mark { MARK_GOOD, MARK_BAD, MARK_NOTE };

bool screen_is_terminal(void);
/* "ok", "!!" or "--", coloured where that is right. */
const char *screen_mark(enum mark m);
/* "12 s", "3 min", "5 h", "8 d" since an RFC 3339 time; "never" for "". */
void screen_age(char *dst, size_t size, const char *when, int64_t now);
void screen_bytes(char *dst, size_t size, uint64_t n);
/* Members of answers; never NULL. */
const char *screen_text(const cJSON *o, const char *name);
uint64_t screen_number(const cJSON *o, const char *name);
void screen_json(const cJSON *tree); /* pretty, to stdout */

#endif
