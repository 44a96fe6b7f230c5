/* eserv.h - import of the passive settings of an eserv.ini. */
#ifndef ATALAIA_UA_ESERV_H
#define ATALAIA_UA_ESERV_H

#include "base/buf.h"
#include "base/fault.h"

/* Pure: text of an eserv.ini in, an [update-agent] section out. Windows line ends, a byte order
 * mark and ';' comments are fine; names in any case. Only [General] AddPassivePort,
 * StartingPassivePort, NoofPassivePorts, Ser_Pasv_IPAddr are used. ERR_INVAL with line and remedy.
 */
MUST_CHECK enum err eserv_convert(
    struct buf *out, const char *name, const char *text, size_t n, struct fault *f);
int eserv_main(const char *file);

#endif
