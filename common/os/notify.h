/* notify.h - tells the service manager that this program is ready, alive or stopping: sd_notify(3)
 * without its library. One datagram to $NOTIFY_SOCKET; without that variable nothing is sent. */
#ifndef ATALAIA_OS_NOTIFY_H
#define ATALAIA_OS_NOTIFY_H

#include <stdint.h>

#define NOTIFY_READY "READY=1"
#define NOTIFY_ALIVE "WATCHDOG=1"
#define NOTIFY_STOPPING "STOPPING=1"

/* Never blocks; what cannot be told is not told: the manager's own deadline decides then. */
void notify_send(const char *state);
/* How often to say NOTIFY_ALIVE: half of $WATCHDOG_USEC. 0: nobody asks this process. */
uint64_t notify_interval_ms(void);

#endif
