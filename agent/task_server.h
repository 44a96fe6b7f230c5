/* task_server.h - port 2222: mutual TLS with the console, tasks and status as JSON. Only a console
 * of our organisation that the authority lists and has not revoked is admitted, in the handshake
 * and again for each request. Loop's thread. */
#ifndef ATALAIA_AGENT_TASK_SERVER_H
#define ATALAIA_AGENT_TASK_SERVER_H

#include "agent.h"
#include "base/err.h"
#include "base/fault.h"

struct task_server;

/* Listens; the real port goes to agent.task_port. */
MUST_CHECK enum err task_server_new(struct task_server **out, struct agent *a, struct fault *f);
/* New certificate or authority: for connections from now on. */
void task_server_renew(struct task_server *s);
void task_server_close(struct task_server *s, void (*closed)(void *ctx), void *ctx);

#endif
