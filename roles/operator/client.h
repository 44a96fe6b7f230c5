/* client.h - one request after the other to the agent on this PC, over its unix socket or loopback
 * port. Blocks; the CLI has nothing else to do. */
#ifndef ATALAIA_OPERATOR_CLIENT_H
#define ATALAIA_OPERATOR_CLIENT_H

#include "base/err.h"
#include "base/fault.h"

#include <cjson/cJSON.h>

struct client;

/* where: NULL (default socket, then 127.0.0.1:2227), a socket's path, or "http://host:port". */
MUST_CHECK enum err client_new(struct client **out, const char *where, struct fault *f);
void client_free(struct client *c); /* NULL is fine */

/* method "GET" or "POST". OK: an answer came, *status says which; *out is its JSON tree or NULL. */
MUST_CHECK enum err client_ask(struct client *c, const char *method, const char *path, int *status,
    cJSON **out, struct fault *f);
void client_pause(struct client *c, unsigned ms);

#endif
