/* serve.h - `atalaia-console serve`: runs until SIGTERM. Returns the exit status: 0, 2 for
 * configuration and state that must be put right by a person, 70 for a loop that did not close. */
#ifndef CONSOLE_SERVE_H
#define CONSOLE_SERVE_H

#include "options.h"

int serve(const struct options *o);

#endif
