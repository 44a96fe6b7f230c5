/* status.h - what this PC can say about itself: status for people and consoles, metrics for
 * monitoring, the routes of the local port, and the inventory. Loop's thread. */
#ifndef ATALAIA_AGENT_STATUS_H
#define ATALAIA_AGENT_STATUS_H

#include "agent.h"
#include "base/buf.h"
#include "base/err.h"
#include "net/httpd.h"

cJSON *status_json(struct agent *a);				      /* NULL on no memory */
MUST_CHECK enum err status_metrics(struct agent *a, struct buf *out); /* OpenMetrics text */

/* GET routes and POST /v1/update of 2227 and its socket; ctx of run is the struct events. */
extern const struct http_route local_routes[];
extern const size_t local_route_count;

/* Answers with what the console sees when it connects back to the task port. */
void probe_reply(struct agent *a, struct http_req *r);
/* Answers with the system information document, which is read in a worker. */
void inventory_reply(struct agent *a, struct http_req *r);

#endif
