/* collected.h - what agents sent, under <state>/collected/<agent>/<task>: kept for a while. */
#ifndef ATALAIA_CONSOLE_COLLECTED_H
#define ATALAIA_CONSOLE_COLLECTED_H

#include "base/err.h"
#include "options.h"

#include <stdint.h>

/* Removes the folders of tasks whose last file came before (wall ms). Blocking; worker of files. */
MUST_CHECK enum err collected_prune(const struct options *o, int64_t before);

#endif
