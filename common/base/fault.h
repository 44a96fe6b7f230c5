/* fault.h - one sentence for an operator: what happened, to which thing, and the remedy. No
 * allocation; the caller owns the struct. Every function that takes `struct fault *f` accepts NULL.
 * The first fault wins unless fault_reset is called. */
#ifndef ATALAIA_BASE_FAULT_H
#define ATALAIA_BASE_FAULT_H

#include "base/err.h"

struct fault {
	enum err code;
	char text[400];
};

void fault_reset(struct fault *f);
/* Records code and sentence when f holds none yet, and returns code, so that `return fault_set(f,
 * ERR_X, "...")` reads well. */
enum err fault_set(struct fault *f, enum err code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* As fault_set, with ": strerror(sys)" appended and the code taken from err_from_errno(sys). */
enum err fault_sys(struct fault *f, int sys, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts "prefix: " in front of a recorded sentence: names the file or source as the fault travels
 * up. */
void fault_prefix(struct fault *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
const char *fault_text(
    const struct fault *f); /* the sentence, or err_text(code) when there is none */

#endif
