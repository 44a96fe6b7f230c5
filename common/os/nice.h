/* nice.h - stepping behind the people who work on this PC. */
#ifndef ATALAIA_OS_NICE_H
#define ATALAIA_OS_NICE_H

/* Low CPU priority and the idle class of disk time for this thread and those started after it. What
 * the kernel refuses is left as it is. */
void nice_background(void);

#endif
