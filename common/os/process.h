/* process.h - is a program of this name running on this PC? */
#ifndef ATALAIA_OS_PROCESS_H
#define ATALAIA_OS_PROCESS_H

/* Process id of one whose name (at most 15 bytes) it is; 0: none that this user can see. */
long process_find(const char *name);

#endif
