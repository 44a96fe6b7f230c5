/* rand.h - bytes from the kernel's generator. Cannot fail: aborts when the kernel has none. */
#ifndef ATALAIA_OS_RAND_H
#define ATALAIA_OS_RAND_H

#include <stddef.h>
#include <stdint.h>

void rand_bytes(void *p, size_t n);
uint32_t rand_below(uint32_t bound); /* 0..bound-1 without bias; bound > 0 */
void rand_uuid_v7(char out[37]);     /* with the current wall time */

#endif
