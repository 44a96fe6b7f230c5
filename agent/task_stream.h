/* task_stream.h - progress of one task as server-sent events (WHATWG HTML, section 9.2): one
 * `state` event with the task's JSON for each change, the last one when it has ended. A slow reader
 * gets the newest state, not all of them. */
#ifndef ATALAIA_AGENT_TASK_STREAM_H
#define ATALAIA_AGENT_TASK_STREAM_H

#include "agent.h"
#include "net/httpd.h"
#include "tasks.h"

struct streams;

MUST_CHECK enum err streams_new(struct streams **out, struct agent *a);
void streams_free(struct streams *s); /* NULL is fine; after the server has closed */
void streams_add(struct streams *s, struct http_req *r, const struct journal_record *rec);
void streams_end(struct streams *s); /* cuts all: the agent is being stopped */

#endif
