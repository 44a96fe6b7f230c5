/* machine.h - what the operating system tells about this PC. Blocking but short: worker thread. */
#ifndef ATALAIA_OS_MACHINE_H
#define ATALAIA_OS_MACHINE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* PRETTY_NAME of os-release; "" when there is none. */
void machine_os_name(char *dst, size_t size);
/* systemd's machine-id as text, never to be shown as it is (machine-id(5)): hash it. ERR_NOTFOUND.
 */
MUST_CHECK enum err machine_id(char *dst, size_t size);
/* Maker and model from DMI, "" when unknown. */
void machine_model(char *dst, size_t size);
/* Installed packages (dpkg, else rpm's database is not opened: 0). */
uint64_t machine_packages(void);
/* Bytes of memory that a process may still take. 0 = unknown. */
uint64_t machine_memory_available(void);
/* Our own resident set, 0 = unknown. */
uint64_t machine_own_memory(void);

#endif
