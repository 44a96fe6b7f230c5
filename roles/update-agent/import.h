/* import.h - `import BUNDLE`: fills the mirror from a stick. atalaia-fetch unpacks and verifies, as
 * for any upstream; this only starts it, tells how it ended, and lets the agent know. */
#ifndef ATALAIA_UA_IMPORT_H
#define ATALAIA_UA_IMPORT_H

#include <stdio.h>

/* Words behind `import`. Answers the exit status: 0 updated or current, 1 failed, 2 wrong usage. */
int import_main(int argc, char **argv);
void import_help(FILE *out);

#endif
