/* console.h - the running console: what `atalaia-console serve` holds. Loop thread, except where a
 * function says worker. Handlers read this struct; only serve.c makes and ends it. */
#ifndef CONSOLE_CONSOLE_H
#define CONSOLE_CONSOLE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"
#include "db.h"
#include "identity.h"
#include "net/httpc.h"
#include "net/httpd.h"
#include "net/refusals.h"
#include "options.h"
#include "revoked.h"
#include "waiters.h"
#include "work.h"

#include <uv.h>

struct push;
struct feed;
struct web;

struct console {
	const struct options *o;
	uv_loop_t *loop;
	struct db *db;
	struct work db_work;   /* everything that touches the database */
	struct work feed_work; /* everything that touches the policies repository */
	struct work file_work; /* files that agents upload */
	struct identity id;
	struct revoked *revoked;
	struct waiters *waiters;
	struct push *push;
	struct feed *feed;
	int feed_root; /* descriptor of the public folder of the policies feed */
	struct httpd *agents, *admin;
	struct http_route *admin_routes; /* made at start */
	struct web *web;
	struct httpc *client; /* to agents' task ports, as this console */
	struct tls_config *tls;
	char admin_token[65];
	struct refusals refusals; /* told lately, of 2225 and 2226 */
	uint16_t agent_port, admin_port;
	uv_timer_t tick, alive;
	uv_signal_t sigterm, sigint, sighup;
	uint64_t next_expire, next_prune, next_feed, next_identity,
	    next_collected; /* monotonic, of upkeep.h */
	bool stopping;
	int open_parts; /* what must close before the loop ends */
};

/* serve.c: c->id has changed; new connections get it. */
void serve_identity_changed(struct console *c);

#endif
