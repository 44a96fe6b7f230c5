/* web_live.h - GET /api/v1/live: server-sent events. One ring in memory holds the newest messages
 * for all streams; a stream is a place in it. A slow browser, or one that comes back too late,
 * falls out of the ring and is told how many messages it missed: memory does not depend on
 * browsers. One query feeds the ring while anybody listens. Loop thread. */
#ifndef CONSOLE_WEB_LIVE_H
#define CONSOLE_WEB_LIVE_H

#include "web.h"

struct live; /* opaque */

MUST_CHECK enum err live_new(struct live **out, struct web *w);
void live_tick(struct live *l, uint64_t now_ms);
/* Says `end` to every stream. */
void live_stop(struct live *l);
void live_free(struct live *l); /* NULL is fine; the streams are gone by then */
void web_live(struct http_req *req, void *ctx);

#endif
